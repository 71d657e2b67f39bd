"""Fields of many protobuf messages at once: all messages are read in step, one field of each at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recorders.message_blocks import Block
from recorders.schema import Array, IntArray

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_MAX_FIELDS = 64
_MAX_VARINT_BYTES = 10
_WORD = 32
"""Longest word that `texts` compares without a loop."""
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Column:
    """One field of all messages.

    Attributes:
        value: Integer of a varint field, 0 where absent, shape (k,).
        start: Where the bytes of any other field begin, shape (k,).
        length: How many, 0 where absent, shape (k,).
    """

    value: IntArray
    start: IntArray
    length: IntArray


@dataclass(slots=True)
class Columns:
    """All fields of a block of messages by number; a field that no message has reads as absent.

    Attributes:
        block: The messages.
        found: By field number.
    """

    block: Block
    found: dict[int, Column] = field(default_factory=dict)

    def __getitem__(self, number: int) -> Column:
        if number not in self.found:
            count = len(self.block.starts)
            empty = Column(*(np.zeros(count, np.int64) for _ in range(3)))
            self.found[number] = empty
        return self.found[number]

    def words(self, number: int) -> tuple[IntArray, IntArray] | None:
        """8-byte numbers of a packed or fixed64 field as integers, all messages' one after another.

        Returns:
            Them and how many each message has; None when one has a length that is no multiple of 8.
        """
        column = self[number]
        if (column.length % 8).any():
            return None
        raw = _gathered(self.block.data, column.start, column.length)
        return raw.view("<i8").astype(np.int64), column.length // 8

    def doubles(self, number: int) -> tuple[Array, IntArray] | None:
        """As `words`, as floating point."""
        found = self.words(number)
        return None if found is None else (found[0].view(np.float64), found[1])

    def texts(self, number: int) -> list[str]:
        """A string field, empty where absent; equal words are decoded once."""
        column = self[number]
        if not len(column.length):
            return []
        if int(column.length.max()) > _WORD:
            spans = zip(column.start.tolist(), column.length.tolist(), strict=True)
            return [self.block.data[a : a + n].tobytes().decode("utf-8", "replace") for a, n in spans]
        reach = np.arange(_WORD)
        last = len(self.block.data) - 1
        cells = self.block.data[np.minimum(column.start[:, None] + reach, last)]
        cells[reach >= column.length[:, None]] = 0
        words, which = np.unique(cells.view(f"S{_WORD}").reshape(-1), return_inverse=True)
        return np.array([word.decode("utf-8", "replace") for word in words.tolist()])[which].tolist()


def columns_of(block: Block) -> Columns | None:
    """Fields of all messages of a block.

    Returns:
        None when one is not plain protobuf with field numbers below 16: read them one by one then.
    """
    out = Columns(block)
    at, end = block.starts.copy(), block.starts + block.lengths
    rows = np.flatnonzero(at < end)
    for _ in range(_MAX_FIELDS):
        if not len(rows):
            return out
        keys = block.data[at[rows]]
        at[rows] += 1
        if (keys >= 0x80).any():
            return None
        alike = bool((keys == keys[0]).all())
        for key in keys[:1].tolist() if alike else np.unique(keys).tolist():
            if not _read(out, rows if alike else rows[keys == key], key, at, end):
                return None
        rows = rows[at[rows] < end[rows]]
    return None


def _read(out: Columns, rows: IntArray, key: int, at: IntArray, end: IntArray) -> bool:
    """The field that begins with `key` in each of these rows; moves `at` behind it."""
    kind, column = key & 7, out[key >> 3]
    value = np.zeros(len(rows), np.int64)
    if kind in (_VARINT, _BYTES):
        if not _varints(out.block.data, rows, np.arange(len(rows)), value, at, end):
            return False
    elif kind not in _WIDTHS:
        return False
    start, length = at[rows], value if kind == _BYTES else np.full(len(rows), _WIDTHS.get(kind, 0))
    if (length < 0).any() or (length > end[rows] - start).any():
        return False
    at[rows] += length
    column.value[rows] = value if kind == _VARINT else 0
    column.start[rows], column.length[rows] = start, length
    return True


def _varints(
    data: NDArray[np.uint8], rows: IntArray, places: IntArray, value: IntArray, at: IntArray, end: IntArray
) -> bool:
    """Varints of `rows` into value[places]; False when one is cut off."""
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if not len(rows):
            return True
        if (at[rows] >= end[rows]).any():
            return False
        byte = data[at[rows]].astype(np.int64)
        value[places] |= (byte & 0x7F) << shift  # bits beyond 64 fall out, as they must
        at[rows] += 1
        more = byte >= 0x80
        rows, places = rows[more], places[more]
    return not len(rows)


def _gathered(data: NDArray[np.uint8], starts: IntArray, lengths: IntArray) -> NDArray[np.uint8]:
    """data[start : start + length] of all pairs, one after another."""
    before = np.cumsum(lengths) - lengths
    return data[np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))]
