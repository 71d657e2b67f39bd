"""Rows against files: nothing is deleted, everything is told, a lost catalog is rebuilt."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions import Author, Catalog, EpisodeRow, EventKind, Reconciliation, SubjectType, open_catalog
from teleop_app.core.errors import CatalogError


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path, Author.process("recovery")) as opened:
        yield opened


def _episode(index: int, session_id: str) -> EpisodeRow:
    ident = str(uuid.UUID(int=index + 1, version=4))
    return EpisodeRow(
        uuid=ident,
        session_id=session_id,
        station="cell",
        operator="Ann",
        task=f"task {index % 2}",
        instruction=f"Do {index % 3}",
        index_in_session=index,
        path=f"episodes/{ident}.mcap",
        started_utc_ns=1_000 + index,
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3=f"{index:064x}",
        format_version="1",
        software_version="0.1.0",
        created_utc_ns=5_000,
    )


def test_missing_found_moved_and_unknown(catalog: Catalog) -> None:
    session = str(uuid.uuid4())
    a, b, c = (catalog.add_episode(_episode(i, session)) for i in range(3))
    assert catalog.reconcile([a.path, b.path, c.path]) == Reconciliation()
    stray = "episodes/11111111-1111-4111-8111-111111111111.mcap"
    trash = f"trash/{c.uuid}.mcap"
    assert catalog.reconcile([b.path, trash, stray]) == Reconciliation(
        missing=(a.uuid,), moved=(c.uuid,), unknown_files=(stray,)
    )
    assert [row.uuid for row in catalog.episodes_missing_on_disk()] == [a.uuid]
    assert catalog.reconcile([b.path, trash, stray]) == Reconciliation(unknown_files=(stray,))
    assert catalog.episode_paths()[c.uuid] == trash
    assert catalog.reconcile([a.path, b.path, trash]) == Reconciliation(found=(a.uuid,))
    assert catalog.episodes_missing_on_disk() == ()
    kinds = [event.kind for event in catalog.events(SubjectType.EPISODE, a.uuid)]
    assert kinds == [EventKind.RECORDED, EventKind.FILE_MISSING, EventKind.FILE_FOUND]


def test_missing_file_that_comes_back_elsewhere_is_found(catalog: Catalog) -> None:
    row = catalog.add_episode(_episode(0, str(uuid.uuid4())))
    catalog.reconcile([])
    back = f"restored/{row.uuid}.mcap"
    assert catalog.reconcile([back]) == Reconciliation(found=(row.uuid,), moved=(row.uuid,))
    now = catalog.episode(row.uuid)
    assert now is not None and (now.path, now.missing) == (back, False)


def test_move_is_logged_once(catalog: Catalog) -> None:
    row = catalog.add_episode(_episode(0, str(uuid.uuid4())))
    for _ in range(2):
        catalog.move_episode(row.uuid, f"trash/{row.uuid}.mcap")
    kinds = [event.kind for event in catalog.events(SubjectType.EPISODE, row.uuid)]
    assert kinds == [EventKind.RECORDED, EventKind.FILE_MOVED]
    with pytest.raises(CatalogError, match="inside the data directory"):
        catalog.move_episode(row.uuid, "/elsewhere.mcap")


def test_lost_catalog_is_rebuilt_from_headers_in_any_order(tmp_path: Path) -> None:
    session = str(uuid.uuid4())
    recorder = Author.process("recorder")
    with open_catalog(tmp_path / "first", recorder) as first:
        before = [first.add_episode(_episode(i, session)) for i in range(6)]
    with open_catalog(tmp_path / "again", recorder) as again:
        for row in reversed(before):
            again.add_episode(row)
        assert again.episodes().rows == tuple(reversed(before))
        assert again.list_sessions()[0].started_utc_ns == 1_000
    no_ids = {"station_id": "", "operator_id": "", "task_id": ""}
    with open_catalog(tmp_path / "by name", recorder) as by_name:
        for row in before:
            by_name.add_episode(dataclasses.replace(row, **no_ids))
        rebuilt = by_name.episodes().rows
    assert [dataclasses.replace(row, **no_ids) for row in rebuilt] == [
        dataclasses.replace(row, **no_ids) for row in reversed(before)
    ]
