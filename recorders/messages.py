"""Schemas of an episode's topics, and how each sample becomes a message.

Topics that a stock viewer knows use foxglove.* schemas; the rest are small teleop.* ones defined here.
Each schema travels in the file, so any MCAP reader with protobuf support decodes every topic.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping

import foxglove.messages as foxglove
import numpy as np
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet
from numpy.typing import NDArray

from recorders import wire
from recorders.schema import CameraHeader
from teleop_app.core.types import ControlTick, Event, ForceBatch, InputSample, WorldState

JOINT_STATES = "foxglove.JointStates"
POSE_IN_FRAME = "foxglove.PoseInFrame"
COMPRESSED_VIDEO = "foxglove.CompressedVideo"
CAMERA_CALIBRATION = "foxglove.CameraCalibration"
TICK, INPUT, EVENT = "teleop.Tick", "teleop.Input", "teleop.Event"
INSTRUCTION, FORCE, WORLD = "teleop.Instruction", "teleop.Force", "teleop.World"

_FOXGLOVE = {
    JOINT_STATES: foxglove.JointStates,
    POSE_IN_FRAME: foxglove.PoseInFrame,
    COMPRESSED_VIDEO: foxglove.CompressedVideo,
    CAMERA_CALIBRATION: foxglove.CameraCalibration,
}
# Field order is field numbering, from 2 on; field 1 is always `timestamp`. `*` marks a repeated field.
_OWN: dict[str, tuple[tuple[str, str], ...]] = {
    TICK: (
        ("seq", "uint64"),
        ("state", "string"),
        ("actor", "string"),
        ("source", "string"),
        ("engaged", "bool*"),
        ("lateness_ns", "int64"),
        ("input_age_ns", "int64"),
        ("flags", "uint32"),
        ("reason", "string"),
        ("operator_gripper", "double*"),
    ),
    INPUT: (
        ("source", "string"),
        ("actor", "string"),
        ("seq", "uint64"),
        ("device_ns", "int64"),
        ("json", "string"),
    ),
    EVENT: (("kind", "string"), ("origin", "string"), ("text", "string"), ("fields_json", "string")),
    INSTRUCTION: (("text", "string"), ("task", "string"), ("paraphrases", "string*")),
    FORCE: (("sensor", "string"), ("sample_utc_ns", "sfixed64*"), ("force", "double*")),
    WORLD: (("sim_time_s", "double"), ("qpos", "double*")),
}
_KINDS = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "string": FieldDescriptorProto.TYPE_STRING,
    "sfixed64": FieldDescriptorProto.TYPE_SFIXED64,
}


@functools.cache
def schema_data(name: str) -> bytes:
    """The serialised FileDescriptorSet of a schema of this format.

    Args:
        name: One of the schema names above.
    """
    if name in _FOXGLOVE:
        return _FOXGLOVE[name].get_schema().data
    package, message_name = name.split(".")
    files = FileDescriptorSet()
    timestamp_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    file = files.file.add(name=f"teleop/{message_name}.proto", package=package, syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    message: DescriptorProto = file.message_type.add(name=message_name)
    message.field.add(
        name="timestamp",
        number=1,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        label=FieldDescriptorProto.LABEL_OPTIONAL,
        type_name=".google.protobuf.Timestamp",
    )
    for number, (field, kind) in enumerate(_OWN[name], start=2):
        repeated = kind.endswith("*")
        message.field.add(
            name=field,
            number=number,
            type=_KINDS[kind.rstrip("*")],
            label=FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL,
        )
    return files.SerializeToString(deterministic=True)


def tick_body(tick: ControlTick) -> bytes:
    """teleop.Tick without its timestamp."""
    age_ns = tick.tick_ns - tick.input_capture_ns if tick.input_capture_ns else -1
    return b"".join(
        (
            wire.field_int(2, tick.seq),
            wire.field_text(3, tick.state.value),
            wire.field_text(4, tick.actor.value),
            wire.field_text(5, tick.source),
            wire.field_bytes(6, bytes(tick.engaged)),
            wire.field_int(7, tick.tick_ns - tick.due_ns),
            wire.field_int(8, age_ns),
            wire.field_int(9, tick.flags),
            wire.field_text(10, tick.reason),
            wire.field_packed(11, tick.operator_gripper),
        )
    )


def input_body(sample: InputSample) -> bytes:
    """teleop.Input without its timestamp."""
    arms = {
        name: {
            "clutch": arm.clutch,
            "valid": arm.valid,
            "pose": _numbers(arm.pose),
            "twist": _numbers(arm.twist),
            "joints": _numbers(arm.joints),
            "gripper": arm.gripper,
        }
        for name, arm in sample.arms.items()
    }
    body = {"arms": arms, "buttons": sample.buttons, "base_twist": _numbers(sample.base_twist)}
    return b"".join(
        (
            wire.field_text(2, sample.source),
            wire.field_text(3, sample.actor.value),
            wire.field_int(4, sample.seq),
            wire.field_int(5, sample.device_ns or 0),
            wire.field_text(6, json.dumps(body, separators=(",", ":"))),
        )
    )


def _numbers(values: NDArray[np.float64] | None) -> list[float] | None:
    return None if values is None else values.tolist()


def event_body(event: Event) -> bytes:
    """teleop.Event without its timestamp."""
    return b"".join(
        (
            wire.field_text(2, event.kind),
            wire.field_text(3, event.origin),
            wire.field_text(4, event.text),
            wire.field_text(5, fields_json(event.fields)),
        )
    )


def fields_json(values: Mapping[str, object]) -> str:
    """Event fields as JSON; what JSON does not know is kept as its text."""
    return json.dumps(values, separators=(",", ":"), default=str)


def instruction_body(text: str, task: str, paraphrases: tuple[str, ...]) -> bytes:
    """teleop.Instruction without its timestamp."""
    repeated = b"".join(wire.field_bytes(4, other.encode()) for other in paraphrases)
    return wire.field_text(2, text) + wire.field_text(3, task) + repeated


def force_body(batch: ForceBatch, sensor: int, utc_offset_ns: int) -> bytes:
    """teleop.Force of one sensor's samples of a batch, without its timestamp.

    Args:
        batch: All sensors.
        sensor: Which one.
        utc_offset_ns: UTC minus monotonic time.
    """
    return (
        wire.field_text(2, batch.names[sensor])
        + wire.field_packed(3, batch.capture_ns + utc_offset_ns)
        + wire.field_packed(4, batch.force[:, sensor, :].astype(np.float64))
    )


def world_body(world: WorldState) -> bytes:
    """teleop.World without its timestamp."""
    return wire.field_double(2, world.sim_time_s) + wire.field_packed(3, world.qpos)


def video_body(camera: str, payload: bytes) -> bytes:
    """foxglove.CompressedVideo of one access unit, without its timestamp."""
    return wire.field_text(2, camera) + wire.field_bytes(3, payload) + b"\x22\x04h264"


def calibration_body(camera: CameraHeader) -> bytes:
    """foxglove.CameraCalibration of an undistorted pinhole camera, without its timestamp."""
    matrix = list(camera.intrinsics) or [0.0] * 9  # K[0] = 0 says uncalibrated
    projection = [*matrix[0:3], 0.0, *matrix[3:6], 0.0, *matrix[6:9], 0.0]
    message = foxglove.CameraCalibration(
        frame_id=camera.name,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob",
        D=[0.0] * 5,
        K=matrix,
        R=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        P=projection,
    )
    return message.encode()
