"""Writes the records of an MCAP file, and keeps its summary ready while it grows.

`mcap.writer.Writer`, whose bytes these are, keeps an object for each chunk and encodes them all at the end,
which takes the longer the longer the episode. Here each chunk's index is encoded when the chunk ends, a
message costs a quarter of the time, and a file without an end can be taken up again (`resume`).
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections import Counter
from typing import Protocol

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    Channel,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from recorders.mcap_layout import largest_content

MAGIC = b"\x89MCAP0\r\n"
CHUNK_BYTES = 4 << 20
"""A chunk ends at this size even before its time is up."""
_MESSAGE = struct.Struct("<BQHIQQ")
_CHUNK = struct.Struct("<BQQQQII4sQ")
_MESSAGE_INDEX = struct.Struct("<BQHI")
_CHUNK_INDEX_HEAD = struct.Struct("<BQQQQQI")
_CHUNK_INDEX_PAIR = struct.Struct("<HQ")
_CHUNK_INDEX_TAIL = struct.Struct("<QI4sQQ")
_FOOTER_HEAD = struct.Struct("<BQQQ")
_ZSTD = b"zstd"
_ZSTD_FRAME = struct.Struct("<IBI")
_ZSTD_MAGIC = 0xFD2FB528
_SINGLE_SEGMENT = 0xA0
"""A frame header of the content's size in four bytes, without a checksum."""
_ZSTD_BLOCK = 128 << 10


class Output(Protocol):
    """Where the bytes go."""

    def write(self, payload: bytes | bytearray, /) -> int:
        """Take bytes."""
        ...


def _stored(content: bytes | bytearray) -> bytes:
    """A zstd frame (RFC 8878) that holds `content` as it is: one that shrank more would look like a bomb."""
    frame = bytearray(_ZSTD_FRAME.pack(_ZSTD_MAGIC, _SINGLE_SEGMENT, len(content)))
    for start in range(0, len(content), _ZSTD_BLOCK):
        block = content[start : start + _ZSTD_BLOCK]
        last = start + _ZSTD_BLOCK >= len(content)
        frame += (len(block) << 3 | last).to_bytes(3, "little")
        frame += block
    return bytes(frame)


class McapWriter:
    """One MCAP file with zstd chunks, message indexes and CRCs of everything.

    Args:
        output: Takes the bytes.
        position: Bytes that the file has already (`resume`d files).
        crc: CRC-32 of those bytes.
    """

    def __init__(self, output: Output, position: int = 0, crc: int = 0) -> None:
        self._output = output
        self._position = position
        self._crc = crc
        self._compressor = zstandard.ZstdCompressor()
        self._chunk = bytearray()
        self._index: dict[int, array[int]] = {}
        self._chunk_first_ns = self._chunk_last_ns = self._chunk_messages = 0
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._chunk_indexes = bytearray()
        self._attachment_indexes = bytearray()
        self._metadata_indexes = bytearray()
        self._counts: Counter[int] = Counter()
        self._totals: Counter[str] = Counter()
        self._first_ns = self._last_ns = 0

    def start(self, profile: str, library: str) -> None:
        """The beginning of the file."""
        self._emit(MAGIC + _record(Header(profile, library)))

    def register_schema(self, name: str, encoding: str, data: bytes) -> int:
        """A schema; returns its number."""
        schema = Schema(id=max(self._schemas, default=0) + 1, data=data, encoding=encoding, name=name)
        self._chunk += _record(schema)
        self._schemas[schema.id] = schema
        return schema.id

    def register_channel(self, topic: str, message_encoding: str, schema_id: int) -> int:
        """A channel; returns its number."""
        ident = max(self._channels, default=0) + 1
        channel = Channel(ident, topic, message_encoding, {}, schema_id)
        self._chunk += _record(channel)
        self._channels[ident] = channel
        return ident

    def add_message(self, channel: int, log_ns: int, data: bytes, publish_ns: int, sequence: int) -> None:
        """A message; it is in the file once its chunk has ended."""
        chunk, index = self._chunk, self._index.get(channel)
        if index is None:
            index = self._index[channel] = array("Q")
        if self._chunk_messages == 0:
            self._chunk_first_ns = self._chunk_last_ns = log_ns
        elif log_ns < self._chunk_first_ns:
            self._chunk_first_ns = log_ns
        elif log_ns > self._chunk_last_ns:
            self._chunk_last_ns = log_ns
        self._chunk_messages += 1
        index.append(log_ns)
        index.append(len(chunk))
        chunk += _MESSAGE.pack(Opcode.MESSAGE, 22 + len(data), channel, sequence, log_ns, publish_ns)
        chunk += data
        if len(chunk) > CHUNK_BYTES:
            self.end_chunk()

    def end_chunk(self) -> None:
        """Write the chunk in progress, if it holds a message, and its message indexes."""
        if self._chunk_messages == 0:
            return
        start, size = self._position, len(self._chunk)
        packed = self._compressor.compress(self._chunk)
        if size > largest_content(len(packed)):
            packed = _stored(self._chunk)
        head = _CHUNK.pack(
            Opcode.CHUNK,
            _CHUNK.size - 9 + len(packed),
            self._chunk_first_ns,
            self._chunk_last_ns,
            size,
            zlib.crc32(self._chunk),
            len(_ZSTD),
            _ZSTD,
            len(packed),
        )
        self._emit(head)
        self._emit(packed)
        self.index_chunk(start, size, len(packed), self._chunk_first_ns, self._chunk_last_ns, self._index)
        self._chunk.clear()
        self._index.clear()
        self._chunk_messages = 0

    def index_chunk(
        self, start: int, size: int, packed: int, first_ns: int, last_ns: int, index: dict[int, array[int]]
    ) -> None:
        """Write the message indexes of the chunk that ends here, and note it for the summary.

        Args:
            start: Where the chunk begins in the file.
            size: Of its content, as it is.
            packed: Of its content, compressed.
            first_ns: Of its messages.
            last_ns: Of its messages.
            index: Time and offset of each message, one after the other, by channel.
        """
        indexes = bytearray()
        pairs: list[tuple[int, int]] = []
        for channel, entries in index.items():
            pairs.append((channel, self._position + len(indexes)))
            length = 8 * len(entries)
            indexes += _MESSAGE_INDEX.pack(Opcode.MESSAGE_INDEX, 6 + length, channel, length)
            indexes += entries.tobytes()
        self.note_chunk(start, size, packed, (first_ns, last_ns), pairs, len(indexes))
        for channel, entries in index.items():
            self._counts[channel] += len(entries) // 2
        self._emit(indexes)

    def note_chunk(
        self,
        start: int,
        size: int,
        packed: int,
        span_ns: tuple[int, int],
        pairs: list[tuple[int, int]],
        indexes_length: int,
    ) -> None:
        """Note a chunk for the summary: its place, and where the index of each channel lies."""
        length = _CHUNK_INDEX_HEAD.size + 10 * len(pairs) + _CHUNK_INDEX_TAIL.size - 9
        self._chunk_indexes += _CHUNK_INDEX_HEAD.pack(
            Opcode.CHUNK_INDEX, length, *span_ns, start, _CHUNK.size + packed, 10 * len(pairs)
        )
        for pair in pairs:
            self._chunk_indexes += _CHUNK_INDEX_PAIR.pack(*pair)
        self._chunk_indexes += _CHUNK_INDEX_TAIL.pack(indexes_length, len(_ZSTD), _ZSTD, packed, size)
        self._first_ns = min(self._first_ns, span_ns[0]) if self._totals["chunks"] else span_ns[0]
        self._last_ns = max(self._last_ns, span_ns[1])
        self._totals["chunks"] += 1

    def add_attachment(self, at_ns: int, name: str, media_type: str, data: bytes) -> None:
        """A file inside the file."""
        record = _record(Attachment(at_ns, at_ns, name, media_type, data))
        self.note_attachment(self._position, len(record), at_ns, name, media_type, len(data))
        self._emit(record)

    def note_attachment(
        self, start: int, length: int, at_ns: int, name: str, media_type: str, size: int
    ) -> None:
        """Note an attachment for the summary."""
        index = AttachmentIndex(start, length, at_ns, at_ns, size, name, media_type)
        self._attachment_indexes += _record(index)
        self._totals["attachments"] += 1

    def add_metadata(self, name: str, fields: dict[str, str]) -> None:
        """A metadata record."""
        record = _record(Metadata(name, fields))
        self.note_metadata(self._position, len(record), name)
        self._emit(record)

    def note_metadata(self, start: int, length: int, name: str) -> None:
        """Note a metadata record for the summary."""
        self._metadata_indexes += _record(MetadataIndex(start, length, name))
        self._totals["metadata"] += 1

    def resume(self, schemas: dict[int, Schema], channels: dict[int, Channel], counts: Counter[int]) -> None:
        """Take up what an unfinished file holds already, besides the `note_*`d records."""
        self._schemas |= schemas
        self._channels |= channels
        self._counts += counts

    def finish(self) -> None:
        """End the chunk in progress, the data section and the file."""
        self.end_chunk()
        self._emit(_record(DataEnd(self._crc)))
        start = self._position
        groups = [
            (Opcode.SCHEMA, b"".join(map(_record, self._schemas.values()))),
            (Opcode.CHANNEL, b"".join(map(_record, self._channels.values()))),
            (Opcode.STATISTICS, _record(self._statistics())),
            (Opcode.CHUNK_INDEX, bytes(self._chunk_indexes)),
            (Opcode.ATTACHMENT_INDEX, bytes(self._attachment_indexes)),
            (Opcode.METADATA_INDEX, bytes(self._metadata_indexes)),
        ]
        at, offsets = start, b""
        for opcode, content in groups:
            if content:
                offsets += _record(SummaryOffset(opcode, at, len(content)))
                at += len(content)
        summary = b"".join(content for _, content in groups) + offsets
        crc = zlib.crc32(_FOOTER_HEAD.pack(Opcode.FOOTER, 20, start, at), zlib.crc32(summary))
        self._emit(summary + _record(Footer(start, at, crc)) + MAGIC)

    def _statistics(self) -> Statistics:
        return Statistics(
            attachment_count=self._totals["attachments"],
            channel_count=len(self._channels),
            channel_message_counts=dict(self._counts),
            chunk_count=self._totals["chunks"],
            message_count=self._counts.total(),
            metadata_count=self._totals["metadata"],
            message_start_time=self._first_ns,
            message_end_time=self._last_ns,
            schema_count=len(self._schemas),
        )

    def _emit(self, payload: bytes | bytearray) -> None:
        self._crc = zlib.crc32(payload, self._crc)
        self._position += len(payload)
        self._output.write(payload)


def _record(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return builder.end()
