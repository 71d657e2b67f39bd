"""A tactile array that speaks the frames of `devices.sensors.tactile_frames`."""

from __future__ import annotations

import numpy as np

from devices.emulators.pty_port import Reply
from devices.sensors.tactile_frames import encode


class EmulatedTactile:
    """A tactile array; it takes no commands.

    Attributes:
        pressures: uint16 counts, shape (rows, columns).
        counter: Of the next frame.
    """

    def __init__(self, rows: int, columns: int, rate_hz: float = 100.0, baud: int = 921_600) -> None:
        self.baud = baud
        self.pressures = np.zeros((rows, columns), np.uint16)
        self.counter = 65_530
        self._period_us = round(1e6 / rate_hz)

    def receive(self, data: bytes) -> list[Reply]:
        """Bytes from the host are ignored."""
        return []

    def skip(self, frames: int) -> None:
        """Let frames go by unsent."""
        self.counter += frames

    def frame(self) -> bytes:
        """The next frame."""
        sent = encode(self.pressures, self.counter, self.counter * self._period_us)
        self.counter += 1
        return sent
