"""An episode as rows: at each instant the pictures of all cameras, the state, the action, other streams.

Nothing is filled in silently: each cell says how far in time it is from its row, and a camera without a
frame near a row has no picture there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from recorders.reader import EpisodeReader
from recorders.resample import NEVER_NS, Resampled, nearest_index
from recorders.schema import Array, IntArray, VideoTrack
from recorders.video import Image
from recorders.video_access import FrameAccess, Images
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError

STATE, ACTION = "measured", "sent"
_PERIODS_APART = 0.75
"""A frame further than this many frame periods from a row is another row's: the row's own one is missing.
Without losses the nearest frame is at most half a period away, beside a lost one it is a whole period."""
_GROUP = 6
"""Rows decoded by one job of a camera while iterating: short jobs keep all threads busy."""
_AHEAD = 3
"""Groups decoded ahead of the one given out."""


@dataclass(frozen=True, slots=True)
class CameraRows:
    """What a camera shows in each row.

    Attributes:
        packet: Frame number, -1 where the camera has no frame near the row, shape (rows,).
        error_ns: Capture time of that frame minus the row's, `NEVER_NS` where there is none, shape (rows,).
    """

    packet: IntArray
    error_ns: IntArray

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Rows without a picture, shape (rows,)."""
        return self.packet < 0


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One row.

    Attributes:
        index: Its number.
        time_ns: Its instant, CLOCK_MONOTONIC [ns].
        images: RGB by camera, shape (height, width, 3), read-only; None where the camera has no frame.
        values: By stream.
        error_ns: By camera the capture time of its picture minus `time_ns`; by stream the distance to the
            sample that the value rests on. `NEVER_NS` where there is none.
        gaps: Streams whose value lies in a hole of the stream or outside it.
    """

    index: int
    time_ns: int
    images: Mapping[str, Image | None]
    values: Mapping[str, Array]
    error_ns: Mapping[str, int]
    gaps: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Cameras without a picture in this row."""
        return tuple(name for name, image in self.images.items() if image is None)

    @property
    def state(self) -> Array:
        """Measured joint vector."""
        return self.values[STATE]

    @property
    def action(self) -> Array:
        """Joint vector that was sent."""
        return self.values[ACTION]


class AlignedFrames(Sequence[AlignedRow]):
    """Rows of an episode by number, or in order with pictures decoded ahead. One thread.

    Args:
        reader: The open episode; it stays open for as long as rows are read.
        cameras: Cameras, the first one giving the rows; None: all.
        streams: Names of `EpisodeReader.series`.
        rate_hz: Rows at this rate instead of one for each frame of the first camera.
        include_preroll: Also what lies before the record key.
        size: Width and height [px] of the pictures; None: as recorded.
        cached: Pictures kept a camera.

    Raises:
        EpisodeError: A camera or stream is not there, or no row is.

    Attributes:
        time_ns: Instant of each row, increasing, shape (rows,).
        cameras: What each camera shows, by name.
        columns: Each stream on the rows, by name.
    """

    def __init__(
        self,
        reader: EpisodeReader,
        *,
        cameras: Sequence[str] | None = None,
        streams: Sequence[str] = (STATE, ACTION),
        rate_hz: float | None = None,
        include_preroll: bool = False,
        size: tuple[int, int] | None = None,
        cached: int = 8,
    ) -> None:
        names = tuple(c.name for c in reader.header.cameras) if cameras is None else tuple(cameras)
        if not names:
            raise EpisodeError(f"{reader.path.name} has no camera, so it has no rows")
        self.reader = reader
        tracks = {name: reader.video(name) for name in names}
        self.time_ns, self.cameras = camera_rows(reader, tracks, rate_hz, include_preroll)
        self.columns: dict[str, Resampled] = {name: reader.series(name).at(self.time_ns) for name in streams}
        self._size, self._cached = size, cached
        self._access: dict[str, FrameAccess] = {}

    def __len__(self) -> int:
        return len(self.time_ns)

    @overload
    def __getitem__(self, index: int) -> AlignedRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[AlignedRow]: ...
    def __getitem__(self, index: int | slice) -> AlignedRow | list[AlignedRow]:
        """A row, or several decoded in one pass.

        Raises:
            IndexError: There is no such row.
            EpisodeError: A picture cannot be decoded.
        """
        if isinstance(index, slice):
            return self.rows(range(*index.indices(len(self))))
        number = range(len(self))[index]
        return self.rows((number,))[0]

    def __iter__(self) -> Iterator[AlignedRow]:
        """Rows in order, decoded ahead by other threads."""
        waiting: deque[tuple[range, dict[str, Future[Images]]]] = deque()
        for first in range(0, len(self), _GROUP):
            numbers = range(first, min(first + _GROUP, len(self)))
            waiting.append((numbers, self.request(numbers)))
            if len(waiting) > _AHEAD:
                yield from self._finished(*waiting.popleft())
        while waiting:
            yield from self._finished(*waiting.popleft())

    def rows(self, indices: Sequence[int]) -> list[AlignedRow]:
        """Rows in the order asked for; the pictures are decoded in one pass, cameras side by side.

        Raises:
            EpisodeError: A picture cannot be decoded.
        """
        return list(self._finished(indices, self.request(indices)))

    def access(self, camera: str) -> FrameAccess:
        """The decoder of a camera, which gives pictures in the size of the rows."""
        if camera not in self._access:
            self._access[camera] = self.reader.frame_access(camera, size=self._size, cached=self._cached)
        return self._access[camera]

    def rest(self) -> None:
        """Give up decoders and close the file until a row is asked for. Rows on their way still come."""
        self._access.clear()
        self.reader.rest()

    def request(self, indices: Sequence[int]) -> dict[str, Future[Images]]:
        """Have the pictures of rows decoded by other threads; by camera, then by frame number.

        Raises:
            EpisodeError: The file is damaged.
        """
        wanted = np.asarray(indices, np.int64)
        found: dict[str, Future[Images]] = {}
        for name, shown in self.cameras.items():
            packets = shown.packet[wanted]
            found[name] = self.access(name).request(packets[packets >= 0].tolist())
        return found

    def _finished(self, indices: Sequence[int], jobs: Mapping[str, Future[Images]]) -> Iterator[AlignedRow]:
        images = {name: job.result() for name, job in jobs.items()}
        for index in indices:
            yield self._row(index, images)

    def _row(self, index: int, images: Mapping[str, Images]) -> AlignedRow:
        errors = {name: int(rows.error_ns[index]) for name, rows in self.cameras.items()}
        errors |= {name: int(column.distance_ns[index]) for name, column in self.columns.items()}
        return AlignedRow(
            index=index,
            time_ns=int(self.time_ns[index]),
            images={name: images[name].get(int(rows.packet[index])) for name, rows in self.cameras.items()},
            values={name: column.value[index] for name, column in self.columns.items()},
            error_ns=errors,
            gaps=tuple(name for name, column in self.columns.items() if column.gap[index]),
        )


def camera_rows(
    reader: EpisodeReader, tracks: Mapping[str, VideoTrack], rate_hz: float | None, include_preroll: bool
) -> tuple[IntArray, dict[str, CameraRows]]:
    """Instants of the rows (rows,), and what each camera shows in them.

    Args:
        reader: The episode.
        tracks: When the frames of each camera were captured; the first one gives the rows.
        rate_hz: As for `AlignedFrames`.
        include_preroll: As for `AlignedFrames`.

    Raises:
        EpisodeError: There is no row.
    """
    first = next(iter(tracks))
    time_ns = _instants(tracks[first], 0 if include_preroll else reader.header.start_ns, rate_hz)
    if not len(time_ns):
        raise EpisodeError(
            f"{reader.path.name} has no rows",
            why=f"camera {first} has no frame that can be decoded from the record key on",
        )
    return time_ns, {name: pair_frames(track, time_ns) for name, track in tracks.items()}


def _instants(track: VideoTrack, begin_ns: int, rate_hz: float | None) -> IntArray:
    keyframes = np.flatnonzero(track.keyframe)
    if not len(keyframes):
        return np.zeros(0, np.int64)
    times = track.capture_ns[keyframes[0] :]
    times = times[times >= begin_ns]
    if rate_hz is None or not len(times):
        return times
    if not 0 < rate_hz <= NS_PER_S:
        raise EpisodeError(f"Rows at {rate_hz} Hz cannot be made", next_step="Give a rate above 0")
    count = int((times[-1] - times[0]) * rate_hz // NS_PER_S) + 1
    return times[0] + np.rint(np.arange(count) * (NS_PER_S / rate_hz)).astype(np.int64)


def pair_frames(track: VideoTrack, time_ns: IntArray) -> CameraRows:
    """The frame of a camera nearest to each instant, none where its own one is lost.

    Args:
        track: The camera's packets.
        time_ns: Shape (rows,).
    """
    keyframes = np.flatnonzero(track.keyframe)
    none = np.full(len(time_ns), -1, np.int64)
    if not len(keyframes):
        return CameraRows(none, np.full(len(time_ns), NEVER_NS, np.int64))
    first = int(keyframes[0])
    found = nearest_index(track.capture_ns[first:], time_ns) + first
    error_ns = track.capture_ns[found] - time_ns
    near = np.abs(error_ns) <= _PERIODS_APART * NS_PER_S / track.camera.fps
    return CameraRows(np.where(near, found, none), np.where(near, error_ns, NEVER_NS))
