"""Real cameras as a source of frames: each in a thread of its own, none waiting for another."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Final

import numpy as np

from devices.cameras.camera_optics import CameraOptics, find_optics
from devices.cameras.camera_reader import CameraReader
from devices.cameras.depth import DepthImage
from devices.cameras.free_running import FrameTimes
from devices.cameras.source import CameraFormat, Image
from devices.protocols import Camera, CameraFrame
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import Array

logger = logging.getLogger(__name__)

OPEN_PATIENCE_S: Final = 12.0


class ThreadedSource:
    """Makes `devices.protocols.Camera`s a `FrameSource`: also free-running, with depth, and `RealCameras`.

    A camera that hangs, freezes or is unplugged delivers nothing and says why; the others go on. A lost one
    is opened again every second.

    Args:
        cameras: By name, not yet open.
        calibrations: Of the store; None: uncalibrated.
        clock: The station's clock.
    """

    def __init__(
        self, cameras: Mapping[str, Camera], calibrations: CalibrationStore | None, clock: Clock
    ) -> None:
        self._cameras = dict(cameras)
        self._calibrations = calibrations
        self._clock = clock
        self._readers: dict[str, CameraReader] = {}
        self._sizes: dict[str, CameraFormat] = {}
        self._optics: dict[str, CameraOptics] = {}
        self._last: dict[str, CameraFrame] = {}
        self._due_ns = 0

    def suggest(self, cameras: int) -> CameraFormat:
        """Zeros: each camera's driver chooses; `delivered` says what."""
        del cameras
        return CameraFormat(0, 0, 0, "The camera's driver chose.")

    def open(self, formats: dict[str, CameraFormat]) -> None:
        """Open all cameras at once. One that is not there is waited for if its size and rate are given.

        Raises:
            ConfigError: A camera has no driver here.
            DeviceError: Cameras cannot be opened; all of them are named.
        """
        for name, wanted in formats.items():
            if name not in self._cameras:
                raise ConfigError(f"There is no camera '{name}'")
            self._readers[name] = CameraReader(name, self._cameras[name], self._clock)
            self._readers[name].start(wanted)
        deadline_ns = self._clock.now_ns() + round(OPEN_PATIENCE_S * NS_PER_S)
        problems: list[str] = []
        for name, wanted in formats.items():
            left_s = max(0.0, (deadline_ns - self._clock.now_ns()) / NS_PER_S)
            fault = self._readers[name].wait_opened(left_s)
            if fault and not (wanted.width and wanted.fps and not wanted.depth):
                problems.append(fault)
            elif fault:
                logger.warning("%s It is tried again every second.", fault)
        if problems:
            self.close()
            raise DeviceError(
                " ".join(problems),
                next_step="Plug it in, or give its width, height and fps in the station file, so that the "
                "other cameras start without it",
            )
        for name, wanted in formats.items():
            self._settle(name, wanted)

    def delivered(self, camera: str) -> CameraFormat:
        """What it delivers; after `open`."""
        return self._sizes[camera]

    def serial(self, camera: str) -> str:
        """Of the camera; empty when it has none."""
        return str(getattr(self._cameras[camera], "serial", ""))

    def intrinsics(self, camera: str) -> Array:
        """Camera matrix K [px], shape (3, 3); zeros when it is not known."""
        return self._optics[camera].matrix

    def distortion(self, camera: str) -> Array:
        """OpenCV's coefficients, shape (k,); empty when none is known."""
        return self._optics[camera].distortion

    def mount(self, camera: str) -> tuple[str, Array]:
        """The frame that carries it, and its pose there; an empty name and pose when not measured."""
        optics = self._optics[camera]
        return optics.parent, optics.parent_T_camera

    def latch(self, due_ns: int) -> bool:
        """Pictures that have come by `due_ns` can be taken."""
        self._due_ns = due_ns
        return True

    def times(self, camera: str) -> FrameTimes | None:
        """Of the picture that `grab` gives next; None when none has come.

        Raises:
            DeviceError: The camera is lost, hangs, or repeats itself; the others are not affected.
        """
        reader = self._readers[camera]
        frame = reader.peek(self._due_ns)
        if frame is None:
            if fault := reader.fault(self._clock.now_ns()):
                raise DeviceError(fault)
            return None
        return FrameTimes(frame.capture_ns, frame.receive_ns, frame.device_ns, frame.exposure_ns)

    def grab(self, camera: str, out: Image) -> int:
        """Copy the next picture into `out`; returns the time it was captured, else came [ns]. Never waits.

        Raises:
            DeviceError: There is none.
        """
        frame = self._readers[camera].take()
        if frame is None:
            raise DeviceError(f"Camera '{camera}' has no new picture")
        np.copyto(out, frame.image)
        self._last[camera] = frame
        return frame.capture_ns or frame.receive_ns

    def depth_unit_m(self, camera: str) -> float:
        """Metres of one count of its depth images.

        Raises:
            DeviceError: It delivers no depth.
        """
        unit_m = self._cameras[camera].depth_unit_m
        if not 1e-6 <= unit_m <= 0.1:
            raise DeviceError(
                f"Camera '{camera}' is to record depth, which it does not deliver",
                next_step="Set depth = false for it in the station file",
            )
        return unit_m

    def grab_depth(self, camera: str, out: DepthImage) -> None:
        """The depth of the picture that `grab` gave last.

        Raises:
            DeviceError: It came without.
        """
        frame = self._last.get(camera)
        if frame is None or frame.depth is None:
            raise DeviceError(f"Camera '{camera}' gave no depth")
        np.copyto(out, frame.depth)

    def remark(self, camera: str) -> str:
        """Something odd about a camera that does deliver, as a sentence; else empty."""
        return self._readers[camera].remark or self._optics[camera].remark

    def counts(self, camera: str) -> Mapping[str, int]:
        """Pictures `taken`, `rejected`, `repeated`, `dropped`, and how often it was `reopened`."""
        return asdict(self._readers[camera].counts)

    def close(self) -> None:
        """Release all cameras, one that hangs excepted. May be called twice."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._last.clear()

    def _settle(self, name: str, wanted: CameraFormat) -> None:
        reader, camera = self._readers[name], self._cameras[name]
        reader.assume(wanted)
        size = reader.size or wanted
        own = camera.intrinsics
        optics = self._optics[name] = find_optics(name, self.serial(name), size, own, self._calibrations)
        if optics.remark:
            logger.warning("%s", optics.remark)
        asked = f" (the station file asks for {wanted.fps}/s)" if wanted.fps not in (0, size.fps) else ""
        reason = f"{size.reason}{asked} {optics.source}"
        self._sizes[name] = replace(size, reason=reason, depth=wanted.depth)
