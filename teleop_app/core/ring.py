"""Shared-memory ring: one writer, any number of readers, newest wins, torn reads detected.

Pixels and physics states go through memory because a ZMQ copy of the same bytes costs three times
the CPU. The mapping is a plain file, since `multiprocessing.shared_memory` before Python 3.13 unlinks
a segment when an unrelated process exits.

Layout: a 64-byte header, then `slots` records of 64 header bytes + payload. A record's `begin` and
`end` counters are equal only while it is whole; small records also carry a CRC-32.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from teleop_app.core.errors import BusError

_MAGIC = b"TELERNG1"
_HEADER = struct.Struct("<8sIIQQ")  # magic, slots, slot bytes, written, retired
_RECORD = struct.Struct("<QQqQII")  # begin, end, stamp_ns, seq, length, crc
_HEADER_BYTES = 64
_RECORD_BYTES = 64
_WRITTEN_AT = 16
_RETIRED_AT = 24
_CRC_LIMIT = 16384


def camera_ring(camera: str) -> str:
    """Ring of a camera's raw RGB frames, uint8 (height, width, 3)."""
    return f"camera.{camera}"


@dataclass(frozen=True, slots=True)
class RingRecord:
    """One record read from a ring.

    Attributes:
        seq: The writer's number for it.
        stamp_ns: The writer's time for it (capture_ns).
        payload: A private copy of the bytes.
    """

    seq: int
    stamp_ns: int
    payload: bytes


class RingWriter:
    """The single writer of a ring. A restarted writer takes over the file of its predecessor."""

    def __init__(self, path: Path, slot_bytes: int, slots: int = 8) -> None:
        self._slot_bytes = slot_bytes
        self._slots = slots
        self._stride = _RECORD_BYTES + -(-slot_bytes // 64) * 64
        size = _HEADER_BYTES + slots * self._stride
        if path.exists():
            _retire_unless(path, slots, slot_bytes, size)
        if not path.exists():
            _create(path, slots, slot_bytes, size)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self._view = memoryview(self._map)
        self._written = int(struct.unpack_from("<Q", self._map, _WRITTEN_AT)[0])

    def write(self, payload: bytes | memoryview, stamp_ns: int, seq: int) -> None:
        """Copy `payload` (a contiguous buffer of at most `slot_bytes`) into the next slot.

        Raises:
            BusError: The payload is larger than a slot.
        """
        body = memoryview(payload).cast("B")
        if len(body) > self._slot_bytes:
            raise BusError(f"A record of {len(body)} bytes does not fit a ring slot of {self._slot_bytes}")
        number = self._written + 1
        at = _HEADER_BYTES + (self._written % self._slots) * self._stride
        crc = zlib.crc32(body) if len(body) <= _CRC_LIMIT else 0
        struct.pack_into("<Q", self._map, at, number)
        self._view[at + _RECORD_BYTES : at + _RECORD_BYTES + len(body)] = body
        _RECORD.pack_into(self._map, at, number, number, stamp_ns, seq, len(body), crc)
        self._written = number
        struct.pack_into("<Q", self._map, _WRITTEN_AT, number)

    def close(self) -> None:
        """Release the mapping; the file stays for readers."""
        self._view.release()
        self._map.close()


class RingReader:
    """A reader of a ring. It never blocks the writer and may be opened before the writer exists."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._slots = 0
        self._stride = 0
        self._last = 0

    def latest(self) -> RingRecord | None:
        """The newest whole record, or None before the first."""
        return self._read(only_new=False)

    def next_new(self) -> RingRecord | None:
        """The newest whole record if it was not returned before, else None."""
        return self._read(only_new=True)

    def nearest(self, stamp_ns: int) -> RingRecord | None:
        """The whole record whose stamp is nearest to a time, of those the ring still holds.

        Stamps must rise from record to record. None before the first.
        """
        for _ in range(4):
            ring = self._attach()
            if ring is None:
                return None
            written = int(struct.unpack_from("<Q", ring, _WRITTEN_AT)[0])
            if written == 0:
                return None
            # The oldest slot is left out: the writer is about to reuse it.
            oldest = max(1, written - self._slots + 2)
            best, number = written, written
            while number >= oldest and self._stamp_ns(ring, number) > stamp_ns:
                best, number = number, number - 1
            if number >= oldest and self._is_nearer(ring, number, best, stamp_ns):
                best = number
            record = self._read_slot(ring, best)
            if record is not None:
                return record
        return None

    def close(self) -> None:
        """Release the mapping."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def _stamp_ns(self, ring: mmap.mmap, number: int) -> int:
        at = _HEADER_BYTES + ((number - 1) % self._slots) * self._stride
        return int(_RECORD.unpack_from(ring, at)[2])

    def _is_nearer(self, ring: mmap.mmap, number: int, other: int, stamp_ns: int) -> bool:
        return abs(self._stamp_ns(ring, number) - stamp_ns) < abs(self._stamp_ns(ring, other) - stamp_ns)

    def _read(self, *, only_new: bool) -> RingRecord | None:
        for _ in range(4):
            ring = self._attach()
            if ring is None:
                return None
            written = int(struct.unpack_from("<Q", ring, _WRITTEN_AT)[0])
            if written == 0 or (only_new and written == self._last):
                return None
            record = self._read_slot(ring, written)
            if record is not None:
                self._last = written
                return record
        return None

    def _read_slot(self, ring: mmap.mmap, number: int) -> RingRecord | None:
        at = _HEADER_BYTES + ((number - 1) % self._slots) * self._stride
        _, end, stamp_ns, seq, length, crc = _RECORD.unpack_from(ring, at)
        if end != number or length > self._stride - _RECORD_BYTES:
            return None
        payload = ring[at + _RECORD_BYTES : at + _RECORD_BYTES + length]
        if int(struct.unpack_from("<Q", ring, at)[0]) != number:
            return None  # the writer came round while the bytes were copied
        if length <= _CRC_LIMIT and zlib.crc32(payload) != crc:
            return None
        return RingRecord(seq=seq, stamp_ns=stamp_ns, payload=payload)

    def _attach(self) -> mmap.mmap | None:
        if self._map is not None and struct.unpack_from("<Q", self._map, _RETIRED_AT)[0] == 0:
            return self._map
        self.close()
        try:
            with self._path.open("rb") as file:
                ring = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            return None
        if len(ring) < _HEADER_BYTES:
            ring.close()
            return None
        magic, slots, slot_bytes, _, retired = _HEADER.unpack_from(ring, 0)
        stride = _RECORD_BYTES + -(-slot_bytes // 64) * 64
        if magic != _MAGIC or retired or slots == 0 or len(ring) < _HEADER_BYTES + slots * stride:
            ring.close()
            return None
        self._map, self._slots, self._stride, self._last = ring, slots, stride, 0
        return ring


def _create(path: Path, slots: int, slot_bytes: int, size: int) -> None:
    temporary = path.with_suffix(f".new{os.getpid()}")
    with temporary.open("wb") as file:
        file.truncate(size)
        file.write(_HEADER.pack(_MAGIC, slots, slot_bytes, 0, 0))
    temporary.replace(path)


def _retire_unless(path: Path, slots: int, slot_bytes: int, size: int) -> None:
    """Tell readers to reopen, and remove the file, if its geometry is not the wanted one."""
    with path.open("r+b") as file:
        head = file.read(_HEADER.size)
        if len(head) == _HEADER.size and path.stat().st_size == size:
            magic, old_slots, old_bytes, _, retired = _HEADER.unpack(head)
            if (magic, old_slots, old_bytes, retired) == (_MAGIC, slots, slot_bytes, 0):
                return
        if len(head) == _HEADER.size:
            file.seek(_RETIRED_AT)
            file.write(struct.pack("<Q", 1))
    path.unlink()
