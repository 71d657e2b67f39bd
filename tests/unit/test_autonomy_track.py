"""What control and a policy tell of their shared work, through the real writer and back."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.recovery import recover_open
from recorders.schema import TOPIC_AUTONOMY, TOPIC_CHUNK, TOPIC_TICK
from recorders.synthetic import feed, synthetic_header, synthetic_tick, write_synthetic
from recorders.synthetic_autonomy import (
    FIRST_TAKEOVER,
    rollout_tick,
    synthetic_chunk,
    synthetic_rollout,
    write_rollout,
)
from recorders.tracks import Decoder
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.types import AutonomyPhase, ControlTick, PolicyChunk

HEADER = synthetic_header((), 64, 48)
START_NS = HEADER.anchor_monotonic_ns


def sent(phases: Any = None) -> tuple[list[ControlTick], list[PolicyChunk]]:
    samples = list(synthetic_rollout(HEADER, 2.0, START_NS))
    ticks = [sample for sample in samples if isinstance(sample, ControlTick)]
    return ticks, [sample for sample in samples if isinstance(sample, PolicyChunk)]


def written(folder: Path, *samples: Any) -> FinishedEpisode:
    writer = EpisodeWriter(
        folder / "open.mcap", HEADER, destination=folder / f"{HEADER.uuid}.mcap", flush_s=0.02
    )
    for sample in samples:
        feed(writer, sample)
    return writer.finish()


def tick_of(index: int, /, **changes: Any) -> ControlTick:
    """A tick of a takeover, with other values in its autonomy part."""
    tick = synthetic_tick(HEADER, index, START_NS)
    chunk = synthetic_chunk(HEADER, 1, START_NS)
    tick = rollout_tick(tick, AutonomyPhase.CORRECT, 7, chunk, index * 5_000_000)
    assert tick.autonomy is not None
    return dataclasses.replace(tick, autonomy=dataclasses.replace(tick.autonomy, **changes))


def test_ticks_and_chunks_come_back_as_they_were(tmp_path: Path) -> None:
    ticks, chunks = sent()
    finished = write_rollout(tmp_path, header=HEADER)
    assert finished.footer.counts[TOPIC_AUTONOMY] == len(ticks) == 400
    assert finished.footer.counts[TOPIC_CHUNK] == len(chunks) == 10
    assert finished.footer.lost == {}
    with EpisodeReader(finished.path) as reader:
        track, found = reader.autonomy(), reader.chunks()
        part = reader.autonomy((START_NS + 10**9, START_NS + 12 * 10**8))
        reader.load()
        again = reader.autonomy()
    parts = [tick.autonomy for tick in ticks if tick.autonomy is not None]
    assert track.capture_ns.tolist() == [tick.tick_ns for tick in ticks]
    assert track.mode == tuple(part.mode.value for part in parts)
    assert track.phase == tuple(part.phase.value for part in parts)
    for name in ("takeover", "alpha", "chunk", "index", "policy_ns", "speed"):
        assert getattr(track, name).tolist() == [getattr(part, name) for part in parts], name
        assert getattr(again, name).tolist() == getattr(track, name).tolist()
    for row, one in zip(track.human, parts, strict=True):
        np.testing.assert_array_equal(row, np.full(14, np.nan) if one.human is None else one.human)
    assert len(part.capture_ns) == 40 and set(part.takeover.tolist()) == {FIRST_TAKEOVER}
    for chunk, original in zip(found, chunks, strict=True):
        np.testing.assert_array_equal(chunk.actions, original.actions)
        for field in dataclasses.fields(PolicyChunk):
            value, expected = getattr(chunk, field.name), getattr(original, field.name)
            if field.name != "actions":
                assert value == expected or (math.isnan(value) and math.isnan(expected)), field.name


def test_only_ticks_with_a_policy_have_the_part(tmp_path: Path) -> None:
    plain = [synthetic_tick(HEADER, index, START_NS) for index in range(10)]
    finished = written(tmp_path, *plain[:5], tick_of(10), *[tick_of(i) for i in (12, 13)])
    assert finished.footer.counts[TOPIC_AUTONOMY] == 3
    assert finished.footer.counts[TOPIC_TICK] == 8
    assert TOPIC_AUTONOMY not in finished.footer.lost  # ticks without a policy are no loss of this topic
    with EpisodeReader(finished.path) as reader:
        assert reader.autonomy().capture_ns.tolist() == reader.ticks().capture_ns.tolist()[5:]


def test_an_episode_without_a_policy_has_empty_tracks(tmp_path: Path) -> None:
    finished = write_synthetic(tmp_path, 0.2, HEADER)
    assert finished.footer.rollout is None
    with EpisodeReader(finished.path) as reader:
        assert len(reader.autonomy().capture_ns) == 0
        assert reader.autonomy().human.shape == (0, 14)
        assert reader.chunks() == ()
        assert reader.footer is not None and reader.footer.rollout is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alpha": math.nan}, "a number that is not finite"),
        ({"index": math.inf}, "a number that is not finite"),
        ({"human": np.zeros(3)}, "shape was wrong"),
        ({"human": np.full(14, math.inf)}, "a number that is not finite"),
        ({"takeover": -1}, "out of bounds"),
        ({"chunk": 1 << 63}, "out of bounds"),
        ({"policy_ns": 1 << 63}, "out of bounds"),
    ],
)
def test_a_malformed_part_is_refused_and_booked_and_the_tick_is_kept(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    footer = written(tmp_path, tick_of(0), tick_of(1, **changes), tick_of(2)).footer
    assert (footer.counts[TOPIC_AUTONOMY], footer.counts[TOPIC_TICK]) == (2, 3)
    assert footer.lost[TOPIC_AUTONOMY] == 1
    assert reason in next(iter(footer.lost_by_reason[TOPIC_AUTONOMY]))
    assert verify_file(tmp_path / f"{HEADER.uuid}.mcap", full=True).findings == ()


def test_a_joint_that_nobody_asks_for_is_no_fault(tmp_path: Path) -> None:
    one_arm = np.r_[np.full(7, 0.2), np.full(7, np.nan)]
    with EpisodeReader(written(tmp_path, tick_of(0, human=one_arm)).path) as reader:
        np.testing.assert_array_equal(reader.autonomy().human[0], one_arm)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"actions": np.zeros((4, 13))}, "shape was wrong"),
        ({"actions": np.zeros(14)}, "shape was wrong"),
        ({"actions": np.zeros((4, 14), np.float32)}, "shape was wrong"),
        ({"actions": np.zeros((0, 14))}, "0 actions"),
        ({"actions": np.full((2, 14), np.nan)}, "not finite"),
        ({"uncertainty": math.inf}, "not finite"),
        ({"step_ns": 0}, "out of bounds"),
        ({"latency_ns": -1}, "out of bounds"),
        ({"chunk": -4}, "out of bounds"),
        ({"observation_ns": START_NS + 10**12}, "time was out of bounds"),
        ({"made_ns": START_NS, "observation_ns": START_NS}, "not after the one before"),
        ({"policy": "p" * 300}, "longer than 200 characters"),
    ],
)
def test_a_malformed_chunk_is_refused_and_booked(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    first, second, third = (synthetic_chunk(HEADER, number, START_NS) for number in (1, 2, 3))
    bad = dataclasses.replace(second, **changes)
    footer = written(tmp_path, tick_of(0), first, bad, third).footer
    assert footer.counts[TOPIC_CHUNK] == 2
    assert footer.lost[TOPIC_CHUNK] == (2 if "chunk" in changes else 1)  # its number then leaves a gap too
    assert any(reason in known for known in footer.lost_by_reason[TOPIC_CHUNK])
    assert footer.rollout is not None and footer.rollout.chunks == 2
    assert verify_file(tmp_path / f"{HEADER.uuid}.mcap", full=True).findings == ()


def test_a_chunk_that_never_came_is_counted_and_a_restarted_policy_is_not(tmp_path: Path) -> None:
    chunks = [synthetic_chunk(HEADER, number, START_NS) for number in (1, 2, 5, 6)]
    restarted = dataclasses.replace(synthetic_chunk(HEADER, 8, START_NS), chunk=1)
    footer = written(tmp_path, tick_of(0), *chunks, restarted).footer
    assert footer.lost[TOPIC_CHUNK] == 2
    assert footer.counts[TOPIC_CHUNK] == 5


def test_the_schemas_in_the_file_describe_the_messages(tmp_path: Path) -> None:
    """A reader that knows only the descriptors in the file finds the same numbers."""
    _, chunks = sent()
    with EpisodeReader(write_rollout(tmp_path, header=HEADER).path) as reader:
        for topic in (TOPIC_AUTONOMY, TOPIC_CHUNK):
            channel = reader.container.channel(topic)
            assert channel is not None
            decoder = Decoder(reader.container.contents.schemas[channel.schema_id])
            messages = [
                decoder.decode(payload)
                for block in reader.container.blocks(topic)
                for payload in block.payloads()
            ]
            if topic == TOPIC_CHUNK:
                np.testing.assert_array_equal(messages[3].actions, chunks[3].actions.reshape(-1))
                assert list(messages[3].arms) == ["left", "right"] and messages[3].steps == 8
                assert math.isnan(messages[3].novelty) and messages[3].execution == "rtc"
            else:
                assert {each.phase for each in messages} == {"policy", "recover", "correct", "return"}
                assert list(messages[170].human) == [0.5] * 14 and messages[170].takeover == FIRST_TAKEOVER


def test_a_crash_costs_neither_track_nor_facts(tmp_path: Path) -> None:
    for name in ("open", "episodes", "damaged", "whole"):
        (tmp_path / name).mkdir()
    writer = EpisodeWriter(
        tmp_path / "open" / f"{HEADER.uuid}.mcap",
        HEADER,
        destination=tmp_path / "episodes" / f"{HEADER.uuid}.mcap",
        flush_s=0.02,
    )
    for sample in synthetic_rollout(HEADER, 2.0, START_NS):
        feed(writer, sample)
    writer.poll()
    writer._files.flush()
    writer.abandon()
    whole = write_rollout(tmp_path / "whole", header=HEADER).footer
    (recovered,) = recover_open(tmp_path / "open", tmp_path / "episodes", tmp_path / "damaged")
    assert recovered.footer is not None and recovered.footer.recovered
    assert recovered.footer.rollout == whole.rollout
    assert recovered.footer.counts[TOPIC_CHUNK] == 10
