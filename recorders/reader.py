"""Reads one episode file: header, tracks, packets and exact random access to frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from recorders import tracks, wire
from recorders.composite import open_container
from recorders.episode_tracks import EpisodeTracks, named
from recorders.mcap_layout import ChunkPlace
from recorders.packet_index import PacketCollector, PacketIndex
from recorders.records import footer_from, header_from
from recorders.resample import nearest_index
from recorders.schema import (
    ATTACHMENT_PREVIEW,
    METADATA_FOOTER,
    METADATA_HEADER,
    TOPIC_INSTRUCTION,
    CameraHeader,
    EpisodeFooter,
    EpisodeHeader,
    FrameStamps,
    VideoTrack,
    topic_depth,
    topic_stamps,
)
from recorders.sensor_tracks import DepthImage, DepthTrack, depth_image, frame_stamps
from recorders.tracks import concatenated, unwrapped
from recorders.video import MAX_SIDE_PX
from recorders.video_access import CACHED_FRAMES, FrameAccess
from teleop_app.core.errors import EpisodeError

Image = NDArray[np.uint8]
MAX_CAMERAS = 64
MAX_JOINTS = 1024


class EpisodeReader(EpisodeTracks):
    """One episode; a context manager. Tracks are read when asked for, pixels one by one.

    All times are CLOCK_MONOTONIC [ns] of the recording host. Use it from one thread.

    Args:
        path: An `.mcap` file of this program.
        open_truncated: Read what a crash left, or what is there when a file of a long episode is missing;
            `footer` is None where the file has none.
        alone: Only this file, not the earlier ones of a long episode.

    Raises:
        EpisodeError: The file is missing, foreign, damaged, newer, or truncated and that is not allowed.

    Attributes:
        header: Who, what, where.
        footer: How it ended, None when truncated.
    """

    def __init__(self, path: Path, *, open_truncated: bool = False, alone: bool = False) -> None:
        self.path = path
        self.container = open_container(path, open_truncated=open_truncated, alone=alone)
        try:
            self.header, self.footer = self._records()
        except EpisodeError:
            self.container.close()
            raise
        super().__init__(self.container, self.header)
        self._packets: dict[str, PacketIndex | EpisodeError] = {}
        self._frames: dict[str, FrameAccess] = {}
        self._depth: dict[str, tuple[DepthTrack, list[tuple[ChunkPlace, int]]]] = {}

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

    @property
    def preview(self) -> bytes | None:
        """The strip of small pictures made while recording, a JPEG; None when there is none.

        Raises:
            EpisodeError: It is damaged.
        """
        if ATTACHMENT_PREVIEW not in self.container.contents.attachments:
            return None
        return self.container.attachment(ATTACHMENT_PREVIEW)

    def video(self, camera: str) -> VideoTrack:
        """Index of a camera's packets.

        Raises:
            EpisodeError: There is no such camera, or the file is damaged.
        """
        return self._index(camera).track

    def frame_stamps(self, camera: str) -> FrameStamps:
        """Further times of a camera's frames, in the order of `video`; 0 where unknown.

        Raises:
            EpisodeError: As `video`.
        """
        capture_ns, topic = self.video(camera).capture_ns, topic_stamps(camera)
        blocks = self.container.blocks(topic)
        return frame_stamps(capture_ns, blocks, lambda: self.decoder(topic), self.to_monotonic)

    def frame_number(self, camera: str, *, seq: int | None = None, at_ns: int | None = None) -> int | None:
        """Number of a frame by its grid number, or of the frame nearest to a time; None when it is lost.

        Raises:
            EpisodeError: As `video`.
        """
        index = self._index(camera)
        if seq is not None:
            return index.by_seq(seq)
        if at_ns is None or not len(index):
            return None
        return int(nearest_index(index.track.capture_ns, np.array([at_ns], np.int64))[0])

    def depth_track(self, camera: str) -> DepthTrack:
        """Index of a camera's depth images, without any when none were recorded.

        Raises:
            EpisodeError: There is no such camera, or the file is damaged.
        """
        return self._depth_index(camera)[0]

    def depth(self, camera: str, index: int) -> DepthImage:
        """Depth image `index` of a camera in counts of `DepthTrack.unit_m`, uint16 (height, width).

        Raises:
            EpisodeError: There is none, or it is damaged.
        """
        track, places = self._depth_index(camera)
        if not 0 <= index < len(places):
            raise EpisodeError(
                f"There is no depth image {index} of camera {camera}", why=f"it has {len(track.seq)}"
            )
        place, row = places[index]
        channel = self.container.channel(topic_depth(camera))
        block = self.container.block(place, channel.id if channel else -1)
        start = int(block.starts[row])
        return depth_image(block.data[start : start + int(block.lengths[row])].tobytes())

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

    def _depth_index(self, camera: str) -> tuple[DepthTrack, list[tuple[ChunkPlace, int]]]:
        header = self._camera(camera)
        if camera not in self._depth:
            channel = self.container.channel(topic_depth(camera))
            places: list[tuple[ChunkPlace, int]] = []
            times, ready, seq = [], [], []
            for place in self.container.contents.chunks if channel else ():
                if channel is None or channel.id not in place.channels:
                    continue
                block = self.container.block(place, channel.id)
                times.append(block.log_utc_ns)
                ready.append(block.publish_utc_ns)
                seq.append(block.seq)
                places += [(place, row) for row in range(len(block.starts))]
            capture_ns, receive_ns = (self.to_monotonic(concatenated(parts)) for parts in (times, ready))
            track = DepthTrack(header.depth_unit_m, capture_ns, receive_ns, unwrapped(concatenated(seq)))
            self._depth[camera] = track, places
        return self._depth[camera]

    def _camera(self, camera: str) -> CameraHeader:
        return named(self.header.cameras, camera, "camera")

    def _index(self, camera: str) -> PacketIndex:
        self._camera(camera)
        if not self._packets:
            collector = PacketCollector(self.container, self.header.cameras)
            collector.read()
            self._packets = collector.indexes(self.to_monotonic)
        found = self._packets[camera]
        if isinstance(found, EpisodeError):
            raise found
        return found

    def load(self) -> None:
        """Read all joint streams, ticks, forces, the world and where the packets lie in one pass.

        Raises:
            EpisodeError: The file is damaged.
        """
        collector = PacketCollector(self.container, self.header.cameras)
        self.load_with(collector.takers)
        self._packets = collector.indexes(self.to_monotonic)

    def rest(self) -> None:
        """Close the file until it is read again; tracks and indexes are kept, decoders are not."""
        self._frames.clear()
        self.container.rest()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self.container.close()

    def __enter__(self) -> EpisodeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
