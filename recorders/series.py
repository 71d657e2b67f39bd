"""Numeric streams of an episode in one shape: times, values, their names, how to read between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from recorders.resample import Resampled, resample
from recorders.schema import (
    JOINT_KINDS,
    Array,
    EpisodeHeader,
    ForceTrack,
    IntArray,
    JointTrack,
    PoseTrack,
    StreamTrack,
    WorldTrack,
)
from recorders.time_access import Span
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import Resampling


@dataclass(frozen=True, slots=True)
class Series:
    """A numeric stream.

    Attributes:
        name: As `EpisodeReader.series` knows it.
        names: Of the values, n of them.
        capture_ns: CLOCK_MONOTONIC [ns], increasing, shape (k,).
        value: Shape (k, n).
        resampling: How it is read off between its samples.
    """

    name: str
    names: tuple[str, ...]
    capture_ns: IntArray
    value: Array
    resampling: Resampling

    def at(self, query_ns: IntArray, *, max_gap_ns: int | None = None) -> Resampled:
        """The stream read off at other instants, with the error of each; see `resample`."""
        return resample(self.resampling, self.capture_ns, self.value, query_ns, max_gap_ns=max_gap_ns)


class _Tracks(Protocol):
    """What `series_of` reads."""

    @property
    def header(self) -> EpisodeHeader: ...
    def joints(self, kind: str, span: Span | None = None) -> JointTrack: ...
    def operator(self, arm: str, span: Span | None = None) -> PoseTrack: ...
    def force(self, name: str, span: Span | None = None) -> ForceTrack: ...
    def world(self, span: Span | None = None) -> WorldTrack | None: ...
    def stream(self, name: str, span: Span | None = None) -> StreamTrack: ...


def series_names(header: EpisodeHeader) -> tuple[str, ...]:
    """Names of the numeric streams that an episode may hold."""
    return tuple(_sources(header))


def series_of(tracks: _Tracks, name: str, span: Span | None = None) -> Series:
    """A numeric stream by name; see `EpisodeReader.series`.

    Raises:
        EpisodeError: There is no such stream, or the file is damaged.
    """
    sources = _sources(tracks.header)
    if name not in sources:
        raise EpisodeError(f"There is no stream {name!r}", next_step=f"Known are {', '.join(sources)}")
    return sources[name](tracks, name, span)


def _sources(header: EpisodeHeader) -> dict[str, Callable[[_Tracks, str, Span | None], Series]]:
    found: dict[str, Callable[[_Tracks, str, Span | None], Series]] = dict.fromkeys(JOINT_KINDS, _joints)
    found |= {"velocity": _motion, "effort": _motion}
    found |= {f"operator/{arm}": _operator for arm in header.arms}
    found |= {f"force/{sensor}": _force for sensor in header.force_sensors}
    found["world"] = _world
    found |= {stream.name: _stream for stream in header.streams}
    return found


def _joints(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.joints(name, span)
    # What was asked for is in force until the next request; what was measured moved on in between.
    how = Resampling.LINEAR if name == "measured" else Resampling.PREVIOUS
    return Series(name, track.names, track.capture_ns, track.position, how)


def _motion(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.joints("measured", span)
    value = track.velocity if name == "velocity" else track.effort
    return Series(name, track.names, track.capture_ns, value, Resampling.LINEAR)


def _operator(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.operator(name.removeprefix("operator/"), span)
    names = ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper")
    value = np.concatenate([track.pose, track.gripper[:, None]], axis=1)
    return Series(name, names, track.capture_ns, value, Resampling.SLERP)


def _force(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.force(name.removeprefix("force/"), span)
    return Series(name, ("fx", "fy", "fz"), track.capture_ns, track.force, Resampling.LINEAR)


def _world(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.world(span)
    if track is None:
        return Series(name, (), np.zeros(0, np.int64), np.zeros((0, 0)), Resampling.NEAREST)
    names = tuple(f"qpos{index}" for index in range(track.qpos.shape[1]))
    return Series(name, names, track.capture_ns, track.qpos, Resampling.NEAREST)


def _stream(tracks: _Tracks, name: str, span: Span | None) -> Series:
    track = tracks.stream(name, span)
    try:
        how = Resampling(track.header.resampling)
    except ValueError:  # a file of a later program
        how = Resampling.NEAREST
    return Series(name, track.header.values, track.capture_ns, track.values, how)
