"""Gives a file that a crash cut off its end, in place.

What is whole stays where it is. The new tail (whole messages of a torn chunk, footer, summary) is first
written and synced to a file of its own beside it, so that an interruption at any point is repeated from there
and no byte is lost before its successor is on the disk. It takes one pass over the file, and no space but for
the tail.
"""

from __future__ import annotations

import logging
import struct
import zlib
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
from blake3 import blake3
from mcap.opcode import Opcode

from recorders.container import Container
from recorders.durability import SYSTEM, AppendFile, FileDigest, SystemCalls, storage_error
from recorders.mcap_layout import CHUNK_HEAD, RECORD_HEAD, ChunkPlace
from recorders.mcap_writer import McapWriter
from recorders.records import to_metadata
from recorders.schema import METADATA_FOOTER, EpisodeFooter
from teleop_app.core.errors import EpisodeError

logger = logging.getLogger(__name__)
TAIL_SUFFIX = ".tail"
_TAIL_HEAD = struct.Struct("<8sQQI")
_TAIL_MAGIC = b"TELETAIL"
_BLOCK = 4 << 20
_INDEX_PAIR = 16


def complete(container: Container, footer: EpisodeFooter, calls: SystemCalls = SYSTEM) -> FileDigest:
    """Write the end of a file; it is durable afterwards.

    Args:
        container: The file, opened as one without an end; one file of a long episode.
        footer: What its end says.
        calls: System calls.

    Raises:
        StorageError: The disk refuses; repeat it.
        EpisodeError: The file is damaged in a way that cannot be completed.
    """
    cut = _cut(container)
    crc, digest = _prefix(container, cut)
    tail = bytearray()
    _write_tail(_Memory(tail), container, footer, cut, crc)
    digest.update(tail)
    log = container.path.with_suffix(TAIL_SUFFIX)
    log.unlink(missing_ok=True)
    file = AppendFile(log, calls=calls)
    try:
        file.write(_TAIL_HEAD.pack(_TAIL_MAGIC, cut, len(tail), zlib.crc32(tail)))
        file.write(tail)
        file.finish()
        calls.sync_folder(log.parent)
    except OSError as error:
        raise storage_error(
            f"{log.name} could not be made durable", error, "the file is untouched"
        ) from error
    finally:
        file.close()
    _apply(container.path, cut, bytes(tail), calls)
    log.unlink()
    return FileDigest(cut + len(tail), digest.hexdigest())


def redo_completions(folder: Path, calls: SystemCalls = SYSTEM) -> None:
    """Finish what an interruption of `complete` left.

    Raises:
        StorageError: The disk refuses; repeat it.
    """
    for log in sorted(folder.glob(f"*{TAIL_SUFFIX}")):
        content = log.read_bytes()
        path = log.with_suffix(".mcap")
        if len(content) >= _TAIL_HEAD.size:
            magic, cut, length, crc = _TAIL_HEAD.unpack_from(content)
            tail = content[_TAIL_HEAD.size :]
            whole = magic == _TAIL_MAGIC and len(tail) == length and zlib.crc32(tail) == crc
            if whole and path.exists() and path.stat().st_size >= cut:
                _apply(path, cut, tail, calls)
        log.unlink()


def _apply(path: Path, cut: int, tail: bytes, calls: SystemCalls) -> None:
    try:
        descriptor = calls.reopen(path)
        try:
            calls.truncate(descriptor, cut)
            view = memoryview(tail)
            while view:
                view = view[calls.write(descriptor, view) :]
            calls.sync(descriptor)
        finally:
            calls.close(descriptor)
    except OSError as error:
        raise storage_error(f"{path.name} could not be completed", error, "it is completed later") from error


class _Memory:
    def __init__(self, content: bytearray) -> None:
        self._content = content

    def write(self, payload: bytes | bytearray) -> int:
        self._content += payload
        return len(payload)


def _cut(container: Container) -> int:
    """Where what stays ends: behind the last chunk whose index is whole, and other records behind it."""
    contents = container.contents
    footers = [at for name, at, _ in contents.metadata_places if name == METADATA_FOOTER]
    if footers:
        return footers[-1]
    if contents.chunks and not contents.chunks[-1].index_length:
        last = contents.chunks[-1]
        return last.start if container.is_pinned(last) else last.start + last.length
    return contents.whole_bytes


def _prefix(container: Container, cut: int) -> tuple[int, blake3]:
    crc, digest = 0, blake3(max_threads=blake3.AUTO)
    for at in range(0, cut, _BLOCK):
        block = container.read(at, min(_BLOCK, cut - at))
        crc = zlib.crc32(block, crc)
        digest.update(block)
    return crc, digest


def _write_tail(output: _Memory, container: Container, footer: EpisodeFooter, cut: int, crc: int) -> None:
    contents = container.contents
    writer = McapWriter(output, cut, crc)
    counts: Counter[int] = Counter()
    for name, at, whole in contents.metadata_places:
        if at < cut:
            writer.note_metadata(at, whole, name)
    for name, (at, whole) in contents.attachments.items():
        if at < cut:
            item = container.attachment_record(name)
            writer.note_attachment(at, whole, item.log_time, name, item.media_type, len(item.data))
    for place in contents.chunks:
        if place.start < cut and place.index_length:
            counts += _note(writer, container, place)
    writer.resume(contents.schemas, contents.channels, counts)
    for place in contents.chunks[-1:]:
        if not place.index_length:
            _add_last(writer, container, place)
    writer.add_metadata(METADATA_FOOTER, to_metadata(footer))
    writer.finish()


def _note(writer: McapWriter, container: Container, place: ChunkPlace) -> Counter[int]:
    """A chunk that stays, with its index; returns its messages by channel."""
    raw = container.read(place.start + place.length, place.index_length)
    counts: Counter[int] = Counter()
    pairs: list[tuple[int, int]] = []
    for opcode, start, length in container.records(raw):
        if opcode != Opcode.MESSAGE_INDEX:
            raise container.damaged("a message index is broken")
        channel = int.from_bytes(raw[start : start + 2], "little")
        pairs.append((channel, place.start + place.length + start - RECORD_HEAD.size))
        counts[channel] += (length - 6) // _INDEX_PAIR
    size, packed = _sizes(container, place)
    span = place.first_utc_ns, place.last_utc_ns
    writer.note_chunk(place.start, size, packed, span, pairs, place.index_length)
    return counts


def _add_last(writer: McapWriter, container: Container, place: ChunkPlace) -> None:
    """The last chunk: when it is torn, its whole messages in a new one, else the index that it lacks."""
    if container.is_pinned(place):
        for channel, head, payload in container.messages(place):
            writer.add_message(channel, int(head["log"]), payload, int(head["publish"]), int(head["seq"]))
        writer.end_chunk()
        return
    index: dict[int, array[int]] = {}
    for channel, offsets in container.message_offsets(place).items():
        block = container.block(place, channel)
        index[channel] = array("Q", np.stack([block.log_utc_ns, offsets], axis=1).reshape(-1).tolist())
    size, packed = _sizes(container, place)
    writer.index_chunk(place.start, size, packed, place.first_utc_ns, place.last_utc_ns, index)


def _sizes(container: Container, place: ChunkPlace) -> tuple[int, int]:
    """Size of a chunk's content as it is and compressed."""
    head = container.read(place.start + RECORD_HEAD.size, CHUNK_HEAD.size + 4)
    _, _, size, _, name_length = CHUNK_HEAD.unpack_from(head)
    if head[CHUNK_HEAD.size :] != b"zstd" or name_length != 4:
        raise EpisodeError(
            f"{container.path.name} cannot be completed", why="it was not written by this program"
        )
    return size, place.length - RECORD_HEAD.size - CHUNK_HEAD.size - 4 - 8
