"""Reads one episode file: header, tracks, packets and exact random access to frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from recorders import tracks, wire
from recorders.composite import open_container
from recorders.packet_index import PacketIndex, packet_indexes
from recorders.records import footer_from, header_from
from recorders.schema import (
    JOINT_KINDS,
    METADATA_FOOTER,
    METADATA_HEADER,
    TOPIC_EVENT,
    TOPIC_INPUT,
    TOPIC_INSTRUCTION,
    TOPIC_TICK,
    TOPIC_WORLD,
    EpisodeFooter,
    EpisodeHeader,
    EventRecord,
    ForceTrack,
    JointTrack,
    PoseTrack,
    TickTrack,
    VideoTrack,
    WorldTrack,
    topic_force,
    topic_joints,
    topic_operator,
)
from recorders.series import Series, series_of
from recorders.tracks import Decoder, TickColumns, concatenated
from recorders.video import MAX_SIDE_PX
from recorders.video_access import CACHED_FRAMES, FrameAccess
from teleop_app.core.clock import ClockAnchor
from teleop_app.core.errors import EpisodeError

Image = NDArray[np.uint8]
MAX_CAMERAS = 64
MAX_JOINTS = 1024


class EpisodeReader:
    """One episode; a context manager. Tracks are read when asked for, pixels one by one.

    All times are CLOCK_MONOTONIC [ns] of the recording host. Use it from one thread.

    Args:
        path: An `.mcap` file of this program.
        open_truncated: Read what a crash left; `footer` is then None.

    Raises:
        EpisodeError: The file is missing, foreign, damaged, newer, or truncated and that is not allowed.

    Attributes:
        header: Who, what, where.
        footer: How it ended, None when truncated.
    """

    def __init__(self, path: Path, *, open_truncated: bool = False) -> None:
        self.path = path
        self.container = open_container(path, open_truncated=open_truncated)
        try:
            self.header, self.footer = self._records()
        except EpisodeError:
            self.container.close()
            raise
        self._anchor = ClockAnchor(self.header.anchor_monotonic_ns, self.header.anchor_utc_ns)
        self._decoders: dict[int, Decoder] = {}
        self._joints: dict[str, JointTrack] = {}
        self._ticks: tuple[TickTrack, NDArray[np.float64]] | None = None
        self._packets: dict[str, PacketIndex | EpisodeError] = {}
        self._frames: dict[str, FrameAccess] = {}

    def _records(self) -> tuple[EpisodeHeader, EpisodeFooter | None]:
        metadata = self.container.contents.metadata
        if METADATA_HEADER not in metadata:
            raise EpisodeError(
                f"{self.path.name} is not an episode of this program", why="it has no episode header"
            )
        header = header_from(metadata[METADATA_HEADER])
        if len(header.cameras) > MAX_CAMERAS or len(header.joint_names) > MAX_JOINTS:
            raise self.container.damaged("its header is out of bounds")
        for camera in header.cameras:
            if not (0 < camera.width <= MAX_SIDE_PX and 0 < camera.height <= MAX_SIDE_PX and camera.fps > 0):
                raise self.container.damaged(f"camera {camera.name} has an impossible size or rate")
        raw_footer = metadata.get(METADATA_FOOTER)
        return header, footer_from(raw_footer) if raw_footer is not None else None

    @property
    def truncated(self) -> bool:
        """The file has no end."""
        return self.container.contents.truncated

    def joints(self, kind: str) -> JointTrack:
        """A joint-vector stream, empty when it was not recorded.

        Args:
            kind: One of `JOINT_KINDS`.

        Raises:
            EpisodeError: The kind is unknown, or the file is damaged.
        """
        if kind not in JOINT_KINDS:
            raise EpisodeError(
                f"There is no joint stream {kind!r}", next_step=f"Known are {', '.join(JOINT_KINDS)}"
            )
        if kind not in self._joints:
            topic, names = topic_joints(kind), self.header.joint_names
            times, values = [], [np.zeros((0, len(names), 3))]
            for block in self.container.blocks(topic):
                times.append(block.log_utc_ns)
                values.append(tracks.joint_values(block, names, self._decoder(topic)))
            joined = np.concatenate(values)
            self._joints[kind] = JointTrack(
                names=names,
                capture_ns=self.to_monotonic(concatenated(times)),
                position=np.ascontiguousarray(joined[:, :, 0]),
                velocity=np.ascontiguousarray(joined[:, :, 1]),
                effort=np.ascontiguousarray(joined[:, :, 2]),
            )
        return self._joints[kind]

    def series(self, name: str) -> Series:
        """Any numeric stream in one shape; without samples when none was recorded.

        Args:
            name: A joint stream of `JOINT_KINDS`; `velocity` or `effort` (measured); `operator/<arm>`;
                `force/<sensor>`; `world`; or the name of a numeric stream.

        Raises:
            EpisodeError: There is no such stream, or the file is damaged.
        """
        return series_of(self, name)

    def operator(self, arm: str) -> PoseTrack:
        """What the hand asked of an arm, only where it asked; times are those of the control ticks.

        Raises:
            EpisodeError: There is no such arm, or the file is damaged.
        """
        if arm not in self.header.arms:
            raise EpisodeError(
                f"There is no arm {arm!r}", next_step=f"Known are {', '.join(self.header.arms)}"
            )
        topic = topic_operator(arm)
        times, poses = [], [np.zeros((0, 7))]
        for block in self.container.blocks(topic):
            times.append(block.log_utc_ns)
            poses.append(tracks.pose_values(block, self._decoder(topic)))
        capture_ns = self.to_monotonic(concatenated(times))
        ticks, grippers = self._tick_columns()
        gripper = np.full(len(capture_ns), np.nan)
        if len(ticks.capture_ns):
            at = np.minimum(np.searchsorted(ticks.capture_ns, capture_ns), len(ticks.capture_ns) - 1)
            same = ticks.capture_ns[at] == capture_ns
            gripper[same] = grippers[at[same], self.header.arms.index(arm)]
        return PoseTrack(capture_ns=capture_ns, pose=np.concatenate(poses), gripper=gripper)

    def ticks(self) -> TickTrack:
        """Control ticks.

        Raises:
            EpisodeError: The file is damaged.
        """
        return self._tick_columns()[0]

    def _tick_columns(self) -> tuple[TickTrack, NDArray[np.float64]]:
        if self._ticks is None:
            columns, times = TickColumns(), []
            for block in self.container.blocks(TOPIC_TICK):
                times.append(block.log_utc_ns)
                for payload in block.payloads():
                    columns.add(payload)
            track = TickTrack(
                capture_ns=self.to_monotonic(concatenated(times)),
                lateness_ns=np.array(columns.lateness_ns, np.int64),
                input_age_ns=np.array(columns.input_age_ns, np.int64),
                flags=np.array(columns.flags, np.int64),
                state=tuple(columns.state),
                actor=tuple(columns.actor),
            )
            grippers = np.full((len(columns.gripper), len(self.header.arms)), np.nan)
            for row, values in zip(grippers, columns.gripper, strict=True):
                row[: len(values)] = values[: len(row)]
            self._ticks = track, grippers
        return self._ticks

    def force(self, name: str) -> ForceTrack:
        """A force sensor's samples, empty when none was recorded.

        Raises:
            EpisodeError: The file is damaged.
        """
        times, forces = [], [np.zeros((0, 3))]
        for block in self.container.blocks(topic_force(name)):
            for payload in block.payloads():
                values = dict(wire.fields(payload))
                stamps, force = tracks.integers(values.get(3)), tracks.doubles(values.get(4))
                if len(force) != 3 * len(stamps):
                    raise self.container.damaged("a force message has another shape than its times")
                times.append(stamps)
                forces.append(force.reshape(-1, 3))
        return ForceTrack(name, self.to_monotonic(concatenated(times)), np.concatenate(forces))

    def world(self) -> WorldTrack | None:
        """The simulated world, None when none was recorded.

        Raises:
            EpisodeError: The file is damaged.
        """
        times, clock, states = [], [], []
        for block in self.container.blocks(TOPIC_WORLD):
            times.append(block.log_utc_ns)
            for payload in block.payloads():
                values = dict(wire.fields(payload))
                clock.append(tracks.doubles(values.get(2)))
                states.append(tracks.doubles(values.get(3)))
        if not states:
            return None
        if {len(state) for state in states} != {len(states[0])} or {len(c) for c in clock} - {0, 1}:
            raise self.container.damaged("its world states have different lengths")
        return WorldTrack(
            capture_ns=self.to_monotonic(concatenated(times)),
            sim_time_s=np.array([c[0] if len(c) else 0.0 for c in clock]),
            qpos=np.stack(states),
        )

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

    def input_times(self) -> NDArray[np.int64]:
        """Capture times of the operator samples of all sources, increasing, shape (k,)."""
        blocks = self.container.blocks(TOPIC_INPUT)
        return np.sort(self.to_monotonic(concatenated(block.log_utc_ns for block in blocks)))

    @property
    def instruction(self) -> str:
        """What the operator was asked to do, as it stands on the language topic."""
        for block in self.container.blocks(TOPIC_INSTRUCTION):
            for payload in block.payloads():
                return tracks.text(dict(wire.fields(payload)).get(2))
        return self.header.instruction

    @property
    def attachments(self) -> Mapping[str, bytes]:
        """Attached files by name, such as `station.toml`.

        Raises:
            EpisodeError: One is damaged.
        """
        return {name: self.container.attachment(name) for name in self.container.contents.attachments}

    def video(self, camera: str) -> VideoTrack:
        """Index of a camera's packets.

        Raises:
            EpisodeError: There is no such camera, or the file is damaged.
        """
        return self._index(camera).track

    def packets(
        self, camera: str, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[int, int, bool, bytes]]:
        """Packets start..stop (exclusive) as (index, capture_ns, keyframe, access unit), not decoded.

        Raises:
            EpisodeError: As `video`.
        """
        index = self._index(camera)
        begin, end, _ = slice(start, stop).indices(len(index))
        times, keyframes = index.track.capture_ns, index.track.keyframe
        for number in range(begin, end):
            yield number, int(times[number]), bool(keyframes[number]), index.packet(number)

    def frame(self, camera: str, index: int) -> Image:
        """Frame `index` of a camera, RGB of shape (height, width, 3).

        Random access decodes from the keyframe before; stepping on costs one frame.

        Raises:
            EpisodeError: There is no such frame, or it cannot be decoded.
        """
        if camera not in self._frames:
            self._frames[camera] = FrameAccess(self._index(camera))
        return self._frames[camera].frame(index)

    def frame_access(
        self, camera: str, *, size: tuple[int, int] | None = None, cached: int = CACHED_FRAMES
    ) -> FrameAccess:
        """A decoder of its own for a camera: many frames at once, in other threads, scaled.

        Args:
            camera: Its name.
            size: Width and height [px] to scale to; None: as recorded.
            cached: Images it keeps.

        Raises:
            EpisodeError: As `video`.
        """
        return FrameAccess(self._index(camera), size=size, cached=cached)

    def frames(self, camera: str, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Image]:
        """Frames start, start + step, ... below `stop`, with a decoder of their own.

        Raises:
            EpisodeError: As `frame`.
        """
        access = FrameAccess(self._index(camera))
        for number in range(*slice(start, stop, step).indices(len(self._index(camera)))):
            yield access.frame(number)

    def _index(self, camera: str) -> PacketIndex:
        if camera not in {c.name for c in self.header.cameras}:
            names = ", ".join(c.name for c in self.header.cameras) or "none"
            raise EpisodeError(f"There is no camera {camera!r}", next_step=f"Known are {names}")
        if not self._packets:
            self._packets = packet_indexes(self.container, self.header.cameras, self.to_monotonic)
        found = self._packets[camera]
        if isinstance(found, EpisodeError):
            raise found
        return found

    def _decoder(self, topic: str) -> Decoder:
        channel = self.container.channel(topic)
        schema = self.container.contents.schemas.get(channel.schema_id) if channel else None
        if schema is None:
            raise self.container.damaged(f"the topic {topic} has no schema")
        if schema.id not in self._decoders:
            self._decoders[schema.id] = Decoder(schema)
        return self._decoders[schema.id]

    def to_monotonic(self, utc_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The recording host's CLOCK_MONOTONIC [ns] of UTC times in the file [ns]."""
        return utc_ns - self._anchor.utc_ns + self._anchor.monotonic_ns

    def close(self) -> None:
        """Close the file. Idempotent."""
        self.container.close()

    def __enter__(self) -> EpisodeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
