"""The cameras of the comparisons: a bank of pictures played on the station's frame grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.pictures import Pictures
from devices.cameras.source import CameraFormat, Image
from devices.cameras.synthetic import SyntheticFrameSource
from teleop_app.core.clock import NS_PER_S

DRIVER = "bank"


class BankFrameSource(SyntheticFrameSource):
    """Plays a bank, with the capture time as a barcode in a corner.

    Args:
        bank: A file of `benchmarks.pictures.make_bank`.
        cameras: Names; the place in this list says where in the loop a camera is.
    """

    def __init__(self, bank: Path, cameras: tuple[str, ...]) -> None:
        super().__init__()
        self._pictures = Pictures(bank)
        self._numbers = {name: number for number, name in enumerate(cameras)}

    def suggest(self, cameras: int) -> CameraFormat:
        """The bank's own size at 30/s."""
        del cameras
        height, width, _ = self._pictures.shape
        return CameraFormat(width, height, 30, "Pictures of a bank.")

    def grab(self, camera: str, out: Image) -> int:
        """Copy the instant's picture into `out`."""
        instant = instant_of(self._capture_ns, self._format(camera).fps)
        self._pictures.draw(self._numbers[camera], instant, self._capture_ns // 1000, out)
        return self._capture_ns


def instant_of(capture_ns: int | np.int64, fps: int) -> int:
    """Which picture of the bank is shown at a capture time of the grid."""
    return round(int(capture_ns) * fps / NS_PER_S)
