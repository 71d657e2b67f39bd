"""What an exporter reads an episode through. `recorders.reader.EpisodeReader` satisfies it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from recorders.schema import (
    AutonomyTrack,
    EpisodeFooter,
    EpisodeHeader,
    ForceTrack,
    JointTrack,
    StreamTrack,
    TickTrack,
    VideoTrack,
)
from teleop_app.core.types import PolicyChunk


@dataclass(frozen=True, slots=True)
class Judgement:
    """What people said of an episode, maybe after it was recorded.

    Attributes:
        outcome: `success`, `failure` or `unknown`.
        takeovers: Reason and outcome by number.
    """

    outcome: str = "unknown"
    takeovers: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Changes with what is said."""
        said = repr((self.outcome, sorted(self.takeovers.items())))
        return hashlib.sha256(said.encode()).hexdigest()[:16]


def judgement_of(footer: EpisodeFooter | None) -> Judgement:
    """What was said until the recording ended."""
    if footer is None:
        return Judgement()
    takeovers = footer.rollout.takeovers if footer.rollout is not None else ()
    return Judgement(footer.outcome, {each.number: (each.reason, each.outcome) for each in takeovers})


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

    def autonomy(self) -> AutonomyTrack:
        """The ticks with a policy in use; without samples where there were none."""
        ...

    def chunks(self) -> tuple[PolicyChunk, ...]:
        """Chunks that policies proposed."""
        ...


EpisodeOpener = Callable[[Path], AbstractContextManager[EpisodeSource]]
"""Opens the episode of a path; leaving the context closes it."""
