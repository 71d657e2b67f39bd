"""An episode file against stock readers, and every track of ours against what was given to the writer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from recorders.reader import EpisodeReader
from recorders.schema import JOINT_KINDS, topic_joints, topic_video
from recorders.synthetic import SENSORS, feed, synthetic_header, synthetic_samples, synthetic_tick
from recorders.verify import verify_file
from recorders.writer import Attachment, EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import ClockAnchor
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import ControlTick, Event, ForceBatch, InputSample, VideoPacket, WorldState

SECONDS = 1.0
STATION = Attachment("station.toml", "application/toml", b"[station]\nname = 'x'\n")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[FinishedEpisode, list[object]]:
    folder = tmp_path_factory.mktemp("episode")
    header = synthetic_header(
        width=64, height=48, anchor=ClockAnchor(5_000_000_123, 1_790_000_000_000_000_007)
    )
    samples = list(synthetic_samples(header, SECONDS, header.anchor_monotonic_ns))
    writer = EpisodeWriter(
        folder / "open.mcap",
        header,
        destination=folder / f"{header.uuid}.mcap",
        attachments=(STATION,),
        flush_s=0.0,
    )
    for sample in samples:
        feed(writer, sample)
    return writer.finish("success"), list(samples)


def of(samples: list[object], kind: type) -> list:
    return [sample for sample in samples if isinstance(sample, kind)]


def test_the_stock_reader_decodes_every_topic(written) -> None:
    finished, samples = written
    counts: Counter[str] = Counter()
    with finished.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        assert reader.get_header().profile == "teleop-episode"
        messages = {}
        for _, channel, message, decoded in reader.iter_decoded_messages():
            counts[channel.topic] += 1
            messages.setdefault(channel.topic, (message, decoded))
            timed = decoded.transforms[0] if channel.topic == "/tf" else decoded
            stamp = timed.timestamp.seconds * 10**9 + timed.timestamp.nanos
            assert stamp == message.log_time
    assert dict(counts) == finished.footer.counts
    tick = of(samples, ControlTick)[0]
    _, measured = messages[topic_joints("measured")]
    assert [joint.name for joint in measured.joints] == list(finished.header.joint_names)
    assert [joint.position for joint in measured.joints] == tick.measured.tolist()
    assert [joint.velocity for joint in measured.joints] == tick.measured_velocity.tolist()
    assert [joint.effort for joint in measured.joints] == tick.measured_effort.tolist()
    message, video = messages[topic_video("overhead")]
    packet = next(p for p in of(samples, VideoPacket) if p.camera == "overhead")
    assert (video.data, video.format, video.frame_id) == (packet.payload, "h264", "overhead")
    assert message.publish_time - message.log_time == packet.encoded_ns - packet.capture_ns
    _, row = messages["/control/tick"]
    assert (row.seq, row.state, row.actor, row.source) == (tick.seq, "engaged", "script", "scripted")
    assert (row.lateness_ns, row.input_age_ns) == (tick.tick_ns - tick.due_ns, 3_000_000)
    _, said = messages["/language/instruction"]
    assert list(said.paraphrases) == list(finished.header.paraphrases)
    _, calibration = messages["/camera/overhead/calibration"]
    assert tuple(calibration.K) == finished.header.cameras[0].intrinsics
    _, force = messages["/force/left/left_finger"]
    assert len(force.force) == 3 * len(force.sample_utc_ns)


def test_header_footer_and_attachments_come_back(written) -> None:
    finished, _ = written
    with EpisodeReader(finished.path) as reader:
        assert reader.header == finished.header
        assert reader.footer == finished.footer
        assert reader.attachments == {"station.toml": STATION.content}
        assert reader.instruction == finished.header.instruction
        assert not reader.truncated


def test_tracks_are_exact(written) -> None:
    finished, samples = written
    ticks = of(samples, ControlTick)
    with EpisodeReader(finished.path) as reader:
        for kind, times in (("commanded", "tick_ns"), ("sent", "sent_ns"), ("measured", "measured_ns")):
            track = reader.joints(kind)
            assert track.names == finished.header.joint_names
            assert track.capture_ns.tolist() == [getattr(tick, times) for tick in ticks]
            assert np.array_equal(track.position, [getattr(tick, kind) for tick in ticks])
        assert np.array_equal(reader.joints("measured").velocity, [tick.measured_velocity for tick in ticks])
        assert np.isnan(reader.joints("sent").velocity).all()
        assert reader.joints("policy").position.shape == (0, 14)
        left = reader.operator("left")
        assert np.array_equal(left.pose, [tick.operator_pose[0] for tick in ticks])
        assert np.array_equal(left.gripper, [tick.operator_gripper[0] for tick in ticks])
        assert len(reader.operator("right").capture_ns) == 0
        rows = reader.ticks()
        assert rows.lateness_ns.tolist() == [tick.tick_ns - tick.due_ns for tick in ticks]
        assert set(rows.state) == {"engaged"}
        world = reader.world()
        assert world is not None
        assert np.array_equal(world.qpos, [w.qpos for w in of(samples, WorldState)])
        batches = of(samples, ForceBatch)
        for index, name in enumerate(SENSORS):
            force = reader.force(name)
            assert np.array_equal(force.force, np.concatenate([b.force[:, index] for b in batches]))
            assert force.capture_ns.tolist() == [t for b in batches for t in b.capture_ns.tolist()]
        events = of(samples, Event)
        assert [(e.kind, e.capture_ns, e.fields) for e in reader.events()] == [
            (e.kind, e.capture_ns, e.fields) for e in events
        ]
        assert reader.input_times().tolist() == [s.capture_ns for s in of(samples, InputSample)]


def test_packets_and_frames(written) -> None:
    finished, samples = written
    with EpisodeReader(finished.path) as reader:
        for camera in ("overhead", "right_wrist"):
            given_packets = [p for p in of(samples, VideoPacket) if p.camera == camera]
            track = reader.video(camera)
            assert track.seq.tolist() == [p.seq for p in given_packets]
            assert track.capture_ns.tolist() == [p.capture_ns for p in given_packets]
            assert track.receive_ns.tolist() == [p.encoded_ns for p in given_packets]
            assert track.keyframe.tolist() == [p.keyframe for p in given_packets]
            assert [payload for *_, payload in reader.packets(camera)] == [p.payload for p in given_packets]
        assert [index for index, *_ in reader.packets("overhead", 3, 6)] == [3, 4, 5]


def test_random_access_gives_the_frames_of_sequential_decoding(written) -> None:
    finished, _ = written
    with EpisodeReader(finished.path) as reader:
        sequence = list(reader.frames("overhead"))
        assert sequence[0].shape == (48, 64, 3)
        for index in (29, 0, 14, 15, 16, 3, 28, 7, 7, 8):
            assert np.array_equal(reader.frame("overhead", index), sequence[index])
        stepped = list(reader.frames("overhead", 2, 29, 5))
        assert all(np.array_equal(a, b) for a, b in zip(stepped, sequence[2:29:5], strict=True))
        with pytest.raises(EpisodeError, match="There is no frame 30 of camera overhead: it has 30 frames"):
            reader.frame("overhead", 30)


def test_names_that_do_not_exist_are_refused_with_the_known_ones(written) -> None:
    finished, _ = written
    with EpisodeReader(finished.path) as reader:
        with pytest.raises(EpisodeError, match="Known are left, right"):
            reader.operator("third")
        with pytest.raises(EpisodeError, match="Known are overhead, left_wrist, right_wrist"):
            reader.frame("front", 0)
        with pytest.raises(EpisodeError, match="Known are policy, commanded, sent, measured"):
            reader.joints("wished")
        assert reader.force("nothing").force.shape == (0, 3)


def test_a_fresh_file_verifies(written) -> None:
    finished, _ = written
    report = verify_file(finished.path, blake3=finished.blake3, full=True)
    assert report.findings == ()
    assert report.frames == 90
    assert report.messages == sum(finished.footer.counts.values())


def test_another_digest_is_a_finding(written) -> None:
    finished, _ = written
    assert not verify_file(finished.path, blake3="0" * 64).ok


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    anchor=st.tuples(st.integers(0, 2**55), st.integers(1_000_000_000, 2**62)),
    start=st.integers(0, 10**15),
    gaps=st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 50)), min_size=1, max_size=30),
    values=st.floats(allow_nan=False, allow_infinity=False),
)
def test_times_and_numbers_survive_exactly(tmp_path: Path, anchor, start, gaps, values) -> None:
    header = synthetic_header((), anchor=ClockAnchor(*anchor))
    writer = EpisodeWriter(
        tmp_path / f"o-{header.uuid}", header, destination=tmp_path / f"{header.uuid}.mcap", flush_s=0.0
    )
    times, seq, now, skipped = [], 0, anchor[0] + start, 0
    for step_ns, step_seq in gaps:
        now, seq = now + step_ns, seq + step_seq
        skipped += step_seq - 1 if times else 0
        tick = replace(
            synthetic_tick(header, 0, 0),
            seq=seq,
            tick_ns=now,
            due_ns=now,
            sent_ns=now,
            measured_ns=now,
            sent=np.full(14, values),
        )
        writer.add_tick(tick)
        times.append(now)
    finished = writer.finish()
    with EpisodeReader(finished.path) as reader:
        for kind in JOINT_KINDS[1:]:
            assert reader.joints(kind).capture_ns.tolist() == times
        assert reader.ticks().capture_ns.tolist() == times
        assert (reader.joints("sent").position == values).all()
    assert finished.footer.lost.get("/control/tick", 0) == skipped
    finished.path.unlink()
