"""Packets of DYNAMIXEL Protocol 2.0: checksum, byte stuffing, and finding them in a stream of bytes.

Source: ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0": CRC-16 with polynomial 0x8005, initial value 0, over the
whole packet after stuffing; `FF FF FD` within instruction and parameters is sent as `FF FF FD FD`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEADER = b"\xff\xff\xfd"
POLYNOMIAL = 0x8005
LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet whose checksum was right, without its stuffing.

    Attributes:
        servo: ID it is for.
        instruction: What to do.
        parameters: The rest.
    """

    servo: int
    instruction: int
    parameters: bytes


def _crc_of_byte(byte: int) -> int:
    value = byte << 8
    for _ in range(8):
        value = (value << 1) ^ POLYNOMIAL if value & 0x8000 else value << 1
    return value & 0xFFFF


TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """Checksum of a packet."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ TABLE[(value >> 8) ^ byte]
    return value


def stuffed(data: bytes) -> bytes:
    """Bytes in which no header occurs."""
    return data.replace(HEADER, HEADER + b"\xfd")


def unstuffed(data: bytes) -> bytes:
    """Inverse of `stuffed`."""
    return data.replace(HEADER + b"\xfd", HEADER)


def wrap(servo: int, instruction: int, body: bytes) -> bytes:
    """A packet around a body that is already stuffed."""
    packet = HEADER + bytes((0, servo)) + (len(body) + 3).to_bytes(2, "little") + bytes((instruction,)) + body
    return packet + crc16(packet).to_bytes(2, "little")


class FrameParser:
    """Finds packets in bytes as they come; what is damaged is passed over."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take more bytes; the packets that they complete."""
        self._buffer += data
        while True:
            start = self._buffer.find(HEADER + b"\x00")
            if start < 0:
                self._buffer = self._buffer[-3:]
                return
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 7:
                return
            end = 7 + int.from_bytes(self._buffer[5:7], "little")
            if not 10 <= end <= LONGEST:
                self._buffer = self._buffer[3:]
                continue
            if len(self._buffer) < end:
                return
            packet = self._buffer[:end]
            if crc16(packet[:-2]) != int.from_bytes(packet[-2:], "little"):
                self._buffer = self._buffer[3:]
                continue
            self._buffer = self._buffer[end:]
            yield Frame(packet[4], packet[7], unstuffed(packet[8:-2]))
