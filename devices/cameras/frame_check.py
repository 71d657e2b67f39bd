"""Whether the pictures of a real camera are to be believed: size, stamps, and whether anything changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from devices.cameras.source import CameraFormat, Image
from devices.protocols import CameraFrame
from teleop_app.core.clock import NS_PER_S

FROZEN_NS: Final = 3 * NS_PER_S
"""Sensors have noise: pictures of a live one never stay the same to the last bit for so long."""
_OLDEST_NS: Final = 2 * NS_PER_S
_STRIDE: Final = 8


@dataclass(slots=True)
class FrameCounts:
    """What became of a camera's pictures.

    Attributes:
        taken: Went into the queue.
        rejected: Had a wrong size or kind.
        repeated: Came again with the stamp of the one before.
        dropped: Were replaced by newer ones before they were taken.
        reopened: Times the camera came back.
    """

    taken: int = 0
    rejected: int = 0
    repeated: int = 0
    dropped: int = 0
    reopened: int = 0


class FrameCheck:
    """Looks at every picture of one camera. Used from the camera's thread.

    Args:
        camera: Camera name, for sentences.
        size: What the camera said that it delivers.
    """

    def __init__(self, camera: str, size: CameraFormat) -> None:
        self._camera = camera
        self._size = size
        self._stamp_ns = 0
        self._sample: Image | None = None
        self._same_since_ns = 0
        self.repeats = False
        self.frozen_ns = 0
        """How long the pictures have been the same to the last bit."""

    def refusal(self, frame: CameraFrame) -> str:
        """Why a picture cannot be used, as a sentence; empty when it can."""
        shape = frame.image.shape
        wanted = (self._size.height, self._size.width, 3)
        if frame.image.ndim != 3 or shape[2] != 3 or frame.image.dtype != np.uint8:
            return f"Camera '{self._camera}' delivers no 8-bit RGB but {frame.image.dtype} {shape}."
        if shape != wanted:
            text = f"{shape[1]}x{shape[0]} instead of {self._size.text}"
            return f"Camera '{self._camera}' delivers pictures of {text}; they are not recorded."
        if self._size.depth:
            if frame.depth is None:
                return f"Camera '{self._camera}' delivers pictures without depth; they are not recorded."
            if frame.depth.shape != wanted[:2] or frame.depth.dtype != np.uint16:
                text = f"{frame.depth.dtype} {frame.depth.shape}"
                return f"Camera '{self._camera}' delivers depth images that do not fit: {text}."
        return ""

    def is_repeat(self, frame: CameraFrame) -> bool:
        """Whether the camera gave the same exposure once more, by its own stamp."""
        stamp_ns = frame.device_ns or frame.capture_ns
        self.repeats = bool(stamp_ns) and stamp_ns == self._stamp_ns
        self._stamp_ns = stamp_ns
        return self.repeats

    def look(self, frame: CameraFrame) -> None:
        """Note whether anything changes from picture to picture, by a sixty-fourth of the pixels."""
        sample = frame.image[::_STRIDE, ::_STRIDE]
        if self._sample is not None and np.array_equal(sample, self._sample):
            self.frozen_ns = frame.receive_ns - self._same_since_ns
            return
        self._sample = sample.copy()
        self._same_since_ns = frame.receive_ns
        self.frozen_ns = 0

    @property
    def remark(self) -> str:
        """A sentence when the pictures stand still, else empty."""
        if self.frozen_ns < FROZEN_NS:
            return ""
        seconds = self.frozen_ns // NS_PER_S
        text = f"Camera '{self._camera}' is frozen: its pictures have been the same for {seconds} s."
        return f"{text} Unplug it and plug it in again."


def with_sound_times(frame: CameraFrame, now_ns: int) -> CameraFrame:
    """The frame with times that can be true: received by now, captured before that, not long ago."""
    receive_ns = frame.receive_ns if 0 < frame.receive_ns <= now_ns else now_ns
    capture_ns = frame.capture_ns
    if not receive_ns - _OLDEST_NS <= capture_ns <= receive_ns:
        capture_ns = 0
    device_ns, exposure_ns = max(frame.device_ns, 0), max(frame.exposure_ns, 0)
    return replace(
        frame, receive_ns=receive_ns, capture_ns=capture_ns, device_ns=device_ns, exposure_ns=exposure_ns
    )
