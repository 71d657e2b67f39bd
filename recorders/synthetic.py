"""Episodes made of arithmetic: for tests and benchmarks of whatever reads or writes episode files."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recorders.schema import CameraHeader, EpisodeHeader
from recorders.synthetic_sensors import (
    DEPTH_UNIT_M,
    HEADSET,
    MICROPHONE,
    WRENCH,
    device_time,
    synthetic_batches,
    synthetic_clocks,
    synthetic_depth,
    synthetic_sound,
)
from recorders.video import H264Encoder, is_keyframe
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import NS_PER_S, ClockAnchor
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AudioBlock,
    ClockFit,
    ControlState,
    ControlTick,
    DepthPacket,
    Event,
    ForceBatch,
    InputSample,
    PolicyChunk,
    Sample,
    StreamBatch,
    VideoPacket,
    WorldState,
)

JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
SENSORS = ("left/left_finger", "left/right_finger", "right/left_finger", "right/right_finger")
KEYFRAME_FRAMES = 15
"""Frames between the keyframes of its video."""


def synthetic_header(
    cameras: tuple[str, ...] = ("overhead", "left_wrist", "right_wrist"),
    width: int = 320,
    height: int = 240,
    fps: int = 30,
    anchor: ClockAnchor | None = None,
) -> EpisodeHeader:
    """Header of a bimanual episode with a new UUID."""
    anchor = anchor or ClockAnchor.now()
    return EpisodeHeader(
        uuid=str(uuid.uuid4()),
        started_utc_ns=anchor.utc_ns,
        anchor_monotonic_ns=anchor.monotonic_ns,
        anchor_utc_ns=anchor.utc_ns,
        station="Synthetic cell",
        embodiment="Two arms made of arithmetic.",
        operator="Nobody",
        session="synthetic",
        task="wave",
        instruction="Wave both arms",
        paraphrases=("Move both arms about", "Wave"),
        seed=7,
        robot_type="viperx_bimanual",
        arms=("left", "right"),
        joint_names=tuple(f"{arm}/{joint}" for arm in ("left", "right") for joint in JOINTS),
        control_rate_hz=200,
        cameras=tuple(
            CameraHeader(
                name=name,
                width=width,
                height=height,
                fps=fps,
                codec="h264",
                encoder="libx264 superfast crf 23 gop 15",
                intrinsics=(300.0, 0.0, width / 2, 0.0, 300.0, height / 2, 0.0, 0.0, 1.0),
                parent_T_camera=(0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0),
            )
            for name in cameras
        ),
        force_sensors=SENSORS,
        software="synthetic",
    )


def full_header(header: EpisodeHeader) -> EpisodeHeader:
    """The header with every kind of stream beside it: a wrench at 1 kHz, a headset's pose at 90 Hz, sound at
    16 kHz, depth of the first camera, and the last camera at 60 frames a second.
    """  # noqa: D205 - one sentence
    first, *others = header.cameras
    cameras = [dataclasses.replace(first, depth_unit_m=DEPTH_UNIT_M), *others]
    if others:
        cameras[-1] = dataclasses.replace(cameras[-1], fps=60)
    return dataclasses.replace(header, cameras=tuple(cameras), streams=(WRENCH, HEADSET), audio=(MICROPHONE,))


def synthetic_image(camera: int, index: int, width: int, height: int) -> NDArray[np.uint8]:
    """A smooth moving pattern, different for every camera and frame, shape (height, width, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 100 * np.sin(x / 25 + index / 5 + camera)
    green = 128 + 100 * np.sin(y / 20 - index / 7)
    blue = np.full((height, width), 40 + (index * 5 + camera * 60) % 180)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def synthetic_packets(
    camera: CameraHeader, number: int, start_ns: int, count: int, *, stamped: bool = False
) -> list[VideoPacket]:
    """Encoded frames of one camera on its grid; with the camera's own times if `stamped`."""
    encoder = H264Encoder(camera.width, camera.height, camera.fps, keyframe_frames=KEYFRAME_FRAMES)
    packets = []
    for index in range(count):
        payload = encoder.encode(synthetic_image(number, index, camera.width, camera.height))
        capture_ns = start_ns + round(index * NS_PER_S / camera.fps)
        packets.append(
            VideoPacket(
                camera=camera.name,
                seq=index,
                capture_ns=capture_ns,
                encoded_ns=capture_ns + 4_000_000,
                keyframe=is_keyframe(payload),
                width=camera.width,
                height=camera.height,
                payload=payload,
                receive_ns=capture_ns + 3_000_000 if stamped else 0,
                device_ns=int(device_time(np.array([capture_ns]), start_ns)[0]) if stamped else 0,
                exposure_ns=8_000_000 if stamped else 0,
            )
        )
    encoder.close()
    return packets


def synthetic_tick(header: EpisodeHeader, index: int, start_ns: int) -> ControlTick:
    """Control tick number `index`; both arms swing, the hand asks of the left arm only."""
    due_ns = start_ns + round(index * NS_PER_S / header.control_rate_hz)
    tick_ns = due_ns + 20_000 + index % 7 * 1_000
    count = len(header.joint_names)
    commanded = np.sin(index / 50 + np.arange(count))
    pose = np.full((len(header.arms), 7), np.nan)
    angle = index / 400
    pose[0] = (0.1 * np.sin(index / 60), 0.2, 0.3, np.cos(angle), 0.0, 0.0, np.sin(angle))
    return ControlTick(
        seq=index + 1000,
        tick_ns=tick_ns,
        due_ns=due_ns,
        state=ControlState.ENGAGED,
        actor=Actor.SCRIPT,
        source="scripted",
        engaged=(True,) * len(header.arms),
        input_capture_ns=tick_ns - 3_000_000,
        operator_pose=pose,
        operator_gripper=np.array([0.5 + 0.5 * np.sin(index / 80), np.nan][: len(header.arms)]),
        policy=None,
        commanded=commanded,
        sent=commanded * 0.99,
        sent_ns=tick_ns + 600_000,
        measured=commanded * 0.98,
        measured_velocity=np.cos(index / 50 + np.arange(count)),
        measured_effort=np.full(count, 0.25),
        measured_ns=tick_ns - 1_000_000,
        flags=0,
    )


def synthetic_samples(header: EpisodeHeader, seconds: float, start_ns: int) -> Iterator[Sample]:
    """Everything a station publishes in `seconds`, in order of time: ticks at the header's rate, world at
    100 Hz, forces at 200 Hz, inputs at 90 Hz, all cameras, and the streams, sound and depth that the header
    names; frames then carry their cameras' own times.
    """  # noqa: D205 - one sentence
    samples: list[tuple[int, Sample]] = []
    for number, camera in enumerate(header.cameras):
        count = round(seconds * camera.fps)
        packets = synthetic_packets(camera, number, start_ns, count, stamped=bool(header.streams))
        samples.extend((packet.capture_ns, packet) for packet in packets)
    for index in range(round(seconds * header.control_rate_hz)):
        tick = synthetic_tick(header, index, start_ns)
        samples.append((tick.tick_ns, tick))
    for index in range(round(seconds * 100)):
        at_ns = start_ns + index * 10_000_000
        samples.append((at_ns, WorldState(index, at_ns, index / 100, np.sin(np.arange(30.0) + index / 100))))
        times = at_ns + np.array([0, 5_000_000], np.int64)
        force = np.zeros((2, len(SENSORS), 3)) + np.sin(index / 30)
        samples.append((at_ns, ForceBatch(SENSORS, times, force, index * 2)))
    for index in range(round(seconds * 90)):
        at_ns = start_ns + round(index * NS_PER_S / 90)
        arm = ArmInput(clutch=True, pose=np.array([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0]), gripper=0.5)
        samples.append((at_ns, InputSample("scripted", Actor.SCRIPT, index, at_ns, {"left": arm})))
    samples.extend(_sensor_samples(header, seconds, start_ns))
    end_ns = start_ns + round(seconds * NS_PER_S)
    samples.append((start_ns, Event("recorder.started", start_ns, "recorder", "Recording started")))
    samples.append((end_ns, Event("task.success", end_ns, "simulation", "Done", {"task": header.task})))
    samples.sort(key=lambda item: item[0])
    for _, sample in samples:
        yield sample


def _sensor_samples(
    header: EpisodeHeader, seconds: float, start_ns: int
) -> Iterator[tuple[int, StreamBatch | AudioBlock | DepthPacket | ClockFit]]:
    for stream in header.streams:
        for batch in synthetic_batches(stream, seconds, start_ns):
            yield int(batch.capture_ns[-1]), batch
    for source in header.audio:
        for block in synthetic_sound(source, seconds, start_ns):
            yield block.capture_ns, block
    for camera in header.cameras:
        if camera.depth_unit_m:
            for packet in synthetic_depth(camera, seconds, start_ns):
                yield packet.capture_ns, packet
    for fit in synthetic_clocks(header, seconds, start_ns):
        yield fit.capture_ns, fit


def feed(writer: EpisodeWriter, sample: Sample) -> None:
    """Give a sample of any kind to a writer.

    Raises:
        StorageError: As the writer.
    """
    match sample:
        case ControlTick():
            writer.add_tick(sample)
        case VideoPacket():
            writer.add_packet(sample)
        case InputSample():
            writer.add_input(sample, sample.capture_ns + 1_000_000)
        case PolicyChunk():
            writer.add_chunk(sample)
        case WorldState():
            writer.add_world(sample)
        case ForceBatch():
            writer.add_force(sample)
        case Event():
            writer.add_event(sample)
        case StreamBatch():
            writer.add_stream(sample)
        case DepthPacket():
            writer.add_depth(sample)
        case AudioBlock():
            writer.add_audio(sample)
        case ClockFit():
            writer.add_clock(sample)


def write_synthetic(
    folder: Path, seconds: float = 1.0, header: EpisodeHeader | None = None, *, outcome: str = "success"
) -> FinishedEpisode:
    """A finished episode in `folder`, made as fast as the machine can.

    Raises:
        StorageError: As the writer.
    """
    header = header or synthetic_header(width=64, height=48)
    writer = EpisodeWriter(
        folder / f".{header.uuid}.mcap", header, destination=folder / f"{header.uuid}.mcap", flush_s=0.02
    )
    for sample in synthetic_samples(header, seconds, header.anchor_monotonic_ns):
        feed(writer, sample)
    return writer.finish(outcome)


def with_cameras(header: EpisodeHeader, **changes: int) -> EpisodeHeader:
    """The header with every camera's fields replaced, e.g. `width=64, height=48`."""
    cameras = tuple(dataclasses.replace(camera, **changes) for camera in header.cameras)
    return dataclasses.replace(header, cameras=cameras)
