"""What every camera must do."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Final

import numpy as np

from devices.cameras.source import CameraFormat
from devices.driver import DriverKind
from devices.protocols import Camera, CameraFrame
from devices.testing.contract import PATIENCE_S, DriverContract, eventually, fail, refused, require
from teleop_app.core.errors import DeviceError

_READ_S: Final = 0.2


class CameraContract(DriverContract):
    """Suite for `devices.protocols.Camera`.

    Attributes:
        wanted: What it is opened with.
        slack_s: How much longer than asked `read` may take [s].
        frames: How many frames are looked at.
    """

    kind = DriverKind.CAMERA
    wanted = CameraFormat(64, 48, 30, "asked for by its contract suite")
    slack_s: float = 0.5
    frames: int = 5

    def test_closing_is_always_allowed(self) -> None:
        """Before it is opened, and twice."""
        camera = self._make()
        camera.close()
        camera.open(self.wanted)
        camera.close()
        camera.close()

    def test_it_says_what_it_delivers(self) -> None:
        """Even sizes, a rate; intrinsics that are a camera matrix where it knows them."""
        camera = self._make()
        got = camera.open(self.wanted)
        require(got.width > 0 and got.height > 0 and got.fps > 0, f"it says that it delivers {got}")
        require(got.width % 2 == 0 and got.height % 2 == 0, f"{got.width}x{got.height} is not even (H.264)")
        matrix = camera.intrinsics
        if matrix is not None:
            require(matrix.shape == (3, 3) and np.all(np.isfinite(matrix)), "intrinsics must be a 3x3 matrix")
        require(camera.depth_unit_m >= 0.0, "depth_unit_m must not be negative")
        camera.close()

    def test_frames_are_sound(self) -> None:
        """Size, type, times; a frame is not overwritten by the next one."""
        camera = self._make()
        started_ns = time.monotonic_ns()
        got = camera.open(self.wanted)
        kept: list[tuple[CameraFrame, np.ndarray]] = []
        for _ in range(self.frames):
            frame = self._next(camera)
            _check_frame(frame, got, camera.depth_unit_m, started_ns)
            kept.append((frame, frame.image.copy()))
        for (before, _), (after, _) in pairwise(kept):
            require(after.receive_ns > before.receive_ns, "receive_ns of a frame is not after the one before")
        for frame, copy in kept:
            require(
                np.array_equal(frame.image, copy), "a frame was overwritten by a later one: hand out copies"
            )
        camera.close()

    def test_reading_returns_in_time(self) -> None:
        """Also when no frame comes; a camera that is lost says so."""
        camera = self._make()
        camera.open(self.wanted)
        self._next(camera)
        self.unplug()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            begun = time.monotonic()
            try:
                camera.read(_READ_S)
            except DeviceError:
                break
            spent_s = time.monotonic() - begun
            require(
                spent_s <= _READ_S + self.slack_s,
                f"read({_READ_S:g}) took {spent_s:.2f} s; it may wait for as long as it is told",
            )
        else:
            fail("a camera that is unplugged must raise a DeviceError from read")
        camera.close()

    def test_a_closed_camera_is_not_read(self) -> None:
        """Reading it is a mistake of the caller, and says so."""
        camera = self._make()
        camera.open(self.wanted)
        camera.close()
        with refused("read after close"):
            camera.read(_READ_S)

    def test_it_comes_back_after_it_was_unplugged(self) -> None:
        """Opening fails with a sentence until it is there again."""
        camera = self._make()
        camera.open(self.wanted)
        self.unplug()
        camera.close()
        with refused("open without the device"):
            camera.open(self.wanted)
        self.plug()
        eventually(
            lambda: self._opens(camera), "the camera does not open again after it was plugged in", 0.05
        )
        self._next(camera)
        camera.close()

    # Inside.

    def _make(self) -> Camera:
        return self.make()

    def _next(self, camera: Camera) -> CameraFrame:
        return eventually(lambda: camera.read(_READ_S), "no frame came")

    def _opens(self, camera: Camera) -> bool | None:
        try:
            camera.open(self.wanted)
        except DeviceError:
            return None
        return True


def _check_frame(frame: CameraFrame, got: CameraFormat, depth_unit_m: float, started_ns: int) -> None:
    shape = (got.height, got.width, 3)
    require(frame.image.shape == shape, f"a frame has the shape {frame.image.shape}, not {shape}")
    require(frame.image.dtype == np.uint8, f"a frame is {frame.image.dtype}, not uint8")
    now_ns = time.monotonic_ns()
    require(started_ns <= frame.receive_ns <= now_ns, "receive_ns is not on the station's clock")
    if frame.capture_ns:
        require(frame.capture_ns <= frame.receive_ns, "a frame was captured after it was received")
    require(frame.exposure_ns >= 0, "the exposure time is negative")
    if frame.depth is not None:
        require(depth_unit_m > 0.0, "it delivers depth, but does not say the unit")
        require(frame.depth.shape == shape[:2], f"depth has the shape {frame.depth.shape}, not {shape[:2]}")
        require(frame.depth.dtype == np.uint16, f"depth is {frame.depth.dtype}, not uint16")
