"""What the recorder keeps before the key, and where an episode's video then starts."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.types import AudioBlock, Event, VideoPacket
from teleop_app.station.recorder_feed import SampleFeed
from teleop_app.station.video_start import PrerollStart, preroll_starts

SPAN_NS = 1000


def packet(camera: str, seq: int, keyframe: bool, at_ns: int | None = None) -> VideoPacket:
    at_ns = seq * 100 if at_ns is None else at_ns
    return VideoPacket(camera, seq, at_ns, at_ns, keyframe, 64, 48, b"x")


class Source:
    """A process that publishes, and the feed that listens to it on a clock of the test's own."""

    def __init__(self, run_dir: Path, **limits: int) -> None:
        endpoints = Endpoints(run_dir)
        self.met: list[Any] = []
        self.publisher = Publisher(endpoints.publish("cameras"))
        self.feed = SampleFeed(endpoints, ["cameras"], SPAN_NS, self.met.append, **limits)
        self.feed.want(True)
        self.feed.recording = True
        self.until(lambda: self.feed.waiting > 0, hello=True)
        self.feed.recording = False
        self.feed.forget(0)
        time.sleep(0.02)
        self.feed.collect(0)
        self.feed.forget(0)
        self.feed.dropped.clear()

    def until(self, done: Callable[[], bool], now_ns: int = 0, *, hello: bool = False) -> None:
        deadline = time.monotonic() + 10.0
        while not done():
            assert time.monotonic() < deadline
            if hello:
                self.publisher.send("event", Event("hello", 0, "test"))
            time.sleep(0.001)
            self.feed.collect(now_ns)

    def send(self, now_ns: int, *values: VideoPacket) -> None:
        """Publish, and wait until all of it has arrived at `now_ns`."""
        before = self.feed.waiting + sum(self.feed.dropped.values())
        for value in values:
            self.publisher.send(f"video/{value.camera}", value)
        wanted = before + len(values)
        self.until(lambda: self.feed.waiting + sum(self.feed.dropped.values()) >= wanted, now_ns)

    def close(self) -> None:
        self.feed.close()
        self.publisher.close()


@pytest.fixture
def run_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def source(run_dir: Path) -> Iterator[Source]:
    made = Source(run_dir)
    yield made
    made.close()


def test_only_the_last_moments_are_kept_until_a_recording_begins(source: Source) -> None:
    for number in range(8):
        source.feed.collect(number * 400)
        source.send(number * 400, packet("a", number, keyframe=False))
    assert [item.seq for item in source.feed.packets()] == [5, 6, 7]
    assert source.feed.available_ns(2800) == 800
    source.feed.recording = True
    source.feed.collect(100_000)
    assert source.feed.available_ns(100_000) == 0
    assert [(value.seq, at_ns) for value, at_ns in source.feed.take(10)] == [(5, 2000), (6, 2400), (7, 2800)]


def test_a_new_scene_forgets_what_came_before(source: Source) -> None:
    source.send(100, packet("a", 1, keyframe=True))
    source.feed.forget(150)
    source.send(200, packet("a", 2, keyframe=True))
    assert [item.seq for item in source.feed.packets()] == [2]
    assert source.feed.available_ns(1000) == 800
    source.feed.forget(120)
    assert source.feed.floor_ns == 150


def test_what_finds_no_room_while_recording_is_counted(run_dir: Path) -> None:
    source = Source(run_dir, max_messages=3)
    try:
        source.feed.recording = True
        source.send(100, *(packet("a", seq, keyframe=False) for seq in range(5)))
        assert source.feed.dropped == {"video/a": 2}
        assert source.feed.fill == 1.0
        assert [value.seq for value, _ in source.feed.take(10)] == [0, 1, 2]
        assert source.feed.fill == 0.0
    finally:
        source.close()


def test_a_full_feed_between_recordings_shortens_what_is_kept_and_loses_nothing(run_dir: Path) -> None:
    source = Source(run_dir, max_bytes=1)
    try:
        source.feed.collect(0)
        source.publisher.send("video/a", packet("a", 1, keyframe=True))
        source.until(lambda: any(isinstance(each, VideoPacket) for each in source.met))
        assert source.feed.packets() == []
        assert not source.feed.dropped
    finally:
        source.close()


def test_the_first_message_of_a_topic_introduces_itself_even_when_nothing_is_wanted(source: Source) -> None:
    source.feed.want(False)
    block = AudioBlock("mic", 0, 1, 1, 16_000, 1, bytes(4))
    source.publisher.send("audio/mic", block)
    source.until(lambda: block in source.met)
    assert source.feed.waiting == 0


BOTH = [packet(name, seq, seq % 5 == 0) for seq in range(1, 18) for name in ("a", "b")]


def test_video_starts_with_the_last_common_keyframe_before_the_wanted_moment() -> None:
    assert preroll_starts(BOTH, ["a", "b"], 1499, 0, aligned=True) == {"a": 1000, "b": 1000}
    assert preroll_starts(BOTH, ["a", "b"], 1500, 0, aligned=True) == {"a": 1500, "b": 1500}


def test_video_never_starts_before_the_scene_was_ready() -> None:
    assert preroll_starts(BOTH, ["a", "b"], 700, 600, aligned=True) == {"a": 1000, "b": 1000}
    assert preroll_starts(BOTH, ["a", "b"], 1800, 1600, aligned=True) == {}


def test_cameras_without_a_common_keyframe_start_each_with_its_own() -> None:
    apart = [packet("a", seq, seq % 5 == 0) for seq in range(18)]
    apart += [packet("b", seq, seq % 5 == 1) for seq in range(18)]
    assert preroll_starts(apart, ["a", "b"], 1250, 0, aligned=True) == {"a": 1000, "b": 1100}


def test_a_camera_that_was_dark_starts_with_its_next_keyframe() -> None:
    start = PrerollStart(["a", "b"], preroll_starts([packet("a", 5, True)], ["a", "b"], 600, 0, aligned=True))
    assert start.take(packet("a", 4, True), 0) == []
    first = packet("a", 5, True)
    assert start.take(first, 0) == [first]
    assert start.take(packet("b", 6, False), 0) == []
    assert not start.open
    late = packet("b", 7, True)
    assert start.take(late, 0) == [late]
    assert start.open
