"""Where frames come from, as the cameras process sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.types import Array

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """What a camera delivers.

    Attributes:
        width: [px]; 0 where a real camera's driver is to choose.
        height: [px]; likewise.
        fps: Frames a second; likewise.
        reason: Why this size and rate, as a sentence.
        affordable: Whether this machine is expected to keep up with it.
        depth: Depth images are wanted too; for sources that are a `devices.cameras.depth.DepthSource`.
    """

    width: int
    height: int
    fps: int
    reason: str
    affordable: bool = True
    depth: bool = False

    @property
    def text(self) -> str:
        """Width and height as people write them."""
        return f"{self.width}x{self.height}"


class FrameSource(Protocol):
    """Delivers the frames of one or more cameras. Used from one thread.

    Frames are taken instant by instant: `latch` fixes the instant, then `grab` is called once for each
    camera, and all of them show that same instant.
    """

    def suggest(self, cameras: int) -> CameraFormat:
        """A size and rate this machine can afford for so many cameras; may measure for a second.

        Raises:
            DeviceError: The source cannot deliver at all.
        """
        ...

    def open(self, formats: dict[str, CameraFormat]) -> None:
        """Get ready to deliver these cameras, by name.

        Raises:
            ConfigError: A camera does not exist, or its size is out of range.
            DeviceError: The source cannot deliver.
        """
        ...

    def intrinsics(self, camera: str) -> Array:
        """Camera matrix K [px], shape (3, 3)."""
        ...

    def mount(self, camera: str) -> tuple[str, Array]:
        """The frame that carries the camera, and its pose there, shape (7,), in OpenCV axes."""
        ...

    def latch(self, due_ns: int) -> bool:
        """Fix the instant `due_ns`, which may lie some frames back, or the nearest one that is known.

        False when the scene did not change since the last time.
        """
        ...

    def grab(self, camera: str, out: Image) -> int:
        """Write the camera's frame of the fixed instant into `out`, uint8 (height, width, 3).

        Returns:
            capture_ns of that instant.
        """
        ...

    def close(self) -> None:
        """Release everything. May be called twice."""
        ...


@runtime_checkable
class RealCameras(Protocol):
    """A `FrameSource` of real cameras, which choose their formats and may fail one by one."""

    def delivered(self, camera: str) -> CameraFormat:
        """What a camera delivers, which replaces what was wanted. After `open`."""
        ...

    def serial(self, camera: str) -> str:
        """Serial number, which names its calibration; empty when it has none. After `open`."""
        ...

    def distortion(self, camera: str) -> Array:
        """OpenCV's coefficients (k1, k2, p1, p2, k3, ...); empty when none is known."""
        ...

    def remark(self, camera: str) -> str:
        """Something odd about a camera that does deliver, as a sentence; else empty."""
        ...

    def counts(self, camera: str) -> Mapping[str, int]:
        """Pictures `taken`, `rejected`, `repeated`, `dropped`, and how often it was `reopened`."""
        ...
