"""The time in a picture: QR codes for screens that a camera sees, and the barcode of synthetic frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from devices.cameras.source import Image
from devices.cameras.time_mark import MARK_WRAP_US, read_time_mark
from teleop_app.core.errors import DeviceError

QR_WRAP_US: Final = 10**10
"""A QR code tells the time modulo this: 2.8 hours [us]."""
_CHECK: Final = 97
_QUIET: Final = 4
"""Modules of white around a code (ISO/IEC 18004)."""


@dataclass(frozen=True, slots=True)
class ShownTime:
    """A time that was read from a picture.

    Attributes:
        time_us: As shown [us].
        wrap_us: Modulo this.
    """

    time_us: int
    wrap_us: int

    def near_ns(self, host_ns: int) -> int:
        """The time [ns] that is nearest to a host time, of all that the code may mean."""
        difference_us = (self.time_us - host_ns // 1000) % self.wrap_us
        if difference_us > self.wrap_us // 2:
            difference_us -= self.wrap_us
        return (host_ns // 1000 + difference_us) * 1000


class TimeCodePainter:
    """Draws a host time as a QR code of 12 digits: 10 of microseconds, 2 that check them."""

    def __init__(self) -> None:
        parameters = cv2.QRCodeEncoder.Params()
        parameters.mode = cv2.QRCODE_ENCODER_MODE_NUMERIC
        parameters.correction_level = cv2.QRCODE_ENCODER_CORRECT_LEVEL_M
        self._encoder = cv2.QRCodeEncoder.create(parameters)

    def paint(self, time_ns: int, side_px: int = 0) -> Image:
        """The code, grey, square.

        Args:
            time_ns: CLOCK_MONOTONIC.
            side_px: About this side, of whole modules; 0: one pixel a module.

        Returns:
            uint8 of shape (side, side), 0 black and 255 white, with its quiet zone.
        """
        time_us = time_ns // 1000 % QR_WRAP_US
        modules = self._encoder.encode(f"{time_us:010d}{time_us % _CHECK:02d}")
        modules = _with_quiet_zone(np.asarray(modules, np.uint8))
        scale = max(1, side_px // len(modules))
        return modules.repeat(scale, axis=0).repeat(scale, axis=1)


class TimeCodeReader:
    """Finds the time in a camera's picture: the barcode of a synthetic frame, else a QR code on a screen."""

    def __init__(self) -> None:
        self._detector = cv2.QRCodeDetector()
        self._barcodes = self._codes = 0

    def read(self, image: Image) -> ShownTime | None:
        """The time shown, None when none can be read.

        Args:
            image: RGB, shape (height, width, 3).

        Raises:
            DeviceError: The picture has another shape.
        """
        if image.ndim != 3 or image.shape[2] != 3:
            raise DeviceError(f"A picture of shape {image.shape} is not (height, width, 3)")
        if self._codes <= self._barcodes:
            mark = read_time_mark(image)
            if mark is not None:
                self._barcodes += 1
                return ShownTime(mark, MARK_WRAP_US)
        if self._barcodes > self._codes:
            return None
        time_us = self._read_qr(image)
        if time_us is None:
            return None
        self._codes += 1
        return ShownTime(time_us, QR_WRAP_US)

    def _read_qr(self, image: Image) -> int | None:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        try:
            text, _, _ = self._detector.detectAndDecode(grey)
        except cv2.error:  # it trips over some degenerate quadrangles
            return None
        if len(text) != 12 or not (text.isascii() and text.isdigit()):
            return None
        time_us, check = int(text[:10]), int(text[10:])
        return time_us if time_us % _CHECK == check else None


def _with_quiet_zone(code: Image) -> Image:
    """The code with exactly four white modules around it, whatever the encoder put there."""
    rows, columns = np.flatnonzero((code == 0).any(axis=1)), np.flatnonzero((code == 0).any(axis=0))
    inside = code[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(inside, _QUIET, constant_values=255)
