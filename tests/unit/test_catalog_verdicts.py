"""Verdicts, restore and undo: what they do, and that the state column always follows the log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions import Author, Catalog, EpisodeRow, EpisodeState, EventKind, Outcome, SubjectType, open_catalog
from sessions.verdicts import derive
from teleop_app.core.errors import CatalogError

ANN = Author.person("Ann")
SESSION = str(uuid.uuid4())
PENDING, SAVED, DISCARDED = EpisodeState.PENDING, EpisodeState.SAVED, EpisodeState.DISCARDED


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder: Path = tmp_path_factory.mktemp("catalog")
    with open_catalog(folder, Author.process("recorder")) as opened:
        yield opened


def _add(catalog: Catalog, session_id: str) -> str:
    ident = str(uuid.uuid4())
    row = EpisodeRow(
        uuid=ident,
        session_id=session_id,
        station="cell",
        operator="Ann",
        task="pick-place",
        instruction="Put the red cube into the tray",
        index_in_session=0,
        path=f"episodes/{ident}.mcap",
        started_utc_ns=1_000,
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3="ab" * 32,
        format_version="1",
        software_version="0.1.0",
    )
    return catalog.add_episode(row).uuid


def test_verdict_is_an_event_with_author_and_reason(catalog: Catalog) -> None:
    ident = _add(catalog, SESSION)
    row = catalog.set_verdict(ident, DISCARDED, ANN, " cube fell ", outcome=Outcome.FAILURE)
    assert (row.state, row.outcome, row.verdict_reason) == (DISCARDED, Outcome.FAILURE, "cube fell")
    recorded, verdict = catalog.events(SubjectType.EPISODE, ident)
    assert (recorded.kind, recorded.author) == (EventKind.RECORDED, Author.process("recorder"))
    assert (verdict.kind, verdict.author) == (EventKind.VERDICT, ANN)
    assert verdict.payload["to"] == {"state": "discarded", "outcome": "failure", "reason": "cube fell"}


def test_same_verdict_twice_is_one_event(catalog: Catalog) -> None:
    ident = _add(catalog, SESSION)
    first = catalog.set_verdict(ident, SAVED, ANN)
    assert catalog.set_verdict(ident, SAVED, Author.process("countdown")) == first
    assert len(catalog.events(SubjectType.EPISODE, ident)) == 2


def test_restore_takes_a_discarded_episode_back_as_saved(catalog: Catalog) -> None:
    ident = _add(catalog, SESSION)
    catalog.set_verdict(ident, DISCARDED, ANN, "slip", outcome=Outcome.SUCCESS)
    row = catalog.restore(ident, ANN)
    assert (row.state, row.outcome, row.verdict_reason) == (SAVED, Outcome.SUCCESS, "")
    assert catalog.restore(ident, ANN) == row
    assert [e.kind for e in catalog.events(SubjectType.EPISODE, ident)][-1] is EventKind.RESTORED


def test_undo_walks_back_over_the_episodes_of_one_session(catalog: Catalog) -> None:
    session, other = str(uuid.uuid4()), str(uuid.uuid4())
    first, second, elsewhere = _add(catalog, session), _add(catalog, session), _add(catalog, other)
    catalog.set_verdict(first, SAVED, ANN)
    catalog.set_verdict(second, DISCARDED, ANN)
    catalog.restore(second, ANN)
    catalog.set_verdict(elsewhere, SAVED, ANN)
    undone = [catalog.undo_last(session, ANN) for _ in range(4)]
    assert [row and (row.uuid, row.state) for row in undone] == [
        (second, DISCARDED),
        (second, PENDING),
        (first, PENDING),
        None,
    ]
    untouched = catalog.episode(elsewhere)
    assert untouched is not None and untouched.state is SAVED
    events = catalog.events(SubjectType.EPISODE, second)
    assert [e.undoes_id for e in events if e.kind is EventKind.UNDONE] == [events[2].id, events[1].id]


def test_verdict_after_undo_can_be_undone(catalog: Catalog) -> None:
    session = str(uuid.uuid4())
    ident = _add(catalog, session)
    catalog.set_verdict(ident, DISCARDED, ANN)
    catalog.undo_last(session, ANN)
    catalog.set_verdict(ident, SAVED, ANN)
    row = catalog.undo_last(session, ANN)
    assert row is not None and row.state is PENDING


def test_refusals_are_sentences(catalog: Catalog) -> None:
    ident = _add(catalog, SESSION)
    with pytest.raises(CatalogError, match=r"cannot be set to pending.*Use undo"):
        catalog.set_verdict(ident, PENDING, ANN)
    with pytest.raises(CatalogError, match="no episode 00000000-0000"):
        catalog.set_verdict("00000000-0000-0000-0000-000000000000", SAVED, ANN)
    with pytest.raises(CatalogError, match="contradict"):
        catalog.log(EventKind.VERDICT, SubjectType.EPISODE, ident)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["save", "discard", "restore", "undo"]),
            st.integers(0, 1),
            st.sampled_from([None, *Outcome]),
        ),
        max_size=12,
    )
)
def test_state_column_follows_the_log_and_undo_empties_it(
    catalog: Catalog, steps: list[tuple[str, int, Outcome | None]]
) -> None:
    session = str(uuid.uuid4())
    idents = [_add(catalog, session), _add(catalog, session)]
    for step, which, outcome in steps:
        if step == "undo":
            catalog.undo_last(session, ANN)
        elif step == "restore":
            catalog.restore(idents[which], ANN)
        else:
            state = SAVED if step == "save" else DISCARDED
            catalog.set_verdict(idents[which], state, ANN, step, outcome=outcome)
        for ident in idents:
            row = catalog.episode(ident)
            standing = derive(catalog.events(SubjectType.EPISODE, ident))
            assert row is not None and standing is not None
            assert (row.state, row.outcome, row.verdict_reason) == (
                standing.state,
                standing.outcome,
                standing.reason,
            )
    while catalog.undo_last(session, ANN) is not None:
        pass
    for ident in idents:
        row = catalog.episode(ident)
        assert row is not None and (row.state, row.outcome) == (PENDING, Outcome.UNKNOWN)
