"""Each sample as the bytes of its message, without the time that every message begins with."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import foxglove.messages as foxglove
import numpy as np
from numpy.typing import NDArray

from recorders import wire
from recorders.schema import CameraHeader
from teleop_app.core.types import (
    AudioBlock,
    AutonomyTick,
    ClockFit,
    ControlTick,
    Event,
    ForceBatch,
    InputSample,
    PolicyChunk,
    WorldState,
)

_PNG = b"\x1a\x03png"
_AUDIO_END = struct.Struct("<10sIcI")
_FRAME_STAMP = struct.Struct("<BqBqBqBq")


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
            wire.field_int(12, tick.measured_device_ns),
        )
    )


def autonomy_body(autonomy: AutonomyTick) -> bytes:
    """teleop.AutonomyTick without its timestamp."""
    parts = [
        wire.field_text(2, autonomy.mode.value),
        wire.field_text(3, autonomy.phase.value),
        wire.field_int(4, autonomy.takeover),
        wire.field_double(5, autonomy.alpha),
        wire.field_int(6, autonomy.chunk),
        wire.field_double(7, autonomy.index),
        wire.field_int(8, autonomy.policy_ns),
        wire.field_double(9, autonomy.speed),
    ]
    if autonomy.human is not None:
        parts.append(wire.field_packed(10, autonomy.human))
    return b"".join(parts)


def chunk_body(chunk: PolicyChunk, utc_offset_ns: int) -> bytes:
    """teleop.PolicyChunk without its timestamp, which is when the answer was here.

    Args:
        chunk: As it came.
        utc_offset_ns: UTC minus monotonic time.
    """
    return b"".join(
        (
            wire.field_text(2, chunk.policy),
            wire.field_text(3, chunk.version),
            wire.field_int(4, chunk.chunk),
            wire.field_int(5, chunk.observation_ns + utc_offset_ns),
            wire.field_int(6, chunk.start_policy_ns),
            wire.field_int(7, chunk.step_ns),
            wire.field_int(8, len(chunk.actions)),
            wire.field_packed(9, chunk.actions),
            *(wire.field_bytes(10, arm.encode()) for arm in chunk.arms),
            wire.field_int(11, chunk.latency_ns),
            wire.field_int(12, chunk.server_ns),
            wire.field_int(13, chunk.delay_steps),
            wire.field_int(14, chunk.frozen_steps),
            wire.field_text(15, chunk.execution),
            wire.field_double(16, chunk.uncertainty),
            wire.field_double(17, chunk.novelty),
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
            wire.field_text(6, _json(body)),
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
    return _json(values)


def _json(values: object) -> str:
    """Strict JSON: a number that is not finite becomes null."""
    try:
        return json.dumps(values, separators=(",", ":"), default=str, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(values, default=str), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":"))


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
    """foxglove.CameraCalibration of a pinhole camera, without its timestamp.

    Five coefficients are called `plumb_bob`, eight `rational_polynomial`: OpenCV's own order.
    """
    matrix = list(camera.intrinsics) or [0.0] * 9  # K[0] = 0 says uncalibrated
    projection = [*matrix[0:3], 0.0, *matrix[3:6], 0.0, *matrix[6:9], 0.0]
    few = len(camera.distortion) <= 5
    coefficients = [*camera.distortion, *[0.0] * ((5 if few else 8) - len(camera.distortion))]
    message = foxglove.CameraCalibration(
        frame_id=camera.name,
        width=camera.width,
        height=camera.height,
        distortion_model="plumb_bob" if few else "rational_polynomial",
        D=coefficients,
        K=matrix,
        R=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        P=projection,
    )
    return message.encode()


def depth_body(frame_id: str, payload: bytes) -> bytes:
    """foxglove.CompressedImage of a 16-bit PNG, without its timestamp."""
    return wire.field_bytes(2, payload) + _PNG + wire.field_text(4, frame_id)


def audio_body(block: AudioBlock) -> bytes:
    """foxglove.RawAudio, without its timestamp."""
    return wire.field_bytes(2, block.payload) + _AUDIO_END.pack(
        b"\x1a\x07pcm-s16\x25", block.rate_hz, b"\x2d", block.channels
    )


def clock_body(fit: ClockFit, utc_offset_ns: int) -> bytes:
    """teleop.ClockFit, without its timestamp.

    Args:
        fit: As it came.
        utc_offset_ns: UTC minus monotonic time.
    """
    return b"".join(
        (
            wire.field_text(2, fit.stream),
            wire.field_int(3, fit.device_ref_ns),
            wire.field_int(4, fit.host_ref_ns + utc_offset_ns),
            wire.field_double(5, fit.drift_ppm),
            wire.field_int(6, fit.spread_ns),
            wire.field_int(7, fit.samples),
        )
    )


def frame_stamp_body(seq: int, device_ns: int, receive_utc_ns: int, exposure_ns: int) -> bytes:
    """teleop.FrameStamp, without its timestamp; the layout of `wire.frame_stamp_template`."""
    return _FRAME_STAMP.pack(0x11, seq, 0x19, device_ns, 0x21, receive_utc_ns, 0x29, exposure_ns)
