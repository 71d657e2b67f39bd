"""What an MCAP file says about itself: its summary, and the records that the summary refers to."""

from __future__ import annotations

import zlib
from typing import TypeVar

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

from recorders.mcap_file import McapFile, stream
from recorders.mcap_layout import (
    FOOTER_BYTES,
    MAGIC,
    MAX_CHUNKS,
    MAX_METADATA_BYTES,
    MAX_RECORD_BYTES,
    RECORD_HEAD,
    Contents,
    chunk_place,
)

_Record = TypeVar("_Record", Channel, Schema, Statistics, MetadataIndex, AttachmentIndex)


def has_end(file: McapFile) -> bool:
    """Whether the file was finished."""
    end = FOOTER_BYTES + len(MAGIC)
    if file.size < len(MAGIC) + end:
        return False
    tail = file.read(file.size - end, end)
    return tail.endswith(MAGIC) and RECORD_HEAD.unpack_from(tail) == (Opcode.FOOTER, 20)


def read_summary(file: McapFile) -> Contents:
    """Contents of a finished file.

    Raises:
        EpisodeError: Its summary is damaged.
    """
    body = file.read(file.size - FOOTER_BYTES - len(MAGIC), FOOTER_BYTES)
    footer = Footer.read(stream(body[RECORD_HEAD.size :]))
    end = file.size - FOOTER_BYTES - len(MAGIC)
    if not len(MAGIC) <= footer.summary_start < end or end - footer.summary_start > MAX_RECORD_BYTES:
        raise file.damaged("its summary lies outside the file")
    summary = file.read(footer.summary_start, end - footer.summary_start)
    if zlib.crc32(body[:-4], zlib.crc32(summary)) != footer.summary_crc:
        raise file.damaged("the checksum of its summary is wrong")
    contents = Contents(whole_bytes=file.size)
    read_head(file, contents)
    add_definitions(file, contents, summary)
    for opcode, start, length in file.records(summary):
        if opcode == Opcode.STATISTICS:
            contents.statistics = _parse(Statistics, summary, start, length)
        elif opcode == Opcode.CHUNK_INDEX:
            contents.chunks.append(chunk_place(summary, start, length))
        elif opcode == Opcode.METADATA_INDEX:
            place = _parse(MetadataIndex, summary, start, length)
            add_metadata(file, contents, place.offset, place.length)
        elif opcode == Opcode.ATTACHMENT_INDEX:
            item = _parse(AttachmentIndex, summary, start, length)
            contents.attachments[item.name] = (item.offset, item.length)
    if len(contents.chunks) > MAX_CHUNKS:
        raise file.damaged("it has too many chunks")
    return contents


def read_head(file: McapFile, contents: Contents) -> int:
    """Note the profile; returns where the records begin.

    Raises:
        EpisodeError: There is none.
    """
    opcode, length = RECORD_HEAD.unpack(file.read(len(MAGIC), RECORD_HEAD.size))
    start = len(MAGIC) + RECORD_HEAD.size
    if opcode != Opcode.HEADER or length > 4096:
        raise file.damaged("it has no header")
    header = Header.read(stream(file.read(start, length)))
    contents.profile, contents.library = header.profile, header.library
    return start + length


def add_metadata(file: McapFile, contents: Contents, at: int, whole: int) -> None:
    """Note the metadata record that starts at `at`."""
    record = Metadata.read(stream(file.record(at, whole, MAX_METADATA_BYTES)))
    contents.metadata[record.name] = record.metadata
    contents.metadata_places.append((record.name, at, whole))


def add_attachment(file: McapFile, contents: Contents, at: int, whole: int) -> None:
    """Note the attachment record that starts at `at`."""
    name = Attachment.read(stream(file.record(at, whole, MAX_RECORD_BYTES))).name
    contents.attachments[name] = (at, whole)


def add_definitions(file: McapFile, contents: Contents, data: bytes) -> None:
    """Note the schemas and channels among the records in `data`."""
    for opcode, start, length in file.records(data):
        if opcode == Opcode.SCHEMA:
            schema = _parse(Schema, data, start, length)
            contents.schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = _parse(Channel, data, start, length)
            contents.channels[channel.id] = channel


def _parse(kind: type[_Record], data: bytes, start: int, length: int) -> _Record:
    return kind.read(stream(data[start : start + length]))
