"""From messages back to tracks: one function per kind of topic, shared by reader and verification."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from mcap.records import Schema
from mcap_protobuf.decoder import DecoderFactory
from numpy.typing import NDArray

from recorders import messages, wire
from recorders.container import Block
from recorders.schema import EventRecord
from teleop_app.core.errors import EpisodeError

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Decoder:
    """Decodes messages of one schema by its own descriptor: for files of any writer, slow."""

    def __init__(self, schema: Schema) -> None:
        try:
            decode = DecoderFactory().decoder_for("protobuf", schema)
        except Exception as error:  # the descriptor comes from the file and can be anything
            raise EpisodeError(f"The schema {schema.name} cannot be read", why=str(error)) from error
        if decode is None:
            raise EpisodeError(f"The schema {schema.name} is not protobuf")
        self._decode = decode
        self.name = schema.name

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
    for row, payload in zip(out, block.payloads(), strict=True):
        joints = decoder.decode(payload).joints
        if tuple(joint.name for joint in joints) != names:
            raise EpisodeError("A JointStates message has other joints than the header names")
        for cell, joint in zip(row, joints, strict=True):
            for column, quantity in enumerate(("position", "velocity", "effort")):
                if joint.HasField(quantity):
                    cell[column] = getattr(joint, quantity)
    return out


def pose_values(block: Block, decoder: Decoder) -> Array:
    """Poses of a block of PoseInFrame, shape (k, 7), x y z and quat_wxyz."""
    template = wire.pose_template("world")
    if (block.lengths == template.length).all():
        values = template.extract(block.data, block.starts)
        if values is not None:
            return values[:, [0, 1, 2, 6, 3, 4, 5]]
    poses = [decoder.decode(payload).pose for payload in block.payloads()]
    rows = [
        (p.position.x, p.position.y, p.position.z, q.w, q.x, q.y, q.z) for p in poses for q in [p.orientation]
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

    lateness_ns: list[int] = field(default_factory=list)
    input_age_ns: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    state: list[str] = field(default_factory=list)
    actor: list[str] = field(default_factory=list)
    gripper: list[Array] = field(default_factory=list)

    def add(self, payload: bytes) -> None:
        """Append one message."""
        values = dict(wire.fields(payload))
        self.lateness_ns.append(signed(values.get(7)))
        self.input_age_ns.append(signed(values.get(8)))
        self.flags.append(signed(values.get(9)))
        self.state.append(text(values.get(3)))
        self.actor.append(text(values.get(4)))
        self.gripper.append(doubles(values.get(11)))


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


def schema_names() -> Iterator[str]:
    """Names of all schemas of this format."""
    yield from (
        messages.JOINT_STATES,
        messages.POSE_IN_FRAME,
        messages.COMPRESSED_VIDEO,
        messages.CAMERA_CALIBRATION,
        messages.TICK,
        messages.INPUT,
        messages.EVENT,
        messages.INSTRUCTION,
        messages.FORCE,
        messages.WORLD,
    )
