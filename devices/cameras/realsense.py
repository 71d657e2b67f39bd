"""Intel RealSense cameras through pyrealsense2: colour, and depth aligned to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from pydantic import Field

from devices.cameras.realsense_streams import AlignedDepth, choose_profile
from devices.cameras.source import CameraFormat
from devices.driver import DeviceContext, Driver, DriverKind, Found, Options, vendor_module
from devices.protocols import Array, CameraFrame, Verification
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import DeviceError

_NS_PER_US: Final = 1000
_LOST_S: Final = 3.0
_WAITING: Final = 2


class RealSenseOptions(Options):
    """Settings of a RealSense.

    Attributes:
        serial: Serial number; empty: the only one.
        exposure_us: Of the colour camera, 0: automatic.
        gain: Of the colour camera, below 0: the camera's.
    """

    serial: str = Field(default="", max_length=40)
    exposure_us: int = Field(default=0, ge=0, le=1_000_000)
    gain: int = Field(default=-1, ge=-1, le=10_000)


class RealSenseCamera:
    """A RealSense.

    Sensors are read one by one, not through `rs.pipeline`: the same code then runs on a `software_device`.

    Args:
        name: Camera name.
        options: Settings.
        find: Gives the `pyrealsense2.device`s that are there.
    """

    def __init__(self, name: str, options: RealSenseOptions, find: Callable[[], Sequence[Any]]) -> None:
        self._name = name
        self._options = options
        self._find = find
        self._rs = vendor_module("pyrealsense2", "realsense", "realsense")
        self._open: list[Any] = []
        self._colour: Any = None
        self._aligned: AlignedDepth | None = None
        self._heard = 0.0
        self._intrinsics: Array | None = None
        self.serial = options.serial
        self.depth_unit_m = 0.0

    @property
    def intrinsics(self) -> Array | None:
        """K of the colour camera, from its memory."""
        return self._intrinsics

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Start colour, and depth if it is wanted.

        Raises:
            DeviceError: It is not there, or has no such format.
        """
        rs = self._rs
        try:
            device = self._device()
            self.serial = device.get_info(rs.camera_info.serial_number)
            colour, video = self._stream(device, rs.stream.color, rs.format.rgb8, wanted)
            self._set_controls(colour)
            self._colour = rs.frame_queue(_WAITING, True)
            streams = [(colour, video, self._colour)]
            if wanted.depth:
                like = CameraFormat(0, 0, video.fps(), "")
                depth, profile = self._stream(device, rs.stream.depth, rs.format.z16, like)
                self._aligned = AlignedDepth(rs, video.fps())
                self.depth_unit_m = float(depth.as_depth_sensor().get_depth_scale())
                streams.append((depth, profile, self._aligned.frames))
            for sensor, profile, queue in streams:
                sensor.open(profile)
                self._open.append(sensor)
                sensor.start(queue)
        except RuntimeError as error:
            raise DeviceError(
                f"Camera '{self._name}' (RealSense {self.serial or 'any'}) does not start",
                why=str(error),
                next_step="Close other programs that use it; check its cable (USB 3)",
            ) from error
        self._heard = time.monotonic()
        lens = video.get_intrinsics()
        self._intrinsics = np.array([[lens.fx, 0.0, lens.ppx], [0.0, lens.fy, lens.ppy], [0.0, 0.0, 1.0]])
        width, height, fps = video.width(), video.height(), video.fps()
        return CameraFormat(width, height, fps, f"The RealSense delivers {width}x{height} at {fps}/s.")

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next colour picture, with the depth of the same moment in its pixels.

        Raises:
            DeviceError: It is lost.
        """
        if not self._open:
            raise DeviceError(f"Camera '{self._name}' is not open")
        timeout_ms = max(1, round(timeout_s * 1e3))
        try:
            came, colour = self._colour.try_wait_for_frame(timeout_ms)
            receive_ns = time.monotonic_ns()
            if not came:
                if time.monotonic() - self._heard > _LOST_S:
                    raise DeviceError(
                        f"Camera '{self._name}' does not deliver any more",
                        next_step="Check its cable and plug it in again",
                    )
                return None
            self._heard = time.monotonic()
            depth = None
            if self._aligned is not None and not (depth := self._aligned.of(colour, timeout_ms)):
                return None
            return CameraFrame(
                image=np.array(colour.get_data(), np.uint8),
                receive_ns=receive_ns,
                device_ns=round(colour.get_timestamp() * NS_PER_MS),
                exposure_ns=self._exposure_ns(colour),
                depth=np.array(depth.get_data(), np.uint16) if depth else None,
            )
        except RuntimeError as error:
            raise DeviceError(f"Camera '{self._name}' is lost", why=str(error)) from error

    def close(self) -> None:
        """Stop it. May be called twice."""
        sensors, self._open = self._open, []
        self._aligned = None
        for sensor in sensors:
            with contextlib.suppress(RuntimeError):  # it was unplugged
                sensor.stop()
                sensor.close()

    def _device(self) -> Any:
        rs, serial = self._rs, self._options.serial
        devices = {each.get_info(rs.camera_info.serial_number): each for each in self._find()}
        if serial in devices or (not serial and len(devices) == 1):
            return devices[serial] if serial else next(iter(devices.values()))
        there = ", ".join(devices) or "none"
        if devices and not serial:
            raise DeviceError(
                f"Camera '{self._name}' could be any of {len(devices)} RealSenses",
                why=there,
                next_step="Give `serial` in its options: one of these",
            )
        raise DeviceError(
            f"Camera '{self._name}' is not there: no RealSense{' ' + serial if serial else ''}",
            why=f"RealSenses: {there}",
            next_step="Plug it in, or correct `serial` in its options",
        )

    def _stream(self, device: Any, kind: Any, layout: Any, wanted: CameraFormat) -> tuple[Any, Any]:
        """The sensor that has the stream, and its profile."""
        found: list[tuple[Any, Any]] = []
        for sensor in device.query_sensors():
            found += [
                (sensor, each.as_video_stream_profile())
                for each in sensor.get_stream_profiles()
                if each.stream_type() == kind and each.format() == layout
            ]
        profile = choose_profile(self._name, [each for _, each in found], wanted)
        return next(sensor for sensor, each in found if each is profile), profile

    def _exposure_ns(self, frame: Any) -> int:
        value = self._rs.frame_metadata_value.actual_exposure
        if not frame.supports_frame_metadata(value):
            return 0
        return int(frame.get_frame_metadata(value)) * _NS_PER_US

    def _set_controls(self, sensor: Any) -> None:
        rs, options = self._rs, self._options
        wanted: list[tuple[str, Any, float]] = []
        if options.exposure_us:
            wanted.append(("exposure_us", rs.option.enable_auto_exposure, 0.0))
            # The colour camera counts in 100 us, the depth cameras in 1 us.
            wanted.append(("exposure_us", rs.option.exposure, options.exposure_us / 100.0))
        if options.gain >= 0:
            wanted.append(("gain", rs.option.gain, float(options.gain)))
        for name, option, value in wanted:
            try:
                sensor.set_option(option, value)
            except RuntimeError as error:
                raise DeviceError(
                    f"Camera '{self._name}' refuses {name} = {value:g}",
                    why=str(error),
                    next_step="Leave it out of its options, or choose a value that the camera has",
                ) from error


def discover() -> Sequence[Found]:
    """RealSenses that are plugged in; none without pyrealsense2."""
    try:
        rs = vendor_module("pyrealsense2", "realsense", "realsense")
    except DeviceError:
        return ()
    found: list[Found] = []
    for device in rs.context().query_devices():
        name, serial = (device.get_info(each) for each in (rs.camera_info.name, rs.camera_info.serial_number))
        slow = device.supports(rs.camera_info.usb_type_descriptor) and device.get_info(
            rs.camera_info.usb_type_descriptor
        ).startswith("2")
        remark = "It is on USB 2: use a USB 3 port and cable for depth." if slow else ""
        found.append(Found(f"{name} {serial}", serial, {"serial": serial}, remark))
    return found


def _make(context: DeviceContext, options: RealSenseOptions) -> RealSenseCamera:
    rs = vendor_module("pyrealsense2", "realsense", "realsense")
    return RealSenseCamera(context.name, options, lambda: list(rs.context().query_devices()))


DRIVER = Driver(
    name="realsense",
    kind=DriverKind.CAMERA,
    title="Intel RealSense",
    verification=Verification.EMULATOR,
    proof="pyrealsense2 itself, with its software_device in place of a camera; no real camera.",
    make=_make,
    options=RealSenseOptions,
    discover=discover,
    needs=("pyrealsense2",),
    extra="realsense",
)
