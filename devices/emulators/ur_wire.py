"""The bytes of Universal Robots' RTDE protocol, version 2, as the controller speaks them (big endian).

Source: Universal Robots, "Real-Time Data Exchange (RTDE) Guide". A package is its size (uint16, with this
header), a type (uint8) and a body.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

Value = float | tuple[float, ...]

_HEADER: Final = struct.Struct(">HB")
_MAX_PACKAGE: Final = 4096
_FORMATS: Final = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT32": "I",
    "UINT64": "Q",
    "INT32": "i",
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
    "VECTOR6UINT32": "6I",
}


class Package(IntEnum):
    """Types of packages."""

    REQUEST_PROTOCOL_VERSION = ord("V")
    GET_URCONTROL_VERSION = ord("v")
    TEXT_MESSAGE = ord("M")
    DATA = ord("U")
    SETUP_OUTPUTS = ord("O")
    SETUP_INPUTS = ord("I")
    START = ord("S")
    PAUSE = ord("P")


def package(kind: Package, body: bytes = b"") -> bytes:
    """One package."""
    return _HEADER.pack(_HEADER.size + len(body), kind) + body


class PackageReader:
    """Cuts what arrives into packages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[tuple[int, bytes]]:
        """Take bytes; yields type and body of every package that is complete.

        Raises:
            ValueError: A size that no package has.
        """
        self._buffer += received
        while len(self._buffer) >= _HEADER.size:
            size, kind = _HEADER.unpack_from(self._buffer)
            if not _HEADER.size <= size <= _MAX_PACKAGE:
                msg = f"a package of {size} bytes"
                raise ValueError(msg)
            if len(self._buffer) < size:
                return
            body = bytes(self._buffer[_HEADER.size : size])
            del self._buffer[:size]
            yield kind, body


def pack_values(types: Sequence[str], values: Sequence[Value]) -> bytes:
    """Values of a recipe, one after the other."""
    body = b""
    for kind, value in zip(types, values, strict=True):
        many = value if isinstance(value, tuple) else (value,)
        body += struct.pack(">" + _FORMATS[kind], *many)
    return body


def unpack_values(types: Sequence[str], body: bytes) -> list[Value]:
    """Inverse of `pack_values`.

    Raises:
        ValueError: The body has another size.
    """
    layouts = [struct.Struct(">" + _FORMATS[kind]) for kind in types]
    if sum(layout.size for layout in layouts) != len(body):
        msg = f"{len(body)} bytes for {', '.join(types)}"
        raise ValueError(msg)
    values: list[Value] = []
    at = 0
    for layout in layouts:
        first, *others = layout.unpack_from(body, at)
        values.append((first, *others) if others else first)
        at += layout.size
    return values
