"""What an episode's footer and its catalog row tell of a policy, by events and ticks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.records import footer_from, to_metadata
from recorders.rollout import TakeoverFacts
from recorders.rollout_watch import RolloutWatch
from recorders.synthetic import feed, synthetic_header
from recorders.synthetic_autonomy import (
    FIRST_TAKEOVER,
    LATENCY_NS,
    POLICY,
    VERSION,
    Phases,
    synthetic_rollout,
    write_rollout,
)
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.types import AutonomyPhase, ControlTick, Event, Sample
from teleop_app.station.episode_rows import rollout_row

HEADER = synthetic_header((), 64, 48)
START_NS = HEADER.anchor_monotonic_ns


def event(kind: str, at_s: float, /, **fields: object) -> Event:
    return Event(kind, START_NS + round(at_s * 1e9), "control", "", fields)


def record(
    folder: Path, *events: Event, start_s: float = 0.0, phases: Phases | None = None
) -> FinishedEpisode:
    """A rollout of two seconds with more events in it."""
    header = dataclasses.replace(HEADER, start_ns=START_NS + round(start_s * 1e9) if start_s else 0)
    samples: list[Sample] = list(synthetic_rollout(header, 2.0, START_NS, *([phases] if phases else [])))
    samples += events
    samples.sort(key=lambda sample: sample.tick_ns if isinstance(sample, ControlTick) else _at(sample))
    writer = EpisodeWriter(folder / "open.mcap", header, destination=folder / f"{header.uuid}.mcap")
    for sample in samples:
        feed(writer, sample)
    return writer.finish()


def _at(sample: Sample) -> int:
    at = getattr(sample, "made_ns", None) or getattr(sample, "capture_ns", 0)
    return int(np.min(at))


def test_the_footer_tells_what_the_policy_did(tmp_path: Path) -> None:
    facts = write_rollout(tmp_path, header=HEADER).footer.rollout
    assert facts is not None
    assert (facts.policy, facts.version, facts.execution, facts.label) == (POLICY, VERSION, "rtc", "")
    assert facts.modes == ("supervised",)
    assert facts.phase_s == pytest.approx({"policy": 1.3, "recover": 0.3, "correct": 0.3, "return": 0.1})
    assert facts.actor_s == pytest.approx({"policy": 1.3, "human": 0.6, "none": 0.1})
    assert (facts.chunks, facts.refused, facts.help_calls) == (10, 0, 0)
    latencies = LATENCY_NS / 1e6 + np.arange(1, 11)
    assert facts.latency_p50_ms == pytest.approx(np.percentile(latencies, 50), abs=1e-3)
    assert facts.latency_p99_ms == pytest.approx(np.percentile(latencies, 99), abs=1e-3)
    (takeover,) = facts.takeovers
    assert (takeover.number, takeover.source, takeover.phase) == (FIRST_TAKEOVER, "leader", "recover")
    assert (takeover.reason, takeover.outcome) == ("", "resumed")
    assert takeover.start_ns - START_NS == pytest.approx(0.8e9, abs=1e7)
    assert takeover.end_ns - START_NS == pytest.approx(1.4e9, abs=1e7)


def test_the_footer_comes_back_from_its_metadata(tmp_path: Path) -> None:
    footer = write_rollout(tmp_path, header=HEADER).footer
    assert footer_from(to_metadata(footer)) == footer
    without = dataclasses.replace(footer, rollout=None)
    assert footer_from(to_metadata(without)) == without


def test_events_name_reason_outcome_help_and_refusals(tmp_path: Path) -> None:
    facts = record(
        tmp_path,
        event("autonomy.reason", 1.0, takeover=FIRST_TAKEOVER, reason="stuck"),
        event("autonomy.help", 0.5, score=1.2, kind="stall"),
        event("autonomy.help", 1.7, score=1.1, kind="variance"),
        event("policy.refused", 0.6, why="It held a number that is not finite."),
        event("episode.policy", 0.1, policy="", version="", label="B", execution="rtc"),
        event("episode.takeover", 1.9, takeover=0, reason="grasp", outcome=""),
    ).footer.rollout
    assert facts is not None
    (takeover,) = facts.takeovers
    assert (takeover.reason, takeover.outcome) == ("grasp", "resumed")  # the last word; 0 is the last one
    assert (facts.help_calls, facts.refused, facts.label) == (2, 1, "B")
    assert facts.policy == POLICY  # chunks tell it also in a blind comparison


def test_what_lies_before_the_record_key_does_not_count(tmp_path: Path) -> None:
    facts = record(
        tmp_path, event("autonomy.help", 0.2), event("policy.refused", 0.3), start_s=1.0
    ).footer.rollout
    assert facts is not None
    assert facts.phase_s == pytest.approx({"policy": 0.5, "recover": 0.1, "correct": 0.3, "return": 0.1})
    assert (facts.help_calls, facts.refused, facts.chunks) == (0, 0, 5)
    (takeover,) = facts.takeovers  # begun before the key: it counts from the key on
    assert 0 <= takeover.start_ns - START_NS - 10**9 < 10**7
    assert takeover.source == "leader"


def test_a_takeover_before_the_record_key_is_none_of_the_episodes(tmp_path: Path) -> None:
    facts = record(tmp_path, start_s=1.6).footer.rollout
    assert facts is not None and facts.takeovers == ()


def test_the_episode_that_ends_in_a_takeover_finished_it(tmp_path: Path) -> None:
    phases = ((AutonomyPhase.POLICY, 1.0), (AutonomyPhase.CORRECT, 1.0))
    facts = record(tmp_path, phases=phases).footer.rollout
    assert facts is not None
    assert [(t.phase, t.outcome) for t in facts.takeovers] == [("correct", "finished")]


def test_a_demonstration_with_a_policy_at_hand_is_told_apart(tmp_path: Path) -> None:
    facts = record(tmp_path, phases=((AutonomyPhase.DEMONSTRATE, 2.0),)).footer.rollout
    assert facts is not None
    assert facts.modes == ("manual",)
    assert not rollout_row(facts).is_trial


def test_the_file_alone_tells_the_same(tmp_path: Path) -> None:
    """What recovery makes of the messages is what the recorder saw."""
    finished = record(
        tmp_path,
        event("autonomy.reason", 1.0, takeover=FIRST_TAKEOVER, reason="lost"),
        event("autonomy.help", 0.5),
        event("episode.outcome", 1.8, outcome="failure"),
        start_s=0.4,
    )
    with EpisodeReader(finished.path) as reader:
        watch = RolloutWatch(reader.header)
        watch.see_episode(reader)
    assert watch.facts() == finished.footer.rollout
    assert watch.outcome == "failure"


def test_the_row_of_the_catalog_has_it_all(tmp_path: Path) -> None:
    facts = write_rollout(tmp_path, header=HEADER).footer.rollout
    assert facts is not None
    row = rollout_row(facts)
    assert (row.policy, row.version, row.modes, row.chunks) == (POLICY, VERSION, ("supervised",), 10)
    assert row.latency_p50_ms == facts.latency_p50_ms
    assert row.actor_s == facts.actor_s and row.phase_s == facts.phase_s
    assert [dataclasses.astuple(t) for t in row.takeovers] == [
        dataclasses.astuple(t) for t in facts.takeovers
    ]
    silent = dataclasses.replace(facts, chunks=0, takeovers=(TakeoverFacts(1, 2, 3),))
    assert rollout_row(silent).latency_p50_ms is None


def test_fields_of_other_kinds_are_passed_over() -> None:
    watch = RolloutWatch(HEADER)
    for fields in ({"takeover": "7"}, {"takeover": True}, {"takeover": 0}, {}):
        watch.see_event("autonomy.takeover", START_NS, fields)
    watch.see_event("episode.outcome", START_NS, {"outcome": 3})
    assert watch.facts() is None
    assert watch.outcome == ""
