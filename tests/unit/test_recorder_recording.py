"""Which samples belong to an episode, and where video starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recorders.synthetic import synthetic_header, synthetic_packets, synthetic_tick
from recorders.writer import EpisodeWriter
from teleop_app.core.types import Event, VideoPacket, WorldState
from teleop_app.station.episode_recording import ALIGN_NS, SILENT_NS, Recording
from teleop_app.station.thumbnail import LiveThumbnail, make_thumbnail, thumbnail_camera
from teleop_app.station.video_start import VideoStart


def packet(camera: str, seq: int, keyframe: bool) -> VideoPacket:
    return VideoPacket(camera, seq, seq * 1000, seq * 1000, keyframe, 64, 48, b"")


def test_cameras_start_with_the_same_keyframe() -> None:
    start = VideoStart(["a", "b"], 10**9)
    assert start.take(packet("a", 7, False), 0) == []
    assert start.take(packet("a", 8, True), 0) == []
    assert start.take(packet("a", 9, False), 0) == []
    assert start.take(packet("b", 8, True), 0) == [
        packet("a", 8, True),
        packet("b", 8, True),
        packet("a", 9, False),
    ]
    assert start.take(packet("b", 9, False), 0) == [packet("b", 9, False)]


def test_a_camera_that_lost_the_first_keyframe_waits_for_the_next_common_one() -> None:
    start = VideoStart(["a", "b"], 10**9)
    for seq in range(4):
        assert start.take(packet("a", seq, seq in (0, 3)), 0) == []
    assert [p.seq for p in start.take(packet("b", 3, True), 0)] == [3, 3]


def test_a_camera_that_stays_away_is_not_waited_for_longer_than_agreed() -> None:
    start = VideoStart(["a", "b"], 1000)
    assert start.take(packet("a", 5, True), 999) == []
    assert start.release(1000) == [packet("a", 5, True)]
    assert start.open


def test_cameras_of_different_rates_start_each_by_itself() -> None:
    start = VideoStart(["a", "b"], 10**9, aligned=False)
    assert start.take(packet("a", 5, True), 0) == []
    assert start.take(packet("b", 77, True), 0) == [packet("a", 5, True), packet("b", 77, True)]


HEADER = synthetic_header(("overhead",), 64, 48)
START = HEADER.anchor_monotonic_ns
PACKETS = synthetic_packets(HEADER.cameras[0], 0, START, 60)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    writer = EpisodeWriter(tmp_path / "o", HEADER, destination=tmp_path / f"{HEADER.uuid}.mcap")
    return Recording(writer, START)


def test_what_was_captured_before_the_start_is_left_out(recording: Recording) -> None:
    recording.take(synthetic_tick(HEADER, -10, START), START)
    recording.take(synthetic_tick(HEADER, 1, START), START)
    recording.take(replace(PACKETS[0], capture_ns=START - 1), START)
    recording.take(Event("input.button", START - 1, "control"), START)
    assert recording.writer.ticks == 1
    counts = recording.finish("success", START).footer.counts
    assert counts["/control/tick"] == 1
    assert "/events" not in counts
    assert "/camera/overhead/video" not in counts


def test_a_silent_stream_is_said_once_and_counted_at_the_end(recording: Recording) -> None:
    recording.take(PACKETS[0], START)
    assert recording.poll(START + SILENT_NS) == []
    said = recording.poll(START + SILENT_NS + 1)
    assert said == [
        "Nothing arrives from the control process. The recording goes on without it.",
        "Nothing arrives from camera overhead. The recording goes on without it.",
    ]
    assert recording.poll(START + SILENT_NS + 2) == []
    assert recording.silent(START + 10**9) == ["control", "overhead"]
    footer = recording.finish("unknown", START + 10**9).footer
    assert footer.lost == {"/control/tick": 200, "/camera/overhead/video": 30}
    assert "Nothing came from camera overhead in the last 1.0 s." in footer.lost_reasons


def test_video_that_still_waited_is_written_at_the_end(tmp_path: Path) -> None:
    header = synthetic_header(("overhead", "other"), 64, 48)
    writer = EpisodeWriter(tmp_path / "o", header, destination=tmp_path / f"{header.uuid}.mcap")
    recording = Recording(writer, START)
    recording.take(PACKETS[0], START)
    assert writer.frames("overhead") == 0
    assert recording.finish("success", START + ALIGN_NS // 2).footer.counts["/camera/overhead/video"] == 1


def test_the_thumbnail_comes_from_the_second_half_at_few_decodings() -> None:
    thumbnail, seen = LiveThumbnail(), []
    for number, item in enumerate(PACKETS):
        before = thumbnail.picture
        thumbnail.see(item)
        if thumbnail.picture is not before:
            seen.append(number)
    assert seen == [0, 30]
    assert thumbnail.picture is not None
    assert (thumbnail.picture.mime, thumbnail.picture.width, thumbnail.picture.height) == (
        "image/jpeg",
        64,
        48,
    )


def test_a_damaged_packet_costs_the_thumbnail_only() -> None:
    thumbnail = LiveThumbnail()
    thumbnail.see(replace(PACKETS[0], payload=b"\0\0\1\x65"))
    assert thumbnail.picture is None


def test_which_camera_is_shown() -> None:

    assert thumbnail_camera(["left_wrist", "overhead"]) == "overhead"
    assert thumbnail_camera(["left_wrist"]) == "left_wrist"
    assert thumbnail_camera([]) is None
    large = make_thumbnail(np.zeros((480, 640, 3), np.uint8))
    assert large is not None
    assert (large.width, large.height) == (192, 144)


def test_a_silent_simulation_is_said_and_counted_once_it_had_spoken(recording: Recording) -> None:
    recording.take(synthetic_tick(HEADER, 1, START), START)
    recording.take(PACKETS[0], START)
    recording.take(WorldState(0, START, 0.0, np.zeros(3)), START)
    later = START + SILENT_NS + 1
    assert "Nothing arrives from the simulation process. The recording goes on without it." in recording.poll(
        later
    )
    footer = recording.finish("unknown", START + 10**9).footer
    assert footer.lost["/sim/world"] == 100
