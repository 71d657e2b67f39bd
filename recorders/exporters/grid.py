"""The common frame grid of an episode: which rows a dataset gets, and which packet each row shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recorders.schema import IntArray, VideoTrack
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import ExportError


@dataclass(frozen=True, slots=True)
class CameraGrid:
    """One camera on the grid.

    Attributes:
        name: Camera.
        packet: Packet shown by each row, shape (rows,): its own, or the one before where it is lost.
        repeated: Rows whose own packet is lost, shape (rows,) bool.
        capture_ns: Capture time of the packet shown, shape (rows,).
        first_is_keyframe: Decoding can start at row 0.
        trimmed: Frames recorded outside the common span; pre-roll is not counted.
    """

    name: str
    packet: IntArray
    repeated: NDArray[np.bool_]
    capture_ns: IntArray
    first_is_keyframe: bool
    trimmed: int

    @property
    def remuxable(self) -> bool:
        """Every row has its own packet and the first one is a keyframe."""
        return self.first_is_keyframe and not bool(self.repeated.any())

    def showing(self, repeated: Sequence[int]) -> CameraGrid:
        """The same camera, with the capture times of the frames before at rows that turned out to repeat."""
        capture_ns = self.capture_ns.copy()
        for row in sorted(set(repeated) - {0}):
            capture_ns[row] = capture_ns[row - 1]
        return replace(self, capture_ns=capture_ns)


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """The rows of an episode.

    Attributes:
        fps: Rows a second.
        first_seq: Grid number of row 0.
        instant_ns: When each row is true, shape (rows,): the median capture time of the cameras that
            have a frame of their own there; interpolated where none has.
        cameras: Each camera, in the order asked for.
    """

    fps: int
    first_seq: int
    instant_ns: IntArray
    cameras: tuple[CameraGrid, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.instant_ns)

    def part(self, tracks: Sequence[VideoTrack], start: int, stop: int) -> FrameGrid:
        """Rows start..stop-1 as a grid of their own.

        Args:
            tracks: Of the cameras, in order.
            start: First row.
            stop: The row behind the last.
        """
        cameras = tuple(
            replace(
                camera,
                packet=camera.packet[start:stop],
                repeated=camera.repeated[start:stop],
                capture_ns=camera.capture_ns[start:stop],
                first_is_keyframe=bool(track.keyframe[camera.packet[start]])
                and not bool(camera.repeated[start]),
                trimmed=0,
            )
            for camera, track in zip(self.cameras, tracks, strict=True)
        )
        return FrameGrid(self.fps, self.first_seq + start, self.instant_ns[start:stop], cameras)

    @property
    def grid_error_ns(self) -> IntArray:
        """Each row's instant minus row 0's, minus frame_index / fps, shape (rows,)."""
        nominal = np.arange(self.rows, dtype=np.int64) * NS_PER_S // self.fps
        return (self.instant_ns - self.instant_ns[0]) - nominal


def common_grid(uuid: str, tracks: Sequence[VideoTrack], start_ns: int = 0) -> FrameGrid:
    """The span that all cameras share, from the latest first keyframe to the earliest last frame.

    Frames before a camera's first keyframe cannot be decoded and do not count. Inside the span every grid
    number is a row, so that time is not shortened by a lost frame.

    Args:
        uuid: The episode, for messages.
        tracks: At least one; all of one rate.
        start_ns: Leave out what lies before: rows begin with the first keyframe that all cameras share
            from here on, or, where there is none within a second, with their first frame.

    Raises:
        ExportError: No frame, no keyframe, no common span, or grid numbers that do not increase.
    """
    spans: list[tuple[int, int]] = []
    for track in tracks:
        name = track.camera.name
        keyframes = np.flatnonzero(track.keyframe)
        if len(keyframes) == 0:
            raise ExportError(
                f"Camera '{name}' of episode {uuid} has no decodable frame",
                why=f"{len(track.seq)} packets, no keyframe",
                next_step="Leave the episode or the camera out",
            )
        if np.any(np.diff(track.seq) <= 0):
            raise ExportError(
                f"Camera '{name}' of episode {uuid} has frame numbers that do not increase",
                next_step="Check the file with `teleop verify` and leave the episode out",
            )
        spans.append((int(track.seq[keyframes[0]]), int(track.seq[-1])))
    first = max(start for start, _ in spans)
    last = min(stop for _, stop in spans)
    if last >= first and start_ns:
        first = _first_from(tracks, first, last, start_ns)
    if last < first:
        names = ", ".join(track.camera.name for track in tracks)
        raise ExportError(
            f"The cameras of episode {uuid} never recorded at the same time",
            why=f"{names} share no frame number",
            next_step="Leave the episode out, or select fewer cameras",
        )
    wanted = np.arange(first, last + 1, dtype=np.int64)
    cameras = tuple(_place(track, wanted, start_ns) for track in tracks)
    return FrameGrid(tracks[0].camera.fps, first, _instants(cameras), cameras)


def _first_from(tracks: Sequence[VideoTrack], first: int, last: int, start_ns: int) -> int:
    """Grid number of the first row from `start_ns` on, beyond `last` where no row is left."""
    spans = [(track.seq >= first) & (track.seq <= last) & (track.capture_ns >= start_ns) for track in tracks]
    begin = max(int(t.seq[s][0]) if s.any() else last + 1 for t, s in zip(tracks, spans, strict=True))
    keyframes = [set(t.seq[s & t.keyframe].tolist()) for t, s in zip(tracks, spans, strict=True)]
    keyframe = min(set.intersection(*keyframes), default=last + 1)
    return keyframe if keyframe - begin <= tracks[0].camera.fps and keyframe <= last else begin


def _place(track: VideoTrack, wanted: IntArray, start_ns: int) -> CameraGrid:
    packet = np.searchsorted(track.seq, wanted, side="right").astype(np.int64) - 1
    repeated = track.seq[packet] != wanted
    # Row 0 of a camera that lost exactly that frame shows the frame before it, which is in the file.
    return CameraGrid(
        name=track.camera.name,
        packet=packet,
        repeated=repeated,
        capture_ns=track.capture_ns[packet],
        first_is_keyframe=bool(track.keyframe[packet[0]]) and not bool(repeated[0]),
        trimmed=int(
            np.count_nonzero(
                (track.capture_ns >= start_ns) & ((track.seq < wanted[0]) | (track.seq > wanted[-1]))
            )
        ),
    )


def _instants(cameras: Sequence[CameraGrid]) -> IntArray:
    own = np.array([~camera.repeated for camera in cameras])
    origin = min(int(camera.capture_ns[0]) for camera in cameras)
    capture = np.array([camera.capture_ns - origin for camera in cameras], np.float64)
    known = own.any(axis=0)
    rows = np.arange(own.shape[1])
    instants = np.zeros(own.shape[1])
    masked = np.ma.masked_array(capture[:, known], mask=~own[:, known])
    instants[known] = np.ma.median(masked, axis=0).filled(0.0)
    instants[~known] = np.interp(rows[~known], rows[known], instants[known])
    return np.rint(instants).astype(np.int64) + origin
