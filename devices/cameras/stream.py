"""Network cameras (RTSP, HTTP) and video files through PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final, Literal

import av
import av.error
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from pydantic import Field

from devices.cameras.source import CameraFormat, Image
from devices.cameras.stream_address import StreamAddress
from devices.driver import DeviceContext, Driver, DriverKind, Options
from devices.protocols import Array, CameraFrame, Verification
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError

_SMALLEST, _LARGEST = 16, 4096
_FIRST_NS: Final = NS_PER_S
"""Added to every stamp: 0 would say that there is none."""
_USUAL_FPS: Final = 30
_MOST_FPS: Final = 240


class StreamOptions(Options):
    """Settings of a stream.

    Attributes:
        url: `rtsp://`, `rtsps://`, `http://`, `https://`, or the path of a video file.
        transport: Of RTSP. UDP saves a little latency on a wired network and loses pictures on others.
        low_latency: Neither buffer nor reorder; some cameras need the patience that this forgoes.
        format: Name of the container for FFmpeg where it cannot tell, e.g. `mpjpeg`; empty: it tells.
        loop: Start a file again at its end.
        timeout_s: For connecting, and longest silence before the stream counts as lost.
    """

    url: str = Field(min_length=1, max_length=500)
    transport: Literal["tcp", "udp"] = "tcp"
    low_latency: bool = True
    format: str = Field(default="", pattern=r"^[a-z0-9_]{0,20}$")
    loop: bool = False
    timeout_s: float = Field(default=3.0, ge=0.2, le=30.0)


class StreamCamera:
    """A stream or file as a camera. A file plays at its own rate.

    Args:
        name: Camera name.
        options: Settings.
    """

    def __init__(self, name: str, options: StreamOptions) -> None:
        self._name = name
        self._options = options
        self._address = StreamAddress(options.url)
        self._container: InputContainer | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._reformatter = VideoReformatter()
        self._ended = False
        self._shift_ns = 0
        self._stamp_ns = 0
        self._started_ns = 0
        self.serial = ""
        self.depth_unit_m = 0.0

    @property
    def intrinsics(self) -> Array | None:
        """Streams do not say."""
        return None

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Connect.

        Raises:
            DeviceError: It cannot be reached, has no video, one of an absurd size, or a file that has ended.
        """
        if self._ended:
            raise DeviceError(
                f"The video file of camera '{self._name}' has ended",
                next_step="Set loop = true in its options, or start the station again",
            )
        options = self._options
        try:
            self._container = av.open(
                self._address.target,
                mode="r",
                format=options.format or None,
                options=self._address.demuxer_options(options.transport, options.low_latency),
                timeout=(options.timeout_s, options.timeout_s),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DeviceError(
                f"Camera '{self._name}' cannot open {self._address.shown}",
                why=self._address.reason(error),
                next_step=self._address.advice,
            ) from error
        return self._start(self._container, wanted)

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next picture; waits at most the `timeout_s` of the options.

        Raises:
            DeviceError: The stream is lost, or a file has ended.
        """
        del timeout_s
        if self._container is None:
            raise DeviceError(f"Camera '{self._name}' is not open")
        try:
            frame = next(self._frames, None)
            if frame is None:
                return self._at_end()
            image = self._rgb(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DeviceError(
                f"Camera '{self._name}' lost {self._address.shown}",
                why=self._address.reason(error),
                next_step=self._address.advice,
            ) from error
        device_ns = self._stamp(frame)
        if self._address.is_file:
            self._wait_for(device_ns)
        return CameraFrame(image, time.monotonic_ns(), device_ns)

    def close(self) -> None:
        """Disconnect. May be called twice."""
        container, self._container = self._container, None
        self._frames = iter(())
        if container is not None:
            container.close()

    def _start(self, container: InputContainer, wanted: CameraFormat) -> CameraFormat:
        video = container.streams.video[0] if container.streams.video else None
        if video is None:
            raise DeviceError(f"Camera '{self._name}': {self._address.shown} has no video")
        width, height = video.codec_context.width, video.codec_context.height
        if not (_SMALLEST <= width <= _LARGEST and _SMALLEST <= height <= _LARGEST):
            raise DeviceError(
                f"Camera '{self._name}': {self._address.shown} delivers pictures of {width}x{height}",
                why=f"{_SMALLEST} to {_LARGEST} pixels each way can be recorded",
                next_step="Choose another size in the camera's own settings",
            )
        # Threads by frame would hold back one picture each.
        video.thread_type = "SLICE"
        if self._options.low_latency:
            video.codec_context.flags |= Flags.low_delay
        self._frames = container.decode(video)
        said = float(video.average_rate or 0)
        fps = wanted.fps or (round(said) if 1 <= said <= _MOST_FPS else _USUAL_FPS)
        self._started_ns = 0
        origin = "the station file says" if wanted.fps else "it says" if said else "assumed: it says none"
        return CameraFormat(width, height, fps, f"The stream is {width}x{height}, {fps}/s ({origin}).")

    def _at_end(self) -> None:
        """The file is over: from the start again, or never."""
        if not self._address.is_file:
            raise DeviceError(f"Camera '{self._name}': {self._address.shown} has ended the stream")
        if self._container is None or not self._options.loop:
            self._ended = True
            raise DeviceError(
                f"The video file of camera '{self._name}' has ended",
                next_step="Set loop = true in its options, or start the station again",
            )
        self._container.seek(0)
        self._frames = self._container.decode(video=0)
        self._shift_ns = self._stamp_ns + NS_PER_S // _USUAL_FPS

    def _stamp(self, frame: VideoFrame) -> int:
        """Presentation time [ns], rising over the ends of a looped file; 0 when it has none."""
        if frame.pts is None or frame.time_base is None:
            return 0
        self._stamp_ns = round(frame.pts * frame.time_base * NS_PER_S) + self._shift_ns
        return self._stamp_ns + _FIRST_NS

    def _wait_for(self, device_ns: int) -> None:
        """Play a file at its own rate."""
        now_ns = time.monotonic_ns()
        if not self._started_ns:
            self._started_ns = now_ns - device_ns
        ahead_ns = self._started_ns + device_ns - now_ns
        if ahead_ns > 0:
            time.sleep(min(ahead_ns / NS_PER_S, self._options.timeout_s))

    def _rgb(self, frame: VideoFrame) -> Image:
        return np.asarray(self._reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)


def _make(context: DeviceContext, options: StreamOptions) -> StreamCamera:
    return StreamCamera(context.name, options)


DRIVER = Driver(
    name="stream",
    kind=DriverKind.CAMERA,
    title="Network camera or video file",
    verification=Verification.EMULATOR,
    proof="FFmpeg against our own RTSP server, HTTP servers of MPEG-TS and of JPEGs, and real files; no "
    "network camera has been tried.",
    make=_make,
    options=StreamOptions,
)
