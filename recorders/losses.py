"""What is missing from an episode, by the numbers and times of what is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recorders.container import Container
from recorders.mcap_layout import ChunkPlace
from recorders.reader import EpisodeReader
from recorders.schema import (
    TOPIC_TICK,
    TOPIC_WORLD,
    EpisodeHeader,
    topic_depth,
    topic_stream,
    topic_video,
)
from recorders.tracks import concatenated, unwrapped
from teleop_app.core.clock import NS_PER_S

IntArray = NDArray[np.int64]
Numbers = tuple[IntArray, IntArray]
"""Numbers and UTC times [ns] of a topic's messages, shape (k,)."""
_EARLY_S = 0.25
"""Streams end this far apart when nothing is wrong: what a chunk holds, and what an encoder takes."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Samples of one stream that should be there and are not.

    Attributes:
        topic: Of the stream.
        samples: How many are missing, by the source's own count; where the stream ends early, by its rate.
        from_s: Time of the last sample before [s] since the episode's first.
        until_s: Time of the first sample after; of the episode's last one where the stream ends early.
        at_end: The stream ends before the others do.
    """

    topic: str
    samples: int
    from_s: float
    until_s: float
    at_end: bool = False

    @property
    def sentence(self) -> str:
        """For people."""
        what = f"{self.samples} sample{'s' if self.samples != 1 else ''} of {self.topic}"
        if self.at_end:
            early_s = self.until_s - self.from_s
            return f"{self.topic} ends at {self.from_s:.2f} s, {early_s:.2f} s before the rest."
        return f"{what} between {self.from_s:.2f} s and {self.until_s:.2f} s."


def numbered_topics(header: EpisodeHeader) -> list[str]:
    """Topics whose messages are numbered without a gap as long as none is lost.

    Not the joint streams: a reading that two ticks saw is kept once and leaves a number out.
    """
    cameras = [camera.name for camera in header.cameras]
    return [
        TOPIC_TICK,
        TOPIC_WORLD,
        *map(topic_video, cameras),
        *(topic_depth(camera.name) for camera in header.cameras if camera.depth_unit_m),
        *(topic_stream(stream.name) for stream in header.streams),
    ]


def find_losses(container: Container, header: EpisodeHeader, origin_utc_ns: int = 0) -> tuple[Loss, ...]:
    """Gaps of every numbered stream, in order of time; what ends early comes last.

    Args:
        container: The file or files.
        header: Of the episode.
        origin_utc_ns: What the seconds count from; its first sample by default.

    Raises:
        EpisodeError: A chunk is damaged.
    """
    return losses_in(read_numbers(container, numbered_topics(header)), header, origin_utc_ns)


def losses_in(
    streams: Mapping[str, Numbers], header: EpisodeHeader, origin_utc_ns: int = 0
) -> tuple[Loss, ...]:
    """As `find_losses`, of numbers that were read before."""
    present = {topic: streams[topic] for topic in numbered_topics(header) if topic in streams}
    if not present:
        return ()
    first_ns = origin_utc_ns or min(int(times[0]) for _, times in present.values())
    last_ns = max(int(times[-1]) for _, times in present.values())
    gaps = [gap for topic, found in present.items() for gap in _gaps(topic, *found, first_ns)]
    ends = [_early_end(topic, times, first_ns, last_ns) for topic, (_, times) in present.items()]
    return (*sorted(gaps, key=lambda gap: gap.from_s), *(end for end in ends if end is not None))


def losses_between(before: EpisodeReader, after: EpisodeReader, origin_ns: int) -> tuple[Loss, ...]:
    """What is missing between two files of an episode, by the last numbers of one and the first of the other.

    Args:
        before: An earlier file.
        after: The next one that is there.
        origin_ns: What the seconds count from, CLOCK_MONOTONIC [ns].

    Raises:
        EpisodeError: A chunk is damaged.
    """
    header = before.header
    origin_utc_ns = origin_ns + header.anchor_utc_ns - header.anchor_monotonic_ns
    found: list[Loss] = []
    for topic in numbered_topics(header):
        first, last = _edge(before.container, topic, -1), _edge(after.container, topic, 0)
        if first is None or last is None:
            continue
        missing = (last[0] - first[0] - 1) % (1 << 32)
        if 0 < missing < 1 << 31:
            seconds = _seconds(first[1], origin_utc_ns), _seconds(last[1], origin_utc_ns)
            found.append(Loss(topic, missing, *seconds))
    return tuple(found)


def _edge(container: Container, topic: str, at: int) -> tuple[int, int] | None:
    """Number and time of a topic's first (0) or last (-1) message."""
    channel = container.channel(topic)
    if channel is None:
        return None
    places = [place for place in container.contents.chunks if channel.id in place.channels]
    if not places:
        return None
    block = container.block(places[at], channel.id)
    return int(block.seq[at]), int(block.log_utc_ns[at])


def lost_by_topic(losses: tuple[Loss, ...]) -> dict[str, int]:
    """Samples missing between others, by topic."""
    lost: dict[str, int] = {}
    for loss in losses:
        if not loss.at_end:
            lost[loss.topic] = lost.get(loss.topic, 0) + loss.samples
    return lost


def read_numbers(container: Container, topics: Iterable[str]) -> dict[str, Numbers]:
    """Numbers and times of the messages of topics that have any, in one pass over the file.

    Raises:
        EpisodeError: A chunk is damaged.
    """
    wanted = set(topics)
    blocks: dict[int, list[tuple[IntArray, IntArray]]] = {
        channel.id: [] for channel in container.contents.channels.values() if channel.topic in wanted
    }
    for place in container.contents.chunks:
        for channel in place.channels & blocks.keys():
            block = container.block(place, channel)
            blocks[channel].append((block.seq, block.log_utc_ns))
    return {
        container.contents.channels[channel].topic: (
            unwrapped(concatenated(seq for seq, _ in found)),
            concatenated(times for _, times in found),
        )
        for channel, found in blocks.items()
        if found
    }


def _gaps(topic: str, seq: IntArray, times: IntArray, first_ns: int) -> list[Loss]:
    steps = np.diff(seq)
    return [
        Loss(topic, int(steps[at]) - 1, _seconds(times[at], first_ns), _seconds(times[at + 1], first_ns))
        for at in np.flatnonzero(steps > 1).tolist()
    ]


def _early_end(topic: str, times: IntArray, first_ns: int, last_ns: int) -> Loss | None:
    if len(times) < 2:
        return None
    period_ns = float(np.median(np.diff(times)))
    missing = int((last_ns - int(times[-1])) / max(period_ns, 1.0))
    if missing < 2 or last_ns - int(times[-1]) < _EARLY_S * NS_PER_S:
        return None
    return Loss(topic, missing, _seconds(times[-1], first_ns), _seconds(last_ns, first_ns), at_end=True)


def _seconds(at_ns: int, first_ns: int) -> float:
    return round((int(at_ns) - first_ns) / NS_PER_S, 4)


def lost_in_chunks(container: Container, places: Iterable[ChunkPlace]) -> list[str]:
    """Sentences on what damaged chunks held, as far as the file's index tells."""
    first_ns = min((place.first_utc_ns for place in container.contents.chunks), default=0)
    said: list[str] = []
    for place in places:
        topics = sorted(
            container.contents.channels[channel].topic
            for channel in place.channels
            if channel in container.contents.channels
        )
        start_s, stop_s = _seconds(place.first_utc_ns, first_ns), _seconds(place.last_utc_ns, first_ns)
        said.append(f"Lost between {start_s:.2f} s and {stop_s:.2f} s: samples of {', '.join(topics)}.")
    return said
