"""The MCAP container of an episode: found by its index, or by walking through it when it was cut off.

Every length is checked against the file before anything is allocated, so that a damaged or hostile
file costs an error and not the machine's memory.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    Channel,
    Footer,
    Header,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from numpy.typing import NDArray

from teleop_app.core.errors import EpisodeError, UnreadableError

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
_Record = TypeVar("_Record", Channel, Schema, Statistics, MetadataIndex, AttachmentIndex)

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


@dataclass(frozen=True, slots=True)
class Block:
    """Messages of one channel in one chunk.

    Attributes:
        data: The chunk, shape (bytes,).
        starts: Where each message's payload begins in `data`, shape (k,).
        lengths: Of each payload, shape (k,).
        seq: Shape (k,).
        log_utc_ns: Shape (k,).
        publish_utc_ns: Shape (k,).
    """

    data: Bytes
    starts: Offsets
    lengths: Offsets
    seq: Offsets
    log_utc_ns: Offsets
    publish_utc_ns: Offsets

    def payloads(self) -> Iterator[bytes]:
        """Each message's bytes."""
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield self.data[start : start + length].tobytes()


@dataclass(slots=True)
class CachedChunk:
    """Content of a chunk, and where each channel's messages begin in it once somebody asked."""

    data: Bytes
    offsets: dict[int, Offsets] | None = None


class ChunkCache:
    """The chunks that were read last, of one file or of several."""

    def __init__(self, limit_bytes: int = 32 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._chunks: OrderedDict[tuple[int, int], CachedChunk] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[int, int]) -> CachedChunk | None:
        """A chunk by file and start."""
        found = self._chunks.get(key)
        if found is not None:
            self._chunks.move_to_end(key)
        return found

    def put(self, key: tuple[int, int], chunk: CachedChunk) -> None:
        """Keep a chunk, and forget the oldest ones."""
        self._chunks[key] = chunk
        self._bytes += len(chunk.data)
        while self._bytes > self._limit_bytes and len(self._chunks) > 1:
            self._bytes -= len(self._chunks.popitem(last=False)[1].data)

    def clear(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._bytes = 0


@dataclass(slots=True)
class Contents:
    """What a container holds.

    Attributes:
        profile: MCAP profile.
        truncated: It has no end: the program or the machine stopped while it grew.
        whole_bytes: Length up to the last whole record.
        cut_messages: Messages taken from a chunk whose end is missing.
        damaged: A record in the middle of a file without an end cannot be read; what follows is left out.
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
    metadata_places: dict[str, tuple[int, int]] = field(default_factory=dict)
    attachments: dict[str, tuple[int, int]] = field(default_factory=dict)
    statistics: Statistics | None = None


class Container:
    """Random access to an MCAP file.

    Args:
        path: The file.
        open_truncated: Read what there is of a file without an end.
        cache: Shared with other files; its own by default.

    Raises:
        EpisodeError: It is missing, foreign, damaged, or truncated and that is not allowed.

    Attributes:
        files: The containers of all files: itself, and of a long episode the others.
        missing: Sentences on files of the episode that cannot be read.
    """

    missing: tuple[str, ...] = ()

    def __init__(self, path: Path, *, open_truncated: bool = False, cache: ChunkCache | None = None) -> None:
        self.path = path
        self._cache = cache or ChunkCache()
        self._pinned: dict[int, Bytes] = {}
        self.files: tuple[Container, ...] = (self,)
        try:
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise EpisodeError(f"{path.name} cannot be opened", why=error.strerror or str(error)) from error
        try:
            self.contents = self._open(open_truncated)
        except (McapError, ValueError, struct.error, MemoryError) as error:
            self.close()
            raise self.damaged("its structure is broken") from error
        except EpisodeError:
            self.close()
            raise

    def _open(self, open_truncated: bool) -> Contents:
        if self.size < len(MAGIC) or self.read(0, len(MAGIC)) != MAGIC:
            raise EpisodeError(f"{self.path.name} is not an episode", why="it does not begin as an MCAP file")
        if not self._has_end():
            if not open_truncated:
                raise EpisodeError(
                    f"{self.path.name} is truncated",
                    why="its end is missing",
                    next_step="Salvage it with: teleop recover",
                )
            contents = Contents(truncated=True, whole_bytes=len(MAGIC))
            if self.size >= len(MAGIC) + RECORD_HEAD.size:
                from recorders import walk  # here, since it imports this module

                walk.walk(self, contents, self._read_head(contents))
            return contents
        return self._index()

    def _has_end(self) -> bool:
        end = FOOTER_BYTES + len(MAGIC)
        if self.size < len(MAGIC) + end:
            return False
        tail = self.read(self.size - end, end)
        return tail.endswith(MAGIC) and RECORD_HEAD.unpack_from(tail) == (Opcode.FOOTER, 20)

    def damaged(self, why: str) -> EpisodeError:
        """The error for a file whose bytes are wrong."""
        return EpisodeError(
            f"{self.path.name} is damaged",
            why=why,
            next_step="Restore it from a copy, or discard the episode",
        )

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file.

        Raises:
            EpisodeError: They lie outside it.
            UnreadableError: The disk does not give them.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.damaged("it refers to bytes beyond its end")
        try:
            self._file.seek(offset)
            payload = self._file.read(length)
        except OSError as error:
            raise UnreadableError(
                f"{self.path.name} cannot be read",
                why=error.strerror or str(error),
                next_step="Check the disk",
            ) from error
        if len(payload) != length:
            raise self.damaged("it became shorter while it was read")
        return payload

    def _index(self) -> Contents:
        body = self.read(self.size - FOOTER_BYTES - len(MAGIC), FOOTER_BYTES)
        footer = Footer.read(_stream(body[RECORD_HEAD.size :]))
        end = self.size - FOOTER_BYTES - len(MAGIC)
        if not len(MAGIC) <= footer.summary_start < end or end - footer.summary_start > MAX_RECORD_BYTES:
            raise self.damaged("its summary lies outside the file")
        summary = self.read(footer.summary_start, end - footer.summary_start)
        if zlib.crc32(body[:-4], zlib.crc32(summary)) != footer.summary_crc:
            raise self.damaged("the checksum of its summary is wrong")
        contents = Contents(whole_bytes=self.size)
        self._read_head(contents)
        self.add_definitions(contents, summary)
        for opcode, start, length in self.records(summary):
            if opcode == Opcode.STATISTICS:
                contents.statistics = _parse(Statistics, summary, start, length)
            elif opcode == Opcode.CHUNK_INDEX:
                contents.chunks.append(_chunk_place(summary, start, length))
            elif opcode == Opcode.METADATA_INDEX:
                place = _parse(MetadataIndex, summary, start, length)
                self.add_metadata(contents, place.offset, place.length)
            elif opcode == Opcode.ATTACHMENT_INDEX:
                item = _parse(AttachmentIndex, summary, start, length)
                contents.attachments[item.name] = (item.offset, item.length)
        if len(contents.chunks) > MAX_CHUNKS:
            raise self.damaged("it has too many chunks")
        return contents

    def _read_head(self, contents: Contents) -> int:
        opcode, length = RECORD_HEAD.unpack(self.read(len(MAGIC), RECORD_HEAD.size))
        start = len(MAGIC) + RECORD_HEAD.size
        if opcode != Opcode.HEADER or length > 4096:
            raise self.damaged("it has no header")
        header = Header.read(_stream(self.read(start, length)))
        contents.profile, contents.library = header.profile, header.library
        return start + length

    def records(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """Records in `data` as (opcode, start of the body, length of the body).

        Raises:
            EpisodeError: One reaches beyond the end.
        """
        at = 0
        while at < len(data):
            if at + RECORD_HEAD.size > len(data):
                raise self.damaged("a record is cut off")
            opcode, length = RECORD_HEAD.unpack_from(data, at)
            at += RECORD_HEAD.size
            if length > len(data) - at:
                raise self.damaged("a record is longer than what holds it")
            if opcode == 0:  # no record is, and a bomb of zeros would be millions of them
                raise self.damaged("a record is of no kind")
            yield opcode, at, length
            at += length

    def _record(self, at: int, whole: int, limit: int) -> bytes:
        if whole > limit or whole < RECORD_HEAD.size:
            raise self.damaged(f"a record of {whole} bytes exceeds the limit of {limit}")
        return self.read(at, whole)[RECORD_HEAD.size :]

    def add_metadata(self, contents: Contents, at: int, whole: int) -> None:
        """Note the metadata record that starts at `at`."""
        record = Metadata.read(_stream(self._record(at, whole, MAX_METADATA_BYTES)))
        contents.metadata[record.name] = record.metadata
        contents.metadata_places[record.name] = at, whole

    def add_attachment(self, contents: Contents, at: int, whole: int) -> None:
        """Note the attachment record that starts at `at`."""
        name = Attachment.read(_stream(self._record(at, whole, MAX_RECORD_BYTES))).name
        contents.attachments[name] = (at, whole)

    def add_definitions(self, contents: Contents, data: bytes) -> None:
        """Note the schemas and channels among the records in `data`."""
        for opcode, start, length in self.records(data):
            if opcode == Opcode.SCHEMA:
                schema = _parse(Schema, data, start, length)
                contents.schemas[schema.id] = schema
            elif opcode == Opcode.CHANNEL:
                channel = _parse(Channel, data, start, length)
                contents.channels[channel.id] = channel

    def pin(self, start: int, data: Bytes) -> None:
        """Keep the content of a chunk that cannot be read from the file again."""
        self._pinned[start] = data

    def is_pinned(self, place: ChunkPlace) -> bool:
        """Whether the end of this chunk is missing."""
        return place.start in self._pinned

    def attachment(self, name: str) -> bytes:
        """Content of an attachment.

        Raises:
            EpisodeError: It is damaged.
        """
        return self.attachment_record(name).data

    def attachment_record(self, name: str) -> Attachment:
        """An attachment with its times and media type.

        Raises:
            EpisodeError: It is damaged.
        """
        at, whole = self.contents.attachments[name]
        body = self._record(at, whole, MAX_RECORD_BYTES)
        if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            raise self.damaged(f"the checksum of its attachment {name} is wrong")
        return Attachment.read(_stream(body))

    def chunk(self, place: ChunkPlace) -> Bytes:
        """Decompressed content of a chunk, checked against its CRC; recent ones are kept.

        Raises:
            EpisodeError: It is damaged or too large.
        """
        return self._cached(place).data

    def _cached(self, place: ChunkPlace) -> CachedChunk:
        key = id(self), place.start
        found = self._cache.get(key)
        if found is None:
            pinned = self._pinned.get(place.start)
            found = CachedChunk(self.load(place) if pinned is None else pinned)
            self._cache.put(key, found)
        return found

    def load(self, place: ChunkPlace) -> Bytes:
        """As `chunk`, past the cache.

        Raises:
            EpisodeError: It is damaged or too large.
        """
        body = self._record(place.start, place.length, MAX_RECORD_BYTES)
        if len(body) < CHUNK_HEAD.size:
            raise self.damaged("a chunk is cut off")
        _, _, size, crc, name_length = CHUNK_HEAD.unpack_from(body)
        at = CHUNK_HEAD.size + name_length + 8
        if name_length > 16 or at > len(body) or size > MAX_CHUNK_BYTES:
            raise self.damaged(f"a chunk of {size} bytes exceeds the limit of {MAX_CHUNK_BYTES}")
        compression = body[CHUNK_HEAD.size : CHUNK_HEAD.size + name_length]
        payload = body[at:]
        if size > largest_content(len(payload)):
            raise self.damaged(f"a chunk of {len(payload)} bytes would unfold to {size}")
        if compression == b"zstd":
            try:
                if zstandard.frame_content_size(payload) != size:  # it decides what is allocated
                    raise self.damaged("a chunk states two different sizes")
                content = zstandard.ZstdDecompressor().decompress(
                    payload, max_output_size=size, allow_extra_data=False
                )
            except zstandard.ZstdError as error:
                raise self.damaged("a chunk cannot be decompressed") from error
        elif compression == b"":
            content = payload
        else:
            raise EpisodeError(
                f"{self.path.name} cannot be read", why=f"its compression {compression!r} is not known"
            )
        if len(content) != size or zlib.crc32(content) != crc:
            raise self.damaged("the checksum of a chunk is wrong")
        return np.frombuffer(content, np.uint8)

    def message_offsets(self, place: ChunkPlace) -> dict[int, Offsets]:
        """Offsets of each channel's messages in a chunk, from the index that follows it where there is one.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        cached = self._cached(place)
        if cached.offsets is None:
            cached.offsets = self.index_of(place) if place.index_length else self.scan(cached.data)
        return cached.offsets

    def index_of(self, place: ChunkPlace) -> dict[int, Offsets]:
        """As `message_offsets`, by the index that follows the chunk."""
        if place.index_length > MAX_RECORD_BYTES:
            raise self.damaged("a message index exceeds the limit")
        raw = self.read(place.start + place.length, place.index_length)
        found: dict[int, Offsets] = {}
        for opcode, start, length in self.records(raw):
            if opcode != Opcode.MESSAGE_INDEX or length < 6 or (length - 6) % 16:
                raise self.damaged("a message index is broken")
            pairs = np.frombuffer(raw, "<u8", (length - 6) // 8, start + 6).reshape(-1, 2)
            found[int.from_bytes(raw[start : start + 2], "little")] = pairs[:, 1].astype(np.int64)
        return found

    def scan(self, data: Bytes) -> dict[int, Offsets]:
        """As `message_offsets`, found by looking at every record of a chunk's content."""
        raw = data.tobytes()
        found: dict[int, list[int]] = {}
        for opcode, start, _ in self.records(raw):
            if opcode == Opcode.MESSAGE:
                channel = int.from_bytes(raw[start : start + 2], "little")
                found.setdefault(channel, []).append(start - RECORD_HEAD.size)
        return {channel: np.array(offsets, np.int64) for channel, offsets in found.items()}

    def messages(self, place: ChunkPlace) -> Iterator[tuple[int, np.void, bytes]]:
        """Messages of a chunk in file order as (channel, head, payload); `MESSAGE` names a head's parts.

        Raises:
            EpisodeError: The chunk is damaged.
        """
        raw = self.chunk(place).tobytes()
        for opcode, start, length in self.records(raw):
            if opcode == Opcode.MESSAGE and length >= MESSAGE.itemsize - RECORD_HEAD.size:
                head = np.frombuffer(raw, MESSAGE, 1, start - RECORD_HEAD.size)[0]
                yield (
                    int(head["channel"]),
                    head,
                    raw[start - RECORD_HEAD.size + MESSAGE.itemsize : start + length],
                )

    def channel(self, topic: str) -> Channel | None:
        """The channel of a topic, None when the file has none."""
        return next((c for c in self.contents.channels.values() if c.topic == topic), None)

    def blocks(self, topic: str) -> Iterator[Block]:
        """A topic's messages in file order, chunk by chunk.

        Raises:
            EpisodeError: A chunk is damaged.
        """
        channel = self.channel(topic)
        if channel is None:
            return
        for place in self.contents.chunks:
            if channel.id in place.channels:
                yield self.block(place, channel.id)

    def block(self, place: ChunkPlace, channel: int) -> Block:
        """One channel's messages in one chunk.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        data = self.chunk(place)
        offsets = self.message_offsets(place).get(channel, np.zeros(0, np.int64))
        if len(offsets) and (offsets.min() < 0 or offsets.max() + MESSAGE.itemsize > len(data)):
            raise self.damaged("a message index points outside its chunk")
        heads = data[offsets[:, None] + np.arange(MESSAGE.itemsize)].reshape(-1).view(MESSAGE)
        lengths = heads["length"].astype(np.int64) - (MESSAGE.itemsize - RECORD_HEAD.size)
        starts = offsets + MESSAGE.itemsize
        if (
            (heads["op"] != Opcode.MESSAGE).any()
            or (heads["channel"] != channel).any()
            or (lengths < 0).any()
            or (lengths > len(data)).any()
            or (starts + lengths > len(data)).any()
        ):
            raise self.damaged("a message index points at something else")
        return Block(
            data=data,
            starts=starts,
            lengths=lengths,
            seq=heads["seq"].astype(np.int64),
            log_utc_ns=heads["log"].astype(np.int64),
            publish_utc_ns=heads["publish"].astype(np.int64),
        )

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()
        self._cache.clear()
        self._pinned.clear()


def largest_content(compressed_bytes: int) -> int:
    """How much a chunk of so many bytes may unfold to."""
    return min(MAX_CHUNK_BYTES, MAX_EXPANSION * compressed_bytes + SMALL_CHUNK_BYTES)


def _stream(body: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(body))


def _parse(kind: type[_Record], data: bytes, start: int, length: int) -> _Record:
    return kind.read(_stream(data[start : start + length]))


def _chunk_place(summary: bytes, start: int, length: int) -> ChunkPlace:
    """A chunk from its ChunkIndex record; there are thousands, hence no general parser."""
    first_ns, last_ns, at, whole, pairs_length = _CHUNK_INDEX_HEAD.unpack_from(summary, start)
    if pairs_length % _CHUNK_INDEX_PAIR.itemsize or _CHUNK_INDEX_HEAD.size + pairs_length + 8 > length:
        raise ValueError("a chunk index is broken")
    start += _CHUNK_INDEX_HEAD.size
    pairs = np.frombuffer(summary, _CHUNK_INDEX_PAIR, pairs_length // _CHUNK_INDEX_PAIR.itemsize, start)
    index_length = int.from_bytes(summary[start + pairs_length : start + pairs_length + 8], "little")
    return ChunkPlace(at, whole, index_length, frozenset(pairs["channel"].tolist()), first_ns, last_ns)
