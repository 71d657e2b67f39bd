"""Writes one episode: an MCAP file that grows in `open/` and is published once it is durable."""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import mcap
import numpy as np
from mcap.writer import CompressionType, Writer
from numpy.typing import NDArray

from recorders import messages, wire
from recorders.durability import SYSTEM, AppendFile, Reserve, SystemCalls, is_disk_full, publish
from recorders.ledger import Ledger, nearest_spacing_ns
from recorders.messages import schema_data
from recorders.picture_chain import PictureChain
from recorders.records import to_metadata
from recorders.schema import (
    METADATA_FOOTER,
    METADATA_HEADER,
    TOPIC_EVENT,
    TOPIC_INPUT,
    TOPIC_INSTRUCTION,
    TOPIC_TICK,
    TOPIC_WORLD,
    EpisodeFooter,
    EpisodeHeader,
    topic_calibration,
    topic_force,
    topic_joints,
    topic_operator,
    topic_video,
)
from recorders.tracks import concatenated
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, ClockAnchor
from teleop_app.core.errors import StorageError
from teleop_app.core.types import ControlTick, Event, ForceBatch, InputSample, VideoPacket, WorldState

logger = logging.getLogger(__name__)
PROFILE = "teleop-episode"
CHUNK_BYTES = 4 << 20
"""A chunk ends at this size even before its time is up."""
_MAX_SEQUENCE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file kept inside the episode, such as the station file or the robot's model."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class FinishedEpisode:
    """A durable episode.

    Attributes:
        path: Where it lies now.
        header: As written.
        footer: As written.
        size_bytes: Of the file.
        blake3: 64 hex digits of the whole file.
        spans: First and last time by topic, CLOCK_MONOTONIC [ns].
        finish_ms: From the call of `finish` until the episode was durable.
    """

    path: Path
    header: EpisodeHeader
    footer: EpisodeFooter
    size_bytes: int
    blake3: str
    spans: dict[str, tuple[int, int]]
    finish_ms: float


class EpisodeWriter:
    """Takes samples as they come and keeps the file on the disk close behind.

    Not thread-safe. `add_*` never block on the disk's cache being written back (a thread does that);
    after a StorageError nothing more is taken, and `finish` closes what there is.

    Args:
        path: `open/<uuid>.mcap`, must not exist.
        header: Who, what, where.
        destination: Where `finish` moves the file: `episodes/<uuid>.mcap`, same file system.
        attachments: Written at the start.
        flush_s: A chunk ends this long after it began: about what a kill loses.
        sync_s: Seconds between background syncs: about what a power cut loses.
        reserve: Freed when the disk is full.
        calls: System calls (tests make them fail).

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        header: EpisodeHeader,
        *,
        destination: Path,
        attachments: tuple[Attachment, ...] = (),
        flush_s: float = 0.2,
        sync_s: float = 1.0,
        reserve: Reserve | None = None,
        calls: SystemCalls = SYSTEM,
    ) -> None:
        self.header = header
        self.ledger = Ledger()
        self._destination = destination
        self._reserve = reserve
        self._calls = calls
        self._anchor = ClockAnchor(header.anchor_monotonic_ns, header.anchor_utc_ns)
        self._offset_ns = header.anchor_utc_ns - header.anchor_monotonic_ns
        self._flush_ns = round(flush_s * NS_PER_S)
        self._flush_due_ns = 0
        self._tick_period_ns = NS_PER_S // header.control_rate_hz
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._motion = wire.joint_template(header.joint_names, with_motion=True)
        self._position = wire.joint_template(header.joint_names, with_motion=False)
        self._pose = wire.pose_template("world")
        self._joint_topics = {
            kind: topic_joints(kind) for kind in ("policy", "commanded", "sent", "measured")
        }
        self._operator_topics = [topic_operator(arm) for arm in header.arms]
        self._cameras = {camera.name: camera for camera in header.cameras}
        self._tick_times = array("q")
        self._lateness = array("q")
        self._actors: Counter[str] = Counter()
        self._frame_times = {name: array("q") for name in self._cameras}
        self._chains = {name: PictureChain() for name in self._cameras}
        self._first_ns = self._last_ns = 0
        self._finished: FinishedEpisode | None = None
        self._file = AppendFile(path, sync_s, calls)
        self._mcap = Writer(
            cast("IO[bytes]", self._file),
            chunk_size=CHUNK_BYTES,
            compression=CompressionType.ZSTD,
            enable_data_crcs=True,
        )
        try:
            self._begin(attachments)
        except StorageError:
            self._file.close()
            path.unlink(missing_ok=True)  # no sample is in it
            raise

    def _begin(self, attachments: tuple[Attachment, ...]) -> None:
        header = self.header
        self._mcap.start(PROFILE, f"teleop-app {header.software} mcap-python/{mcap.__version__}")
        self._mcap.add_metadata(METADATA_HEADER, to_metadata(header))
        started_ns = header.started_utc_ns
        for item in attachments:
            self._mcap.add_attachment(started_ns, started_ns, item.name, item.media_type, item.content)
        body = messages.instruction_body(header.instruction, header.task, header.paraphrases)
        self._put(TOPIC_INSTRUCTION, messages.INSTRUCTION, started_ns, body, started_ns, 0)
        for camera in header.cameras:
            topic = topic_calibration(camera.name)
            body = messages.calibration_body(camera)
            self._put(topic, messages.CAMERA_CALIBRATION, started_ns, body, started_ns, 0)
        self._mcap.flush()

    @property
    def size_bytes(self) -> int:
        """Bytes written so far, without the chunk in progress."""
        return self._file.tell()

    @property
    def path(self) -> Path:
        """The open file."""
        return self._file.path

    @property
    def duration_s(self) -> float:
        """First to last frame or tick so far."""
        return (self._last_ns - self._first_ns) / NS_PER_S

    def frames(self, camera: str) -> int:
        """Frames of a camera written so far."""
        return len(self._frame_times.get(camera, ()))

    def lost_frames(self, camera: str) -> int:
        """Frames of a camera lost so far."""
        return self.ledger.lost[topic_video(camera)]

    @property
    def ticks(self) -> int:
        """Control ticks written so far."""
        return len(self._tick_times)

    def add_tick(self, tick: ControlTick) -> None:
        """A control tick: its joint streams, operator poses and state.

        Raises:
            StorageError: The disk refused an earlier chunk.
        """
        seq = self.ledger.continued(TOPIC_TICK, tick.seq, tick.tick_ns, self._tick_period_ns)
        if not self._in_order(TOPIC_TICK, tick.tick_ns):
            return
        now = tick.tick_ns
        stamp = wire.stamp(now + self._offset_ns)
        self._put_stamped(TOPIC_TICK, messages.TICK, now, stamp + messages.tick_body(tick), now, seq)
        if tick.policy is not None:
            self._add_joints("policy", tick.policy, now, stamp, now, seq)
        self._add_joints("commanded", tick.commanded, now, stamp, now, seq)
        sent_stamp = wire.stamp(tick.sent_ns + self._offset_ns)
        self._add_joints("sent", tick.sent, tick.sent_ns, sent_stamp, tick.sent_ns, seq)
        self._add_measured(tick, seq)
        for topic, pose in zip(self._operator_topics, tick.operator_pose, strict=False):
            if math.isfinite(pose[0]):
                self._add_pose(topic, pose, now, stamp, seq)
        self._tick_times.append(now)
        self._lateness.append(now - tick.due_ns)
        self._actors[tick.actor.value] += 1
        self._extend(now)
        self.poll()

    def _add_joints(
        self, kind: str, vector: NDArray[np.float64], at_ns: int, stamp: bytes, ready_ns: int, seq: int
    ) -> None:
        topic = self._joint_topics[kind]
        if vector.shape != (self._position.count,) or vector.dtype != np.float64:
            self.ledger.refuse(topic, f"it had shape {vector.shape}, not ({self._position.count},)")
        elif not np.isfinite(vector).all():
            self.ledger.refuse(topic, "it held a number that is not finite")
        elif self._in_order(topic, at_ns):
            self._put_stamped(
                topic, messages.JOINT_STATES, at_ns, stamp + self._position.fill(vector), ready_ns, seq
            )

    def _add_measured(self, tick: ControlTick, seq: int) -> None:
        topic = self._joint_topics["measured"]
        count = self._position.count
        if not tick.measured.shape == tick.measured_velocity.shape == tick.measured_effort.shape == (count,):
            self.ledger.refuse(topic, f"it had not shape ({count},)")
            return
        values = np.empty((count, 3))
        values[:, 0] = tick.measured
        values[:, 1] = tick.measured_velocity
        values[:, 2] = tick.measured_effort
        if not np.isfinite(values).all() and (np.isinf(values).any() or np.isnan(tick.measured).any()):
            self.ledger.refuse(topic, "it held a number that is not finite")
            return
        if not self.ledger.is_later(topic, tick.measured_ns):
            self.ledger.repeated[topic] += 1
            return
        payload = wire.stamp(tick.measured_ns + self._offset_ns) + self._motion.fill(values.reshape(-1))
        self._put_stamped(topic, messages.JOINT_STATES, tick.measured_ns, payload, tick.tick_ns, seq)

    def _add_pose(self, topic: str, pose: NDArray[np.float64], at_ns: int, stamp: bytes, seq: int) -> None:
        if pose.shape != (7,) or not np.isfinite(pose).all():
            self.ledger.refuse(topic, "it was not seven finite numbers")
            return
        xyz_quat_xyzw = pose.astype(np.float64)[[0, 1, 2, 4, 5, 6, 3]]
        payload = stamp + self._pose.fill(xyz_quat_xyzw)
        self._put_stamped(topic, messages.POSE_IN_FRAME, at_ns, payload, at_ns, seq)

    def add_input(self, sample: InputSample, receive_ns: int | None = None) -> None:
        """An operator sample as it came.

        Args:
            sample: From any device.
            receive_ns: When it arrived here; capture time if unknown.

        Raises:
            StorageError: As `add_tick`.
        """
        if receive_ns is not None and sample.capture_ns > receive_ns + NS_PER_S:
            self.ledger.refuse(TOPIC_INPUT, "its time lay in the future")
            return
        self.ledger.sequence(TOPIC_INPUT, sample.seq, source=sample.source)
        self._put(
            TOPIC_INPUT,
            messages.INPUT,
            sample.capture_ns + self._offset_ns,
            messages.input_body(sample),
            (receive_ns or sample.capture_ns) + self._offset_ns,
            sample.seq,
        )

    def add_event(self, event: Event) -> None:
        """Something that happened.

        Raises:
            StorageError: As `add_tick`.
        """
        utc_ns = event.capture_ns + self._offset_ns
        body = messages.event_body(event)
        self._put(TOPIC_EVENT, messages.EVENT, utc_ns, body, utc_ns, self.ledger.counts[TOPIC_EVENT])

    def add_force(self, batch: ForceBatch) -> None:
        """Contact forces; each sensor's part is one message at the time of its first sample.

        Raises:
            StorageError: As `add_tick`.
        """
        count = len(batch.capture_ns)
        if count == 0:
            return
        whole = batch.force.shape == (count, len(batch.names), 3)
        finite = bool(whole and np.isfinite(batch.force).all())
        at_ns, ready_ns = int(batch.capture_ns[0]), int(batch.capture_ns[-1])
        for index, name in enumerate(batch.names):
            topic = topic_force(name)
            seq = self.ledger.continued(topic, batch.seq, at_ns, step=count)
            if not finite:
                reason = "it held a number that is not finite" if whole else "its shape was wrong"
                self.ledger.refuse(topic, reason, count)
            elif self._in_order(topic, at_ns, count):
                body = messages.force_body(batch, index, self._offset_ns)
                stamp = wire.stamp(at_ns + self._offset_ns)
                self._put_stamped(topic, messages.FORCE, at_ns, stamp + body, ready_ns, seq)
        self.poll()

    def add_world(self, world: WorldState) -> None:
        """State of the simulated world.

        Raises:
            StorageError: As `add_tick`.
        """
        seq = self.ledger.continued(TOPIC_WORLD, world.seq, world.capture_ns)
        if not (np.isfinite(world.qpos).all() and math.isfinite(world.sim_time_s)):
            self.ledger.refuse(TOPIC_WORLD, "it held a number that is not finite")
        elif self._in_order(TOPIC_WORLD, world.capture_ns):
            at_ns = world.capture_ns
            stamp = wire.stamp(at_ns + self._offset_ns)
            self._put_stamped(
                TOPIC_WORLD, messages.WORLD, at_ns, stamp + messages.world_body(world), at_ns, seq
            )

    def add_packet(self, packet: VideoPacket) -> None:
        """An encoded frame; the first one of a camera must be a keyframe.

        Raises:
            StorageError: As `add_tick`.
        """
        topic = topic_video(packet.camera)
        camera = self._cameras.get(packet.camera)
        if camera is None:
            self.ledger.refuse(topic, "the camera was not there when the episode began")
            return
        lost = self.ledger.lost[topic]
        seq = self.ledger.continued(topic, packet.seq, packet.capture_ns, NS_PER_S // camera.fps)
        if (packet.width, packet.height) != (camera.width, camera.height):
            self.ledger.refuse(topic, "its size changed during the episode")
            return
        if not self._in_order(topic, packet.capture_ns):
            return
        missing = self.ledger.lost[topic] - lost
        chain = self._chains[packet.camera]
        if not chain.accepts(packet.payload, missing):
            reason = "a frame that it builds on was lost" if chain.started else "no keyframe came before it"
            self.ledger.refuse(topic, reason)
        else:
            body = messages.video_body(packet.camera, packet.payload)
            stamp = wire.stamp(packet.capture_ns + self._offset_ns)
            self._put_stamped(
                topic,
                messages.COMPRESSED_VIDEO,
                packet.capture_ns,
                stamp + body,
                packet.encoded_ns,
                seq,
            )
            self._frame_times[packet.camera].append(packet.capture_ns)
            self._extend(packet.capture_ns)
        self.poll()

    def poll(self) -> None:
        """End the chunk when its time is up. Called by `add_*`; call it yourself while nothing comes.

        Raises:
            StorageError: The disk is full or broken; the episode up to the last chunk is kept.
        """
        now_ns = time.monotonic_ns()
        if now_ns >= self._flush_due_ns:
            self._mcap.flush()
            self._flush_due_ns = now_ns + self._flush_ns

    def finish(
        self, outcome: str = "unknown", *, truncated: str = "", recovered: bool = False
    ) -> FinishedEpisode:
        """Write the footer, make the file durable, move it to its destination. Idempotent.

        Args:
            outcome: `success`, `failure` or `unknown`.
            truncated: Sentence that says why the episode ended early, empty for a normal stop.
            recovered: Written by recovery.

        Raises:
            StorageError: It could not be made durable; where the file lies is said.
        """
        if self._finished is not None:
            return self._finished
        began = time.perf_counter()
        if truncated:
            self.ledger.note(truncated)
        try:
            self._flush_with_reserve()
            footer = self._footer(outcome, truncated=bool(truncated), recovered=recovered)
            self._mcap.add_metadata(METADATA_FOOTER, to_metadata(footer))
            self._mcap.finish()
            self._flush_with_reserve()
            digest = self._file.finish()
        finally:
            self._file.close()
        publish(self._file.path, self._destination, self._calls)
        self._finished = FinishedEpisode(
            path=self._destination,
            header=self.header,
            footer=footer,
            size_bytes=digest.size_bytes,
            blake3=digest.blake3,
            spans=self.ledger.spans(),
            finish_ms=(time.perf_counter() - began) * 1e3,
        )
        return self._finished

    def abandon(self) -> None:
        """Close the file where it is, for recovery or removal. Idempotent."""
        self._file.close()

    def _footer(self, outcome: str, *, truncated: bool, recovered: bool) -> EpisodeFooter:
        ticks = np.array(self._tick_times, np.int64)
        frames = concatenated(np.array(times, np.int64) for times in self._frame_times.values())
        spacing = nearest_spacing_ns(frames, ticks) if len(ticks) and len(frames) else np.zeros(1)
        late = np.array(self._lateness if self._lateness else [0], np.int64)
        return EpisodeFooter(
            duration_ns=self._last_ns - self._first_ns,
            outcome=outcome,
            counts=dict(self.ledger.counts),
            lost={topic: count for topic, count in self.ledger.lost.items() if count},
            lost_reasons=self.ledger.reasons(),
            actor_share={name: count / len(ticks) for name, count in self._actors.items()},
            late_p99_ms=round(float(np.percentile(late, 99)) / NS_PER_MS, 3),
            sync_p95_ms=round(float(np.percentile(spacing, 95)) / NS_PER_MS, 3),
            recovered=recovered,
            truncated=truncated,
        )

    def _extend(self, at_ns: int) -> None:
        if self._first_ns == 0:
            self._first_ns = self._last_ns = at_ns
        self._first_ns = min(self._first_ns, at_ns)
        self._last_ns = max(self._last_ns, at_ns)

    def _in_order(self, topic: str, at_ns: int, count: int = 1) -> bool:
        if self.ledger.is_later(topic, at_ns):
            return True
        self.ledger.refuse(topic, "its time was not after the one before", count)
        return False

    def _put(self, topic: str, schema: str, utc_ns: int, body: bytes, ready_utc_ns: int, seq: int) -> None:
        channel = self._channels.get(topic) or self._register(topic, schema)
        self._mcap.add_message(channel, utc_ns, wire.stamp(utc_ns) + body, ready_utc_ns, seq & _MAX_SEQUENCE)
        self.ledger.counts[topic] += 1

    def _put_stamped(
        self, topic: str, schema: str, at_ns: int, payload: bytes, ready_ns: int, seq: int
    ) -> None:
        channel = self._channels.get(topic) or self._register(topic, schema)
        offset_ns = self._offset_ns
        self._mcap.add_message(channel, at_ns + offset_ns, payload, ready_ns + offset_ns, seq & _MAX_SEQUENCE)
        self.ledger.counts[topic] += 1

    def _register(self, topic: str, schema: str) -> int:
        if schema not in self._schemas:
            self._schemas[schema] = self._mcap.register_schema(schema, "protobuf", schema_data(schema))
        channel = self._mcap.register_channel(topic, "protobuf", self._schemas[schema])
        self._channels[topic] = channel
        return channel

    def _flush_with_reserve(self) -> None:
        """Flush; on a full disk free the reserve and try once more."""
        try:
            self._mcap.flush()
        except StorageError:
            if self._reserve is None or not is_disk_full(self._file.failure):
                raise
            self._reserve.release()
            self._file.retry()
