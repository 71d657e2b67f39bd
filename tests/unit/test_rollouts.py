"""Figures of policy versions, their intervals against published ones, and labels of takeovers."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessions import (
    Author,
    Catalog,
    EpisodeRow,
    EpisodeState,
    EventKind,
    Outcome,
    RolloutRow,
    SubjectType,
    TakeoverRow,
    open_catalog,
)
from sessions.proportions import newcombe, wilson
from sessions.rollouts import RolloutFilter, compare, summarise
from sessions.verdicts import derive
from teleop_app.core.errors import CatalogError

ANN = Author.person("Ann")
MINUTE_NS = 60_000_000_000


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with open_catalog(tmp_path, Author.process("recorder")) as opened:
        yield opened


def takeover(number: int, reason: str = "") -> TakeoverRow:
    return TakeoverRow(number, number * 1000, number * 1000 + 500, "vr", "correct", reason, "resumed")


def rollout(version: str = "v1", takeovers: int = 0, **changes: object) -> RolloutRow:
    row = RolloutRow(
        policy="pi",
        version=version,
        execution="rtc",
        modes=("supervised",),
        actor_s={"policy": 30.0, "human": 10.0 * takeovers},
        phase_s={"policy": 30.0, "correct": 10.0 * takeovers},
        takeovers=tuple(takeover(number + 1) for number in range(takeovers)),
        help_calls=1,
        chunks=60,
        refused=2,
        latency_p50_ms=80.0,
        latency_p99_ms=120.0,
    )
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def add(
    catalog: Catalog,
    row: RolloutRow | None,
    outcome: Outcome = Outcome.SUCCESS,
    *,
    task: str = "pick-place",
    session: str = "",
    started_ns: int = MINUTE_NS,
) -> str:
    ident = str(uuid.uuid4())
    episode = EpisodeRow(
        uuid=ident,
        session_id=session or str(uuid.uuid4()),
        station="cell",
        operator="Ann",
        task=task,
        instruction="Put it there",
        index_in_session=0,
        path=f"episodes/{ident}.mcap",
        started_utc_ns=started_ns,
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3="ab" * 32,
        format_version="1",
        software_version="0.1.0",
        outcome=outcome,
    )
    return catalog.add_episode(episode, rollout=row).uuid


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
# table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    found = wilson(successes, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    mirrored = wilson(trials - successes, trials)
    assert mirrored.low == pytest.approx(1 - found.high)


# Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
# methods", Statistics in Medicine 17 (1998), table II, method 10.
@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_newcombe_is_the_published_one(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = newcombe(first, second)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    turned = newcombe(second, first)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_nothing_tried_leaves_everything_possible() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    assert (newcombe((0, 0), (3, 4)).low, newcombe((0, 0), (3, 4)).high) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="5 of 4"):
        wilson(5, 4)


def test_a_rollout_comes_back_as_it_was(catalog: Catalog) -> None:
    row = rollout(takeovers=2, label="B", modes=("manual", "supervised"), latency_p50_ms=None)
    ident = add(catalog, row)
    assert catalog.rollout(ident) == row
    assert catalog.rollouts_of([ident, add(catalog, None)]) == {ident: row}
    assert catalog.rollout(add(catalog, None)) is None


def test_figures_of_two_versions_and_their_comparison(catalog: Catalog) -> None:
    for outcome, takeovers in ((Outcome.SUCCESS, 0), (Outcome.SUCCESS, 2), (Outcome.FAILURE, 1)):
        add(catalog, rollout("v1", takeovers), outcome)
    add(catalog, rollout("v1"), Outcome.UNKNOWN)
    for _ in range(5):
        add(catalog, rollout("v2", latency_p50_ms=40.0), Outcome.SUCCESS, started_ns=2 * MINUTE_NS)
    first, second = summarise(catalog.trials())
    assert (first.version, first.episodes, first.judged, first.successes, first.unaided) == ("v1", 4, 3, 2, 1)
    assert first.success_rate == pytest.approx(2 / 3)
    assert first.unaided_rate == pytest.approx(1 / 3)
    assert first.success == wilson(2, 3)
    assert (first.interventions, first.help_calls, first.chunks, first.refused) == (3, 4, 240, 8)
    assert first.interventions_per_episode == 0.75
    assert first.interventions_per_minute == pytest.approx(3 / 2)  # 2 minutes of autonomy
    assert first.autonomy_share == pytest.approx(120 / 150)
    assert (first.latency_p50_ms, first.latency_p99_ms, second.latency_p50_ms) == (80.0, 120.0, 40.0)
    compared = compare(first, second)
    assert compared.difference == pytest.approx(1 / 3)
    assert compared.interval == newcombe((5, 5), (2, 3))
    assert compared.unaided_difference == pytest.approx(2 / 3)
    assert not compared.distinguishable


def test_a_policy_that_only_watched_is_no_trial(catalog: Catalog) -> None:
    add(catalog, rollout(modes=("manual",)))
    add(catalog, rollout(modes=("manual", "paused")))
    acted = add(catalog, rollout(modes=("manual", "blended")))
    assert [trial.uuid for trial in catalog.trials()] == [acted]


def test_trials_are_filtered(catalog: Catalog) -> None:
    session = str(uuid.uuid4())
    early = add(catalog, rollout("v1"), session=session, started_ns=1 * MINUTE_NS)
    late = add(catalog, rollout("v2"), task="stack", started_ns=2 * MINUTE_NS)
    stack = catalog.task_named("stack")
    assert stack is not None

    def found(**wanted: object) -> list[str]:
        return [trial.uuid for trial in catalog.trials(RolloutFilter(**wanted))]  # type: ignore[arg-type]

    assert found() == [early, late]
    assert found(session_ids=(session,)) == [early]
    assert found(task_ids=(stack.id,)) == [late]
    assert found(versions=("v2",), policies=("pi",)) == [late]
    assert found(policies=("other",)) == []
    assert found(started_from_ns=2 * MINUTE_NS) == [late]
    assert found(started_before_ns=2 * MINUTE_NS) == [early]
    catalog.set_verdict(early, EpisodeState.DISCARDED, ANN)
    assert found() == [late]
    assert found(states=(EpisodeState.DISCARDED,)) == [early]


def test_no_version_is_no_summary_and_no_driving_is_no_rate(catalog: Catalog) -> None:
    assert summarise(catalog.trials()) == ()
    add(catalog, rollout(actor_s={}), Outcome.UNKNOWN)
    (alone,) = summarise(catalog.trials())
    assert (alone.success_rate, alone.interventions_per_minute, alone.autonomy_share) == (None, None, None)


def test_labels_of_takeovers_are_events_and_can_be_undone(catalog: Catalog) -> None:
    session = str(uuid.uuid4())
    ident = add(catalog, rollout(takeovers=2), Outcome.UNKNOWN, session=session)
    catalog.set_takeover(ident, 2, ANN, reason="stuck")
    row = catalog.set_takeover(ident, 2, ANN, outcome="finished")
    assert [(t.number, t.reason, t.outcome) for t in row.takeovers] == [
        (1, "", "resumed"),
        (2, "stuck", "finished"),
    ]
    assert catalog.set_takeover(ident, 2, ANN, reason="stuck") == row  # nothing new, nothing logged
    catalog.set_outcome(ident, Outcome.FAILURE, ANN)
    catalog.set_outcome(ident, Outcome.FAILURE, ANN)
    kinds = [event.kind for event in catalog.events(SubjectType.EPISODE, ident)]
    assert kinds == [EventKind.RECORDED, EventKind.TAKEOVER, EventKind.TAKEOVER, EventKind.OUTCOME]
    assert summarise(catalog.trials())[0].reasons == {"": 1, "stuck": 1}

    undone = catalog.undo_last(session, ANN)
    assert undone is not None and undone.outcome is Outcome.UNKNOWN and undone.state is EpisodeState.PENDING
    assert catalog.undo_last(session, ANN) is not None
    assert catalog.undo_last(session, ANN) is not None
    assert catalog.undo_last(session, ANN) is None
    assert catalog.rollout(ident) == rollout(takeovers=2)
    standing = derive(catalog.events(SubjectType.EPISODE, ident))
    assert standing is not None and standing.outcome is Outcome.UNKNOWN


def test_a_takeover_that_is_not_there_is_a_sentence(catalog: Catalog) -> None:
    ident = add(catalog, rollout())
    with pytest.raises(CatalogError, match=f"Episode {ident} has no takeover 7"):
        catalog.set_takeover(ident, 7, ANN, reason="stuck")
