"""Parts of a stream by time: only the chunks that can hold them are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeVar

import numpy as np

from recorders.container import Container
from recorders.mcap_layout import ChunkPlace
from recorders.message_blocks import Block
from recorders.schema import (
    AudioTrack,
    AutonomyTrack,
    ForceTrack,
    JointTrack,
    PoseTrack,
    StreamTrack,
    TickTrack,
    WorldTrack,
)
from teleop_app.core.errors import EpisodeError

Track = TypeVar(
    "Track",
    JointTrack,
    PoseTrack,
    TickTrack,
    AutonomyTrack,
    StreamTrack,
    AudioTrack,
    ForceTrack,
    WorldTrack,
)

Span = tuple[int, int]
"""From a time on, up to another one (exclusive), [ns]."""
_NOT_SAMPLES = frozenset({"names", "header", "name", "camera", "unit_m"})


def topic_blocks(container: Container, topic: str, span_utc: Span | None) -> Iterator[Block]:
    """A topic's messages chunk by chunk: all of them, or those of the chunks that reach into a span, with the
    chunk before and the one after, so that the neighbours of every instant in the span are among them.
    """  # noqa: D205 - one sentence
    if span_utc is None:
        yield from container.blocks(topic)
        return
    channel = container.channel(topic)
    if channel is None:
        return
    places = [place for place in container.contents.chunks if channel.id in place.channels]
    for place in _around(places, span_utc):
        yield container.block(place, channel.id)


def _around(places: list[ChunkPlace], span_utc: Span) -> list[ChunkPlace]:
    before = [number for number, place in enumerate(places) if place.last_utc_ns < span_utc[0]]
    after = [number for number, place in enumerate(places) if place.first_utc_ns >= span_utc[1]]
    return places[before[-1] if before else 0 : after[0] + 1 if after else len(places)]


def within(track: Track, span_ns: Span) -> Track:
    """The samples of a track with span_ns[0] <= capture_ns < span_ns[1].

    Raises:
        EpisodeError: The span ends before it begins.
    """
    if span_ns[1] < span_ns[0]:
        raise EpisodeError(f"A span of time cannot end {span_ns[0] - span_ns[1]} ns before it begins")
    first, stop = np.searchsorted(track.capture_ns, span_ns).tolist()
    changes = {
        field.name: getattr(track, field.name)[first:stop]
        for field in dataclasses.fields(track)
        if field.name not in _NOT_SAMPLES
    }
    return dataclasses.replace(track, **changes)
