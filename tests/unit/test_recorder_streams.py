"""Numeric streams, depth, sound and clock fits: what the writer keeps, refuses and counts."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

from recorders.reader import EpisodeReader
from recorders.recovery import recover_open
from recorders.schema import AudioHeader, StreamHeader, topic_audio, topic_depth, topic_stream
from recorders.synthetic import synthetic_header, synthetic_packets, synthetic_tick
from recorders.verify import verify_file
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import ClockAnchor
from teleop_app.core.types import AudioBlock, ClockFit, DepthPacket, ForceBatch, StreamBatch

ANCHOR = ClockAnchor(5_000_000_000, 1_790_000_000_000_000_000)
START = ANCHOR.monotonic_ns
MS = 1_000_000
WRENCH = StreamHeader("left/wrench", "wrench", ("fx", "fy", "fz"), "N", "left/gripper", 1000.0, "linear")
MICROPHONE = AudioHeader("room", 16_000, 2)


def header():
    plain = synthetic_header(("overhead",), 64, 48, anchor=ANCHOR)
    camera = replace(plain.cameras[0], depth_unit_m=0.001)
    return replace(plain, cameras=(camera,), streams=(WRENCH,), audio=(MICROPHONE,))


HEADER = header()


@pytest.fixture
def writer(tmp_path: Path) -> EpisodeWriter:
    return EpisodeWriter(tmp_path / "o", HEADER, destination=tmp_path / f"{HEADER.uuid}.mcap", flush_s=0.0)


def messages(finished: FinishedEpisode) -> dict[str, list]:
    found = defaultdict(list)
    with finished.path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        for _, channel, message, decoded in reader.iter_decoded_messages():
            found[channel.topic].append((message, decoded))
    return found


def batch(seq: int, at_ms: int, count: int = 10, **changes: object) -> StreamBatch:
    times = START + (at_ms + np.arange(count, dtype=np.int64)) * MS
    values = np.arange(seq * 3, (seq + count) * 3, dtype=np.float64).reshape(count, 3)
    return replace(StreamBatch(WRENCH.name, seq, times, values), **changes)  # type: ignore[arg-type]


def depth(seq: int, **changes: object) -> DepthPacket:
    at_ns = START + seq * 33_333_333
    image = np.full((48, 64), 700 + seq, np.uint16)
    payload = cv2.imencode(".png", image)[1].tobytes()
    packet = DepthPacket("overhead", seq, at_ns, at_ns + 5 * MS, 64, 48, 0.001, payload)
    return replace(packet, **changes)  # type: ignore[arg-type]


def sound(seq: int, frames: int = 160, **changes: object) -> AudioBlock:
    at_ns = START + seq * 1_000_000_000 // 16_000
    payload = np.arange(2 * frames, dtype="<i2").tobytes()
    block = AudioBlock("room", seq, at_ns, at_ns + 12 * MS, 16_000, 2, payload)
    return replace(block, **changes)  # type: ignore[arg-type]


def test_each_sample_of_a_stream_is_a_message_with_its_three_times(writer: EpisodeWriter) -> None:
    given = batch(0, 0, device_ns=np.arange(10, dtype=np.int64) + 77, receive_ns=START + 11 * MS)
    writer.add_stream(given)
    writer.add_stream(batch(10, 10))
    found = messages(writer.finish())[topic_stream(WRENCH.name)]
    offset = ANCHOR.utc_ns - ANCHOR.monotonic_ns
    assert [list(sample.values) for _, sample in found[:10]] == given.values.tolist()
    assert [message.log_time - offset for message, _ in found[:10]] == given.capture_ns.tolist()
    assert {message.publish_time - offset for message, _ in found[:10]} == {START + 11 * MS}
    assert [sample.device_ns for _, sample in found] == [*range(77, 87), *[0] * 10]
    assert [message.sequence for message, _ in found] == list(range(20))


def test_depth_sound_and_clock_fits_are_kept_as_they_came(writer: EpisodeWriter) -> None:
    picture = depth(0, device_ns=5, receive_ns=START + MS, exposure_ns=8 * MS)
    writer.add_depth(picture)
    writer.add_audio(sound(0, device_ns=9))
    writer.add_clock(ClockFit("overhead", START, 5, START - MS, -12.5, 400, 50))
    finished = writer.finish()
    found = messages(finished)
    _, image = found[topic_depth("overhead")][0]
    assert (image.data, image.format, image.frame_id) == (picture.payload, "png", "overhead")
    _, stamp = found["/camera/overhead/depth/stamps"][0]
    offset = ANCHOR.utc_ns - ANCHOR.monotonic_ns
    assert (stamp.seq, stamp.device_ns, stamp.exposure_ns) == (0, 5, 8 * MS)
    assert stamp.receive_utc_ns == START + MS + offset
    _, heard = found[topic_audio("room")][0]
    assert (heard.data, heard.format) == (sound(0).payload, "pcm-s16")
    assert (heard.sample_rate, heard.number_of_channels) == (16_000, 2)
    assert found["/audio/room/stamps"][0][1].device_ns == 9
    _, fit = found["/clock/overhead"][0]
    assert (fit.device_ref_ns, fit.host_ref_utc_ns) == (5, START - MS + offset)
    assert (fit.drift_ppm, fit.spread_ns, fit.samples) == (-12.5, 400, 50)
    assert finished.footer.lost == {}


def test_frames_and_measured_joints_keep_their_three_times(writer: EpisodeWriter) -> None:
    packet = synthetic_packets(HEADER.cameras[0], 0, START, 1)[0]
    writer.add_packet(replace(packet, device_ns=1, receive_ns=START + 2 * MS, exposure_ns=3))
    tick = synthetic_tick(HEADER, 0, START)
    writer.add_tick(replace(tick, measured_receive_ns=tick.measured_ns + 400, measured_device_ns=123))
    found = messages(writer.finish())
    message, stamp = found["/camera/overhead/stamps"][0]
    assert (stamp.seq, stamp.device_ns, stamp.exposure_ns) == (0, 1, 3)
    assert message.publish_time - message.log_time == 2 * MS
    measured, _ = found["/joints/measured"][0]
    assert measured.publish_time - measured.log_time == 400
    assert found["/control/tick"][0][1].measured_device_ns == 123


def test_cameras_without_further_times_cost_no_second_message(writer: EpisodeWriter) -> None:
    writer.add_packet(synthetic_packets(HEADER.cameras[0], 0, START, 1)[0])
    assert "/camera/overhead/stamps" not in writer.finish().footer.counts


NAN = np.full((10, 3), np.nan)
BAD_BATCHES = {
    "its shape was wrong": batch(10, 10, values=np.zeros((10, 4))),
    "it held a number that is not finite": batch(10, 10, values=NAN),
    "its time was not after the one before": batch(10, 0),
    "its time lay in the future": batch(10, 5_000, receive_ns=START),
    "its time was out of bounds": batch(10, 10, capture_ns=np.full(10, -(2**62), np.int64)),
}


@pytest.mark.parametrize("reason", BAD_BATCHES)
def test_bad_samples_are_refused_with_their_reason_and_the_rest_is_kept(
    writer: EpisodeWriter, reason: str
) -> None:
    topic = topic_stream(WRENCH.name)
    writer.add_stream(batch(0, 0))
    writer.add_stream(BAD_BATCHES[reason])
    writer.add_stream(batch(20, 20))
    footer = writer.finish().footer
    assert footer.counts[topic] == 20
    assert footer.lost_by_reason == {topic: {reason: 10}}
    assert footer.lost_reasons == (f"10 samples of {topic} refused because {reason}.",)


def test_a_gigantic_batch_is_refused(writer: EpisodeWriter) -> None:
    writer.add_stream(batch(0, 0, count=10_001))
    assert writer.finish().footer.lost_by_reason == {
        topic_stream(WRENCH.name): {"it held more than 10000 samples": 10_001}
    }


def test_what_the_header_does_not_name_is_refused(writer: EpisodeWriter) -> None:
    writer.add_stream(batch(0, 0, stream="stranger"))
    writer.add_audio(sound(0, source="stranger"))
    writer.add_depth(depth(0, camera="stranger"))
    there = "it was not there when the episode began"
    assert writer.finish().footer.lost_by_reason == {
        "/stream/stranger": {"nothing said what it measures": 10},
        "/audio/stranger": {there: 160},
        "/camera/stranger/depth": {there: 1},
    }


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"width": 32}, "it was no 16-bit grey PNG of its size"),
        ({"payload": b""}, "it was no 16-bit grey PNG of its size"),
        ({"payload": cv2.imencode(".png", np.zeros((48, 64), np.uint8))[1].tobytes()}, "it was no 16-bit"),
        ({"unit_m": 0.01}, "its unit is not the one that the episode began with"),
        (
            {
                "width": 32,
                "payload": cv2.imencode(".png", np.zeros((48, 32), np.uint16))[1].tobytes(),
            },
            "its size changed during the episode",
        ),
    ],
)
def test_depth_images_that_change_are_refused(writer: EpisodeWriter, bad, reason: str) -> None:
    writer.add_depth(depth(0))
    writer.add_depth(depth(1, **bad))
    footer = writer.finish().footer
    (found,) = footer.lost_by_reason[topic_depth("overhead")].items()
    assert found[0].startswith(reason) and found[1] == 1


@pytest.mark.parametrize("bad", [{"rate_hz": 48_000}, {"channels": 1}, {"payload": b"abc"}, {"payload": b""}])
def test_sound_that_changes_is_refused(writer: EpisodeWriter, bad) -> None:
    writer.add_audio(sound(0))
    writer.add_audio(sound(160, **bad))
    footer = writer.finish().footer
    assert footer.counts[topic_audio("room")] == 1
    assert footer.lost[topic_audio("room")] >= 1
    assert sum(footer.lost_by_reason[topic_audio("room")].values()) == footer.lost[topic_audio("room")]


def test_gaps_and_restarts_are_counted_in_samples(writer: EpisodeWriter) -> None:
    writer.add_stream(batch(0, 0))
    writer.add_stream(batch(15, 15))  # 5 skipped
    writer.add_stream(batch(0, 50))  # restarted: 25 to 50 ms are missing
    writer.add_audio(sound(0))
    writer.add_audio(sound(320))
    footer = writer.finish().footer
    assert footer.lost == {topic_stream(WRENCH.name): 5 + 25, topic_audio("room"): 160}
    assert footer.lost_by_reason == {topic: {"never arrived": n} for topic, n in footer.lost.items()}


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 101, "/etc", "a//b", "Ünicode", "a b"])
def test_hostile_names_never_become_topics(tmp_path: Path, name: str) -> None:
    bad = replace(
        HEADER, streams=(replace(WRENCH, name=name), WRENCH), audio=(replace(MICROPHONE, name=name),)
    )
    writer = EpisodeWriter(tmp_path / "o", bad, destination=tmp_path / "e.mcap", flush_s=0.0)
    writer.add_stream(batch(0, 0, stream=name))
    writer.add_force(ForceBatch((name,), np.array([START], np.int64), np.zeros((1, 1, 3)), 0))
    writer.add_clock(ClockFit(name, START, 0, 0, 0.0, 0, 1))
    finished = writer.finish()
    assert finished.header.streams == (WRENCH,) and finished.header.audio == ()
    sensors = ("/stream", "/audio", "/force", "/clock")
    assert not any(topic.startswith(sensors) for topic in finished.footer.counts)
    assert sum(finished.footer.lost.values()) == 12
    assert all(topic.isprintable() and len(topic) < 300 for topic in finished.footer.lost)


def test_no_flood_of_names_swells_the_footer(writer: EpisodeWriter) -> None:
    for number in range(3000):
        writer.add_stream(batch(0, 0, stream=f"stranger{number}"))
    footer = writer.finish().footer
    assert len(footer.lost_by_reason) <= 1001
    assert footer.lost_by_reason["other topics"] == {"nothing said what it measures": 20_000}


def test_streams_and_microphones_join_an_open_episode(tmp_path: Path) -> None:
    path = tmp_path / "open" / f"{HEADER.uuid}.mcap"
    path.parent.mkdir()
    bare = replace(HEADER, streams=(), audio=())
    writer = EpisodeWriter(path, bare, destination=tmp_path / path.name, flush_s=0.0)
    for index in range(3):
        writer.add_tick(synthetic_tick(HEADER, index, START))
    writer.join(streams=[WRENCH], audio=[MICROPHONE])
    writer.join(streams=[replace(WRENCH, unit="kN"), replace(WRENCH, name="no name")])
    writer.join(streams=[replace(WRENCH, name="no name")])
    writer.add_stream(batch(0, 0))
    writer.add_audio(sound(0))
    writer._files.end_preface()
    killed = tmp_path / "killed"
    for folder in ("open", "episodes", "damaged"):
        (killed / folder).mkdir(parents=True)
    shutil.copy(path, killed / "open")
    finished = writer.finish()
    assert finished.header.streams == (WRENCH,) and finished.header.audio == (MICROPHONE,)
    assert finished.footer.lost == {}
    assert finished.footer.lost_reasons == (
        "Stream 'no name' is not recorded: it needs a name of its own of letters, digits, _, -, . and /, "
        "a rate above 0, and 1 to 4096 values.",
    )
    assert ("measured", "stream left/wrench") in {(p.slower, p.faster) for p in finished.footer.sync}
    assert len(messages(finished)[topic_stream(WRENCH.name)]) == 10
    (recovered,) = recover_open(killed / "open", killed / "episodes", killed / "damaged")
    for file in (finished.path, recovered.path):
        assert verify_file(file).ok
        with EpisodeReader(file) as reader:
            assert reader.header == finished.header
            assert len(reader.stream(WRENCH.name).capture_ns) == 10
            assert len(reader.audio("room").samples) == 160
        with file.open("rb") as raw:
            assert [item.name for item in make_reader(raw).iter_metadata()].count("teleop.header") == 3


def test_every_pair_of_streams_is_in_the_sync_report(writer: EpisodeWriter) -> None:
    for packet in synthetic_packets(HEADER.cameras[0], 0, START, 3):
        writer.add_packet(packet)
    for index in range(20):
        writer.add_tick(synthetic_tick(HEADER, index, START))
    writer.add_stream(batch(0, 0, count=100))
    pairs = {(pair.slower, pair.faster) for pair in writer.finish().footer.sync}
    assert ("overhead", "stream left/wrench") in pairs and ("overhead", "measured") in pairs


def test_the_preview_is_attached(writer: EpisodeWriter) -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((8, 32, 3), np.uint8))[1].tobytes()
    writer.set_preview(b"\xff\xd8 an earlier one")
    writer.set_preview(jpeg)
    writer.set_preview(b"no picture")
    finished = writer.finish()
    with finished.path.open("rb") as file:
        attachments = {item.name: item.data for item in make_reader(file).iter_attachments()}
    assert attachments["preview.jpg"] == jpeg
    assert finished.footer.lost_reasons == ("The preview is left out: 10 bytes that are no small JPEG.",)
