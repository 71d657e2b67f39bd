"""Sensors of any kind, their losses, and the pictures that are made while recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from recorders.ledger import NEVER_ARRIVED, Ledger
from recorders.reader import EpisodeReader
from recorders.schema import AudioHeader, StreamHeader
from recorders.synthetic import synthetic_header, synthetic_packets
from recorders.writer import EpisodeWriter
from teleop_app.core.types import AudioBlock, ClockFit, Event, StreamBatch, StreamSetup
from teleop_app.station.episode_recording import SILENT_NS, Recording
from teleop_app.station.joining_streams import PATIENCE_NS
from teleop_app.station.preview_strip import HEIGHT_PX, PreviewStrip

HEADER = synthetic_header(("overhead",), 64, 48)
START = HEADER.anchor_monotonic_ns
PACKETS = synthetic_packets(HEADER.cameras[0], 0, START, 60)
VIDEO = "/camera/overhead/video"


def recording_of(tmp_path: Path, **header: object) -> Recording:
    made = synthetic_header(("overhead",), 64, 48)
    made = type(made)(**{name: getattr(made, name) for name in made.__slots__} | header)
    path = tmp_path / f"{made.uuid}.mcap"
    return Recording(EpisodeWriter(tmp_path / "open.mcap", made, destination=path), made.anchor_monotonic_ns)


WRENCH = StreamHeader("wrist", "wrench", ("fx", "fy"), "N", "wrist", 500.0, "linear")
MICROPHONE = AudioHeader("mic", 16_000, 1)


def batch(seq: int, at_ns: int) -> StreamBatch:
    times = at_ns + np.arange(5) * 2_000_000
    return StreamBatch("wrist", seq, times, np.ones((5, 2)))


def test_sensor_streams_sound_and_clocks_are_recorded(tmp_path: Path) -> None:
    recording = recording_of(tmp_path, streams=(WRENCH,), audio=(MICROPHONE,))
    start_ns = recording.started_ns
    recording.take(batch(0, start_ns - 20_000_000), start_ns)
    for number in range(1, 4):
        recording.take(batch(number * 5, start_ns + number * 10_000_000), start_ns)
        tone = AudioBlock("mic", number * 160, start_ns + number * 10_000_000, 0, 16_000, 1, bytes(320))
        recording.take(tone, start_ns)
    recording.take(ClockFit("overhead", start_ns + 1, 5, start_ns, 3.0, 1000, 100), start_ns)
    finished = recording.finish("success", start_ns + 40_000_000)
    assert finished.footer.counts["/stream/wrist"] == 15
    assert finished.footer.counts["/audio/mic"] == 3
    assert not finished.footer.lost
    assert finished.footer.counts["/clock/overhead"] == 1


SETUP = StreamSetup("wrist", "wrench", ("fx", "fy"), "N", "wrist", 500.0)


def test_samples_wait_until_their_stream_says_what_it_measures(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    start_ns = recording.started_ns
    for number in range(3):
        recording.take(batch(number * 5, start_ns + number * 10_000_000), start_ns)
    recording.introduce(SETUP, start_ns + 10**9)
    recording.introduce(SETUP, start_ns + 2 * 10**9)
    recording.take(batch(15, start_ns + 30_000_000), start_ns + 2 * 10**9)
    assert "Nothing arrives from stream /stream/wrist. The recording goes on without it." in (
        recording.poll(start_ns + 2 * 10**9 + SILENT_NS + 1)
    )
    finished = recording.finish("success", start_ns)
    assert finished.footer.counts["/stream/wrist"] == 20 and not finished.footer.lost
    assert finished.header.streams == (WRENCH,)


def test_samples_of_a_stream_that_never_says_what_it_measures_are_counted_as_lost(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    start_ns = recording.started_ns
    recording.take(batch(0, start_ns), start_ns)
    recording.poll(start_ns + PATIENCE_NS + 1)
    recording.take(batch(5, start_ns + 10_000_000), start_ns + PATIENCE_NS)
    footer = recording.finish("success", start_ns).footer
    assert footer.lost_by_reason == {"/stream/wrist": {"nothing said what it measures": 10}}


def test_streams_that_are_only_watched_are_no_part_of_an_episode(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    start_ns = recording.started_ns
    recording.take(batch(0, start_ns), start_ns)
    recording.introduce(replace(SETUP, kind="mapping"), start_ns)
    recording.take(batch(5, start_ns + 10_000_000), start_ns)
    finished = recording.finish("success", start_ns)
    assert not finished.footer.lost and not finished.header.streams
    assert "/stream/wrist" not in finished.footer.counts


def test_a_microphone_that_comes_later_joins(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    start_ns = recording.started_ns
    for number in range(2):
        at_ns = start_ns + number * 10_000_000
        recording.take(AudioBlock("mic", number * 160, at_ns, 0, 16_000, 1, bytes(320)), start_ns)
    finished = recording.finish("success", start_ns)
    assert finished.footer.counts["/audio/mic"] == 2 and not finished.footer.lost
    assert finished.header.audio == (MICROPHONE,)


def test_a_sensor_that_never_starts_is_said_and_counted(tmp_path: Path) -> None:
    recording = recording_of(tmp_path, streams=(WRENCH,))
    start_ns = recording.started_ns
    said = recording.poll(start_ns + SILENT_NS + 1)
    assert "Nothing arrives from stream /stream/wrist. The recording goes on without it." in said
    footer = recording.finish("unknown", start_ns + 10**9).footer
    assert footer.lost["/stream/wrist"] == 500


def test_the_cameras_word_gives_a_gap_its_reason(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    start_ns = recording.started_ns
    for packet in synthetic_packets(recording.writer.header.cameras[0], 0, start_ns, 40):
        if not 16 <= packet.seq <= 18:
            recording.take(packet, start_ns)
    fields = {"topic": VIDEO, "reason": "the machine was too slow", "count": 2}
    recording.take(Event("stream.lost", start_ns + 1, "cameras", fields=fields), start_ns)
    footer = recording.finish("unknown", start_ns).footer
    assert footer.lost_by_reason[VIDEO]["the machine was too slow"] == 2
    assert sum(footer.lost_by_reason[VIDEO].values()) == footer.lost[VIDEO]


def test_an_explanation_is_never_worth_more_than_what_is_missing() -> None:
    ledger = Ledger()
    ledger.explain("/a", "the machine was too slow", 5)
    assert ledger.lost_by_reason() == {}
    ledger.sequence("/a", 0)
    ledger.sequence("/a", 8)
    assert ledger.lost_by_reason() == {"/a": {"the machine was too slow": 5, NEVER_ARRIVED: 2}}
    assert ledger.reasons() == (
        "5 samples of /a missing because the machine was too slow.",
        "2 samples of /a never arrived.",
    )


@pytest.mark.parametrize("minutes", [0.05, 3, 40])
def test_the_preview_has_few_evenly_spread_tiles_however_long_it_gets(minutes: float) -> None:
    strip = PreviewStrip(max_tiles=10)
    step_ns = 500_000_000
    keyframe = PACKETS[0]
    for number in range(round(minutes * 120)):
        at_ns = START + number * step_ns
        strip.see(type(keyframe)("overhead", number * 15, at_ns, at_ns, True, 64, 48, keyframe.payload))
    times = np.array(strip.times_ns)
    assert 5 <= len(times) <= 10
    assert np.ptp(np.diff(times)) <= max(step_ns, 0.1 * np.diff(times).mean())
    assert times[-1] - times[0] > 0.8 * (round(minutes * 120) - 1) * step_ns
    image = cv2.imdecode(np.frombuffer(strip.jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (HEIGHT_PX, 96 * len(times), 3)


def test_the_preview_shows_the_scene_and_is_kept_in_the_episode(tmp_path: Path) -> None:
    recording = recording_of(tmp_path)
    for packet in synthetic_packets(recording.writer.header.cameras[0], 0, recording.started_ns, 60):
        recording.take(packet, recording.started_ns)
    finished = recording.finish("success", recording.started_ns)
    with EpisodeReader(finished.path) as reader:
        image = cv2.imdecode(np.frombuffer(reader.attachments["preview.jpg"], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape[0] == HEIGHT_PX
    assert image.std() > 5.0
    assert PreviewStrip().jpeg() == b""


def test_an_episode_is_as_long_as_from_its_key(tmp_path: Path) -> None:
    made = synthetic_header(("overhead",), 64, 48)
    start_ns = made.anchor_monotonic_ns
    made = replace(made, start_ns=start_ns + 500_000_000)
    writer = EpisodeWriter(tmp_path / "open.mcap", made, destination=tmp_path / "kept.mcap")
    packets = synthetic_packets(made.cameras[0], 0, start_ns, 31)
    for packet in packets:
        writer.add_packet(packet)
    footer = writer.finish().footer
    assert footer.duration_ns == packets[-1].capture_ns - made.start_ns
    assert footer.counts[VIDEO] == 31
