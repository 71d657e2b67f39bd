"""Encodes one camera beside the thread that draws: x264 and zlib release the interpreter lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from queue import SimpleQueue

from devices.cameras.depth import DepthImage, pack_png
from devices.cameras.free_running import FrameTimes
from devices.cameras.source import CameraFormat, Image
from recorders.video import H264Encoder, is_keyframe
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import DepthPacket, VideoPacket


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of one frame.

    Attributes:
        camera: Camera name.
        packet: The access unit or depth image, None when encoding failed.
        error: Why it failed, else empty.
        cpu_ms: Processor time of the encoding thread [ms].
        depth: It was a depth image.
    """

    camera: str
    packet: VideoPacket | DepthPacket | None
    error: str
    cpu_ms: float
    depth: bool = False


class EncoderLane:
    """The encoder of one camera, fed one frame at a time.

    Args:
        camera: Camera name.
        size: What the camera delivers.
        make: Makes an encoder; called again after a failure.
        executor: Runs the encoding.
        results: Takes what comes out.
        clock: The station's clock.
    """

    def __init__(
        self,
        camera: str,
        size: CameraFormat,
        make: Callable[[CameraFormat], H264Encoder],
        executor: Executor,
        results: SimpleQueue[Encoded],
        clock: Clock,
    ) -> None:
        self._camera = camera
        self._size = size
        self._make = make
        self._executor = executor
        self._results = results
        self._clock = clock
        self._encoder = make(size)
        self._broken = False
        self.encoder_name = self._encoder.name
        self.force_keyframe = True

    def submit(self, image: Image, seq: int, times: FrameTimes) -> None:
        """Start to encode `image`; it must not change until the result is there."""
        keyframe, self.force_keyframe = self.force_keyframe, False
        self._executor.submit(self._encode, image, seq, times, keyframe)

    def close(self) -> None:
        """Release the encoder; nothing may be under way."""
        self._encoder.close()

    def _encode(self, image: Image, seq: int, times: FrameTimes, keyframe: bool) -> None:
        started = time.thread_time()
        packet, error = None, ""
        try:
            if self._broken:
                self._encoder = self._make(self._size)
                self._broken, keyframe = False, True
            payload = self._encoder.encode(image, force_keyframe=keyframe)
            packet = VideoPacket(
                camera=self._camera,
                seq=seq,
                capture_ns=times.capture_ns,
                encoded_ns=self._clock.now_ns(),
                keyframe=is_keyframe(payload),
                width=self._size.width,
                height=self._size.height,
                payload=payload,
                receive_ns=times.receive_ns,
                device_ns=times.device_ns,
                exposure_ns=times.exposure_ns,
            )
        except DeviceError as failure:
            self._broken = True
            error = failure.sentence
        except Exception as failure:  # a thread must not die silently: the waiting process would hang
            self._broken = True
            error = f"The video of {self._camera} could not be encoded: {failure!r}."
        self._results.put(Encoded(self._camera, packet, error, (time.thread_time() - started) * 1e3))


class DepthLane:
    """Packs the depth images of one camera.

    Args:
        camera: Camera name.
        unit_m: Metres of one count.
        executor: Runs the packing.
        results: Takes what comes out.
        clock: The station's clock.
    """

    def __init__(
        self, camera: str, unit_m: float, executor: Executor, results: SimpleQueue[Encoded], clock: Clock
    ) -> None:
        self._camera = camera
        self._unit_m = unit_m
        self._executor = executor
        self._results = results
        self._clock = clock

    def submit(self, image: DepthImage, seq: int, times: FrameTimes) -> None:
        """Start to pack `image`; it must not change until the result is there."""
        self._executor.submit(self._pack, image, seq, times)

    def _pack(self, image: DepthImage, seq: int, times: FrameTimes) -> None:
        started = time.thread_time()
        packet, error = None, ""
        try:
            packet = DepthPacket(
                camera=self._camera,
                seq=seq,
                capture_ns=times.capture_ns,
                encoded_ns=self._clock.now_ns(),
                width=image.shape[1],
                height=image.shape[0],
                unit_m=self._unit_m,
                payload=pack_png(image),
                receive_ns=times.receive_ns,
                device_ns=times.device_ns,
                exposure_ns=times.exposure_ns,
            )
        except Exception as failure:  # a thread must not die silently: the waiting process would hang
            error = f"The depth of {self._camera} could not be packed: {failure!r}."
        cpu_ms = (time.thread_time() - started) * 1e3
        self._results.put(Encoded(self._camera, packet, error, cpu_ms, depth=True))
