"""Episode files as an adversary makes them: each mutation knows the structure that it lies about."""

from __future__ import annotations

import dataclasses
import json
import random
import struct
from collections.abc import Callable
from typing import Any

from mcap.opcode import Opcode
from mcap.records import Attachment, Channel, Message, Schema

from fault_matrix.bombs import chunk_index, h264_bomb, jpeg_bomb, png_bomb, zstd_bomb
from fault_matrix.mcap_model import McapModel, record_starts, with_valid_summary
from recorders.mcap_layout import FOOTER_BYTES, MAGIC, RECORD_HEAD

HOSTILE_NUMBERS = (0, 1, 0x7F, 0xFF, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**300,
    float("nan"),
    float("inf"),
    1e308,
    "",
    "\0",
    "../../etc/passwd",
    "x" * 100_000,
    "\ud800",
    [],
    {},
    [[]] * 1000,
    {"a": {"b": {}}},
)


def mutate_bytes(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """A lie about the file's own structure: lengths, offsets, sizes, order of its records."""
    name = chance.choice(list(_RAW))
    changed = _RAW[name](bytearray(content), chance)
    if chance.random() < 0.7:
        changed = with_valid_summary(changed)
    return name, bytes(changed)


def mutate_model(model: McapModel, chance: random.Random) -> str:
    """A lie inside valid records; the model is changed in place."""
    names = chance.sample(list(_MODEL), chance.choice((1, 1, 2)))
    for name in names:
        _MODEL[name](model, chance)
    return "+".join(names)


def _flip(content: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.choice((1, 2, 10, 200))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    return content


def _cut(content: bytearray, chance: random.Random) -> bytearray:
    del content[chance.randrange(len(content)) :]
    return content


def _splice(content: bytearray, chance: random.Random) -> bytearray:
    at, start = chance.randrange(len(content)), chance.randrange(len(content))
    content[at:at] = content[start : start + chance.randrange(1, 5000)]
    return content


def _length(content: bytearray, chance: random.Random) -> bytearray:
    _, start, _ = chance.choice(record_starts(bytes(content)))
    struct.pack_into("<Q", content, start + 1, chance.choice(HOSTILE_NUMBERS))
    return content


def _opcode(content: bytearray, chance: random.Random) -> bytearray:
    _, start, _ = chance.choice(record_starts(bytes(content)))
    content[start] = chance.randrange(0, 0x11)
    return content


def _record_field(content: bytearray, chance: random.Random) -> bytearray:
    """Any 32 or 64 bits in the head of a record: chunk sizes, index offsets, summary offsets, counts."""
    structural = (Opcode.CHUNK, Opcode.CHUNK_INDEX, Opcode.MESSAGE_INDEX, Opcode.STATISTICS, Opcode.FOOTER)
    structural += (Opcode.METADATA_INDEX, Opcode.ATTACHMENT_INDEX, Opcode.ATTACHMENT, Opcode.METADATA)
    records = [r for r in record_starts(bytes(content)) if r[0] in structural]
    _, start, length = chance.choice(records)
    at = start + RECORD_HEAD.size + chance.randrange(0, max(1, min(length - RECORD_HEAD.size, 64) - 8))
    value = chance.choice((*HOSTILE_NUMBERS, len(content), start, len(MAGIC)))
    struct.pack_into("<Q", content, min(at, len(content) - 8), value)
    return content


def _drop_record(content: bytearray, chance: random.Random) -> bytearray:
    _, start, length = chance.choice(record_starts(bytes(content)))
    del content[start : start + length]
    return content


def _repeat_record(content: bytearray, chance: random.Random) -> bytearray:
    _, start, length = chance.choice(record_starts(bytes(content)))
    content[start:start] = content[start : start + length] * chance.choice((1, 2, 500))
    return content[: 64 << 20]


def _bomb_chunk(content: bytearray, chance: random.Random) -> bytearray:
    """A file that a crash cut off, with chunks that unfold to hundreds of megabytes at its end."""
    chunks = [record for record in record_starts(bytes(content)) if record[0] == Opcode.CHUNK]
    _, start, _ = chance.choice(chunks)
    bomb = zstd_bomb(chance.choice((1 << 20, 63 << 20, 500 << 20)))
    return content[:start] + bomb * chance.choice((1, 10))


def _indexed_bomb(content: bytearray, chance: random.Random) -> bytearray:
    """The same in a whole file: its summary lists the bombs like any chunk."""
    at = next(start for opcode, start, _ in record_starts(bytes(content)) if opcode == Opcode.DATA_END)
    bomb = zstd_bomb(chance.choice((1 << 20, 63 << 20, 500 << 20)))
    count = chance.choice((1, 10))
    end = len(content) - FOOTER_BYTES - len(MAGIC)
    for position in (0, 8):  # where the summary and its offsets begin
        place = end + RECORD_HEAD.size + position
        struct.pack_into(
            "<Q", content, place, struct.unpack_from("<Q", content, place)[0] + count * len(bomb)
        )
    summary = b"".join(chunk_index(at + number * len(bomb), len(bomb)) for number in range(count))
    start = struct.unpack_from("<Q", content, end + RECORD_HEAD.size)[0] - count * len(bomb)
    content[start:start] = summary
    content[at:at] = bomb * count
    return with_valid_summary(content)


_RAW: dict[str, Callable[[bytearray, random.Random], bytearray]] = {
    "flip": _flip,
    "cut": _cut,
    "splice": _splice,
    "length": _length,
    "opcode": _opcode,
    "field": _record_field,
    "drop": _drop_record,
    "repeat": _repeat_record,
    "zstd bomb": _bomb_chunk,
    "indexed zstd bomb": _indexed_bomb,
}


def _metadata(model: McapModel, chance: random.Random) -> None:
    record = chance.choice(model.metadata)
    if chance.random() < 0.1:
        record.metadata["json"] = chance.choice(("", "{", "[" * 100_000, "null", "9" * 10_000, "{}"))
        return
    plain = json.loads(record.metadata["json"])
    at: Any = plain
    while True:
        key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if isinstance(at[key], dict | list) and at[key] and chance.random() < 0.7:
            at = at[key]
            continue
        hostile = chance.choice(HOSTILE_VALUES)
        number = isinstance(at[key], int | float) and chance.random() < 0.5
        at[key] = at[key] * -1 if number else hostile
        break
    text = json.dumps(plain).replace("\\ud800", "x")
    record.metadata["json"] = text


def _some_messages(model: McapModel, chance: random.Random) -> list[Message]:
    channel = chance.choice(model.channels).id
    found = [message for message in model.messages if message.channel_id == channel] or model.messages
    return chance.sample(found, min(len(found), chance.choice((1, 1, 5, 10**6))))


def _payload(model: McapModel, chance: random.Random) -> None:
    for message in _some_messages(model, chance):
        data = bytearray(message.data)
        kind = chance.randrange(5)
        if kind == 0:
            del data[chance.randrange(len(data) + 1) :]
        elif kind == 1 and data:
            for _ in range(chance.choice((1, 3, 20))):
                data[chance.randrange(len(data))] = chance.randrange(256)
        elif kind == 2:
            data[chance.randrange(len(data) + 1) : 0] = b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
        elif kind == 3:
            data = bytearray(chance.choice(model.messages).data)
        else:
            data += bytes(chance.randbytes(chance.choice((1, 100, 100_000))))
        message.data = bytes(data)


def _times(model: McapModel, chance: random.Random) -> None:
    for message in _some_messages(model, chance):
        message.log_time = chance.choice(
            (*HOSTILE_NUMBERS, message.log_time - 10**9, message.log_time + 10**18)
        )
        if not 0 <= message.log_time < 2**64:
            message.log_time = 0
        message.publish_time = chance.choice(HOSTILE_NUMBERS)
        message.sequence = chance.choice((0, 1, 2**32 - 1))


def _channel(model: McapModel, chance: random.Random) -> None:
    index = chance.randrange(len(model.channels))
    other: Channel = chance.choice(model.channels)
    change: dict[str, Any] = chance.choice(
        (
            {"topic": other.topic},
            {"topic": chance.choice(("", "/", "/camera//video", "/camera/../video", "x" * 60_000, "\0"))},
            {"schema_id": other.schema_id},
            {"schema_id": 999},
            {"message_encoding": "json"},
        )
    )
    model.channels[index] = dataclasses.replace(model.channels[index], **change)


def _schema(model: McapModel, chance: random.Random) -> None:
    index = chance.randrange(len(model.schemas))
    old: Schema = model.schemas[index]
    change: dict[str, Any] = chance.choice(
        (
            {"data": b""},
            {"data": old.data[: chance.randrange(len(old.data) + 1)]},
            {"data": chance.randbytes(1000)},
            {"data": chance.choice(model.schemas).data},
            {"name": chance.choice(("", "nothing", chance.choice(model.schemas).name))},
            {"encoding": "jsonschema"},
        )
    )
    model.schemas[index] = dataclasses.replace(old, **change)


def _attachment(model: McapModel, chance: random.Random) -> None:
    name = chance.choice(("station.toml", "robot.xml", "preview.jpg", "../../x", "\0", "x" * 10_000))
    data = chance.choice((b"", chance.randbytes(1000), bytes(5 << 20), png_bomb(), jpeg_bomb()))
    model.attachments.append(Attachment(0, 0, name, chance.choice(("image/jpeg", "text/plain", "")), data))


def _pictures(model: McapModel, chance: random.Random) -> None:
    """Video payloads that say another size, or images that unfold to gigabytes."""
    bomb = chance.choice((h264_bomb(), png_bomb(), jpeg_bomb(), chance.randbytes(3000)))
    cameras = {channel.id for channel in model.channels if channel.topic.startswith("/camera/")}
    for message in model.messages:
        if message.channel_id in cameras and chance.random() < 0.5:
            at = max(0, message.data.find(b"\0\0\0\1"))
            head, old = message.data[:at], len(message.data) - at
            message.data = head + bomb if chance.random() < 0.3 else head + bomb[:old].ljust(old, b"\0")


def _repeat_messages(model: McapModel, chance: random.Random) -> None:
    model.messages += _some_messages(model, chance)[:50] * chance.choice((1, 100))


def _remove(model: McapModel, chance: random.Random) -> None:
    part: list[Any] = chance.choice((model.schemas, model.channels, model.messages, model.metadata))
    if part:
        del part[chance.randrange(len(part)) :: chance.choice((1, 2, 10**6))]


_MODEL: dict[str, Callable[[McapModel, random.Random], None]] = {
    "metadata": _metadata,
    "metadata again": _metadata,
    "payload": _payload,
    "payload again": _payload,
    "times": _times,
    "channel": _channel,
    "schema": _schema,
    "attachment": _attachment,
    "pictures": _pictures,
    "repeat": _repeat_messages,
    "remove": _remove,
}
