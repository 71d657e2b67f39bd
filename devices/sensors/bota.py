"""Bota Systems sensors on a serial line (Rokubi, SensONE, ...): text sets them up, frames are binary.

Source: Bota Systems, "Serial user manual", and the vendor's examples
(gitlab.com/botasys/legacy/python_interface, github.com/BOTAsys/matlab, bota_serial/). `C` goes to the
configuration mode, `c,...` sets the link up, `f,...` the filter, `R` goes back to running; each is
acknowledged by `r,0,<command>,0`. A frame is 0xAA; status (16 bit), six 32-bit floats [N, N m], stamp (32
bit, us), temperature (32-bit float); and the CRC of X.25 over all but the header. Everything little endian.
A sinc filter of length n gives 51200 / n frames a second.
"""

from __future__ import annotations

import struct
from enum import IntFlag
from typing import Final

import numpy as np

from devices.sensors.checksums import crc16_x25
from devices.sensors.framing import FixedFrames
from devices.sensors.readings import Counter, Reading
from devices.sensors.stream_port import StreamPort
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError

BAUD: Final = 460_800
BAUD_CODES: Final = {9600: 0, 57_600: 1, 115_200: 2, 230_400: 3, 460_800: 4}
SINC_RATE_HZ: Final = 51_200
HEADER: Final = b"\xaa"
DATA: Final = struct.Struct("<H6fIf")
FRAME_BYTES: Final = len(HEADER) + DATA.size + 2
_STAMP_NS: Final = 1000
_STAMPS: Final = 2**32
_ANSWER_S: Final = 2.0


class Status(IntFlag):
    """Bits of a frame's status."""

    TOO_SLOW = 1
    OVER_RANGE = 2
    INVALID = 4
    RAW = 8


_REMARKS: Final = {
    Status.OVER_RANGE: "The force sensor is loaded beyond its range",
    Status.RAW: "The force sensor sends raw counts: its calibration is switched off",
    Status.TOO_SLOW: "The force sensor does not keep up with its own rate",
}


def begin(port: StreamPort, sinc: int) -> None:
    """Set the link and the filter up and let it run.

    Raises:
        DeviceError: It does not acknowledge.
    """
    commands = (
        b"C",
        f"c,0,1,0,{BAUD_CODES[port.baud]}".encode(),  # no temperature drift model, calibrated, binary
        f"f,{sinc},0,0,1".encode(),  # no chopping, no fast settling, no FIR filter
        b"R",
    )
    for command in commands:
        port.write(command)
        if port.read_until(b"r,0,%c,0" % command[0], _ANSWER_S) is None:
            raise DeviceError(
                f"No Bota sensor answers on {port.path}",
                why=f"the command {command.decode()!r} was not acknowledged at {port.baud} bit/s",
                next_step="Check its supply and cable, and port and baud in the station file",
            )


class BotaDecoder:
    """Frames of a Bota sensor. Losses are seen in its stamps.

    Args:
        rate_hz: Frames a second, to count what is missing.
    """

    def __init__(self, rate_hz: float) -> None:
        self._frames = FixedFrames(HEADER, FRAME_BYTES, _is_sound)
        self._stamps = Counter(_STAMPS)
        self._period_ns = NS_PER_S / rate_hz
        self._last_ns: int | None = None
        self.refused = 0

    def feed(self, received: bytes) -> list[Reading]:
        """The readings that these bytes complete: forces [N], torques [N m]."""
        readings: list[Reading] = []
        for frame in self._frames.feed(received):
            if frame is None:
                self.refused += 1
                continue
            status, *values, stamp, _ = DATA.unpack_from(frame, 1)
            wrench = np.array(values)
            self._stamps.advance(stamp)
            if status & Status.INVALID or not np.all(np.isfinite(wrench)):
                self.refused += 1
                continue
            readings.append(self._reading(wrench, self._stamps.total * _STAMP_NS, Status(status)))
        return readings

    def _reading(self, wrench: np.ndarray, device_ns: int, status: Status) -> Reading:
        missed = 0
        if self._last_ns is not None:
            missed = max(0, round((device_ns - self._last_ns) / self._period_ns) - 1)
        self._last_ns = device_ns
        remark = next((text for bit, text in _REMARKS.items() if status & bit), "")
        return Reading(wrench, device_ns, missed, remark)


def _is_sound(frame: bytes) -> bool:
    return crc16_x25(frame[1:-2]) == int.from_bytes(frame[-2:], "little")
