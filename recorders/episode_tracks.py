"""Tracks of an episode: everything but pixels, whole or in a span of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import numpy as np

from recorders import tracks
from recorders.autonomy_tracks import AutonomyBuilder, policy_chunks
from recorders.container import Container
from recorders.message_blocks import Block
from recorders.resample import Resampled
from recorders.schema import (
    JOINT_KINDS,
    TOPIC_AUTONOMY,
    TOPIC_CHUNK,
    TOPIC_EVENT,
    TOPIC_INPUT,
    TOPIC_TICK,
    TOPIC_WORLD,
    Array,
    AudioHeader,
    AudioTrack,
    AutonomyTrack,
    CameraHeader,
    EpisodeHeader,
    EventRecord,
    ForceTrack,
    IntArray,
    JointTrack,
    PoseTrack,
    StreamHeader,
    StreamTrack,
    TickTrack,
    WorldTrack,
    topic_audio,
    topic_clock,
    topic_force,
    topic_joints,
    topic_operator,
    topic_stream,
)
from recorders.sensor_tracks import audio_track, clock_fits, stream_track
from recorders.series import Series, series_of
from recorders.time_access import Span, topic_blocks, within
from recorders.track_builders import (
    Builder,
    ForceBuilder,
    JointBuilder,
    Taker,
    TickBuilder,
    WorldBuilder,
    fill,
    fill_together,
)
from recorders.tracks import Decoder, concatenated
from teleop_app.core.clock import NS_PER_S, ClockAnchor
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import ClockFit, PolicyChunk

_Recorded = TypeVar("_Recorded", CameraHeader, StreamHeader, AudioHeader)
_NEAR_NS = NS_PER_S
"""How far `at` looks for neighbours before it reads the whole stream."""


class EpisodeTracks:
    """All streams of an open episode but pixels.

    Args:
        container: The open file.
        header: Of the episode.
    """

    def __init__(self, container: Container, header: EpisodeHeader) -> None:
        self.container = container
        self.header = header
        self._anchor = ClockAnchor(header.anchor_monotonic_ns, header.anchor_utc_ns)
        self._decoders: dict[int, Decoder] = {}
        self._joints: dict[str, JointTrack] = {}
        self._forces: dict[str, ForceTrack] = {}
        self._ticks: tuple[TickTrack, Array] | None = None
        self._autonomy: AutonomyTrack | None = None
        self._world: tuple[()] | tuple[WorldTrack | None] = ()

    def joints(self, kind: str, span: Span | None = None) -> JointTrack:
        """A joint-vector stream, empty when it was not recorded.

        Args:
            kind: One of `JOINT_KINDS`.
            span: Only this span of time; little more of the file is read.

        Raises:
            EpisodeError: The kind is unknown, or the file is damaged.
        """
        if kind not in JOINT_KINDS:
            raise EpisodeError(
                f"There is no joint stream {kind!r}", next_step=f"Known are {', '.join(JOINT_KINDS)}"
            )
        if kind in self._joints:
            return self._joints[kind] if span is None else within(self._joints[kind], span)
        builder = self._joint_builder(kind)
        fill(builder, self._blocks(topic_joints(kind), span))
        track = builder.track(self.to_monotonic)
        if span is not None:
            return within(track, span)
        self._joints[kind] = track
        return track

    def forget(self) -> None:
        """Forget the tracks that were read; they are read anew when asked for."""
        self._joints, self._forces, self._ticks, self._world = {}, {}, None, ()
        self._autonomy = None

    def _joint_builder(self, kind: str) -> JointBuilder:
        return JointBuilder(self.header.joint_names, lambda: self.decoder(topic_joints(kind)))

    def load(self) -> None:
        """Read all joint streams, ticks, forces and the world in one pass; asking for them is then free.

        Raises:
            EpisodeError: The file is damaged.
        """
        self.load_with({})

    def load_with(self, others: Mapping[int, Taker]) -> None:
        """As `load`, and give the messages of other channels to those who want them."""
        joints = {kind: self._joint_builder(kind) for kind in JOINT_KINDS}
        forces = {name: ForceBuilder(name) for name in self.header.force_sensors}
        ticks, world = TickBuilder(len(self.header.arms)), WorldBuilder()
        autonomy = AutonomyBuilder(len(self.header.joint_names))
        builders: dict[str, Builder] = {topic_joints(kind): builder for kind, builder in joints.items()}
        builders |= {topic_force(name): builder for name, builder in forces.items()}
        builders |= {TOPIC_TICK: ticks, TOPIC_WORLD: world, TOPIC_AUTONOMY: autonomy}
        fill_together(self.container, builders, others)
        self._joints = {kind: builder.track(self.to_monotonic) for kind, builder in joints.items()}
        self._forces = {name: builder.track(self.to_monotonic) for name, builder in forces.items()}
        self._ticks = ticks.track(self.to_monotonic)
        self._world = (world.track(self.to_monotonic),)
        self._autonomy = autonomy.track(self.to_monotonic)

    def series(self, name: str, span: Span | None = None) -> Series:
        """Any numeric stream in one shape; without samples when none was recorded.

        Args:
            name: A joint stream of `JOINT_KINDS`; `velocity` or `effort` (measured); `operator/<arm>`;
                `force/<sensor>`; `world`; or the name of a numeric stream.
            span: Only this span of time; little more of the file is read.

        Raises:
            EpisodeError: There is no such stream, or the file is damaged.
        """
        return series_of(self, name, span)

    def at(self, name: str, time_ns: int) -> Resampled:
        """A stream read off at one instant, as its resampling says; one row. Reads little of the file.

        Args:
            name: As `series` knows it.
            time_ns: CLOCK_MONOTONIC [ns].

        Raises:
            EpisodeError: As `series`.
        """
        near = self.series(name, (time_ns - _NEAR_NS, time_ns + _NEAR_NS))
        if not len(near.capture_ns) or not near.capture_ns[0] <= time_ns <= near.capture_ns[-1]:
            near = self.series(name)  # a hole, or outside the stream
        return near.at(np.array([time_ns], np.int64))

    def operator(self, arm: str, span: Span | None = None) -> PoseTrack:
        """What the hand asked of an arm, only where it asked; times are those of the control ticks.

        Args:
            arm: Its name.
            span: Only this span of time.

        Raises:
            EpisodeError: There is no such arm, or the file is damaged.
        """
        if arm not in self.header.arms:
            raise EpisodeError(
                f"There is no arm {arm!r}", next_step=f"Known are {', '.join(self.header.arms)}"
            )
        topic = topic_operator(arm)
        times, poses = [], [np.zeros((0, 7))]
        for block in tracks.joined(self._blocks(topic, span)):
            times.append(block.log_utc_ns)
            poses.append(tracks.pose_values(block, self.decoder(topic)))
        capture_ns = self.to_monotonic(concatenated(times))
        ticks, grippers = self._tick_columns(span)
        gripper = np.full(len(capture_ns), np.nan)
        if len(ticks.capture_ns):
            at = np.minimum(np.searchsorted(ticks.capture_ns, capture_ns), len(ticks.capture_ns) - 1)
            same = ticks.capture_ns[at] == capture_ns
            gripper[same] = grippers[at[same], self.header.arms.index(arm)]
        track = PoseTrack(capture_ns=capture_ns, pose=np.concatenate(poses), gripper=gripper)
        return track if span is None else within(track, span)

    def ticks(self, span: Span | None = None) -> TickTrack:
        """Control ticks.

        Args:
            span: Only this span of time.

        Raises:
            EpisodeError: The file is damaged.
        """
        track = self._tick_columns(span)[0]
        return track if span is None else within(track, span)

    def _tick_columns(self, span: Span | None) -> tuple[TickTrack, Array]:
        if self._ticks is not None:
            return self._ticks
        builder = TickBuilder(len(self.header.arms))
        fill(builder, self._blocks(TOPIC_TICK, span))
        found = builder.track(self.to_monotonic)
        if span is None:
            self._ticks = found
        return found

    def autonomy(self, span: Span | None = None) -> AutonomyTrack:
        """Ticks during which a policy was in use, empty when none was.

        Args:
            span: Only this span of time.

        Raises:
            EpisodeError: The file is damaged.
        """
        if self._autonomy is None:
            builder = AutonomyBuilder(len(self.header.joint_names))
            fill(builder, self._blocks(TOPIC_AUTONOMY, span))
            found = builder.track(self.to_monotonic)
            if span is not None:
                return within(found, span)
            self._autonomy = found
        return self._autonomy if span is None else within(self._autonomy, span)

    def chunks(self) -> tuple[PolicyChunk, ...]:
        """Chunks of actions that policies proposed, in the order of their answers.

        Raises:
            EpisodeError: The file is damaged.
        """
        blocks = self.container.blocks(TOPIC_CHUNK)
        return policy_chunks(blocks, len(self.header.joint_names), self.to_monotonic)

    def force(self, name: str, span: Span | None = None) -> ForceTrack:
        """A force sensor's samples, empty when none was recorded.

        Args:
            name: The sensor.
            span: Only this span of time.

        Raises:
            EpisodeError: The file is damaged.
        """
        if name in self._forces:
            return self._forces[name] if span is None else within(self._forces[name], span)
        builder = ForceBuilder(name)
        fill(builder, self._blocks(topic_force(name), span))
        track = builder.track(self.to_monotonic)
        return track if span is None else within(track, span)

    def world(self, span: Span | None = None) -> WorldTrack | None:
        """The simulated world, None when none was recorded.

        Args:
            span: Only this span of time.

        Raises:
            EpisodeError: The file is damaged.
        """
        if self._world:
            track = self._world[0]
        else:
            builder = WorldBuilder()
            fill(builder, self._blocks(TOPIC_WORLD, span))
            track = builder.track(self.to_monotonic)
        return track if span is None or track is None else within(track, span)

    def stream(self, name: str, span: Span | None = None) -> StreamTrack:
        """A numeric stream, empty when it has no samples.

        Args:
            name: As the header has it.
            span: Only this span of time.

        Raises:
            EpisodeError: There is no such stream, or the file is damaged.
        """
        header = named(self.header.streams, name, "numeric stream")
        topic = topic_stream(name)
        blocks = self._blocks(topic, span)
        track = stream_track(header, blocks, lambda: self.decoder(topic), self.to_monotonic)
        return track if span is None else within(track, span)

    def audio(self, name: str, span: Span | None = None) -> AudioTrack:
        """Sound of a microphone, empty when there is none.

        Args:
            name: As the header has it.
            span: Only this span of time.

        Raises:
            EpisodeError: There is no such microphone, or the file is damaged.
        """
        header = named(self.header.audio, name, "microphone")
        track = audio_track(header, self._blocks(topic_audio(name), span), self.to_monotonic)
        return track if span is None else within(track, span)

    def clock_fits(self, stream: str) -> tuple[ClockFit, ...]:
        """How a device's clock mapped to the host's, in order; none when it has no clock of its own.

        Raises:
            EpisodeError: The file is damaged.
        """
        return clock_fits(self.container.blocks(topic_clock(stream)), stream, self.to_monotonic)

    def events(self) -> list[EventRecord]:
        """Events in order of time.

        Raises:
            EpisodeError: The file is damaged.
        """
        found = [
            tracks.event_record(payload, self._anchor.to_monotonic_ns(utc_ns))
            for block in self.container.blocks(TOPIC_EVENT)
            for payload, utc_ns in zip(block.payloads(), block.log_utc_ns.tolist(), strict=True)
        ]
        return sorted(found, key=lambda event: event.capture_ns)

    def input_times(self) -> IntArray:
        """Capture times of the operator samples of all sources, increasing, shape (k,)."""
        blocks = self.container.blocks(TOPIC_INPUT)
        return np.sort(self.to_monotonic(concatenated(block.log_utc_ns for block in blocks)))

    def _blocks(self, topic: str, span: Span | None) -> Iterator[Block]:
        utc = None if span is None else (self._anchor.to_utc_ns(span[0]), self._anchor.to_utc_ns(span[1]))
        return topic_blocks(self.container, topic, utc)

    def decoder(self, topic: str) -> Decoder:
        """Decodes the messages of a topic by its schema in the file.

        Raises:
            EpisodeError: It has none.
        """
        channel = self.container.channel(topic)
        schema = self.container.contents.schemas.get(channel.schema_id) if channel else None
        if schema is None:
            raise self.container.damaged(f"the topic {topic} has no schema")
        if schema.id not in self._decoders:
            self._decoders[schema.id] = Decoder(schema)
        return self._decoders[schema.id]

    def to_monotonic(self, utc_ns: IntArray) -> IntArray:
        """The recording host's CLOCK_MONOTONIC [ns] of UTC times in the file [ns]."""
        return utc_ns - self._anchor.utc_ns + self._anchor.monotonic_ns


def named(recorded: Iterable[_Recorded], name: str, kind: str) -> _Recorded:
    """The one with this name.

    Args:
        recorded: Cameras, streams or microphones of a header.
        name: As the header has it.
        kind: What they are, for the sentence.

    Raises:
        EpisodeError: There is none.
    """
    known = {each.name: each for each in recorded}
    if name not in known:
        names = ", ".join(known) or "none"
        raise EpisodeError(f"There is no {kind} {name!r}", next_step=f"Known are {names}")
    return known[name]
