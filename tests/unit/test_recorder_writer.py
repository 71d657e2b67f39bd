"""What the writer refuses, counts and keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.schema import TOPIC_TICK, TOPIC_WORLD, topic_force, topic_joints, topic_video
from recorders.synthetic import synthetic_header, synthetic_packets, synthetic_tick
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import StorageError
from teleop_app.core.types import Actor, ForceBatch, InputSample, WorldState

HEADER = synthetic_header(("overhead",), 64, 48)
START = HEADER.anchor_monotonic_ns
PACKETS = synthetic_packets(HEADER.cameras[0], 0, START, 45)


@pytest.fixture
def writer(tmp_path: Path) -> EpisodeWriter:
    return EpisodeWriter(tmp_path / "o", HEADER, destination=tmp_path / f"{HEADER.uuid}.mcap", flush_s=0.0)


def tick(index: int, **changes: object):
    return replace(synthetic_tick(HEADER, index, START), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_and_counted(writer: EpisodeWriter, bad: float) -> None:
    vector = np.zeros(14)
    vector[3] = bad
    writer.add_tick(tick(0))
    writer.add_tick(tick(1, sent=vector))
    writer.add_tick(tick(2, measured=vector))
    finished = writer.finish()
    assert finished.footer.counts[topic_joints("sent")] == 2
    assert finished.footer.counts[topic_joints("measured")] == 2
    assert finished.footer.counts[TOPIC_TICK] == 3
    assert finished.footer.lost == {topic_joints("sent"): 1, topic_joints("measured"): 1}
    assert "1 sample of /joints/sent refused because it held a number that is not finite." in (
        finished.footer.lost_reasons
    )


def test_velocities_that_a_follower_does_not_measure_stay_nan(writer: EpisodeWriter) -> None:
    writer.add_tick(tick(0, measured_effort=np.full(14, np.nan)))
    path = writer.finish().path
    with EpisodeReader(path) as reader:
        assert np.isnan(reader.joints("measured").effort).all()
        assert not np.isnan(reader.joints("measured").velocity).any()


def test_wrong_lengths_are_refused(writer: EpisodeWriter) -> None:
    writer.add_tick(tick(0, commanded=np.zeros(13), measured=np.zeros(15)))
    writer.add_force(ForceBatch(("a",), np.array([START], np.int64), np.zeros((2, 1, 3)), 0))
    writer.add_world(WorldState(0, START, 0.0, np.array([np.nan])))
    footer = writer.finish().footer
    assert footer.lost == {"/joints/commanded": 1, "/joints/measured": 1, "/force/a": 1, "/sim/world": 1}


def test_time_that_goes_back_is_refused(writer: EpisodeWriter) -> None:
    writer.add_tick(tick(1))
    writer.add_tick(tick(0))
    footer = writer.finish().footer
    assert footer.counts[TOPIC_TICK] == 1
    assert any("its time was not after the one before" in reason for reason in footer.lost_reasons)


def test_a_repeated_reading_is_no_loss(writer: EpisodeWriter) -> None:
    first = tick(0)
    writer.add_tick(first)
    writer.add_tick(tick(1, measured_ns=first.measured_ns))
    footer = writer.finish().footer
    assert footer.lost == {}
    assert footer.lost_reasons == ("1 sample of /joints/measured came twice and is kept once.",)


def test_a_control_process_that_restarts_costs_what_its_time_says(writer: EpisodeWriter) -> None:
    for index in range(10):
        writer.add_tick(tick(index))
    for index in range(30, 40):
        writer.add_tick(tick(index, seq=index - 30))
    footer = writer.finish().footer
    assert footer.lost == {TOPIC_TICK: 20}
    assert "The source of /control/tick was restarted during the recording." in footer.lost_reasons


@pytest.mark.parametrize("jump", [2**40, 2**63])
def test_a_source_that_jumps_in_its_numbers_loses_what_its_time_says(
    writer: EpisodeWriter, jump: int
) -> None:
    now_ns = HEADER.anchor_monotonic_ns
    for index in range(10):
        writer.add_tick(tick(index))
        writer.add_input(InputSample("pad", Actor.HUMAN, index, now_ns + index, {}), now_ns + index)
    for index in range(12, 20):
        writer.add_tick(tick(index, seq=index + jump))
        writer.add_input(InputSample("pad", Actor.HUMAN, index + jump, now_ns + index, {}), now_ns + index)
    finished = writer.finish()
    assert finished.footer.lost == {TOPIC_TICK: 2}
    assert "The source of /input was restarted during the recording." in finished.footer.lost_reasons
    with EpisodeReader(finished.path) as reader:
        assert reader.footer == finished.footer


def world(at_ms: int, seq: int) -> WorldState:
    return WorldState(seq, HEADER.anchor_monotonic_ns + at_ms * 1_000_000, at_ms / 1e3, np.zeros(3))


def forces(at_ms: int, seq: int) -> ForceBatch:
    start_ns = HEADER.anchor_monotonic_ns + at_ms * 1_000_000
    return ForceBatch(("left",), np.arange(2) * 5_000_000 + start_ns, np.zeros((2, 1, 3)), seq)


def test_a_simulation_that_restarts_costs_what_its_time_says(writer: EpisodeWriter) -> None:
    for index in range(10):
        writer.add_world(world(10 * index, index + 500))
        writer.add_force(forces(10 * index, 2 * index + 900))
    for index in range(10):
        writer.add_world(world(10 * index + 400, index))
        writer.add_force(forces(10 * index + 400, 2 * index))
    footer = writer.finish().footer
    assert footer.lost == {TOPIC_WORLD: 30, topic_force("left"): 60}
    assert "The source of /sim/world was restarted during the recording." in footer.lost_reasons


def test_an_input_from_the_future_is_refused(writer: EpisodeWriter) -> None:
    now_ns = HEADER.anchor_monotonic_ns
    for capture_ns in (2**64 - 1, now_ns + 2_000_000_000, now_ns):
        writer.add_input(InputSample("pad", Actor.HUMAN, 0, capture_ns, {}), now_ns)
    footer = writer.finish().footer
    assert footer.counts["/input"] == 1 and footer.lost == {"/input": 2}
    assert footer.lost_reasons == ("2 samples of /input refused because its time lay in the future.",)


def test_video_starts_with_a_keyframe(writer: EpisodeWriter) -> None:
    for packet in PACKETS[10:20]:
        writer.add_packet(packet)
    finished = writer.finish()
    assert finished.footer.counts[topic_video("overhead")] == 5
    assert "5 samples of /camera/overhead/video refused because no keyframe came before it." in (
        finished.footer.lost_reasons
    )


def test_frames_that_build_on_a_lost_one_are_refused(writer: EpisodeWriter) -> None:
    for packet in PACKETS:
        if packet.seq != 5:
            writer.add_packet(packet)
    finished = writer.finish()
    assert finished.footer.lost == {topic_video("overhead"): 10}
    with EpisodeReader(finished.path) as reader:
        assert reader.video("overhead").seq.tolist() == [*range(5), *range(15, 45)]


def test_frames_that_the_camera_never_took_break_nothing(writer: EpisodeWriter) -> None:
    late = 2 * 33_333_333
    for packet in PACKETS:
        moved = packet.seq > 5
        writer.add_packet(
            replace(packet, seq=packet.seq + 2 * moved, capture_ns=packet.capture_ns + late * moved)
        )
    finished = writer.finish()
    assert finished.footer.lost == {topic_video("overhead"): 2}
    assert finished.footer.counts[topic_video("overhead")] == 45
    assert verify_file(finished.path, full=True).ok


def test_a_camera_that_restarts_goes_on_in_the_same_numbering(writer: EpisodeWriter) -> None:
    for packet in PACKETS[:15]:
        writer.add_packet(packet)
    for packet in PACKETS[30:]:
        writer.add_packet(replace(packet, seq=packet.seq - 30))
    finished = writer.finish()
    with EpisodeReader(finished.path) as reader:
        assert reader.video("overhead").seq.tolist() == [*range(15), *range(30, 45)]
    assert finished.footer.lost == {topic_video("overhead"): 15}


def test_another_size_or_camera_is_refused(writer: EpisodeWriter) -> None:
    writer.add_packet(PACKETS[0])
    writer.add_packet(replace(PACKETS[15], width=128))
    writer.add_packet(replace(PACKETS[0], camera="stranger"))
    footer = writer.finish().footer
    assert footer.lost == {topic_video("overhead"): 15, topic_video("stranger"): 1}


def test_finish_is_idempotent_and_refuses_to_overwrite(tmp_path: Path, writer: EpisodeWriter) -> None:
    writer.add_tick(tick(0))
    first = writer.finish("success")
    assert writer.finish("failure") is first
    second = EpisodeWriter(tmp_path / "o", HEADER, destination=first.path)
    with pytest.raises(StorageError, match="already stored"):
        second.finish()
    assert (tmp_path / "o").exists()
    with EpisodeReader(first.path) as reader:
        assert reader.footer == first.footer


def test_the_footer_sums_up(writer: EpisodeWriter) -> None:
    for index in range(200):
        writer.add_tick(tick(index))
    for packet in PACKETS[:30]:
        writer.add_packet(packet)
    footer = writer.finish("failure").footer
    assert footer.outcome == "failure"
    assert footer.actor_share == {"script": 1.0}
    assert footer.duration_ns == tick(199).tick_ns - START
    assert 0 < footer.late_p99_ms < 0.1
    assert 0 <= footer.sync_p95_ms <= 2.6
    assert not footer.truncated
