"""Writes one episode: an MCAP file that grows in `open/` and is published once it is durable."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recorders import message_bodies, messages
from recorders.durability import SYSTEM, Reserve, SystemCalls
from recorders.episode_footers import EpisodeFooters
from recorders.ledger import Ledger
from recorders.message_sink import MessageSink
from recorders.schema import (
    ATTACHMENT_PREVIEW,
    ATTACHMENT_ROBOT,
    TOPIC_INSTRUCTION,
    AudioHeader,
    EpisodeFooter,
    EpisodeHeader,
    SegmentRef,
    StreamHeader,
    topic_video,
)
from recorders.segments import EpisodeFiles
from recorders.stream_writers_camera import CameraWriter
from recorders.stream_writers_control import ControlWriter
from recorders.stream_writers_sensor import SensorWriter, with_sound_streams
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError, StorageError
from teleop_app.core.types import (
    AudioBlock,
    ClockFit,
    ControlTick,
    DepthPacket,
    Event,
    ForceBatch,
    InputSample,
    PolicyChunk,
    StreamBatch,
    VideoPacket,
    WorldState,
)

if TYPE_CHECKING:
    from recorders.robot_scene import RobotScene

logger = logging.getLogger(__name__)
MAX_PREVIEW_BYTES = 1 << 20
MAX_JOINED = 64
"""Streams and microphones that may join an open episode: each one writes the header again."""


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
        size_bytes: Of all its files.
        blake3: 64 hex digits of the file at `path`, which holds those of the earlier ones.
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

    Not thread-safe. Threads of its own write and sync: `add_*` wait for the disk only when much waits for
    it already (`would_wait`). After a StorageError nothing more is taken, and `finish` closes what there
    is.

    Args:
        path: `open/<uuid>.mcap`, must not exist.
        header: Who, what, where.
        destination: Where `finish` moves the file: `episodes/<uuid>.mcap`, same file system.
        attachments: Written at the start.
        flush_s: A chunk ends this long after it began: about what a kill loses.
        sync_s: Seconds between background syncs: about what a power cut loses.
        reserve: Freed when the disk is full.
        segment_s: A longer episode becomes several files of this length; see `recorders.segments`.
        want_keyframe: Asks the cameras for a keyframe where a file ends; must not block.
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
        segment_s: float = 600.0,
        want_keyframe: Callable[[], None] | None = None,
        calls: SystemCalls = SYSTEM,
    ) -> None:
        self.ledger = Ledger()
        self.header, unsound = with_sound_streams(header)
        for sentence in unsound:
            self.ledger.note(sentence)
        self._flush_ns = round(flush_s * NS_PER_S)
        self._flush_due_ns = 0
        self._preview = b""
        self._footers = EpisodeFooters(self.header, self.ledger)
        self._finished: FinishedEpisode | None = None
        self._joined = 0
        self._turned_away: set[str] = set()
        self._files = EpisodeFiles(
            path,
            self.header,
            destination=destination,
            segment_s=segment_s,
            segment_footer=self._footers.of_segment,
            topic_turned=self._footers.turn,
            want_keyframe=want_keyframe,
            sync_s=sync_s,
            reserve=reserve,
            calls=calls,
        )
        offset_ns = header.anchor_utc_ns - header.anchor_monotonic_ns
        self._sink = MessageSink(self._files, self.ledger, self._footers.capture_ns, offset_ns)
        self._scene = _robot_scene(self._sink, self.header, attachments)
        self._control = ControlWriter(self._sink, self.header, self._scene)
        self._camera = CameraWriter(self._sink, self.header)
        self._sensor = SensorWriter(self._sink, self.header)
        try:
            self._begin(attachments)
        except StorageError:
            self._files.close()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)  # no sample is in it
            raise

    def _begin(self, attachments: tuple[Attachment, ...]) -> None:
        header = self.header
        for item in attachments:
            self._attach(item)
        started_ns = header.started_utc_ns - self._sink.offset_ns
        body = message_bodies.instruction_body(header.instruction, header.task, header.paraphrases)
        payload = self._sink.stamp(started_ns) + body
        self._sink.put(TOPIC_INSTRUCTION, messages.INSTRUCTION, started_ns, payload, started_ns, 0)
        self._camera.add_calibrations(started_ns)
        if self._scene is not None:
            self._scene.begin(started_ns)
        self._files.end_preface()

    def _attach(self, item: Attachment) -> None:
        self._files.attach(self.header.started_utc_ns, item.name, item.media_type, item.content)

    @property
    def size_bytes(self) -> int:
        """Bytes written so far, without the chunk in progress."""
        return self._files.size_bytes

    @property
    def backlog(self) -> float:
        """How full the queue to the disk is, 0..1."""
        return self._files.backlog

    @property
    def would_wait(self) -> bool:
        """Whether `add_*` and `poll` may wait for the disk now."""
        return self._files.would_wait

    @property
    def stalled_s(self) -> float:
        """For how long the disk has taken nothing of what waits for it."""
        return self._files.stalled_s

    @property
    def path(self) -> Path:
        """The open file, the first one of a long episode."""
        return self._files.path

    @property
    def duration_s(self) -> float:
        """First to last frame or tick so far."""
        return self._footers.duration_ns / NS_PER_S

    @property
    def ticks(self) -> int:
        """Control ticks written so far."""
        return self._footers.ticks

    def has_takeover(self, number: int) -> bool:
        """Whether a takeover from a policy belongs to this episode."""
        return self._footers.rollout.has_takeover(number)

    def frames(self, camera: str) -> int:
        """Frames of a camera written so far."""
        return self._camera.frames(camera)

    def lost_frames(self, camera: str) -> int:
        """Frames of a camera lost so far."""
        return self.ledger.lost[topic_video(camera)]

    def join(self, *, streams: Iterable[StreamHeader] = (), audio: Iterable[AudioHeader] = ()) -> None:
        """Streams and microphones that came after the episode began: the header, with them, is written again.

        Those that the header names already stay as they are; one that cannot be recorded is told in the
        footer, as are those beyond `MAX_JOINED`.
        """
        known = {stream.name for stream in self.header.streams} | self._turned_away
        heard = {source.name for source in self.header.audio} | self._turned_away
        new_streams = tuple(stream for stream in streams if stream.name not in known)
        new_audio = tuple(source for source in audio if source.name not in heard)
        if not new_streams and not new_audio:
            return
        self._joined += len(new_streams) + len(new_audio)
        if self._joined > MAX_JOINED:
            self.ledger.note(f"More than {MAX_JOINED} streams came during the episode; the rest is left out.")
            return
        wanted = dataclasses.replace(
            self.header,
            streams=(*self.header.streams, *new_streams),
            audio=(*self.header.audio, *new_audio),
        )
        self.header, unsound = with_sound_streams(wanted)
        for sentence in unsound:
            self.ledger.note(sentence)
        kept = {item.name for item in (*self.header.streams, *self.header.audio)}
        self._turned_away |= {item.name for item in (*new_streams, *new_audio)} - kept
        self._files.rewrite_header(self.header)
        self._footers.rewrite_header(self.header)
        self._sensor.rewrite_header(self.header)

    def add_tick(self, tick: ControlTick) -> None:
        """A control tick: its joint streams, operator poses and state.

        Raises:
            StorageError: The disk refused an earlier chunk.
        """
        if self._control.add_tick(tick):
            self._footers.see_tick(tick)
        self.poll()

    def add_chunk(self, chunk: PolicyChunk) -> None:
        """A chunk of actions that a policy proposed.

        Raises:
            StorageError: As `add_tick`.
        """
        if self._control.add_chunk(chunk):
            self._footers.rollout.see_chunk(chunk)

    def add_input(self, sample: InputSample, receive_ns: int | None = None) -> None:
        """An operator sample as it came.

        Args:
            sample: From any device.
            receive_ns: When it arrived here; capture time if unknown.

        Raises:
            StorageError: As `add_tick`.
        """
        self._control.add_input(sample, receive_ns)

    def add_event(self, event: Event) -> None:
        """Something that happened.

        Raises:
            StorageError: As `add_tick`.
        """
        self._control.add_event(event)
        self._footers.rollout.see_event(event.kind, event.capture_ns, event.fields)

    def add_packet(self, packet: VideoPacket) -> None:
        """An encoded frame; the first one of a camera must be a keyframe.

        Raises:
            StorageError: As `add_tick`.
        """
        if self._camera.add_packet(packet):
            self._footers.extend(packet.capture_ns)
        self.poll()

    def add_depth(self, packet: DepthPacket) -> None:
        """A depth image of a camera whose header has a depth unit.

        Raises:
            StorageError: As `add_tick`.
        """
        self._camera.add_depth(packet)
        self.poll()

    def add_stream(self, batch: StreamBatch) -> None:
        """Samples of a numeric stream that the header names.

        Raises:
            StorageError: As `add_tick`.
        """
        self._sensor.add_stream(batch)
        self.poll()

    def add_audio(self, block: AudioBlock) -> None:
        """Sound of a microphone that the header names.

        Raises:
            StorageError: As `add_tick`.
        """
        self._sensor.add_audio(block)
        self.poll()

    def add_clock(self, fit: ClockFit) -> None:
        """How a device's clock maps to the host's.

        Raises:
            StorageError: As `add_tick`.
        """
        self._sensor.add_clock(fit)

    def add_force(self, batch: ForceBatch) -> None:
        """Contact forces; each sensor's part is one message at the time of its first sample.

        Raises:
            StorageError: As `add_tick`.
        """
        self._sensor.add_force(batch)
        self.poll()

    def add_world(self, world: WorldState) -> None:
        """State of the simulated world.

        Raises:
            StorageError: As `add_tick`.
        """
        self._sensor.add_world(world)

    def set_preview(self, jpeg: bytes) -> None:
        """Keep a strip of small pictures; the last one given is attached when the episode ends.

        Args:
            jpeg: At most `MAX_PREVIEW_BYTES`; anything else is left out with a sentence.
        """
        if jpeg.startswith(b"\xff\xd8") and len(jpeg) <= MAX_PREVIEW_BYTES:
            self._preview = jpeg
        else:
            self.ledger.note(f"The preview is left out: {len(jpeg)} bytes that are no small JPEG.")

    def poll(self) -> None:
        """End the chunk when its time is up. Called by `add_*`; call it yourself while nothing comes.

        Raises:
            StorageError: The disk is full or broken; the episode up to the last chunk is kept.
        """
        now_ns = time.monotonic_ns()
        if now_ns >= self._flush_due_ns:
            self._files.flush()
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
        footers: list[EpisodeFooter] = []

        def footer(segments: tuple[SegmentRef, ...]) -> EpisodeFooter:
            made = self._footers.of_episode(
                self._files.counts, outcome, segments, truncated=bool(truncated), recovered=recovered
            )
            footers.append(made)
            return made

        if self._preview:
            self._attach(Attachment(ATTACHMENT_PREVIEW, "image/jpeg", self._preview))
        published = self._files.finish(footer)
        self._finished = FinishedEpisode(
            path=published.path,
            header=self.header,
            footer=footers[0],
            size_bytes=published.size_bytes,
            blake3=published.digest.blake3,
            spans=self.ledger.spans(),
            finish_ms=(time.perf_counter() - began) * 1e3,
        )
        return self._finished

    def abandon(self) -> None:
        """Close the file where it is, for recovery or removal. Idempotent."""
        self._files.close()


def _robot_scene(
    sink: MessageSink, header: EpisodeHeader, attachments: tuple[Attachment, ...]
) -> RobotScene | None:
    """What places robot and cameras for viewers; None when nothing says where they are."""
    mjcf = next(
        (item.content.decode(errors="replace") for item in attachments if item.name == ATTACHMENT_ROBOT), ""
    )
    if not mjcf and not any(camera.parent_T_camera for camera in header.cameras):
        return None
    from recorders.robot_scene import RobotScene  # MuJoCo: not for those who write no such episode

    try:
        return RobotScene(sink, header, mjcf)
    except EpisodeError as error:
        sink.ledger.note(f"Viewers will not show the robot: {error.sentence}")
        return RobotScene(sink, header, "")
