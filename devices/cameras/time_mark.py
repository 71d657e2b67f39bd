"""The barcode of their time that synthetic and simulated frames carry: room for it, and reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from devices.cameras.source import CameraFormat, Image
from devices.sim.barcode import WRAP_US as MARK_WRAP_US
from devices.sim.barcode import read_barcode
from teleop_app.core.errors import ConfigError

__all__ = ["MARK_WRAP_US", "check_room", "read_time_mark"]


def read_time_mark(image: Image) -> int | None:
    """The time modulo `MARK_WRAP_US` [us] in the corner of a frame, None where there is none."""
    return read_barcode(image)


def check_room(formats: Mapping[str, CameraFormat], box: Callable[[int, int], object]) -> None:
    """Check the sizes of cameras by name.

    Args:
        formats: By camera name.
        box: Finds the place of the barcode in a height and width, or raises ValueError.

    Raises:
        ConfigError: A frame is too small for the barcode.
    """
    for camera, size in formats.items():
        try:
            box(size.height, size.width)
        except ValueError as error:
            raise ConfigError(
                f"Camera '{camera}' cannot deliver {size.text}",
                why=f"{size.text} is too small for the barcode that tells the time",
                next_step="Choose 160x120 or more in the station file",
            ) from error
