"""Depth images beside colour frames: what a source with depth offers, and how they are packed."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from teleop_app.core.errors import DeviceError

DepthImage = NDArray[np.uint16]
MILLIMETRE_M: Final = 0.001


@runtime_checkable
class DepthSource(Protocol):
    """A `FrameSource` that also measures depth, for cameras whose `CameraFormat` asks for it."""

    def depth_unit_m(self, camera: str) -> float:
        """Metres of one count of the camera's depth images."""
        ...

    def grab_depth(self, camera: str, out: DepthImage) -> None:
        """Write the depth of the frame that `grab` gave last into `out`, (height, width); 0: no reading.

        Distances are along the optical axis, in the camera's pixels.
        """
        ...


def to_counts(metres: NDArray[np.float32], unit_m: float, out: DepthImage) -> None:
    """Distances as counts; what is not finite, not positive or beyond the range becomes 0 (no reading).

    Args:
        metres: Shape (height, width).
        unit_m: Metres of one count.
        out: Shape (height, width).
    """
    counts = metres * np.float32(1.0 / unit_m) + np.float32(0.5)
    sound = (counts >= 1.0) & (counts < 65536.0)
    np.copyto(out, np.where(sound, counts, 0.0), casting="unsafe")


def pack_png(image: DepthImage) -> bytes:
    """A one-channel 16-bit PNG, lossless.

    OpenCV's own settings take half the time of zlib's fastest level with its default filters, and no more
    bytes for a sensor's images (`benchmarks.depth`).

    Raises:
        DeviceError: The image cannot be packed.
    """
    done, payload = cv2.imencode(".png", image)
    if not done:
        raise DeviceError(f"A depth image of shape {image.shape} could not be packed")
    return payload.tobytes()
