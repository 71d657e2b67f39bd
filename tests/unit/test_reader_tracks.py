"""Tracks that come back are those that went in; parts by time are cut from them; fast and slow ways agree."""

import dataclasses

import cv2
import numpy as np
import pytest

from recorders import tracks, wire_columns
from recorders.message_blocks import Block
from recorders.reader import EpisodeReader
from recorders.schema import JOINT_KINDS
from recorders.series import series_names
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples
from recorders.writer import EpisodeWriter
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import (
    AudioBlock,
    ClockFit,
    ControlTick,
    DepthPacket,
    ForceBatch,
    StreamBatch,
    VideoPacket,
    WorldState,
)

SECONDS = 1.5


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("episode")
    header = full_header(synthetic_header(width=64, height=48))
    samples = list(synthetic_samples(header, SECONDS, header.anchor_monotonic_ns))
    writer = EpisodeWriter(
        folder / "open.mcap", header, destination=folder / f"{header.uuid}.mcap", flush_s=0.0
    )
    for sample in samples:
        feed(writer, sample)
    return writer.finish("success").path, samples


@pytest.fixture(scope="module")
def samples(written):
    return written[1]


@pytest.fixture
def reader(written):
    with EpisodeReader(written[0]) as reader:
        yield reader


def of(samples, kind):
    return [sample for sample in samples if isinstance(sample, kind)]


def equal(one, other):
    for field in dataclasses.fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(left, right, err_msg=field.name)


def test_numeric_streams(reader, samples):
    for header in reader.header.streams:
        batches = [batch for batch in of(samples, StreamBatch) if batch.stream == header.name]
        track = reader.stream(header.name)
        capture_ns = np.concatenate([batch.capture_ns for batch in batches])
        np.testing.assert_array_equal(track.capture_ns, capture_ns)
        np.testing.assert_array_equal(track.values, np.concatenate([batch.values for batch in batches]))
        device = [b.device_ns if b.device_ns is not None else np.zeros(len(b.capture_ns)) for b in batches]
        np.testing.assert_array_equal(track.device_ns, np.concatenate(device))
        assert (track.receive_ns >= track.capture_ns).all()


def test_frame_stamps_stand_in_the_order_of_the_frames(reader, samples):
    for camera in reader.header.cameras:
        packets = [packet for packet in of(samples, VideoPacket) if packet.camera == camera.name]
        stamps = reader.frame_stamps(camera.name)
        assert stamps.device_ns.tolist() == [packet.device_ns for packet in packets]
        assert stamps.receive_ns.tolist() == [packet.receive_ns for packet in packets]
        assert stamps.exposure_ns.tolist() == [packet.exposure_ns for packet in packets]


def test_depth_images_are_lossless(reader, samples):
    packets = of(samples, DepthPacket)
    camera = packets[0].camera
    track = reader.depth_track(camera)
    assert track.capture_ns.tolist() == [packet.capture_ns for packet in packets]
    assert track.unit_m == packets[0].unit_m
    for index in (0, len(packets) - 1, 3):
        expected = cv2.imdecode(np.frombuffer(packets[index].payload, np.uint8), cv2.IMREAD_UNCHANGED)
        found = reader.depth(camera, index)
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(EpisodeError, match=f"no depth image {len(packets)} of camera {camera}"):
        reader.depth(camera, len(packets))
    assert len(reader.depth_track(reader.header.cameras[1].name).seq) == 0


def test_sound(reader, samples):
    blocks = of(samples, AudioBlock)
    source = reader.header.audio[0]
    track = reader.audio(source.name)
    pcm = np.frombuffer(b"".join(block.payload for block in blocks), "<i2").reshape(-1, source.channels)
    np.testing.assert_array_equal(track.samples, pcm)
    assert track.capture_ns[0] == blocks[0].capture_ns
    assert len(track.capture_ns) == len(pcm)
    assert (np.diff(track.capture_ns) > 0).all()


def test_clock_fits(reader, samples):
    fits = of(samples, ClockFit)
    stream = fits[0].stream
    assert list(reader.clock_fits(stream)) == [fit for fit in fits if fit.stream == stream]
    assert reader.clock_fits("nobody") == ()


def test_what_is_not_there_is_refused_by_name(reader):
    for ask, sentence in (
        (lambda: reader.stream("smell"), "no numeric stream 'smell'"),
        (lambda: reader.audio("ear"), "no microphone 'ear'"),
        (lambda: reader.series("smell"), "no stream 'smell'"),
        (lambda: reader.depth_track("chest"), "no camera 'chest'"),
        (lambda: reader.joints("sent", (5, 4)), "before it begins"),
    ):
        with pytest.raises(EpisodeError, match=sentence):
            ask()
    assert reader.preview is None


def test_ticks_forces_and_world_as_they_were_sent(reader, samples):
    ticks, sent = reader.ticks(), of(samples, ControlTick)
    assert ticks.capture_ns.tolist() == [tick.tick_ns for tick in sent]
    assert ticks.lateness_ns.tolist() == [tick.tick_ns - tick.due_ns for tick in sent]
    assert ticks.input_age_ns.tolist() == [tick.tick_ns - tick.input_capture_ns for tick in sent]
    assert ticks.state == tuple(tick.state.value for tick in sent)
    assert ticks.actor == tuple(tick.actor.value for tick in sent)
    gripper = np.array([tick.operator_gripper[0] for tick in sent])
    np.testing.assert_array_equal(reader.operator("left").gripper, gripper)
    world = reader.world()
    np.testing.assert_array_equal(world.qpos, [state.qpos for state in of(samples, WorldState)])
    np.testing.assert_array_equal(world.sim_time_s, [state.sim_time_s for state in of(samples, WorldState)])
    for number, name in enumerate(reader.header.force_sensors):
        force = np.concatenate([batch.force[:, number] for batch in of(samples, ForceBatch)])
        np.testing.assert_array_equal(reader.force(name).force, force)


def test_reading_in_step_equals_reading_one_by_one(written, monkeypatch):
    def everything():
        with EpisodeReader(written[0]) as reader:
            forces = [reader.force(name) for name in reader.header.force_sensors]
            return [reader.ticks(), reader.world(), *forces, reader.operator("left")]

    fast = everything()
    monkeypatch.setattr(tracks, "columns_of", lambda block: None)
    for one, other in zip(fast, everything(), strict=True):
        equal(one, other)


@pytest.mark.parametrize(
    "share", [(0.0, 1.0), (0.31, 0.62), (0.5, 0.501), (0.4, 0.4), (0.9, 3.0), (-2.0, -1.0)]
)
def test_a_span_is_cut_from_the_whole(written, share):
    with EpisodeReader(written[0]) as whole, EpisodeReader(written[0]) as part:
        begin = whole.header.anchor_monotonic_ns
        span = tuple(begin + round(s * SECONDS * 1e9) for s in share)
        for name in series_names(whole.header):
            full, cut = whole.series(name), part.series(name, span)
            inside = (full.capture_ns >= span[0]) & (full.capture_ns < span[1])
            np.testing.assert_array_equal(cut.capture_ns, full.capture_ns[inside], err_msg=name)
            if len(cut.capture_ns):
                np.testing.assert_array_equal(cut.value, full.value[inside], err_msg=name)


def test_a_span_reads_only_the_chunks_around_it(written, monkeypatch):
    with EpisodeReader(written[0]) as reader:
        seen = []
        block = reader.container.block
        monkeypatch.setattr(
            reader.container,
            "block",
            lambda place, channel: seen.append(place.start) or block(place, channel),
        )
        middle = reader.header.anchor_monotonic_ns + round(SECONDS * 5e8)
        assert len(reader.joints("sent", (middle, middle + 50_000_000)).capture_ns) == 10
        assert len(set(seen)) < len(reader.container.contents.chunks) / 4


def test_at_an_instant_is_the_whole_stream_read_off_there(written):
    with EpisodeReader(written[0]) as whole, EpisodeReader(written[0]) as part:
        begin = whole.header.anchor_monotonic_ns
        for name in series_names(whole.header):
            for offset_s in (-1.0, 0.0123, SECONDS / 2, SECONDS + 2.0):
                time_ns = begin + round(offset_s * 1e9)
                expected = whole.series(name).at(np.array([time_ns], np.int64))
                found = part.at(name, time_ns)
                np.testing.assert_array_equal(found.value, expected.value, err_msg=name)
                assert found.distance_ns == expected.distance_ns


def block_of(payloads):
    data = np.frombuffer(b"".join(payloads), np.uint8)
    lengths = np.array([len(payload) for payload in payloads], np.int64)
    zeros = np.zeros(len(payloads), np.int64)
    return Block(data, np.cumsum(lengths) - lengths, lengths, zeros, zeros, zeros)


@pytest.mark.parametrize(
    "broken", [b"\x10", b"\x10\x80", b"\x1a\x05ab", b"\x1b", b"\x80\x01\x00", b"\x11\x00"]
)
def test_what_cannot_be_read_in_step_is_left_to_the_slow_way(broken):
    assert wire_columns.columns_of(block_of([b"\x10\x07", broken])) is None


def test_fields_in_step():
    negative = b"\x10" + b"\xff" * 9 + b"\x01"
    found = wire_columns.columns_of(block_of([b"\x10\x07\x1a\x02hi", b"", b"\x1a\x01x", negative]))
    assert found is not None
    assert found[2].value.tolist() == [7, 0, 0, -1]
    assert found.texts(3) == ["hi", "", "x", ""]
    assert found.texts(9) == [""] * 4


def test_loaded_in_one_pass_is_loaded_one_by_one(written):
    with EpisodeReader(written[0]) as one_pass, EpisodeReader(written[0]) as single:
        one_pass.load()
        begin = one_pass.header.anchor_monotonic_ns
        for span in (None, (begin + 400_000_000, begin + 700_000_000)):
            for kind in JOINT_KINDS:
                equal(one_pass.joints(kind, span), single.joints(kind, span))
            for name in one_pass.header.force_sensors:
                equal(one_pass.force(name, span), single.force(name, span))
            equal(one_pass.ticks(span), single.ticks(span))
            equal(one_pass.world(span), single.world(span))
        for camera in one_pass.header.cameras:
            equal(one_pass.video(camera.name), single.video(camera.name))
