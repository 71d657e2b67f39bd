"""An episode file taken apart and put together again, so that lies in it carry valid checksums."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from mcap.records import Attachment, Channel, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from recorders.mcap_layout import FOOTER_BYTES, MAGIC, RECORD_HEAD

__all__ = ["McapModel", "record_starts", "with_valid_summary"]


@dataclass(slots=True)
class McapModel:
    """Records of a file in order, without chunks, indexes and checksums."""

    profile: str = "teleop-episode"
    schemas: list[Schema] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> McapModel:
        model = cls()
        with path.open("rb") as file:
            for record in StreamReader(file, record_size_limit=None).records:
                if isinstance(record, Schema):
                    model.schemas.append(record)
                elif isinstance(record, Channel):
                    model.channels.append(record)
                elif isinstance(record, Message):
                    model.messages.append(record)
                elif isinstance(record, Metadata):
                    model.metadata.append(record)
                elif isinstance(record, Attachment):
                    model.attachments.append(record)
        model.schemas = list({schema.id: schema for schema in model.schemas}.values())
        model.channels = list({channel.id: channel for channel in model.channels}.values())
        return model

    def write(self, path: Path, chunk_size: int = 16 << 10) -> None:
        """Puts the file together; what mcap's writer itself cannot express is cut to fit."""
        with path.open("wb") as file:
            writer = Writer(file, chunk_size, CompressionType.ZSTD, enable_data_crcs=True)
            writer.start(self.profile, "fuzz")
            for item in self.metadata[:1]:
                writer.add_metadata(item.name, item.metadata)
            for item in self.attachments:
                writer.add_attachment(item.create_time, item.log_time, item.name, item.media_type, item.data)
            schemas = {s.id: writer.register_schema(s.name, s.encoding, s.data) for s in self.schemas}
            channels = {
                c.id: writer.register_channel(
                    c.topic, c.message_encoding, schemas.get(c.schema_id, 0), c.metadata
                )
                for c in self.channels
            }
            for m in self.messages:
                if m.channel_id in channels:
                    writer.add_message(channels[m.channel_id], m.log_time, m.data, m.publish_time, m.sequence)
            for item in self.metadata[1:]:
                writer.add_metadata(item.name, item.metadata)
            writer.finish()


def record_starts(content: bytes) -> list[tuple[int, int, int]]:
    """(opcode, start, length with its head) of each record of a file, footer included."""
    found, at = [], len(MAGIC)
    while at + RECORD_HEAD.size <= len(content) - len(MAGIC):
        opcode, length = RECORD_HEAD.unpack_from(content, at)
        found.append((opcode, at, RECORD_HEAD.size + length))
        at += RECORD_HEAD.size + length
    return found


def with_valid_summary(content: bytearray) -> bytearray:
    """The file with the checksum that its summary should have, where it still has one."""
    end = len(content) - FOOTER_BYTES - len(MAGIC)
    if end < len(MAGIC):
        return content
    (start,) = struct.unpack_from("<Q", content, end + RECORD_HEAD.size)
    if start < end:
        crc = zlib.crc32(bytes(content[start : len(content) - len(MAGIC) - 4]))
        struct.pack_into("<I", content, len(content) - len(MAGIC) - 4, crc)
    return content
