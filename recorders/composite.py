"""The files of a long episode as one container."""

from __future__ import annotations

import dataclasses
import logging
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mcap.records import Attachment, Statistics

from recorders.chunk_cache import ChunkCache
from recorders.container import Container
from recorders.mcap_layout import Bytes, ChunkPlace, Contents, Offsets
from recorders.message_blocks import Batch, Block
from recorders.records import footer_from, header_from
from recorders.schema import METADATA_FOOTER, METADATA_HEADER, EpisodeFooter, SegmentRef
from teleop_app.core.errors import EpisodeError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of an episode in the address space of all of them.

    Attributes:
        container: The open file.
        base: Where its first byte lies: chunks have addresses of their own over all files.
        to_global: Channel of the episode by channel of the file.
        to_local: The inverse.
    """

    container: Container
    base: int
    to_global: dict[int, int]
    to_local: dict[int, int]


class CompositeContainer(Container):
    """As a container of one file; its chunks are those of all files in order.

    Attributes:
        parts: The files that are there, in order; the last one is the episode's own.
    """

    def __init__(self, earlier: list[Container], last: Container, missing: tuple[str, ...]) -> None:
        self.path = last.path
        self.missing = missing
        self.files = (*earlier, last)
        self.parts: tuple[Part, ...] = ()
        self.contents = Contents(
            profile=last.contents.profile,
            library=last.contents.library,
            truncated=last.contents.truncated,
            metadata=last.contents.metadata,
        )
        base = 0
        for container in (*earlier, last):
            self.parts += (self._merged(container, base),)
            base += container.size
        self.size = base
        self._bases = [part.base for part in self.parts]
        self._attachments = {
            name: part.container for part in self.parts for name in part.container.contents.attachments
        }

    def _merged(self, container: Container, base: int) -> Part:
        """Take in a file: its channels under the numbers of the episode, its chunks behind those before."""
        mine, theirs = self.contents, container.contents
        schemas: dict[int, int] = {}
        for ident, schema in theirs.schemas.items():
            known = (i for i, s in mine.schemas.items() if (s.name, s.data) == (schema.name, schema.data))
            schemas[ident] = next(known, max(mine.schemas, default=0) + 1)
            mine.schemas.setdefault(schemas[ident], dataclasses.replace(schema, id=schemas[ident]))
        topics = {channel.topic: ident for ident, channel in mine.channels.items()}
        to_global: dict[int, int] = {}
        for ident, channel in theirs.channels.items():
            schema = schemas.get(channel.schema_id, 0)
            known = topics.get(channel.topic)
            if known is not None and mine.channels[known].schema_id != schema:
                raise container.damaged(f"{channel.topic} has another schema than in the file before")
            number = known or max(mine.channels, default=0) + 1
            topics[channel.topic] = to_global[ident] = number
            mine.channels[number] = dataclasses.replace(channel, id=number, schema_id=schema)
        for place in theirs.chunks:
            channels = frozenset(to_global.get(channel, -1) for channel in place.channels)
            mine.chunks.append(dataclasses.replace(place, start=place.start + base, channels=channels))
        for name, (at, whole) in theirs.attachments.items():
            mine.attachments[name] = at + base, whole
        mine.statistics = _added(mine.statistics, theirs.statistics, first=base == 0)
        mine.cut_messages += theirs.cut_messages
        mine.whole_bytes = base + theirs.whole_bytes
        return Part(container, base, to_global, {number: ident for ident, number in to_global.items()})

    def _part(self, address: int) -> Part:
        return self.parts[bisect_right(self._bases, address) - 1]

    def _local(self, place: ChunkPlace) -> tuple[Part, ChunkPlace]:
        part = self._part(place.start)
        return part, dataclasses.replace(place, start=place.start - part.base)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of one of the files, by their address over all of them.

        Raises:
            EpisodeError: They do not lie within one file.
        """
        part = self._part(offset)
        return part.container.read(offset - part.base, length)

    def attachment_record(self, name: str) -> Attachment:
        """An attachment, of the last file that has one of this name.

        Raises:
            EpisodeError: It is damaged.
        """
        return self._attachments[name].attachment_record(name)

    def chunk(self, place: ChunkPlace) -> Bytes:
        """Content of a chunk.

        Raises:
            EpisodeError: It is damaged or too large.
        """
        part, local = self._local(place)
        return part.container.chunk(local)

    def load(self, place: ChunkPlace) -> Bytes:
        """As `chunk`, past the cache."""
        part, local = self._local(place)
        return part.container.load(local)

    def message_offsets(self, place: ChunkPlace) -> dict[int, Offsets]:
        """Offsets of each channel's messages in a chunk.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        part, local = self._local(place)
        found = part.container.message_offsets(local)
        return {part.to_global[channel]: offsets for channel, offsets in found.items()}

    def messages(self, place: ChunkPlace) -> Iterator[tuple[int, np.void, bytes]]:
        """Messages of a chunk in file order as (channel, head, payload).

        Raises:
            EpisodeError: The chunk is damaged.
        """
        part, local = self._local(place)
        for channel, head, payload in part.container.messages(local):
            yield part.to_global.get(channel, -1), head, payload

    def block(self, place: ChunkPlace, channel: int) -> Block:
        """One channel's messages in one chunk.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        part, local = self._local(place)
        return part.container.block(local, part.to_local.get(channel, -1))

    def batches(self, channels: Collection[int]) -> Iterator[Batch]:
        """Messages of some channels, those of several chunks of a file at a time.

        Raises:
            EpisodeError: A chunk or its index is damaged.
        """
        before = 0
        for part in self.parts:
            local = {part.to_local[channel]: channel for channel in channels if channel in part.to_local}
            for batch in part.container.batches(local):
                blocks = {local[channel]: block for channel, block in batch.blocks.items()}
                yield Batch(batch.chunks + before, batch.begins, blocks)
            before += len(part.container.contents.chunks)

    def message_times(self, place: ChunkPlace) -> dict[int, Offsets]:
        """UTC times [ns] of each channel's messages in a chunk.

        Raises:
            EpisodeError: The chunk or its index is damaged.
        """
        part, local = self._local(place)
        found = part.container.message_times(local)
        return {part.to_global.get(channel, -1): times for channel, times in found.items()}

    def rest(self) -> None:
        """Close all files until they are read again."""
        for part in self.parts:
            part.container.rest()

    def close(self) -> None:
        """Close all files. Idempotent."""
        for part in self.parts:
            part.container.close()


def open_container(path: Path, *, open_truncated: bool = False, alone: bool = False) -> Container:
    """The container of an episode, whether it is one file or several.

    Args:
        path: The episode's own file; earlier ones lie beside it.
        open_truncated: Read what there is of an episode without an end or with a part missing.
        alone: Only this file.

    Raises:
        EpisodeError: A file is missing, foreign, damaged, or truncated and that is not allowed.
    """
    cache = ChunkCache()
    last = Container(path, open_truncated=open_truncated, cache=cache)
    opened: list[Container] = []
    missing: list[str] = []
    try:
        footer = _footer(last)
        if alone or footer is None or not footer.segments:
            return last
        for number, ref in enumerate(footer.segments):
            try:
                opened.append(_open_segment(last, number, ref, cache))
            except EpisodeError as error:
                if not open_truncated:
                    raise
                missing.append(error.sentence)
        return CompositeContainer(opened, last, tuple(missing))
    except EpisodeError:
        for container in (*opened, last):
            container.close()
        raise


def _footer(container: Container) -> EpisodeFooter | None:
    raw = container.contents.metadata.get(METADATA_FOOTER)
    return None if raw is None else footer_from(raw)


def _open_segment(last: Container, number: int, ref: SegmentRef, cache: ChunkCache) -> Container:
    path = last.path
    if Path(ref.name).name != ref.name or ref.name in ("", ".", ".."):
        raise EpisodeError(f"{path.name} is damaged", why=f"it names an earlier file {ref.name[:40]!r}")
    what = f"Part {number + 1} of the episode {path.stem}, {ref.name},"
    restore = "Restore it from a copy; the rest is readable"
    file = path.with_name(ref.name)
    try:
        size = file.stat().st_size
    except OSError as error:
        why = "the file is missing" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise EpisodeError(f"{what} cannot be read", why=why, next_step=restore) from error
    if size != ref.size_bytes:
        why = f"it has {size} bytes, not {ref.size_bytes}"
        raise EpisodeError(f"{what} was altered", why=why, next_step=restore)
    try:
        container = Container(file, cache=cache)
    except EpisodeError as error:
        raise EpisodeError(
            f"{what} cannot be read", why=error.why or error.what, next_step=restore
        ) from error
    headers = [file.contents.metadata.get(METADATA_HEADER, {}) for file in (container, last)]
    try:
        if len({header_from(header).uuid for header in headers}) > 1:
            raise EpisodeError(f"{what} belongs to another episode", next_step=restore)
    except EpisodeError:
        container.close()
        raise
    return container


def _added(mine: Statistics | None, more: Statistics | None, *, first: bool) -> Statistics | None:
    """Statistics of several files; only the number of messages is added up."""
    if first or mine is None or more is None:
        return None if more is None else dataclasses.replace(more)
    return dataclasses.replace(mine, message_count=mine.message_count + more.message_count)
