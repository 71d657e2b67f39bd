"""Luxonis OAK cameras through depthai 3: colour, on the host's clock. Never run on a device."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from pydantic import Field

from devices.cameras.source import CameraFormat
from devices.driver import DeviceContext, Driver, DriverKind, Found, Options, vendor_module
from devices.protocols import Array, CameraFrame, Verification
from teleop_app.core.errors import DeviceError

_POLL_S: Final = 0.002
_NS_PER_US: Final = 1000


class OakOptions(Options):
    """Settings of an OAK.

    Attributes:
        device: Its device ID or IP address; empty: the only one.
        socket: Camera socket on the board.
    """

    device: str = Field(default="", max_length=120)
    socket: str = Field(default="CAM_A", pattern=r"^CAM_[A-J]$")


class OakCamera:
    """The colour camera of an OAK.

    Args:
        name: Camera name.
        options: Settings.
    """

    def __init__(self, name: str, options: OakOptions) -> None:
        self._name = name
        self._options = options
        self._pipeline: Any = None
        self._queue: Any = None
        self._intrinsics: Array | None = None
        self.serial = options.device
        self.depth_unit_m = 0.0

    @property
    def intrinsics(self) -> Array | None:
        """K by the calibration in its memory."""
        return self._intrinsics

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Start its pipeline.

        Raises:
            DeviceError: depthai is missing, or the camera is not there.
        """
        dai = vendor_module("depthai", "oak", "oak")
        width, height, fps = wanted.width or 1280, wanted.height or 720, wanted.fps or 30
        try:
            device = (
                dai.Device(dai.DeviceInfo(self._options.device)) if self._options.device else dai.Device()
            )
            socket = getattr(dai.CameraBoardSocket, self._options.socket)
            self._pipeline = dai.Pipeline(device)
            camera = self._pipeline.create(dai.node.Camera).build(socket)
            output = camera.requestOutput((width, height), type=dai.ImgFrame.Type.BGR888p, fps=fps)
            self._queue = output.createOutputQueue(maxSize=2, blocking=False)
            self._pipeline.start()
            self.serial = device.getDeviceId()
            matrix = device.readCalibration().getCameraIntrinsics(socket, width, height)
        except (RuntimeError, AttributeError) as error:
            raise DeviceError(
                f"Camera '{self._name}' (OAK {self._options.device or 'any'}) does not start",
                why=str(error),
                next_step="Check its cable and power",
            ) from error
        self._intrinsics = np.array(matrix, np.float64).reshape(3, 3)
        return CameraFormat(width, height, fps, f"The OAK delivers {width}x{height} at {fps}/s.")

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next picture.

        Raises:
            DeviceError: It is lost.
        """
        if self._queue is None:
            raise DeviceError(f"Camera '{self._name}' is not open")
        deadline = time.monotonic() + timeout_s
        try:
            while (frame := self._queue.tryGet()) is None:
                if not self._pipeline.isRunning():
                    raise DeviceError(f"Camera '{self._name}' does not deliver any more")
                if time.monotonic() > deadline:
                    return None
                time.sleep(_POLL_S)
            receive_ns = time.monotonic_ns()
            # getTimestamp is the host's steady clock, synchronised by depthai; CLOCK_MONOTONIC on Linux.
            capture_ns = round(frame.getTimestamp().total_seconds() * 1e6) * _NS_PER_US
            return CameraFrame(
                image=cv2.cvtColor(frame.getCvFrame(), cv2.COLOR_BGR2RGB),
                receive_ns=receive_ns,
                device_ns=round(frame.getTimestampDevice().total_seconds() * 1e6) * _NS_PER_US,
                exposure_ns=round(frame.getExposureTime().total_seconds() * 1e9),
                capture_ns=capture_ns,
            )
        except RuntimeError as error:
            raise DeviceError(f"Camera '{self._name}' is lost", why=str(error)) from error

    def close(self) -> None:
        """Stop the pipeline. May be called twice."""
        pipeline, self._pipeline, self._queue = self._pipeline, None, None
        if pipeline is not None:
            pipeline.stop()


def discover() -> Sequence[Found]:
    """OAKs that answer; none without depthai."""
    try:
        dai = vendor_module("depthai", "oak", "oak")
    except DeviceError:
        return ()
    return [
        Found(title=f"OAK {each.deviceId}", serial=each.deviceId, options={"device": each.deviceId})
        for each in dai.Device.getAllAvailableDevices()
    ]


def _make(context: DeviceContext, options: OakOptions) -> OakCamera:
    vendor_module("depthai", "oak", "oak")
    return OakCamera(context.name, options)


DRIVER = Driver(
    name="oak",
    kind=DriverKind.CAMERA,
    title="Luxonis OAK",
    verification=Verification.IMPORT_ONLY,
    proof="Written to depthai's documentation; never run on a device or an emulator. Colour only.",
    make=_make,
    options=OakOptions,
    discover=discover,
    needs=("depthai",),
    extra="oak",
)
