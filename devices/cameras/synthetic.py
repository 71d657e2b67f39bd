"""A synthetic camera: a moving pattern that costs next to nothing. For benchmarks and tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from devices.cameras.free_running import EmulatedCamera, FrameTimes
from devices.cameras.source import CameraFormat, Image
from devices.cameras.time_mark import check_room
from devices.sim.barcode import barcode_box, draw_barcode
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array

_FRAMES = 30
_FOVY_RAD = np.deg2rad(60.0)


class SyntheticFrameSource:
    """Plays a short pre-drawn loop, with the host time in microseconds as a barcode in a corner.

    Args:
        latency_ms: By the name of each camera that is to behave as a free-running one: how much later its
            frames arrive. All others show just the instant that is asked for.
    """

    def __init__(self, latency_ms: Mapping[str, float] | None = None) -> None:
        self._latency_ms = dict(latency_ms or {})
        self._emulated: dict[str, EmulatedCamera] = {}
        self._formats: dict[str, CameraFormat] = {}
        self._loops: dict[tuple[int, int], Image] = {}
        self._capture_ns = 0
        self._instant = 0

    def suggest(self, cameras: int) -> CameraFormat:
        """640x480 at 30/s: any machine can copy that."""
        del cameras
        return CameraFormat(640, 480, 30, "A synthetic pattern, not a camera: 640x480 at 30/s.")

    def open(self, formats: dict[str, CameraFormat]) -> None:
        """Draw the loops.

        Raises:
            ConfigError: A size without room for the barcode.
        """
        check_room(formats, barcode_box)
        self._formats = dict(formats)
        for size in formats.values():
            key = (size.width, size.height)
            if key not in self._loops:
                self._loops[key] = _draw_loop(*key)

    def intrinsics(self, camera: str) -> Array:
        """A pinhole of 60 degrees, shape (3, 3)."""
        size = self._format(camera)
        focal = 0.5 * size.height / np.tan(0.5 * _FOVY_RAD)
        return np.array([[focal, 0.0, 0.5 * size.width], [0.0, focal, 0.5 * size.height], [0.0, 0.0, 1.0]])

    def mount(self, camera: str) -> tuple[str, Array]:
        """At the world's origin."""
        self._format(camera)
        return "world", np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])

    def latch(self, due_ns: int) -> bool:
        """Every instant is new, and known exactly."""
        self._capture_ns = due_ns
        self._instant += 1
        for camera in self._latency_ms.keys() & self._formats.keys():
            if camera not in self._emulated:
                fps, latency_ms = self._formats[camera].fps, self._latency_ms[camera]
                self._emulated[camera] = EmulatedCamera(camera, fps, latency_ms, due_ns)
            self._emulated[camera].run_until(due_ns)
        return True

    def times(self, camera: str) -> FrameTimes | None:
        """Of the camera's next frame; None when an emulated camera has none."""
        if camera not in self._emulated:
            return FrameTimes(self._capture_ns, self._capture_ns)
        waiting = self._emulated[camera].first()
        return waiting[1] if waiting else None

    def grab(self, camera: str, out: Image) -> int:
        """Copy the instant's picture into `out`; returns the true time of what it shows.

        Raises:
            DeviceError: The camera is not open, or an emulated one has no frame.
        """
        size = self._format(camera)
        capture_ns = self._capture_ns
        if camera in self._emulated:
            waiting = self._emulated[camera].first()
            if waiting is None:
                raise DeviceError(f"The camera '{camera}' has no new frame")
            capture_ns = waiting[0]
            self._emulated[camera].take()
        np.copyto(out, self._loops[size.width, size.height][self._instant % _FRAMES])
        draw_barcode(out, capture_ns // 1000)
        return capture_ns

    def close(self) -> None:
        """Forget the loops."""
        self._loops.clear()
        self._emulated.clear()

    def _format(self, camera: str) -> CameraFormat:
        if camera not in self._formats:
            raise DeviceError(f"The synthetic camera '{camera}' is not open")
        return self._formats[camera]


def _draw_loop(width: int, height: int) -> Image:
    """A shaded background with a ball on a circle, shape (frames, height, width, 3)."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    ground = np.stack([60 + 90 * x // width, 70 + 80 * y // height, np.full_like(x, 110)], axis=-1).astype(
        np.uint8
    )
    loop = np.repeat(ground[None], _FRAMES, axis=0)
    for index, frame in enumerate(loop):
        angle = 2.0 * np.pi * index / _FRAMES
        centre = (width * (0.5 + 0.3 * np.cos(angle)), height * (0.5 + 0.3 * np.sin(angle)))
        frame[np.hypot(x - centre[0], y - centre[1]) < 0.08 * height] = (235, 140, 40)
    return loop
