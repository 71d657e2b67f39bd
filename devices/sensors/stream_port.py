"""A serial port on which a sensor talks by itself."""

from __future__ import annotations

import contextlib
import select
import time
from pathlib import Path

import serial

from devices.servos.port_faults import SENSOR, gone_error, open_error
from devices.servos.usb_latency import settle_latency
from teleop_app.core.errors import DeviceError

_WRITE_TIMEOUT_S = 0.5


class StreamPort:
    """An exclusive serial port, 8 data bits, no parity, 1 stop bit. One thread.

    Args:
        path: Device file.
        baud: Bit rate [bit/s].
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self.baud = baud
        self.remark = ""
        self._serial: serial.Serial | None = None

    def open(self) -> None:
        """Open it for this process alone.

        Raises:
            DeviceError: It does not exist, is busy, is not permitted, or does not know the bit rate.
        """
        if self._serial is not None:
            return
        try:
            self._serial = serial.Serial(
                self.path, self.baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive=True
            )
            self._serial.reset_input_buffer()
        except (OSError, ValueError, NotImplementedError) as error:
            self.close()
            raise open_error(self.path, self.baud, error, SENSOR) from error
        self.remark = settle_latency(Path(self.path)).remark

    def read(self, timeout_s: float) -> bytes:
        """Whatever has come; waits up to `timeout_s` for the first byte.

        Raises:
            DeviceError: The port is gone.
        """
        port = self._opened()
        try:
            if not port.in_waiting:
                ready, _, _ = select.select([port.fileno()], [], [], max(timeout_s, 0.0))
                if not ready:
                    return b""
            return port.read(max(port.in_waiting, 1))
        except (OSError, ValueError, TypeError) as error:
            # pyserial raises TypeError when the file descriptor vanishes under it.
            self.close()
            raise gone_error(self.path, str(error), SENSOR) from error

    def read_until(self, mark: bytes, timeout_s: float) -> bytes | None:
        """Everything up to `mark` and what came with it; None when it did not come in time.

        Raises:
            DeviceError: The port is gone.
        """
        deadline = time.monotonic() + timeout_s
        received = b""
        while mark not in received:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return None
            received += self.read(remaining_s)
        return received

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            DeviceError: The port is gone, or takes nothing.
        """
        port = self._opened()
        try:
            port.write(data)
            port.flush()
        except (OSError, TypeError) as error:
            self.close()
            raise gone_error(self.path, str(error), SENSOR) from error

    def drain(self, quiet_s: float, timeout_s: float) -> bool:
        """Throw away what comes until nothing has come for `quiet_s`; False when it never falls silent.

        Raises:
            DeviceError: The port is gone.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.read(quiet_s):
                return True
        return False

    def close(self) -> None:
        """Close it. May be called twice."""
        port, self._serial = self._serial, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()

    def _opened(self) -> serial.Serial:
        if self._serial is None:
            raise DeviceError(f"The serial port {self.path} is not open")
        return self._serial
