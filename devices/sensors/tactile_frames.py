"""Tactile frames on a serial line: COBS between zero bytes, with a counter, a stamp and a checksum.

A frame, before it is stuffed, little endian: version (1), rows, columns, reserved (0), one byte each;
counter (16 bit, one up a frame); stamp of the device's clock (32 bit, us); rows x columns pressures (16
bit, row by row); CRC of X.25 over all of that. Stuffing: Cheshire and Baker, "Consistent overhead byte
stuffing", 1999; a zero byte ends each frame.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from devices.sensors.checksums import crc16_x25
from devices.sensors.readings import Counter, Reading

VERSION: Final = 1
HEAD: Final = struct.Struct("<BBBxHI")
_STAMP_NS: Final = 1000
_LONGEST: Final = 2 * (HEAD.size + 2 * 255 * 255)


def stuff(data: bytes) -> bytes:
    """Data without zero bytes, and the zero byte that ends it."""
    out, block = bytearray(), bytearray()
    for byte in data:
        if byte:
            block.append(byte)
            if len(block) < 254:
                continue
        out += bytes([len(block) + 1]) + block
        block.clear()
    return bytes(out) + bytes([len(block) + 1]) + bytes(block) + b"\0"


def unstuff(data: bytes) -> bytes | None:
    """The data of a frame without its last zero byte; None when it is not well formed."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        if code == 0 or at + code > len(data):
            return None
        out += data[at + 1 : at + code]
        at += code
        if code < 255 and at < len(data):
            out.append(0)
    return bytes(out)


def encode(pressures: np.ndarray, counter: int, stamp_us: int) -> bytes:
    """A frame as the device sends it.

    Args:
        pressures: uint16, shape (rows, columns).
        counter: Of the frame.
        stamp_us: Of the device's clock.
    """
    rows, columns = pressures.shape
    head = HEAD.pack(VERSION, rows, columns, counter & 0xFFFF, stamp_us & 0xFFFFFFFF)
    body = head + pressures.astype("<u2").tobytes()
    return stuff(body + crc16_x25(body).to_bytes(2, "little"))


class TactileDecoder:
    """Readings of a tactile array: counts, row by row.

    Attributes:
        shape: Rows and columns of the first frame, None before it.
        changed: Rows and columns of a later frame that differ from it, else None.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._in_step = False
        self._counter = Counter(2**16)
        self._stamps = Counter(2**32)
        self.shape: tuple[int, int] | None = None
        self.changed: tuple[int, int] | None = None
        self.refused = 0

    def feed(self, received: bytes) -> list[Reading]:
        """The readings that these bytes complete."""
        self._waiting += received
        *frames, rest = self._waiting.split(b"\0")
        self._waiting = bytearray(rest[-_LONGEST:])
        readings: list[Reading] = []
        for stuffed in frames:
            joined, self._in_step = not self._in_step, True
            reading = self._reading(unstuff(bytes(stuffed)))
            if reading is not None:
                readings.append(reading)
            elif not joined and stuffed:
                self.refused += 1
        return readings

    def _reading(self, frame: bytes | None) -> Reading | None:
        if frame is None or len(frame) < HEAD.size + 2:
            return None
        if crc16_x25(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            return None
        version, rows, columns, counter, stamp = HEAD.unpack_from(frame)
        pressures = frame[HEAD.size : -2]
        if version != VERSION or not rows or not columns or len(pressures) != 2 * rows * columns:
            return None
        self.shape = self.shape or (rows, columns)
        if self.shape != (rows, columns):
            self.changed = (rows, columns)
            return None
        missed = self._counter.advance(counter) - 1
        self._stamps.advance(stamp)
        values = np.frombuffer(pressures, "<u2").astype(np.float64)
        return Reading(values, self._stamps.total * _STAMP_NS, max(0, missed))
