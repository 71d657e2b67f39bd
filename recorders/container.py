"""The MCAP container of an episode: found by its index, or by walking through it when it was cut off."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Attachment, Channel

from recorders.chunk_cache import CachedChunk, ChunkCache
from recorders.chunk_content import unfolded
from recorders.mcap_file import McapFile, stream
from recorders.mcap_layout import (
    MAGIC,
    MAX_RECORD_BYTES,
    MESSAGE,
    RECORD_HEAD,
    Bytes,
    ChunkPlace,
    Contents,
    Offsets,
)
from recorders.mcap_summary import has_end, read_head, read_summary
from recorders.message_blocks import Batch, Block, messages_at, no_messages
from teleop_app.core.errors import EpisodeError

_BATCH_BYTES = 4 << 20


class Container(McapFile):
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
        super().__init__(path)
        self._cache = cache or ChunkCache()
        self._pinned: dict[int, Bytes] = {}
        self.files: tuple[Container, ...] = (self,)
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
        if not has_end(self):
            if not open_truncated:
                raise EpisodeError(
                    f"{self.path.name} is truncated",
                    why="its end is missing",
                    next_step="Salvage it with: teleop recover",
                )
            contents = Contents(truncated=True, whole_bytes=len(MAGIC))
            if self.size >= len(MAGIC) + RECORD_HEAD.size:
                from recorders import walk  # here, since it imports this module

                walk.walk(self, contents, read_head(self, contents))
            return contents
        return read_summary(self)

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
        body = self.record(at, whole, MAX_RECORD_BYTES)
        if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
            raise self.damaged(f"the checksum of its attachment {name} is wrong")
        return Attachment.read(stream(body))

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
        return np.frombuffer(
            unfolded(self, self.record(place.start, place.length, MAX_RECORD_BYTES)), np.uint8
        )

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
        return {channel: pairs[1::2] for channel, pairs in self._index_pairs(place)}

    def _index_pairs(self, place: ChunkPlace) -> Iterator[tuple[int, Offsets]]:
        """By channel the time and the offset of each message in turn."""
        if place.index_length > MAX_RECORD_BYTES:
            raise self.damaged("a message index exceeds the limit")
        raw = self.read(place.start + place.length, place.index_length)
        for opcode, start, length in self.records(raw):
            if opcode != Opcode.MESSAGE_INDEX or length < 6 or (length - 6) % 16:
                raise self.damaged("a message index is broken")
            channel = int.from_bytes(raw[start : start + 2], "little")
            yield channel, np.frombuffer(raw, "<i8", (length - 6) // 8, start + 6)

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
        offsets = self.message_offsets(place).get(channel)
        if offsets is None:
            return no_messages(data)
        return self._messages_at([data], {channel: [offsets]}).get(channel) or no_messages(data)

    def batches(self, channels: Collection[int]) -> Iterator[Batch]:
        """All messages of some channels in file order, those of several chunks at a time.

        Args:
            channels: Their numbers.

        Raises:
            EpisodeError: A chunk or its index is damaged.
        """
        numbers: list[int] = []
        contents: list[Bytes] = []
        size = 0
        for number, place in enumerate(self.contents.chunks):
            if place.channels.isdisjoint(channels):
                continue
            numbers.append(number)
            contents.append(self.chunk(place))
            size += len(contents[-1])
            if size >= _BATCH_BYTES:
                yield self._batch(channels, numbers, contents)
                numbers, contents, size = [], [], 0
        if numbers:
            yield self._batch(channels, numbers, contents)

    def _batch(self, channels: Collection[int], numbers: list[int], contents: list[Bytes]) -> Batch:
        indexes = [self.message_offsets(self.contents.chunks[number]) for number in numbers]
        none = np.zeros(0, np.int64)
        offsets = {channel: [index.get(channel, none) for index in indexes] for channel in channels}
        lengths = np.array([len(content) for content in contents], np.int64)
        blocks = self._messages_at(contents, offsets)
        return Batch(np.array(numbers, np.int64), np.cumsum(lengths) - lengths, blocks)

    def _messages_at(self, contents: list[Bytes], offsets: dict[int, list[Offsets]]) -> dict[int, Block]:
        try:
            return messages_at(contents, offsets)
        except ValueError as error:
            raise self.damaged(str(error)) from error

    def message_times(self, place: ChunkPlace) -> dict[int, Offsets]:
        """UTC times [ns] of each channel's messages in a chunk, which is not read if an index follows it.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        if place.index_length:
            return {channel: pairs[0::2] for channel, pairs in self._index_pairs(place)}
        return {channel: self.block(place, channel).log_utc_ns for channel in self.message_offsets(place)}

    def rest(self) -> None:
        """Close the file until it is read again, and forget its chunks."""
        super().rest()
        self._cache.clear()

    def close(self) -> None:
        """Close the file. Idempotent."""
        super().close()
        self._cache.clear()
        self._pinned.clear()
