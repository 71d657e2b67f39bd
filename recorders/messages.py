"""Schemas of an episode's topics; `message_bodies` fills them.

Topics that a stock viewer knows use foxglove.* schemas; the rest are small teleop.* ones defined here.
Each schema travels in the file, so any MCAP reader with protobuf support decodes every topic.
"""

from __future__ import annotations

import functools

import foxglove.messages as foxglove
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

JOINT_STATES = "foxglove.JointStates"
POSE_IN_FRAME = "foxglove.PoseInFrame"
COMPRESSED_VIDEO = "foxglove.CompressedVideo"
CAMERA_CALIBRATION = "foxglove.CameraCalibration"
COMPRESSED_IMAGE = "foxglove.CompressedImage"
RAW_AUDIO = "foxglove.RawAudio"
FRAME_TRANSFORMS = "foxglove.FrameTransforms"
SCENE_UPDATE = "foxglove.SceneUpdate"
TICK, INPUT, EVENT = "teleop.Tick", "teleop.Input", "teleop.Event"
INSTRUCTION, FORCE, WORLD = "teleop.Instruction", "teleop.Force", "teleop.World"
ROS_STRING = "std_msgs/msg/String"
AUTONOMY_TICK, POLICY_CHUNK = "teleop.AutonomyTick", "teleop.PolicyChunk"
SAMPLE, FRAME_STAMP, CLOCK_FIT = "teleop.Sample", "teleop.FrameStamp", "teleop.ClockFit"

_FOXGLOVE = {
    JOINT_STATES: foxglove.JointStates,
    POSE_IN_FRAME: foxglove.PoseInFrame,
    COMPRESSED_VIDEO: foxglove.CompressedVideo,
    CAMERA_CALIBRATION: foxglove.CameraCalibration,
    COMPRESSED_IMAGE: foxglove.CompressedImage,
    RAW_AUDIO: foxglove.RawAudio,
    FRAME_TRANSFORMS: foxglove.FrameTransforms,
    SCENE_UPDATE: foxglove.SceneUpdate,
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
        ("measured_device_ns", "int64"),
    ),
    AUTONOMY_TICK: (
        ("mode", "string"),
        ("phase", "string"),
        ("takeover", "uint64"),
        ("alpha", "double"),
        ("chunk", "uint64"),
        ("index", "double"),
        ("policy_ns", "int64"),
        ("speed", "double"),
        ("human", "double*"),
    ),
    POLICY_CHUNK: (
        ("policy", "string"),
        ("version", "string"),
        ("chunk", "uint64"),
        ("observation_utc_ns", "int64"),
        ("start_policy_ns", "int64"),
        ("step_ns", "int64"),
        ("steps", "uint64"),
        ("actions", "double*"),
        ("arms", "string*"),
        ("latency_ns", "int64"),
        ("server_ns", "int64"),
        ("delay_steps", "uint64"),
        ("frozen_steps", "uint64"),
        ("execution", "string"),
        ("uncertainty", "double"),
        ("novelty", "double"),
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
    SAMPLE: (("values", "double*"), ("device_ns", "sfixed64")),
    FRAME_STAMP: (
        ("seq", "sfixed64"),
        ("device_ns", "sfixed64"),
        ("receive_utc_ns", "sfixed64"),
        ("exposure_ns", "sfixed64"),
    ),
    CLOCK_FIT: (
        ("stream", "string"),
        ("device_ref_ns", "int64"),
        ("host_ref_utc_ns", "int64"),
        ("drift_ppm", "double"),
        ("spread_ns", "int64"),
        ("samples", "uint64"),
    ),
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
    """A schema of this format as the file holds it: a serialised FileDescriptorSet, or a ROS message.

    Args:
        name: One of the schema names above.
    """
    if name == ROS_STRING:
        return b"string data\n"
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


def encodings(name: str) -> tuple[str, str]:
    """Encodings of a schema of this format and of its messages, as MCAP names them."""
    return ("ros2msg", "cdr") if name == ROS_STRING else ("protobuf", "protobuf")


def schema_names() -> tuple[str, ...]:
    """Names of all protobuf schemas of this format."""
    return (*_FOXGLOVE, *_OWN)
