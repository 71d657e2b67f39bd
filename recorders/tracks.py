"""From messages back to tracks: one function per kind of topic, shared by reader and verification."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from mcap.records import Schema
from mcap_protobuf.decoder import DecoderFactory
from numpy.typing import NDArray

from recorders import messages, wire
from recorders.message_blocks import Block
from recorders.schema import EventRecord
from recorders.wire_columns import columns_of
from teleop_app.core.errors import EpisodeError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
_Number = TypeVar("_Number", np.int64, np.float64)


def _cdr_string(payload: bytes) -> str:
    """A std_msgs/msg/String in CDR: four bytes of head, the length with its final zero, the text."""
    if len(payload) < 9 or int.from_bytes(payload[4:8], "little") != len(payload) - 8:
        raise EpisodeError(f"A {messages.ROS_STRING} message cannot be decoded", why="its length is wrong")
    try:
        return payload[8:-1].decode()
    except UnicodeDecodeError as error:
        raise EpisodeError(
            f"A {messages.ROS_STRING} message cannot be decoded", why="it is no text"
        ) from error


class Decoder:
    """Decodes messages of one schema, protobuf by its own descriptor: for files of any writer, slow."""

    def __init__(self, schema: Schema) -> None:
        self.name = schema.name
        if schema.name == messages.ROS_STRING:
            self._decode = _cdr_string
            return
        try:
            decode = DecoderFactory().decoder_for("protobuf", schema)
        except Exception as error:  # the descriptor comes from the file and can be anything
            raise EpisodeError(f"The schema {schema.name} cannot be read", why=str(error)) from error
        if decode is None:
            raise EpisodeError(f"The schema {schema.name} is not protobuf")
        self._decode = decode

    def decode(self, payload: bytes) -> Any:
        """One message.

        Raises:
            EpisodeError: The bytes do not fit the schema.
        """
        try:
            return self._decode(payload)
        except DecodeError as error:
            raise EpisodeError(f"A {self.name} message cannot be decoded", why=str(error)) from error


def concatenated(parts: Iterable[IntArray]) -> IntArray:
    """All parts in one array, also when there are none."""
    return np.concatenate([np.zeros(0, np.int64), *parts])


def unwrapped(seq: IntArray) -> IntArray:
    """Sequence numbers that were stored modulo 2^32, made increasing again."""
    if len(seq) < 2:
        return seq
    steps = np.diff(seq)
    return seq + np.concatenate([[0], np.cumsum(np.where(steps < -(1 << 31), 1 << 32, 0))])


_JOINED_BYTES = 8 << 20


def joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """The same messages in fewer blocks that hold nothing else: what is done once a block costs less then."""
    held: list[Block] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += int(block.lengths.sum())
        if size > _JOINED_BYTES:
            yield _one_block(held)
            held, size = [], 0
    if held:
        yield _one_block(held)


def _one_block(blocks: list[Block]) -> Block:
    lengths = concatenated(block.lengths for block in blocks)
    return Block(
        data=np.frombuffer(b"".join(payload for block in blocks for payload in block.payloads()), np.uint8),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        seq=concatenated(block.seq for block in blocks),
        log_utc_ns=concatenated(block.log_utc_ns for block in blocks),
        publish_utc_ns=concatenated(block.publish_utc_ns for block in blocks),
    )


@contextmanager
def as_its_schema() -> Iterator[None]:
    """For what takes messages apart by their field names: those of a strange schema are an EpisodeError."""
    try:
        yield
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise EpisodeError("A message has other fields than its topic should have", why=str(error)) from error


def joint_values(block: Block, names: tuple[str, ...], decoder: Decoder) -> Array:
    """Positions, velocities and efforts of a block of JointStates, shape (k, n, 3), NaN where absent.

    Raises:
        EpisodeError: A message has other joints than `names`, in that order.
    """
    out = np.full((len(block.starts), len(names), 3), np.nan)
    for with_motion in (False, True):
        template = wire.joint_template(names, with_motion)
        if (block.lengths == template.length).all():
            values = template.extract(block.data, block.starts)
            if values is not None:
                columns = 3 if with_motion else 1
                out[:, :, :columns] = values.reshape(len(values), len(names), columns)
                return out
    with as_its_schema():
        for row, payload in zip(out, block.payloads(), strict=True):
            _joints_into(row, decoder.decode(payload).joints, names)
    return out


def _joints_into(row: Array, joints: Any, names: tuple[str, ...]) -> None:
    if tuple(joint.name for joint in joints) != names:
        raise EpisodeError("A JointStates message has other joints than the header names")
    for cell, joint in zip(row, joints, strict=True):
        for column, quantity in enumerate(("position", "velocity", "effort")):
            if joint.HasField(quantity):
                cell[column] = getattr(joint, quantity)


def pose_values(block: Block, decoder: Decoder) -> Array:
    """Poses of a block of PoseInFrame, shape (k, 7), x y z and quat_wxyz."""
    template = wire.pose_template("world")
    if (block.lengths == template.length).all():
        values = template.extract(block.data, block.starts)
        if values is not None:
            return values[:, [0, 1, 2, 6, 3, 4, 5]]
    with as_its_schema():
        poses = [decoder.decode(payload).pose for payload in block.payloads()]
        rows = [
            (p.position.x, p.position.y, p.position.z, q.w, q.x, q.y, q.z)
            for p in poses
            for q in [p.orientation]
        ]
        return np.array(rows, np.float64).reshape(-1, 7)


def doubles(raw: int | bytes | None) -> Array:
    """A packed repeated double field."""
    if not isinstance(raw, bytes) or len(raw) % 8:
        return np.zeros(0)
    return np.frombuffer(raw, "<f8").astype(np.float64)


def integers(raw: int | bytes | None) -> IntArray:
    """A packed repeated sfixed64 field."""
    if not isinstance(raw, bytes) or len(raw) % 8:
        return np.zeros(0, np.int64)
    return np.frombuffer(raw, "<i8").astype(np.int64)


def text(raw: int | bytes | None) -> str:
    """A string field, empty when absent."""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def signed(raw: int | bytes | None) -> int:
    """An int64 field, 0 when absent."""
    value = raw if isinstance(raw, int) else 0
    value &= 0xFFFFFFFFFFFFFFFF
    return value - (1 << 64) if value >> 63 else value


@dataclass(slots=True)
class TickColumns:
    """Columns of teleop.Tick as they are read."""

    lateness_ns: list[IntArray] = field(default_factory=list)
    input_age_ns: list[IntArray] = field(default_factory=list)
    flags: list[IntArray] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    actor: list[str] = field(default_factory=list)
    gripper: list[Array] = field(default_factory=list)

    def add(self, block: Block, arms: int) -> None:
        """Append messages; grippers of `arms` arms, NaN where absent."""
        found = columns_of(block)
        grippers = None if found is None else found.doubles(11)
        if found is None or grippers is None:
            self._add_slowly(block, arms)
            return
        self.lateness_ns.append(found[7].value)
        self.input_age_ns.append(found[8].value)
        self.flags.append(found[9].value)
        self.state += found.texts(3)
        self.actor += found.texts(4)
        self.gripper.append(ragged(*grippers, arms))

    def _add_slowly(self, block: Block, arms: int) -> None:
        messages_fields = [dict(wire.fields(payload)) for payload in block.payloads()]
        for column, number in ((self.lateness_ns, 7), (self.input_age_ns, 8), (self.flags, 9)):
            column.append(np.array([signed(values.get(number)) for values in messages_fields], np.int64))
        self.state += [text(values.get(3)) for values in messages_fields]
        self.actor += [text(values.get(4)) for values in messages_fields]
        rows = [doubles(values.get(11)) for values in messages_fields]
        counts = np.array([len(row) for row in rows], np.int64)
        self.gripper.append(ragged(np.concatenate([np.zeros(0), *rows]), counts, arms))


def ragged(values: Array, counts: IntArray, width: int) -> Array:
    """Rows of `counts` values each as (rows, width), NaN where short, cut where long."""
    out = np.full((len(counts), width), np.nan)
    row = np.repeat(np.arange(len(counts)), counts)
    column = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    fits = column < width
    out[row[fits], column[fits]] = values[fits]
    return out


def _column(
    rows: list[dict[int, int | bytes]], number: int, read: Callable[[int | bytes | None], NDArray[_Number]]
) -> tuple[NDArray[_Number], IntArray]:
    """A packed field message by message: all values one after another, and how many each message has."""
    values = [read(row.get(number)) for row in rows]
    return np.concatenate([read(None), *values]), np.array([len(each) for each in values], np.int64)


def force_values(block: Block) -> tuple[IntArray, Array]:
    """UTC times (k,) and forces (k, 3) of a block of teleop.Force.

    Raises:
        EpisodeError: A message has another number of forces than times.
    """
    found = columns_of(block)
    stamps = None if found is None else found.words(3)
    forces = None if found is None else found.doubles(4)
    if stamps is None or forces is None:
        rows = [dict(wire.fields(payload)) for payload in block.payloads()]
        stamps, forces = _column(rows, 3, integers), _column(rows, 4, doubles)
    if (forces[1] != 3 * stamps[1]).any():
        raise EpisodeError("A force message has another number of forces than times")
    return stamps[0], forces[0].reshape(-1, 3)


def world_values(block: Block) -> tuple[Array, Array]:
    """Physics time (k,) and generalised positions (k, nq) of a block of teleop.World.

    Raises:
        EpisodeError: The states have different lengths.
    """
    found = columns_of(block)
    clock = None if found is None else found.doubles(2)
    states = None if found is None else found.doubles(3)
    if clock is None or states is None:
        rows = [dict(wire.fields(payload)) for payload in block.payloads()]
        clock, states = _column(rows, 2, doubles), _column(rows, 3, doubles)
    if len(set(states[1].tolist())) > 1 or (clock[1] > 1).any():
        raise EpisodeError("The world states have different lengths")
    sim_time_s = np.nan_to_num(ragged(*clock, 1)[:, 0])
    return sim_time_s, states[0].reshape(len(block.starts), -1)


def video_payload(message: bytes) -> bytes:
    """The access unit in a CompressedVideo message.

    Raises:
        EpisodeError: There is none, or it is not H.264.
    """
    values = dict(wire.fields(message))
    payload = values.get(3)
    if text(values.get(4)) != "h264" or not isinstance(payload, bytes):
        raise EpisodeError("A video message holds no H.264")
    return payload


def video_places(block: Block, camera: str) -> tuple[IntArray, IntArray] | None:
    """Where the access units of a block of CompressedVideo begin in its data, and their lengths.

    Returns:
        None when a message is not laid out as this program writes it; `video_payload` reads it then.
    """
    head = wire.field_text(2, camera) + b"\x1a"
    tail = b"\x22\x04h264"
    least = wire.STAMP_BYTES + len(head) + 5 + len(tail)
    if not len(block.starts) or (block.lengths < least).any():
        return None
    starts = block.starts + wire.STAMP_BYTES
    ends = block.starts + block.lengths - len(tail)
    if not (_same(block, starts, head) and _same(block, ends, tail)):
        return None
    starts = starts + len(head)
    digits = block.data[starts[:, None] + np.arange(5)].astype(np.int64)
    more = np.cumprod(digits >= 0x80, axis=1)
    size = more.sum(axis=1) + 1  # bytes of the length itself
    used = np.arange(5) < size[:, None]
    lengths = ((digits & 0x7F) << 7 * np.arange(5)).sum(axis=1, where=used)
    starts = starts + size
    return (starts, lengths) if (starts + lengths == ends).all() else None


def _same(block: Block, at: IntArray, expected: bytes) -> bool:
    found = block.data[at[:, None] + np.arange(len(expected))]
    return bool((found == np.frombuffer(expected, np.uint8)).all())


def event_record(payload: bytes, capture_ns: int) -> EventRecord:
    """A teleop.Event message."""
    values = dict(wire.fields(payload))
    try:
        fields = json.loads(text(values.get(5)) or "{}")
    except (ValueError, RecursionError):
        fields = {}
    return EventRecord(
        capture_ns=capture_ns,
        kind=text(values.get(2)),
        origin=text(values.get(3)),
        text=text(values.get(4)),
        fields=fields if isinstance(fields, dict) else {},
    )
