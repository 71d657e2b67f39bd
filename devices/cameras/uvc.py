"""USB cameras (and other V4L2 devices) through OpenCV, with the kernel's time stamps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import cv2
import numpy as np
from pydantic import Field

from devices.cameras.source import CameraFormat
from devices.cameras.v4l2_devices import VideoDevice, find_video_device, video_devices
from devices.driver import DeviceContext, Driver, DriverKind, Found, Options
from devices.protocols import Array, CameraFrame, Verification
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import DeviceError

_BUFFERS: Final = 2
_MANUAL_EXPOSURE, _AUTO_EXPOSURE = 1, 3
"""V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_APERTURE_PRIORITY of the V4L2 user controls."""
_EXPOSURE_UNIT_US: Final = 100
"""V4L2_CID_EXPOSURE_ABSOLUTE counts in units of 100 us."""
_NEWEST_STAMP_NS: Final = 2_000 * NS_PER_MS
_FAILURES: Final = 3


class UvcOptions(Options):
    """Settings of a USB camera.

    Attributes:
        device: Serial number, USB port, `/dev/videoN`, a link below `/dev/v4l`, or name; empty: the only one.
        pixel_format: What it sends: `MJPG` fits USB 2, `YUYV` is not compressed.
        exposure_us: 0: automatic.
        gain: Below 0: the camera's.
        white_balance_k: 0: automatic.
    """

    device: str = Field(default="", max_length=200)
    pixel_format: Literal["MJPG", "YUYV"] = "MJPG"
    exposure_us: int = Field(default=0, ge=0, le=1_000_000)
    gain: int = Field(default=-1, ge=-1, le=10_000)
    white_balance_k: int = Field(default=0, ge=0, le=20_000)


class Capture(Protocol):
    """What of `cv2.VideoCapture` is used."""

    def isOpened(self) -> bool:  # noqa: N802
        """Whether the device is open."""
        ...

    def set(self, propId: int, value: float, /) -> bool:
        """Set a property; False when the driver refuses."""
        ...

    def get(self, propId: int, /) -> float:
        """A property."""
        ...

    def read(self) -> tuple[bool, np.ndarray | None]:
        """The next picture, BGR."""
        ...

    def release(self) -> None:
        """Close the device."""
        ...


class UvcCamera:
    """A USB camera.

    Args:
        name: Camera name.
        options: Settings.
    """

    def __init__(self, name: str, options: UvcOptions) -> None:
        self._name = name
        self._options = options
        self._capture: Capture | None = None
        self._device: VideoDevice | None = None
        self._failures = 0
        self.depth_unit_m = 0.0

    @property
    def serial(self) -> str:
        """USB serial number; empty when it has none, or before it was opened."""
        return self._device.serial if self._device is not None else ""

    @property
    def intrinsics(self) -> Array | None:
        """Unknown to USB cameras."""
        return None

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Start it.

        Raises:
            DeviceError: It is not there, is busy, or does not know the pixel format.
        """
        device = self._device = find_video_device(self._options.device, self._name, video_devices())
        capture = cv2.VideoCapture(device.node, cv2.CAP_V4L2)
        self._capture = capture
        if not capture.isOpened():
            raise DeviceError(
                f"Camera '{self._name}' ({device.name}, {device.node}) does not open",
                why="another program may use it, or you may not read it",
                next_step="Close the other program; check that you are in the group `video`",
            )
        return self.configure(capture, wanted)

    def configure(self, capture: Capture, wanted: CameraFormat) -> CameraFormat:
        """Set format and controls; what it delivers with them.

        Raises:
            DeviceError: The pixel format is refused, or a control that the station file sets.
        """
        options = self._options
        self._capture = capture
        code = cv2.VideoWriter.fourcc(*options.pixel_format)
        capture.set(cv2.CAP_PROP_FOURCC, code)
        if wanted.width:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, wanted.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, wanted.height)
        if wanted.fps:
            capture.set(cv2.CAP_PROP_FPS, wanted.fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
        if int(capture.get(cv2.CAP_PROP_FOURCC)) != code:
            raise DeviceError(
                f"Camera '{self._name}' does not send {options.pixel_format}",
                next_step="Set pixel_format in its options to the other one of MJPG and YUYV",
            )
        refused = self._set_controls(capture)
        if refused:
            raise DeviceError(
                f"Camera '{self._name}' refuses {', '.join(refused)}",
                next_step="Leave it out of its options, or choose a value that the camera has",
            )
        width, height = (
            int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        fps = max(1, round(capture.get(cv2.CAP_PROP_FPS) or wanted.fps or 30))
        return CameraFormat(width, height, fps, f"The camera delivers {width}x{height} at {fps}/s.")

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next picture. OpenCV waits up to 10 s for one by itself.

        Raises:
            DeviceError: It is lost.
        """
        del timeout_s
        capture = self._capture
        if capture is None:
            raise DeviceError(f"Camera '{self._name}' is not open")
        done, picture = capture.read()
        receive_ns = time.monotonic_ns()
        if not done or picture is None:
            self._failures += 1
            if self._failures < _FAILURES:
                return None
            self._failures = 0
            raise DeviceError(
                f"Camera '{self._name}' does not deliver any more",
                next_step="Check its cable and plug it in again",
            )
        self._failures = 0
        stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * NS_PER_MS)
        # uvcvideo stamps by CLOCK_MONOTONIC at the start of the exposure's transfer; anything else is
        # the stamp of a clock that is not known, and is mapped from its arrivals.
        known = 0 <= receive_ns - stamp_ns <= _NEWEST_STAMP_NS
        exposure_ns = self._options.exposure_us * 1000
        return CameraFrame(
            image=np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8),
            receive_ns=receive_ns,
            device_ns=max(stamp_ns, 0),
            exposure_ns=exposure_ns,
            capture_ns=stamp_ns if known else 0,
        )

    def close(self) -> None:
        """Release it. May be called twice."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _set_controls(self, capture: Capture) -> list[str]:
        """The controls that the station file gives; names of those that the camera refuses."""
        options = self._options
        wanted: list[tuple[str, int, float]] = []
        if options.exposure_us:
            wanted += [
                ("exposure_us", cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL_EXPOSURE),
                ("exposure_us", cv2.CAP_PROP_EXPOSURE, max(1, options.exposure_us // _EXPOSURE_UNIT_US)),
            ]
        else:
            capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _AUTO_EXPOSURE)
        if options.gain >= 0:
            wanted.append(("gain", cv2.CAP_PROP_GAIN, options.gain))
        if options.white_balance_k:
            wanted += [
                ("white_balance_k", cv2.CAP_PROP_AUTO_WB, 0),
                ("white_balance_k", cv2.CAP_PROP_WB_TEMPERATURE, options.white_balance_k),
            ]
        else:
            capture.set(cv2.CAP_PROP_AUTO_WB, 1)
        return list(dict.fromkeys(name for name, control, value in wanted if not capture.set(control, value)))


def discover() -> Sequence[Found]:
    """Video devices of this machine; opens none."""
    devices = video_devices()
    names = [each.mark for each in devices]
    return [
        Found(
            title=f"{each.name} on {each.node}",
            serial=each.serial,
            options={"device": each.mark if names.count(each.mark) == 1 else each.port or each.node},
            remark=""
            if each.serial
            else "It has no serial number: its USB port names it. Always plug it in there.",
        )
        for each in devices
    ]


def _make(context: DeviceContext, options: UvcOptions) -> UvcCamera:
    return UvcCamera(context.name, options)


DRIVER = Driver(
    name="uvc",
    kind=DriverKind.CAMERA,
    title="USB camera (V4L2)",
    verification=Verification.IMPORT_ONLY,
    proof="Settings and time stamps are tested against a scripted capture, discovery against a copy of "
    "sysfs; no video device has been tried.",
    make=_make,
    options=UvcOptions,
    discover=discover,
)
