"""When the frames of a camera were true, by whatever its source knows of them."""

from __future__ import annotations

from devices.cameras.free_running import FrameTimes, FreeRunningSource
from devices.cameras.source import FrameSource, Image, RealCameras
from teleop_app.core.clock import Clock
from teleop_app.core.device_clock import DeviceClock
from teleop_app.core.types import ClockFit


class FrameStamps:
    """Takes frames of one camera and times them.

    Args:
        camera: Camera name.
        source: Where its frames come from.
        latency_ns: Calibrated; not for simulated frames whose true time is known.
        clock: The station's clock.
    """

    def __init__(self, camera: str, source: FrameSource, latency_ns: int, clock: Clock) -> None:
        self._camera = camera
        self._source = source
        self._free = source if isinstance(source, FreeRunningSource) else None
        self._clock = clock
        self._device_clock = DeviceClock(camera, latency_ns)
        # A real camera's driver may stamp the arrival at the host: that too is late by what was calibrated.
        self._latency_ns = latency_ns if isinstance(source, RealCameras) else 0

    def grab(self, out: Image) -> FrameTimes | None:
        """Write the frame of the latched instant into `out`; its times, None when there is no new frame.

        Raises:
            DeviceError: The source cannot deliver.
        """
        if self._free is None:
            capture_ns = self._source.grab(self._camera, out)
            return FrameTimes(capture_ns, self._clock.now_ns())
        times = self._free.times(self._camera)
        if times is None:
            return None
        self._source.grab(self._camera, out)
        capture_ns = times.capture_ns - self._latency_ns
        if not times.capture_ns:
            capture_ns = self._device_clock.stamp(times.device_ns, times.receive_ns)
        return FrameTimes(capture_ns, times.receive_ns, times.device_ns, times.exposure_ns)

    def take_fit(self, now_ns: int) -> ClockFit | None:
        """How the camera's clock lies, about once a second; None for a camera without one."""
        return self._device_clock.take_fit(now_ns)
