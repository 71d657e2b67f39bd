"""Protobuf wire bytes written and read directly: the recorder's hot path.

A message of fixed shape (the joint states of one robot, a pose) is a byte template in which only the
time and some doubles change. Filling the template costs a few microseconds whatever the number of
joints; building protobuf objects costs that much per joint.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.errors import EpisodeError

Array = NDArray[np.float64]
STAMP_BYTES = 14
"""Length of field 1, a google.protobuf.Timestamp, as `stamp` writes it."""

_NS = 1_000_000_000
_TEMPLATES = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """`value` (>= 0) as a protobuf varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _spread(value: int) -> int:
    """Varint of exactly five bytes: shorter values are padded, which every parser accepts."""
    return (
        value & 0x7F
        | 0x80
        | (value & 0x3F80) << 1
        | 0x8000
        | (value & 0x1FC000) << 2
        | 0x800000
        | (value & 0xFE00000) << 3
        | 0x80000000
        | (value & 0x7F0000000) << 4
    )


_STAMP = struct.Struct("<3sIB1sIB")


def stamp(utc_ns: int) -> bytes:
    """Field 1 of a message: a Timestamp in `STAMP_BYTES` bytes, whatever the time until the year 3058."""
    seconds, nanos = divmod(utc_ns, _NS)
    low, high = _spread(seconds), _spread(nanos)
    return _STAMP.pack(b"\x0a\x0c\x08", low & 0xFFFFFFFF, low >> 32, b"\x10", high & 0xFFFFFFFF, high >> 32)


def tag(number: int, kind: int) -> bytes:
    """Key of a field."""
    return varint(number << 3 | kind)


def field_bytes(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, _BYTES) + varint(len(payload)) + payload


def field_text(number: int, text: str) -> bytes:
    """A string field; an empty one is left out."""
    return field_bytes(number, text.encode()) if text else b""


def field_int(number: int, value: int) -> bytes:
    """An int64, uint64, uint32 or bool field; negative values take ten bytes; zero is left out."""
    return tag(number, _VARINT) + varint(value & 0xFFFFFFFFFFFFFFFF) if value else b""


def field_double(number: int, value: float) -> bytes:
    """A double field."""
    return tag(number, _FIXED64) + struct.pack("<d", value)


def field_packed(number: int, values: NDArray[np.generic]) -> bytes:
    """A packed repeated field of 8-byte values (double, fixed64, sfixed64)."""
    return field_bytes(number, np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes())


class Template:
    """A message of fixed shape: `stamp`, then constant bytes with `count` 8-byte numbers in them.

    Args:
        parts: Constant bytes, and None where a number (double or sfixed64, little-endian) stands.
    """

    def __init__(self, parts: list[bytes | None]) -> None:
        body = bytearray()
        places: list[int] = []
        for part in parts:
            if part is None:
                places.append(len(body))
                body += bytes(8)
            else:
                body += part
        self.count = len(places)
        self._body = np.frombuffer(bytes(body), np.uint8)
        self._places = (np.array(places, np.intp)[:, None] + np.arange(8)).reshape(-1)
        self._fixed = np.full(len(body), 0xFF, np.uint8)
        self._fixed[self._places] = 0

    @property
    def length(self) -> int:
        """Bytes of a whole message."""
        return STAMP_BYTES + len(self._body)

    def fill(self, values: Array) -> bytes:
        """The body (all but the stamp) with `values`, float64 of shape (count,), in it."""
        body = self._body.copy()
        body[self._places] = values.view(np.uint8)
        return body.tobytes()

    def extract(self, block: NDArray[np.uint8], starts: NDArray[np.int64]) -> Array | None:
        """Doubles of many messages, shape (messages, count).

        Args:
            block: Bytes that hold the messages.
            starts: Where each message begins in `block`; each must have `length` bytes.

        Returns:
            None when one of them is not of this shape.
        """
        words = self.extract_words(block, starts)
        return None if words is None else words.view(np.float64)

    def extract_words(self, block: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """As `extract`, with the bits of each number as an integer: for sfixed64 fields."""
        if not len(starts):
            return np.zeros((0, self.count), np.int64)
        size = len(self._body)
        every = np.ndarray((len(block) - size + 1,), f"V{size}", block, strides=(1,))  # from each byte on
        bodies = every[starts + STAMP_BYTES].view(np.uint8).reshape(-1, size)
        if ((bodies ^ self._body) & self._fixed).any():
            return None
        return np.take(bodies, self._places, axis=1).view("<i8").astype(np.int64)


@lru_cache(maxsize=_TEMPLATES)
def joint_template(names: tuple[str, ...], with_motion: bool) -> Template:
    """foxglove.JointStates of these joints: positions, and velocities and efforts if `with_motion`.

    Doubles in order of joints; of each joint position, velocity, effort.
    """
    parts: list[bytes | None] = []
    for name in names:
        head = field_text(1, name)
        doubles = (2, 3, 5) if with_motion else (2,)
        parts.append(tag(2, _BYTES) + varint(len(head) + 9 * len(doubles)) + head)
        for number in doubles:
            parts.extend((tag(number, _FIXED64), None))
    return Template(parts)


@lru_cache(maxsize=_TEMPLATES)
def pose_template(frame: str) -> Template:
    """foxglove.PoseInFrame: doubles x, y, z, then the quaternion x, y, z, w."""
    pose = pose_fields(1, 2)
    length = sum(8 if part is None else len(part) for part in pose)
    return Template([field_text(2, frame) + tag(3, _BYTES) + varint(length), *pose])


def pose_fields(position: int, orientation: int) -> list[bytes | None]:
    """A Vector3 and a Quaternion field of these numbers, None where a double stands."""
    parts: list[bytes | None] = []
    for field, count in ((position, 3), (orientation, 4)):
        parts.append(tag(field, _BYTES) + varint(9 * count))
        for number in range(1, count + 1):
            parts.extend((tag(number, _FIXED64), None))
    return parts


@lru_cache(maxsize=_TEMPLATES)
def sample_template(count: int, with_device: bool) -> Template:
    """teleop.Sample: `count` doubles, then the device's stamp (an integer) if `with_device`."""
    parts: list[bytes | None] = [sample_head(count), *[None] * count]
    return Template([*parts, DEVICE_STAMP, None] if with_device else parts)


def sample_head(count: int) -> bytes:
    """What stands before the packed values of a teleop.Sample."""
    return tag(2, _BYTES) + varint(8 * count)


DEVICE_STAMP = tag(3, _FIXED64)
"""What stands before the device's stamp in a teleop.Sample."""


@lru_cache(maxsize=_TEMPLATES)
def frame_stamp_template() -> Template:
    """teleop.FrameStamp: the integers seq, device_ns, receive_utc_ns, exposure_ns."""
    return Template([part for number in (2, 3, 4, 5) for part in (tag(number, _FIXED64), None)])


def fields(payload: bytes | memoryview) -> Iterator[tuple[int, int | bytes]]:
    """Fields of any protobuf message as (number, integer or raw bytes).

    Raises:
        EpisodeError: The bytes are not a protobuf message.
    """
    view = memoryview(payload)
    at, end = 0, len(view)
    while at < end:
        key, at = _read_varint(view, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(view, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _read_varint(view, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise EpisodeError(f"A message holds the unknown wire type {kind}")
        if length > end - at:
            raise EpisodeError("A message ends within a field")
        yield key >> 3, bytes(view[at : at + length])
        at += length


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(view) and shift < 70:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise EpisodeError("A message ends within a number")
