"""A camera's packets in an episode file: when each was captured, where it lies, where decoding can start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recorders.container import Container
from recorders.mcap_layout import ChunkPlace
from recorders.message_blocks import Batch, Block
from recorders.schema import CameraHeader, IntArray, VideoTrack, topic_video
from recorders.tracks import concatenated, unwrapped, video_payload, video_places
from recorders.video import is_keyframe
from teleop_app.core.errors import EpisodeError

ToMonotonic = Callable[[IntArray], IntArray]
_UNKNOWN = -1
_SLICE = 1


@dataclass(slots=True)
class _Collected:
    """One camera's columns while the file is read."""

    camera: str
    channel: int
    capture: list[IntArray] = field(default_factory=list)
    ready: list[IntArray] = field(default_factory=list)
    seq: list[IntArray] = field(default_factory=list)
    keyframe: list[NDArray[np.bool_]] = field(default_factory=list)
    chunk: list[IntArray] = field(default_factory=list)
    start: list[IntArray] = field(default_factory=list)
    length: list[IntArray] = field(default_factory=list)
    error: EpisodeError | None = None

    def take(self, batch: Batch, block: Block) -> None:
        """Append the packets of some chunks, until one is not as it should be."""
        if self.error is None:
            try:
                self._add(batch, block)
            except EpisodeError as error:
                self.error = error

    def _add(self, batch: Batch, block: Block) -> None:
        self.capture.append(block.log_utc_ns)
        self.ready.append(block.publish_utc_ns)
        self.seq.append(block.seq)
        chunk = np.searchsorted(batch.begins, block.starts, side="right") - 1
        self.chunk.append(batch.chunks[chunk])
        places = video_places(block, self.camera)
        if places is None:
            self.start.append(block.starts - batch.begins[chunk])
            self.length.append(-block.lengths)  # of the whole message: its fields are found when it is read
            self.keyframe.append(
                np.array([is_keyframe(video_payload(p)) for p in block.payloads()], np.bool_)
            )
            return
        starts, lengths = places
        self.start.append(starts - batch.begins[chunk])
        self.length.append(lengths)
        self.keyframe.append(_keyframes(block, starts, lengths))


def _keyframes(block: Block, starts: IntArray, lengths: IntArray) -> NDArray[np.bool_]:
    """Which access units hold an IDR slice; those that begin with a plain slice are settled at once."""
    long = lengths >= 5
    heads = block.data[np.where(long, starts, 0)[:, None] + np.arange(5)]
    plain = long & (heads[:, :4] == (0, 0, 0, 1)).all(axis=1) & (heads[:, 4] & 0x1F == _SLICE)
    found = np.zeros(len(starts), np.bool_)
    for row in np.flatnonzero(~plain).tolist():
        start = int(starts[row])
        found[row] = is_keyframe(block.data[start : start + int(lengths[row])].tobytes())
    return found


class PacketIndex:
    """All packets of one camera; the bytes stay in the file. Made by `PacketCollector`.

    Attributes:
        camera: Its header.
        track: When each frame was captured, its grid number, and which are keyframes.
    """

    def __init__(
        self,
        container: Container,
        places: Sequence[ChunkPlace],
        camera: CameraHeader,
        collected: _Collected,
        monotonic: ToMonotonic,
    ) -> None:
        self.camera = camera
        self._container = container
        self._places = places
        self._channel = collected.channel
        self._chunk = concatenated(collected.chunk)
        self._start = concatenated(collected.start)
        self._length = concatenated(collected.length)
        self.track = VideoTrack(
            camera=camera,
            capture_ns=monotonic(concatenated(collected.capture)),
            receive_ns=monotonic(concatenated(collected.ready)),
            seq=unwrapped(concatenated(collected.seq)),
            keyframe=np.concatenate([np.zeros(0, np.bool_), *collected.keyframe]),
        )
        self._keyframes = np.flatnonzero(self.track.keyframe)

    def __len__(self) -> int:
        return len(self._start)

    def packet(self, index: int) -> bytes:
        """Access unit number `index`.

        Raises:
            EpisodeError: There is none, or its chunk is damaged.
        """
        return self.packets(index, index + 1)[0]

    def packets(self, first: int, stop: int) -> list[bytes]:
        """Access units first..stop-1, each chunk read once.

        Raises:
            EpisodeError: As `packet`.
        """
        if not 0 <= first < stop <= len(self):
            raise EpisodeError(
                f"There is no frame {first if not 0 <= first < len(self) else stop - 1} of camera "
                f"{self.camera.name}",
                why=f"it has {len(self)} frames",
            )
        found: list[bytes] = []
        chunk, data = _UNKNOWN, np.zeros(0, np.uint8)
        for number, start, length in zip(
            self._chunk[first:stop].tolist(),
            self._start[first:stop].tolist(),
            self._length[first:stop].tolist(),
            strict=True,
        ):
            if number != chunk:
                chunk, data = number, self._container.chunk(self._places[number])
            content = data[start : start + abs(length)].tobytes()
            found.append(content if length >= 0 else video_payload(content))
        return found

    def keyframe_before(self, index: int) -> int:
        """The last keyframe at or before `index`.

        Raises:
            EpisodeError: There is none.
        """
        at = int(np.searchsorted(self._keyframes, index, side="right")) - 1
        if at < 0:
            raise EpisodeError(f"Frame {index} of camera {self.camera.name} has no keyframe before it")
        return int(self._keyframes[at])

    def by_seq(self, seq: int) -> int | None:
        """Number of the frame with this grid number; None when that frame was lost."""
        at = int(np.searchsorted(self.track.seq, seq))
        return at if at < len(self) and self.track.seq[at] == seq else None


class PacketCollector:
    """Indexes of several cameras while one pass through the file fills them.

    Args:
        container: The open file.
        cameras: Those to index.
    """

    def __init__(self, container: Container, cameras: Sequence[CameraHeader]) -> None:
        self._container = container
        self._cameras = cameras
        self._columns: list[_Collected] = []
        for camera in cameras:
            channel = container.channel(topic_video(camera.name))
            self._columns.append(_Collected(camera.name, _UNKNOWN if channel is None else channel.id))

    @property
    def takers(self) -> dict[int, Callable[[Batch, Block], None]]:
        """By channel, who takes its messages."""
        return {each.channel: each.take for each in self._columns if each.channel != _UNKNOWN}

    def read(self) -> None:
        """Make the pass.

        Raises:
            EpisodeError: The file is damaged.
        """
        takers = self.takers
        for batch in self._container.batches(takers):
            for channel, block in batch.blocks.items():
                takers[channel](batch, block)

    def indexes(self, monotonic: ToMonotonic) -> dict[str, PacketIndex | EpisodeError]:
        """By camera its index, or why there is none: one camera's damage does not cost the others.

        Args:
            monotonic: Converts UTC to the host's monotonic time [ns].
        """
        places = self._container.contents.chunks
        return {
            camera.name: columns.error or PacketIndex(self._container, places, camera, columns, monotonic)
            for camera, columns in zip(self._cameras, self._columns, strict=True)
        }
