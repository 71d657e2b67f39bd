"""How well in step an episode was, from its sample times; a long one is summed up file by file."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recorders.ledger import nearest_spacing_ns
from recorders.schema import (
    EpisodeHeader,
    SyncPair,
    topic_depth,
    topic_force,
    topic_joints,
    topic_stream,
    topic_video,
)
from recorders.sync_report import sync_pairs
from recorders.tracks import concatenated
from teleop_app.core.clock import NS_PER_MS

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Part of a footer; see `EpisodeFooter`."""

    late_p99_ms: float = 0.0
    sync_p95_ms: float = 0.0
    sync: tuple[SyncPair, ...] = ()


@dataclass(slots=True)
class SampleTimes:
    """Times of the samples since the last `take`, CLOCK_MONOTONIC [ns].

    Attributes:
        header: Of the episode.
        by_topic: Capture times; others may hold on to its arrays.
        ticks: Of the control ticks.
        lateness: Of the control ticks [ns].
    """

    header: EpisodeHeader
    by_topic: Mapping[str, array[int]]
    ticks: array[int] = field(default_factory=lambda: array("q"))
    lateness: array[int] = field(default_factory=lambda: array("q"))

    def take(self) -> TakenTimes:
        """What there is by now; memory is free for what comes."""
        named = named_topics(self.header)
        times = {
            name: _emptied(self.by_topic[topic]) for name, topic in named.items() if topic in self.by_topic
        }
        for stamps in self.by_topic.values():
            _emptied(stamps)
        cameras = tuple(camera.name for camera in self.header.cameras)
        present = {name: stamps for name, stamps in times.items() if len(stamps)}
        return TakenTimes(cameras, present, _emptied(self.ticks), _emptied(self.lateness))


@dataclass(frozen=True, slots=True)
class TakenTimes:
    """Times of a part of an episode: capture times by the name a person knows a stream by."""

    cameras: tuple[str, ...]
    times: dict[str, IntArray]
    ticks: IntArray
    lateness: IntArray

    def figures(self) -> Figures:
        """The figures of this part; takes some 10 ms."""
        frames = concatenated(self.times[name] for name in self.cameras if name in self.times)
        spacing = nearest_spacing_ns(frames, self.ticks) if len(self.ticks) and len(frames) else np.zeros(1)
        late = self.lateness if len(self.lateness) else np.zeros(1)
        return Figures(_percentile_ms(late, 99), _percentile_ms(spacing, 95), sync_pairs(self.times))


def worst_of(first: Figures, second: Figures) -> Figures:
    """Figures of two parts together: never better than they are.

    A percentile of the whole is at most the larger one of its parts', so that is what it becomes; the
    offset is that of the part with the larger one.
    """
    pairs = {(pair.slower, pair.faster): pair for pair in first.sync}
    for pair in second.sync:
        turned = (pair.faster, pair.slower)
        key = turned if turned in pairs else (pair.slower, pair.faster)
        pairs[key] = _worse(pairs[key], pair) if key in pairs else pair
    return Figures(
        max(first.late_p99_ms, second.late_p99_ms),
        max(first.sync_p95_ms, second.sync_p95_ms),
        tuple(pairs.values()),
    )


def _worse(first: SyncPair, second: SyncPair) -> SyncPair:
    sign = 1 if first.slower == second.slower else -1
    return SyncPair(
        slower=first.slower,
        faster=first.faster,
        p50_ms=max(first.p50_ms, second.p50_ms),
        p95_ms=max(first.p95_ms, second.p95_ms),
        p99_ms=max(first.p99_ms, second.p99_ms),
        max_ms=max(first.max_ms, second.max_ms),
        offset_ms=max(first.offset_ms, sign * second.offset_ms, key=abs),
    )


def named_topics(header: EpisodeHeader) -> dict[str, str]:
    """Topics by the name a person knows a stream by, the most important first."""
    topics = {camera.name: topic_video(camera.name) for camera in header.cameras}
    topics |= {kind: topic_joints(kind) for kind in ("measured", "sent")}
    topics |= {f"stream {stream.name}": topic_stream(stream.name) for stream in header.streams}
    if header.force_sensors:
        topics["force"] = topic_force(header.force_sensors[0])  # they come together
    return topics | {f"depth {camera.name}": topic_depth(camera.name) for camera in header.cameras}


def _emptied(stamps: array[int]) -> IntArray:
    """A copy of an array, which is empty afterwards."""
    taken = np.array(stamps, np.int64)
    del stamps[:]
    return taken


def _percentile_ms(values_ns: NDArray[np.float64] | IntArray, percent: float) -> float:
    return round(float(np.percentile(values_ns, percent)) / NS_PER_MS, 3)
