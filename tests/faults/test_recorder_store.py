"""Catalog and episode files agree again after either was lost."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recorders.durability import Reserve
from recorders.schema import EpisodeHeader
from recorders.synthetic import feed, synthetic_header, synthetic_samples, write_synthetic
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter
from sessions.repository import open_catalog
from sessions.rows import Author, EpisodeRow
from sessions.states import EpisodeState
from teleop_app.core.errors import StorageError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ControlTick
from teleop_app.station.store_recovery import recover_store

AUTHOR = Author.process("test")


def header(index: int) -> EpisodeHeader:
    made = synthetic_header(("overhead",), 64, 48)
    return replace(
        made, session="6d0a3c57-18ab-4a52-9d3a-0c7c6a5ad001", started_utc_ns=made.started_utc_ns + index
    )


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    store = DataDir(tmp_path / "store").create()
    for index in range(2):
        write_synthetic(store.episodes, 0.1, header(index))
    return store


def rows(data: DataDir) -> list[EpisodeRow]:
    with open_catalog(data.root, AUTHOR) as catalog:
        found = catalog.episodes().rows
        assert all(catalog.thumbnail(row.uuid) and catalog.streams(row.uuid) for row in found)
    return [replace(r, station_id="", operator_id="", task_id="", created_utc_ns=0) for r in found]


def recovered(data: DataDir):
    with open_catalog(data.root, AUTHOR) as catalog:
        return recover_store(data, catalog)


def test_a_deleted_catalog_is_rebuilt_the_same(data: DataDir) -> None:
    assert len(recovered(data).rebuilt) == 2
    before = rows(data)
    assert {row.state for row in before} == {EpisodeState.PENDING}
    assert {row.frame_count for row in before} == {3}
    for file in data.root.glob("catalog.sqlite*"):
        file.unlink()
    assert "2 episode files without a catalog row were taken in again." in recovered(data).sentences()
    assert {row.uuid: replace(row, index_in_session=0) for row in rows(data)} == {
        row.uuid: replace(row, index_in_session=0) for row in before
    }
    assert recovered(data).sentences() == []


def test_a_long_episode_is_one_row_however_many_files_it_has(data: DataDir) -> None:
    made = header(7)
    writer = EpisodeWriter(
        data.open / f"{made.uuid}.mcap",
        made,
        destination=data.episodes / f"{made.uuid}.mcap",
        segment_s=1.2,
        flush_s=0.05,
    )
    for sample in synthetic_samples(made, 3.5, made.anchor_monotonic_ns):
        feed(writer, sample)
    finished = writer.finish("success")
    assert len(finished.footer.segments) == 2
    assert len(recovered(data).rebuilt) == 3
    with open_catalog(data.root, AUTHOR) as catalog:
        row = catalog.episode(made.uuid)
    assert row is not None
    assert row.size_bytes == finished.size_bytes
    assert row.frame_count == 105
    assert row.blake3 == finished.blake3
    assert recovered(data).sentences() == []


def test_recover_says_which_samples_of_which_stream_are_lost(data: DataDir) -> None:
    made = header(8)
    writer = EpisodeWriter(
        data.open / f"{made.uuid}.mcap", made, destination=data.episodes / f"{made.uuid}.mcap", flush_s=0.0
    )
    for sample in synthetic_samples(made, 1.0, made.anchor_monotonic_ns):
        if not (isinstance(sample, ControlTick) and 1050 <= sample.seq < 1070):
            feed(writer, sample)
    writer.abandon()
    outcome = recovered(data)
    assert "Lost of it: 20 samples of /control/tick between 0.24 s and 0.35 s." in outcome.sentences(
        detailed=True
    )
    assert not any("Lost of it" in sentence for sentence in outcome.sentences())


def test_a_deleted_file_marks_its_row_and_a_returned_one_clears_it(data: DataDir) -> None:
    recovered(data)
    path = next(iter(data.episodes.iterdir()))
    content = path.read_bytes()
    path.unlink()
    assert recovered(data).missing == [path.stem]
    path.write_bytes(content)
    assert recovered(data).sentences() == []
    assert not any(row.missing for row in rows(data))


def test_an_open_episode_gets_a_row_that_says_what_is_lost(data: DataDir) -> None:
    made = header(5)
    writer = EpisodeWriter(
        data.open / f"{made.uuid}.mcap", made, destination=data.episodes / f"{made.uuid}.mcap", flush_s=0.0
    )
    for sample in synthetic_samples(made, 0.2, made.anchor_monotonic_ns):
        feed(writer, sample)
    writer.abandon()
    said = recovered(data).sentences()
    assert said[0].startswith(
        f"Episode {made.uuid} was recovered. The recording was cut off by a crash after 0.2"
    )
    with open_catalog(data.root, AUTHOR) as catalog:
        row = catalog.episode(made.uuid)
    assert row is not None
    assert row.recovered
    assert "cut off by a crash" in row.recovery_loss
    assert verify_file(data.root / row.path, blake3=row.blake3, full=True).findings == ()


def test_files_that_are_no_episodes_are_told_and_left(data: DataDir) -> None:
    stranger = data.episodes / "22222222-2222-2222-2222-222222222222.mcap"
    stranger.write_bytes(b"hello")
    assert any("is not an episode" in problem for problem in recovered(data).problems)
    assert stranger.read_bytes() == b"hello"


@pytest.fixture
def small_disk(tmp_path: Path):
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small disk needs the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_keeps_the_episode_as_truncated(small_disk: Path) -> None:
    data = DataDir(small_disk / "store").create()
    reserve = Reserve(data.open, 100_000)
    reserve.fill()
    made = header(0)
    writer = EpisodeWriter(
        data.open / f"{made.uuid}.mcap",
        made,
        destination=data.episodes / f"{made.uuid}.mcap",
        flush_s=0.0,
        reserve=reserve,
    )
    with pytest.raises(StorageError, match="No space left on device") as caught:
        for sample in synthetic_samples(made, 20.0, made.anchor_monotonic_ns):
            feed(writer, sample)
    finished = writer.finish(truncated=caught.value.sentence)
    assert finished.footer.truncated
    assert verify_file(finished.path, blake3=finished.blake3, full=True).findings == ()
