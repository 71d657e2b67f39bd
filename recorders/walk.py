"""Walks through an MCAP file whose end is missing and keeps what is whole."""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass

import numpy as np
import zstandard
from mcap.exceptions import McapError
from mcap.opcode import Opcode

from recorders.container import Container
from recorders.mcap_layout import (
    CHUNK_HEAD,
    MAX_CHUNK_BYTES,
    MAX_RECORD_BYTES,
    RECORD_HEAD,
    Bytes,
    ChunkPlace,
    Contents,
    Offsets,
    largest_content,
)
from recorders.mcap_summary import add_attachment, add_definitions, add_metadata
from teleop_app.core.errors import EpisodeError, UnreadableError

logger = logging.getLogger(__name__)
_END = frozenset({0, Opcode.DATA_END, Opcode.FOOTER})
_BROKEN = (EpisodeError, McapError, ValueError, IndexError, struct.error)


@dataclass(slots=True)
class _Walk:
    """One walk; `contents` grows with it."""

    container: Container
    contents: Contents

    def run(self, at: int) -> None:
        size = self.container.size
        self.contents.whole_bytes = at
        while at + RECORD_HEAD.size <= size:
            opcode, length = RECORD_HEAD.unpack(self.container.read(at, RECORD_HEAD.size))
            whole = RECORD_HEAD.size + length
            if at + whole > size:
                self._keep_cut_chunk(opcode, at)
                break
            if opcode in _END:
                break
            try:
                self._see(opcode, at, whole)
            except UnreadableError:
                raise  # what cannot be read may be whole
            except _BROKEN as error:
                logger.info("%s: a record at %d cannot be read: %s", self.container.path.name, at, error)
                self.contents.damaged = True
                break
            at += whole
            self.contents.whole_bytes = at

    def _see(self, opcode: int, at: int, whole: int) -> None:
        if opcode == Opcode.CHUNK:
            self._keep_chunk(self._place(at, whole))
        elif opcode == Opcode.METADATA:
            add_metadata(self.container, self.contents, at, whole)
        elif opcode == Opcode.ATTACHMENT:
            add_attachment(self.container, self.contents, at, whole)

    def _place(self, at: int, whole: int) -> ChunkPlace:
        head = self.container.read(at + RECORD_HEAD.size, min(16, whole - RECORD_HEAD.size))
        first_ns, last_ns = struct.unpack("<QQ", head) if len(head) == 16 else (0, 0)
        return ChunkPlace(at, whole, 0, frozenset(), first_ns, last_ns)

    def _keep_chunk(self, place: ChunkPlace) -> None:
        data = self.container.load(place)
        index_length = self._index_length(place.start + place.length)
        place = self._with(place, index_length, frozenset())
        offsets = self.container.index_of(place) if index_length else self.container.scan(data)
        self._definitions(data, offsets)
        self.contents.chunks.append(self._with(place, index_length, frozenset(offsets)))

    @staticmethod
    def _with(place: ChunkPlace, index_length: int, channels: frozenset[int]) -> ChunkPlace:
        return ChunkPlace(
            place.start, place.length, index_length, channels, place.first_utc_ns, place.last_utc_ns
        )

    def _index_length(self, start: int) -> int:
        """Length of the message indexes at `start`; 0 when they may be incomplete: nothing follows them."""
        at = start
        while at + RECORD_HEAD.size <= self.container.size:
            opcode, length = RECORD_HEAD.unpack(self.container.read(at, RECORD_HEAD.size))
            if opcode != Opcode.MESSAGE_INDEX:
                return at - start
            at += RECORD_HEAD.size + length
        return 0

    def _definitions(self, data: Bytes, offsets: dict[int, Offsets]) -> None:
        """Schemas and channels of a chunk: they lie where no message does."""
        starts = np.sort(np.concatenate([np.zeros(0, np.int64), *offsets.values()]))
        if len(starts) and (starts[0] < 0 or starts[-1] + RECORD_HEAD.size > len(data)):
            raise self.container.damaged("a message index points outside its chunk")
        lengths = data[starts[:, None] + np.arange(1, RECORD_HEAD.size)].reshape(-1).view("<u8")
        ends = [0, *(starts + RECORD_HEAD.size + lengths.astype(np.int64)).tolist()]
        begins = [*starts.tolist(), len(data)]
        for end, begin in zip(ends, begins, strict=True):
            if end != begin:
                add_definitions(self.container, self.contents, data[end:begin].tobytes())

    def _keep_cut_chunk(self, opcode: int, at: int) -> None:
        """Whole messages of a chunk whose end is missing; nothing can vouch for them but their shape."""
        container = self.container
        body = container.read(at, container.size - at)[RECORD_HEAD.size :] if opcode == Opcode.CHUNK else b""
        if len(body) < CHUNK_HEAD.size or len(body) > MAX_RECORD_BYTES:
            return
        _, _, size, _, name_length = CHUNK_HEAD.unpack_from(body)
        payload = body[CHUNK_HEAD.size + name_length + 8 :]
        if size > MAX_CHUNK_BYTES or name_length > 16:
            return
        if body[CHUNK_HEAD.size : CHUNK_HEAD.size + name_length] == b"zstd":
            try:
                unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_CHUNK_BYTES)
                payload = unpacker.stream_reader(payload).read(largest_content(len(payload)))
            except zstandard.ZstdError:
                return
        data = np.frombuffer(payload[: _whole_records(payload[:MAX_CHUNK_BYTES])], np.uint8)
        try:
            offsets = container.scan(data)
            self._definitions(data, offsets)
        except _BROKEN:
            return
        container.pin(at, data)
        self.contents.chunks.append(ChunkPlace(at, container.size - at, 0, frozenset(offsets)))
        self.contents.cut_messages = sum(len(found) for found in offsets.values())


def walk(container: Container, contents: Contents, at: int) -> None:
    """Fill `contents` of a file without an end, up to its last whole record.

    Args:
        container: The open file.
        contents: Of which the head is known.
        at: Where the records begin.
    """
    _Walk(container, contents).run(at)


def _whole_records(data: bytes) -> int:
    """Length of the whole records at the start of `data`."""
    at = 0
    while at + RECORD_HEAD.size <= len(data):
        _, length = RECORD_HEAD.unpack_from(data, at)
        if length > len(data) - at - RECORD_HEAD.size:
            break
        at += RECORD_HEAD.size + length
    return at
