"""Listing: keyset pages hold every matching episode once, newest first, whatever the filter."""

from __future__ import annotations

import dataclasses
import random
import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions import (
    Author,
    Catalog,
    EpisodeFilter,
    EpisodeRow,
    EpisodeState,
    Outcome,
    PageCursor,
    open_catalog,
)
from sessions.text_search import fold

ANN = Author.person("Ann")
INSTRUCTIONS = ("Put the RED cube into the tray", "Hand the blüe peg over", "拿起红色方块", "100% of a_b\\c")
TASKS = ("pick-place", "hand-over", "Überraschung")
PEOPLE = ("Ann", "José", "李雷")
SESSIONS = tuple(str(uuid.UUID(int=n)) for n in range(1, 4))


def _row(dice: random.Random) -> EpisodeRow:
    ident = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    person = dice.randrange(len(PEOPLE))
    return EpisodeRow(
        uuid=ident,
        session_id=SESSIONS[person],
        station="cell",
        operator=PEOPLE[person],
        task=dice.choice(TASKS),
        instruction=dice.choice(INSTRUCTIONS),
        index_in_session=dice.randrange(100),
        path=f"episodes/{ident}.mcap",
        started_utc_ns=dice.randrange(20),  # few values: ties must be broken by the UUID
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3="ab" * 32,
        format_version="1",
        software_version="0.1.0",
        state=dice.choice(list(EpisodeState)),
        outcome=dice.choice(list(Outcome)),
        recovered=dice.random() < 0.2,
    )


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    with open_catalog(tmp_path_factory.mktemp("catalog"), Author.process("recorder")) as opened:
        yield opened


@pytest.fixture(scope="module")
def rows(catalog: Catalog) -> list[EpisodeRow]:
    dice = random.Random(7)
    added = [catalog.add_episode(_row(dice)) for _ in range(60)]
    gone = {row.uuid for row in added[:6]}
    catalog.reconcile(row.path for row in added if row.uuid not in gone)
    return [dataclasses.replace(row, missing=row.uuid in gone) for row in added]


def _walk(catalog: Catalog, wanted: EpisodeFilter, limit: int) -> Iterator[tuple[EpisodeRow, ...]]:
    after: PageCursor | None = None
    while True:
        page = catalog.episodes(wanted, after=after, limit=limit)
        yield page.rows
        after = page.next_cursor
        if after is None:
            return


def _matches(wanted: EpisodeFilter) -> Callable[[EpisodeRow], bool]:
    def one(row: EpisodeRow) -> bool:
        texts = (fold(row.instruction), fold(row.task), fold(row.operator))
        return all(
            (
                not wanted.states or row.state in wanted.states,
                not wanted.outcomes or row.outcome in wanted.outcomes,
                not wanted.task_ids or row.task_id in wanted.task_ids,
                not wanted.operator_ids or row.operator_id in wanted.operator_ids,
                not wanted.session_ids or row.session_id in wanted.session_ids,
                wanted.started_from_ns is None or row.started_utc_ns >= wanted.started_from_ns,
                wanted.started_before_ns is None or row.started_utc_ns < wanted.started_before_ns,
                wanted.missing is None or row.missing == wanted.missing,
                wanted.recovered is None or row.recovered == wanted.recovered,
                all(any(word in text for text in texts) for word in fold(wanted.text).split()),
            )
        )

    return one


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_pages_hold_every_match_once_newest_first(
    catalog: Catalog, rows: list[EpisodeRow], data: st.DataObject
) -> None:
    task_ids = sorted({row.task_id for row in rows})
    operator_ids = sorted({row.operator_id for row in rows})
    times = st.none() | st.integers(-1, 21)
    flags = st.none() | st.booleans()
    wanted = data.draw(
        st.builds(
            EpisodeFilter,
            text=st.sampled_from(
                ["", "red", "BLUE peg", "红", "%", "_", "\\", "ann", "jose over", "uber", "zz"]
            ),
            task_ids=st.lists(st.sampled_from(task_ids), max_size=2).map(tuple),
            operator_ids=st.lists(st.sampled_from(operator_ids), max_size=2).map(tuple),
            session_ids=st.lists(st.sampled_from(SESSIONS), max_size=2).map(tuple),
            states=st.lists(st.sampled_from(list(EpisodeState)), max_size=2).map(tuple),
            outcomes=st.lists(st.sampled_from(list(Outcome)), max_size=2).map(tuple),
            started_from_ns=times,
            started_before_ns=times,
            missing=flags,
            recovered=flags,
        )
    )
    limit = data.draw(st.integers(1, 70))
    expected = sorted(
        filter(_matches(wanted), rows), key=lambda row: (row.started_utc_ns, row.uuid), reverse=True
    )
    pages = list(_walk(catalog, wanted, limit))
    assert [row for page in pages for row in page] == expected
    assert all(len(page) == limit for page in pages[:-1])
    counts = catalog.counts(wanted)
    assert counts.total == len(expected)
    assert counts.missing == sum(row.missing for row in expected)
    assert counts.saved == sum(row.state is EpisodeState.SAVED for row in expected)


def test_rows_arriving_while_paging_do_not_shift_the_pages(tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_catalog(tmp_path_factory.mktemp("growing"), Author.process("recorder")) as catalog:
        dice = random.Random(3)
        for _ in range(10):
            catalog.add_episode(dataclasses.replace(_row(dice), started_utc_ns=5))
        first = catalog.episodes(limit=4)
        for _ in range(5):
            catalog.add_episode(dataclasses.replace(_row(dice), started_utc_ns=9))
        second = catalog.episodes(after=first.next_cursor, limit=100)
        assert len({row.uuid for row in (*first.rows, *second.rows)}) == 10


def test_search_finds_an_episode_by_the_start_of_its_uuid(catalog: Catalog, rows: list[EpisodeRow]) -> None:
    for text in (rows[9].uuid, rows[9].uuid[:8], rows[9].uuid[:20].upper()):
        assert [row.uuid for row in catalog.episodes(EpisodeFilter(text=text)).rows] == [rows[9].uuid]


def test_progress_counts_saved_episodes_on_disk(catalog: Catalog, rows: list[EpisodeRow]) -> None:
    progress = catalog.progress_of_all()
    for task in catalog.list_tasks():
        catalog.update_task(task.id, target_count=10)
        mine = [row for row in rows if row.task_id == task.id]
        saved = [row for row in mine if row.state is EpisodeState.SAVED and not row.missing]
        found = progress[task.id]
        assert found.counts.total == len(mine)
        assert found.counts.discarded == sum(row.state is EpisodeState.DISCARDED for row in mine)
        assert found.saved_on_disk == len(saved)
        assert found.successes == sum(row.outcome is Outcome.SUCCESS for row in saved)
        assert catalog.progress(task.id).remaining == max(0, 10 - len(saved))
