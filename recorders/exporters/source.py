"""What an exporter reads an episode through. `recorders.reader.EpisodeReader` satisfies it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from recorders.schema import (
    EpisodeFooter,
    EpisodeHeader,
    ForceTrack,
    JointTrack,
    StreamTrack,
    TickTrack,
    VideoTrack,
)


class EpisodeSource(Protocol):
    """A finished episode. Times are CLOCK_MONOTONIC [ns] of the recording host."""

    @property
    def header(self) -> EpisodeHeader:
        """Who, what and where."""
        ...

    @property
    def footer(self) -> EpisodeFooter | None:
        """How it ended; None for a file that a crash left."""
        ...

    def joints(self, kind: str) -> JointTrack:
        """One joint-vector stream, `kind` of `JOINT_KINDS`; without samples where not recorded."""
        ...

    def video(self, camera: str) -> VideoTrack:
        """Index of a camera's packets."""
        ...

    def packets(
        self, camera: str, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, int, bool, bytes]]:
        """(packet number, capture_ns, keyframe, Annex B access unit) of packets start..stop-1."""
        ...

    def force(self, name: str) -> ForceTrack:
        """A force sensor."""
        ...

    def stream(self, name: str) -> StreamTrack:
        """A numeric stream that the header names; without samples where none came."""
        ...

    def ticks(self) -> TickTrack:
        """Control ticks."""
        ...


EpisodeOpener = Callable[[Path], AbstractContextManager[EpisodeSource]]
"""Opens the episode of a path; leaving the context closes it."""
