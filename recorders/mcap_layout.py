"""How an MCAP file is laid out, the limits within which it is read, and what its summary says."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from mcap.records import Channel, Schema, Statistics
from numpy.typing import NDArray

MAGIC = b"\x89MCAP0\r\n"
MAX_CHUNK_BYTES = 64 << 20
MAX_EXPANSION = 1000
"""A chunk that unfolds to more times its size is a bomb; the writer stores such content as it is."""
SMALL_CHUNK_BYTES = 64 << 10
MAX_RECORD_BYTES = 128 << 20
MAX_METADATA_BYTES = 8 << 20
MAX_CHUNKS = 1_000_000
RECORD_HEAD = struct.Struct("<BQ")
CHUNK_HEAD = struct.Struct("<QQQII")
"""Start and end time, uncompressed size and CRC, length of the compression's name."""
MESSAGE = np.dtype(
    [("op", "u1"), ("length", "<u8"), ("channel", "<u2"), ("seq", "<u4"), ("log", "<u8"), ("publish", "<u8")]
)
_CHUNK_INDEX_HEAD = struct.Struct("<QQQQI")
_CHUNK_INDEX_PAIR = np.dtype([("channel", "<u2"), ("offset", "<u8")])
FOOTER_BYTES = RECORD_HEAD.size + 20

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """A chunk record: where it starts, its whole length, and how many bytes of index follow it.

    The log times of its messages lie within first_utc_ns..last_utc_ns; those bounds are wide where a crash
    cut it off.
    """

    start: int
    length: int
    index_length: int
    channels: frozenset[int]
    first_utc_ns: int = 0
    last_utc_ns: int = (1 << 63) - 1


@dataclass(slots=True)
class Contents:
    """What a container holds.

    Attributes:
        profile: MCAP profile.
        truncated: It has no end: the program or the machine stopped while it grew.
        whole_bytes: Length up to the last whole record.
        cut_messages: Messages taken from a chunk whose end is missing.
        damaged: A record in the middle of a file without an end cannot be read; what follows is left out.
        metadata: By name; of records with the same name the last one.
        metadata_places: Name, start and length of each record.
        statistics: None when truncated.
    """

    profile: str = ""
    library: str = ""
    truncated: bool = False
    whole_bytes: int = 0
    cut_messages: int = 0
    damaged: bool = False
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkPlace] = field(default_factory=list)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    metadata_places: list[tuple[str, int, int]] = field(default_factory=list)
    attachments: dict[str, tuple[int, int]] = field(default_factory=dict)
    statistics: Statistics | None = None


def largest_content(compressed_bytes: int) -> int:
    """How much a chunk of so many bytes may unfold to."""
    return min(MAX_CHUNK_BYTES, MAX_EXPANSION * compressed_bytes + SMALL_CHUNK_BYTES)


def chunk_place(summary: bytes, start: int, length: int) -> ChunkPlace:
    """A chunk from its ChunkIndex record; there are thousands, hence no general parser."""
    first_ns, last_ns, at, whole, pairs_length = _CHUNK_INDEX_HEAD.unpack_from(summary, start)
    if pairs_length % _CHUNK_INDEX_PAIR.itemsize or _CHUNK_INDEX_HEAD.size + pairs_length + 8 > length:
        raise ValueError("a chunk index is broken")
    start += _CHUNK_INDEX_HEAD.size
    pairs = np.frombuffer(summary, _CHUNK_INDEX_PAIR, pairs_length // _CHUNK_INDEX_PAIR.itemsize, start)
    index_length = int.from_bytes(summary[start + pairs_length : start + pairs_length + 8], "little")
    return ChunkPlace(at, whole, index_length, frozenset(pairs["channel"].tolist()), first_ns, last_ns)
