"""The two 16-bit cyclic redundancy checks that serial sensors use."""

from __future__ import annotations

from typing import Final


def _table(polynomial: int) -> tuple[int, ...]:
    entries: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ polynomial if value & 1 else value >> 1
        entries.append(value)
    return tuple(entries)


_MODBUS: Final = _table(0xA001)
_X25: Final = _table(0x8408)


def crc16_modbus(data: bytes) -> int:
    """CRC of Modbus RTU (Modbus over Serial Line V1.02, 6.2.2); sent low byte first."""
    return _reflected(_MODBUS, data)


def crc16_x25(data: bytes) -> int:
    """CRC of X.25 and HDLC (RFC 1662, appendix C)."""
    return _reflected(_X25, data) ^ 0xFFFF


def _reflected(table: tuple[int, ...], data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc
