"""Synthetic cameras through the real encoder, handed to whoever takes packets; for tests and measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import numpy as np

from devices.cameras.source import CameraFormat, Image
from devices.cameras.synthetic import SyntheticFrameSource
from recorders.video import H264Encoder, is_keyframe
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import VideoPacket


class CameraFeed:
    """Draws, encodes and hands on, in a thread of its own. Each picture carries its time as a barcode.

    Args:
        formats: By camera name, all of one rate.
        take: Gets every packet.
        keyframe_frames: Largest distance between keyframes.
    """

    def __init__(
        self,
        formats: Mapping[str, CameraFormat],
        take: Callable[[VideoPacket], None],
        keyframe_frames: int = 10,
    ) -> None:
        self._formats = dict(formats)
        self._take = take
        self._keyframe_frames = keyframe_frames
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera-feed")
        self.silent: set[str] = set()
        self.last: dict[str, Image] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        source = SyntheticFrameSource()
        source.open(self._formats)
        fps = next(iter(self._formats.values())).fps
        encoders = {
            name: H264Encoder(size.width, size.height, fps, keyframe_frames=self._keyframe_frames)
            for name, size in self._formats.items()
        }
        images = {
            name: np.zeros((size.height, size.width, 3), dtype=np.uint8)
            for name, size in self._formats.items()
        }
        seq, due_ns = 0, time.monotonic_ns()
        while not self._stop.wait(max(0, due_ns - time.monotonic_ns()) / NS_PER_S):
            source.latch(due_ns)
            for name in [each for each in self._formats if each not in self.silent]:
                capture_ns = source.grab(name, images[name])
                payload = encoders[name].encode(images[name])
                self.last[name] = images[name].copy()
                size = self._formats[name]
                self._take(
                    VideoPacket(
                        name,
                        seq,
                        capture_ns,
                        time.monotonic_ns(),
                        is_keyframe(payload),
                        size.width,
                        size.height,
                        payload,
                    )
                )
            seq += 1
            due_ns = max(due_ns + NS_PER_S // fps, time.monotonic_ns() - NS_PER_S)
        for encoder in encoders.values():
            encoder.close()
        source.close()
