"""Streams of a RealSense: which profile of a sensor to take, and depth beside the colour of its moment."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any, Final

from devices.cameras.source import CameraFormat
from teleop_app.core.errors import DeviceError

_USUAL_WIDTH: Final = 1280
_USUAL_FPS: Final = 30
_WAITING: Final = 4
_ALIGN_MS: Final = 500
_RESET_MS: Final = 1000.0
"""Frames further apart are of a clock before it was set anew."""


def choose_profile(camera: str, profiles: list[Any], wanted: CameraFormat) -> Any:
    """The video profile of the wanted size and rate; what is left open is at most 1280 px wide at 30/s.

    Raises:
        DeviceError: There is none; the sentence names the sizes that are there.
    """
    fits = [
        each
        for each in profiles
        if (wanted.width in (0, each.width()) and wanted.height in (0, each.height()))
        and wanted.fps in (0, each.fps())
    ]
    if not fits:
        sizes = sorted({(each.width(), each.height(), each.fps()) for each in profiles})
        there = ", ".join(f"{width}x{height} at {fps}/s" for width, height, fps in sizes[-8:])
        raise DeviceError(
            f"Camera '{camera}' has no {wanted.text} at {wanted.fps or 'any'}/s",
            why=f"it has {there or 'no such stream'}",
            next_step="Set width, height and fps in the station file to one of these, or to 0",
        )

    def rank(each: Any) -> tuple[bool, int, int]:
        return each.width() <= _USUAL_WIDTH, -abs(each.fps() - _USUAL_FPS), each.width() * each.height()

    return max(fits, key=rank)


class AlignedDepth:
    """Pairs colour frames with the depth of the same moment, and projects that into the colour's pixels.

    Args:
        rs: The module pyrealsense2.
        fps: Of both streams: what lies further apart than half a period is no pair.
    """

    def __init__(self, rs: ModuleType, fps: int) -> None:
        self.frames = rs.frame_queue(_WAITING, True)
        self._tolerance_ms = 500.0 / fps
        self._waiting: deque[Any] = deque(maxlen=_WAITING)
        self._depth: Any = None
        self._joined = rs.frame_queue(1, True)
        self._align = rs.align(rs.stream.color)
        self._join = rs.processing_block(self._together)
        self._join.start(self._joined)

    def of(self, colour: Any, timeout_ms: int) -> Any:
        """The depth frame in the colour frame's pixels, None when none came in time."""
        while True:
            if self._waiting and _apart(self._waiting[-1], colour) > _RESET_MS:
                self._waiting.clear()
            nearest = min(self._waiting, key=lambda each: _apart(each, colour), default=None)
            if nearest is not None and _apart(nearest, colour) <= self._tolerance_ms:
                self._depth = nearest
                break
            if nearest is not None and self._waiting[-1].get_timestamp() > colour.get_timestamp():
                return None
            came, depth = self.frames.try_wait_for_frame(max(1, timeout_ms))
            if not came:
                return None
            self._waiting.append(depth)
        self._join.invoke(colour)
        pair = self._joined.wait_for_frame(_ALIGN_MS).as_frameset()
        return self._align.process(pair).get_depth_frame()

    def _together(self, colour: Any, source: Any) -> None:
        source.frame_ready(source.allocate_composite_frame([self._depth, colour]))


def _apart(a: Any, b: Any) -> float:
    return abs(a.get_timestamp() - b.get_timestamp())
