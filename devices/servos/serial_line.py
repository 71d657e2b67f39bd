"""A serial port as the vendors' packet handlers want one, with sentences for what goes wrong.

Both SDKs take any object with the methods of their `PortHandler`. This one replaces theirs, because theirs
burns a core while it waits, measures time-outs by the wall clock, lets two programs write to one line, and
raises whatever pyserial raises. The names of its camelCase methods are the SDKs'.
"""

from __future__ import annotations

import errno
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import serial

from devices.servos.port_faults import gone_error, open_error
from devices.servos.usb_latency import settle_latency

Result = TypeVar("Result")

BITS_PER_BYTE = 10
ANSWER_SLACK_MS = 16.0
LONGEST_SLACK_MS = 100.0
SETTLE_READS = 8
SETTLE_BYTES = 1024
WRITE_TIMEOUT_S = 0.25

_FAULTS: tuple[type[Exception], ...] = (OSError, ValueError, TypeError)
if sys.platform != "win32":
    import termios

    _FAULTS = (*_FAULTS, termios.error)  # of a flush while the port goes; not an OSError


class SerialLine:
    """An exclusive serial port with a time-out per answer. One thread.

    Args:
        port: Device file.
        baud: Bit rate of the line [bit/s].
        answer_slack_ms: How long an answer may take beyond its time on the wire and the delay of the USB
            adapter [ms]: the servo's return delay and a host that is busy.

    Attributes:
        remark: A sentence when the port is odd; else empty.
        received: Bytes that have been read so far.
    """

    def __init__(self, port: str, baud: int, answer_slack_ms: float = ANSWER_SLACK_MS) -> None:
        self.port = port
        self.baud = baud
        self.is_using = False
        self.remark = ""
        self.received = 0
        self._slack_ms = answer_slack_ms
        self._patience = 1.0
        self._serial: serial.Serial | None = None
        self._deadline_ns = 0
        self._latency_ms = 0.0
        self._cap_ms = float("inf")

    @property
    def is_open(self) -> bool:
        """Whether the port is open."""
        return self._serial is not None

    @property
    def ms_per_byte(self) -> float:
        """Time of one byte on the wire [ms]."""
        return BITS_PER_BYTE * 1000.0 / self.baud

    def open(self) -> None:
        """Open the port for this process alone; may be called again after `close`.

        Raises:
            DeviceError: It does not exist, is busy, is not permitted, or does not know the bit rate.
        """
        if self._serial is not None:
            return
        try:
            self._serial = serial.Serial(
                self.port, self.baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True
            )
            self._serial.reset_input_buffer()
        except (OSError, ValueError, NotImplementedError) as error:
            self.close()
            raise open_error(self.port, self.baud, error) from error
        self.is_using = False
        latency = settle_latency(Path(self.port))
        self.remark = latency.remark
        self._latency_ms = latency.milliseconds

    def close(self) -> None:
        """Close the port. May be called twice."""
        port, self._serial = self._serial, None
        if port is not None:
            try:
                port.close()
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EBADF, errno.ENODEV):
                    raise

    def cap(self, milliseconds: float) -> None:
        """Bound every time-out that an SDK sets from now on [ms]; infinity takes the bound away."""
        self._cap_ms = milliseconds

    def be_patient(self, attempt: int) -> None:
        """Wait twice as long for an answer at each attempt after the first, 0, up to 0.1 s."""
        self._patience = 2.0**attempt

    def settle(self) -> None:
        """Throw away late answers until none has come for a while.

        Answers carry no number: after a time-out the late one could be taken for that of the next question.
        """
        for _ in range(SETTLE_READS):
            self.setPacketTimeoutMillis(2 * self._latency_ms + 2 * self._slack_ms)
            if not self.readPort(SETTLE_BYTES):
                return

    def wire_ns(self, count: int) -> int:
        """Time of so many bytes on the wire [ns]."""
        return round(count * self.ms_per_byte * 1e6)

    def getBaudRate(self) -> int:  # noqa: N802
        """Bit rate [bit/s]."""
        return self.baud

    def getBytesAvailable(self) -> int:  # noqa: N802
        """Bytes that have come and not been read."""
        return self._call(lambda port: port.in_waiting)

    def clearPort(self) -> None:  # noqa: N802
        """Forget what has come, so that a late answer is not taken for the next one's."""
        self._call(lambda port: port.reset_input_buffer())

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Send bytes; the number that went out."""
        return self._call(lambda port: port.write(bytes(packet))) or 0

    def readPort(self, length: int) -> bytes:  # noqa: N802
        """Up to `length` bytes; waits for the first one until the time-out, without using the processor."""
        got = self._call(lambda port: port.read(length))
        self.received += len(got)
        if got or length <= 0:
            return got
        remaining_s = (self._deadline_ns - time.monotonic_ns()) / 1e9
        if remaining_s > 0:
            self._call(lambda port: select.select([port.fileno()], [], [], remaining_s))
            got = self._call(lambda port: port.read(length))
            self.received += len(got)
        return got

    def setPacketTimeout(self, packet_length: int) -> None:  # noqa: N802
        """Expect an answer of so many bytes from now on."""
        slack_ms = min(self._patience * self._slack_ms, max(self._slack_ms, LONGEST_SLACK_MS))
        self.setPacketTimeoutMillis(packet_length * self.ms_per_byte + 2 * self._latency_ms + slack_ms)

    def setPacketTimeoutMillis(self, milliseconds: float) -> None:  # noqa: N802
        """Expect an answer within so many milliseconds from now on."""
        self._deadline_ns = time.monotonic_ns() + round(min(milliseconds, self._cap_ms) * 1e6)

    def isPacketTimeout(self) -> bool:  # noqa: N802
        """Whether that time is over."""
        return time.monotonic_ns() > self._deadline_ns

    def _call(self, action: Callable[[serial.Serial], Result]) -> Result:
        if self._serial is None:
            raise gone_error(self.port, "the port is not open")
        try:
            return action(self._serial)
        except _FAULTS as error:
            # pyserial raises TypeError when the file descriptor vanishes under it.
            self.is_using = False
            self.close()
            raise gone_error(self.port, str(error)) from error
