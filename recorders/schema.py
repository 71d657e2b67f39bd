"""What an episode file holds: its header, topics and tracks. docs/episode-format.md is its prose."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recorders.rollout import RolloutFacts

FORMAT_VERSION = 1
"""Raised when a reader of the previous version would misread a file."""

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

JOINT_KINDS = ("policy", "commanded", "sent", "measured")
"""Joint-vector streams of a control tick. The operator stream is poses, see `topic_operator`."""


_TOPIC_NAME = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_MAX_NAME = 100


def is_topic_name(name: str) -> bool:
    """Whether a stream, microphone or sensor may be called so: letters, digits, `_`, `-`, `.`, inner `/`."""
    return len(name) <= _MAX_NAME and _TOPIC_NAME.fullmatch(name) is not None


def topic_joints(kind: str) -> str:
    """Topic of one joint-vector stream (foxglove.JointStates), kind of `JOINT_KINDS`."""
    return f"/joints/{kind}"


def topic_operator(arm: str) -> str:
    """Topic of the end-effector pose the hand asked of `arm` (foxglove.PoseInFrame, frame `world`)."""
    return f"/operator/{arm}/pose"


def topic_video(camera: str) -> str:
    """Topic of a camera's H.264 (foxglove.CompressedVideo)."""
    return f"/camera/{camera}/video"


def topic_calibration(camera: str) -> str:
    """Topic of a camera's calibration (foxglove.CameraCalibration), written once."""
    return f"/camera/{camera}/calibration"


def topic_force(sensor: str) -> str:
    """Topic of a force sensor (teleop.Force)."""
    return f"/force/{sensor}"


def topic_stamps(camera: str) -> str:
    """Topic of the times of a camera's frames (teleop.FrameStamp): device, available, exposure."""
    return f"/camera/{camera}/stamps"


def topic_depth(camera: str) -> str:
    """Topic of a camera's depth images (foxglove.CompressedImage, 16-bit PNG)."""
    return f"/camera/{camera}/depth"


def topic_depth_stamps(camera: str) -> str:
    """Topic of the times of a camera's depth images (teleop.FrameStamp)."""
    return f"/camera/{camera}/depth/stamps"


def topic_audio(source: str) -> str:
    """Topic of a microphone (foxglove.RawAudio, pcm-s16)."""
    return f"/audio/{source}"


def topic_audio_stamps(source: str) -> str:
    """Topic of the times of a microphone's blocks (teleop.FrameStamp) that has a clock of its own."""
    return f"/audio/{source}/stamps"


def topic_stream(stream: str) -> str:
    """Topic of a numeric stream (teleop.Sample, one message a sample)."""
    return f"/stream/{stream}"


def topic_clock(stream: str) -> str:
    """Topic of the fits of a device's clock (teleop.ClockFit)."""
    return f"/clock/{stream}"


METADATA_HEADER = "teleop.header"
"""Metadata record at the start of the file: an `EpisodeHeader`.

It comes again, whole, when a stream or a microphone joins the open episode; the last one counts.
"""
METADATA_FOOTER = "teleop.footer"
"""Metadata record at its end: an `EpisodeFooter`."""
TOPIC_TICK = "/control/tick"
"""teleop.Tick: state, actor, engaged, input age, lateness, safety flags of each control tick."""
TOPIC_AUTONOMY = "/autonomy/tick"
"""teleop.AutonomyTick: authority, phase and takeover of the ticks while a policy is in use."""
TOPIC_CHUNK = "/autonomy/chunk"
"""teleop.PolicyChunk: every chunk of actions that a policy proposed, whole."""
TOPIC_INPUT = "/input"
"""teleop.Input: every operator sample as it came (JSON body)."""
TOPIC_EVENT = "/events"
"""teleop.Event: buttons, safety cues, task results, faults."""
TOPIC_INSTRUCTION = "/language/instruction"
"""teleop.Instruction: what the operator was asked to do, with paraphrases."""
TOPIC_WORLD = "/sim/world"
"""teleop.World: physics time and generalised positions of the simulated cell."""
TOPIC_TRANSFORMS = "/tf"
"""foxglove.FrameTransforms: where the robot's links and the cameras are, so that viewers place them."""
TOPIC_ROBOT = "/robot/scene"
"""foxglove.SceneUpdate: the robot's shapes, fixed to the frames of its links; written once."""
TOPIC_DESCRIPTION = "/robot_description"
"""std_msgs/msg/String in CDR: the same shapes as a URDF, where viewers look for one; written once."""
ATTACHMENT_ROBOT = "robot.xml"
"""The robot's model, MJCF that compiles by itself."""
ATTACHMENT_PREVIEW = "preview.jpg"
"""Small pictures side by side, evenly spread over the episode; made while recording."""


@dataclass(frozen=True, slots=True)
class CameraHeader:
    """A camera as recorded.

    Attributes:
        name: Camera name.
        width: [px].
        height: [px].
        fps: Frame grid rate; frame `seq` was due at `seq / fps` after the grid's start.
        codec: `h264`.
        encoder: Encoder and settings.
        intrinsics: Row-major K, 9 numbers [px].
        parent: Parent frame.
        parent_T_camera: Pose, 7 numbers.
        depth_unit_m: Metres of one count of its depth images, 0 when it has none.
        latency_ns: Calibrated latency that the capture times already account for.
        distortion: OpenCV's coefficients (k1, k2, p1, p2, k3, ...), empty when there are none known.
    """

    name: str
    width: int
    height: int
    fps: int
    codec: str
    encoder: str
    intrinsics: tuple[float, ...] = ()
    parent: str = "world"
    parent_T_camera: tuple[float, ...] = ()
    depth_unit_m: float = 0.0
    latency_ns: int = 0
    distortion: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """A numeric stream as recorded; fields as in `StreamSetup`."""

    name: str
    kind: str
    values: tuple[str, ...]
    unit: str
    frame: str
    rate_hz: float
    resampling: str


@dataclass(frozen=True, slots=True)
class AudioHeader:
    """A microphone as recorded."""

    name: str
    rate_hz: int
    channels: int


@dataclass(frozen=True, slots=True)
class LatencyHeader:
    """A latency calibration in force while the episode was recorded.

    Attributes:
        stream: Camera, arm, or stream name.
        latency_ns: Subtracted from the time of arrival.
        spread_ns: 95th percentile of the residuals when it was measured.
        method: `barcode`, `motion`, or `given`.
        measured_utc: ISO date and time.
    """

    stream: str
    latency_ns: int
    spread_ns: int
    method: str
    measured_utc: str


@dataclass(frozen=True, slots=True)
class DeviceHeader:
    """A device of the station that the episode was recorded on.

    Attributes:
        kind: `follower`, `input`, `camera`, `sensor`, `base`, `lift` or `hand`.
        name: In the station file.
        driver: That drives it.
        model: Robot model of an arm, else empty.
        verification: How far that driver was proven.
        serial: Of the device, empty when the station file does not give one.
    """

    kind: str
    name: str
    driver: str
    model: str = ""
    verification: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class SyncPair:
    """How far apart the nearest samples of two streams are, over the episode [ms].

    For each sample of the slower stream, the distance to the nearest sample of the faster one. `offset_ms`
    is the mean signed distance, positive when the faster one is later.
    """

    slower: str
    faster: str
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    offset_ms: float


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """An earlier file of a long episode, beside the last one.

    Attributes:
        name: File name.
        size_bytes: Of the file.
        blake3: 64 hex digits of the file.
        start_ns: CLOCK_MONOTONIC [ns] from which its samples are.
        end_ns: Up to which, exclusive.
    """

    name: str
    size_bytes: int
    blake3: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class EpisodeHeader:
    """Who, what and where; a metadata record at the start of the file (JSON).

    Attributes:
        uuid: Identity of the episode, lower-case hex with dashes; also the file's stem.
        started_utc_ns: UTC [ns] of the start.
        anchor_monotonic_ns: CLOCK_MONOTONIC [ns] at the same instant as `anchor_utc_ns`.
        anchor_utc_ns: See above.
        station: Station name.
        embodiment: Textual embodiment prompt.
        operator: Person's name.
        session: Catalog session id.
        task: Task name.
        instruction: The instruction given.
        paraphrases: Other wordings of it.
        seed: Scene seed, -1 when it has none.
        robot_type: e.g. `viperx_bimanual`.
        arms: Arm names in joint-vector order.
        joint_names: Names of the joint vector.
        control_rate_hz: Rate of the joint streams.
        cameras: Cameras recorded.
        force_sensors: Force sensors recorded.
        software: Program version.
        format_version: `FORMAT_VERSION`.
        streams: Numeric streams recorded.
        audio: Microphones recorded.
        latencies: Latency calibrations in force.
        start_ns: CLOCK_MONOTONIC [ns] of the record key; what lies before is pre-roll. 0: no pre-roll.
        segment: Number of this file among those of a long episode, from 0.
        devices: Of the station.
    """

    uuid: str
    started_utc_ns: int
    anchor_monotonic_ns: int
    anchor_utc_ns: int
    station: str
    embodiment: str
    operator: str
    session: str
    task: str
    instruction: str
    paraphrases: tuple[str, ...]
    seed: int
    robot_type: str
    arms: tuple[str, ...]
    joint_names: tuple[str, ...]
    control_rate_hz: int
    cameras: tuple[CameraHeader, ...]
    force_sensors: tuple[str, ...]
    software: str
    format_version: int = FORMAT_VERSION
    streams: tuple[StreamHeader, ...] = ()
    audio: tuple[AudioHeader, ...] = ()
    latencies: tuple[LatencyHeader, ...] = ()
    start_ns: int = 0
    segment: int = 0
    devices: tuple[DeviceHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class EpisodeFooter:
    """How it ended; a metadata record at the end of the file (JSON).

    Attributes:
        duration_ns: From the record key, else the first frame or tick, to the last one.
        outcome: `success`, `failure` or `unknown`.
        counts: Messages by topic, those kept from before the record key included.
        lost: Samples due and not received, by topic.
        lost_reasons: Sentences.
        actor_share: Fraction of ticks by actor, from the record key on.
        late_p99_ms: Control lateness.
        sync_p95_ms: 95th percentile of the spacing between each frame and its nearest control sample.
        recovered: Written by recovery after a crash.
        truncated: The recording ended before the operator stopped it (disk full, crash).
        lost_by_reason: Samples lost, by topic and reason; sums to `lost`.
        sync: Spacing of every pair of streams.
        segments: Earlier files of a long episode, in order; empty for an episode of one file.
        rollout: How a policy was used, None when none was.
    """

    duration_ns: int
    outcome: str
    counts: dict[str, int]
    lost: dict[str, int]
    lost_reasons: tuple[str, ...] = ()
    actor_share: dict[str, float] = field(default_factory=dict)
    late_p99_ms: float = 0.0
    sync_p95_ms: float = 0.0
    recovered: bool = False
    truncated: bool = False
    lost_by_reason: dict[str, dict[str, int]] = field(default_factory=dict)
    sync: tuple[SyncPair, ...] = ()
    segments: tuple[SegmentRef, ...] = ()
    rollout: RolloutFacts | None = None


@dataclass(frozen=True, slots=True)
class JointTrack:
    """One joint-vector stream; all times CLOCK_MONOTONIC [ns] of the recording host.

    Attributes:
        names: Joint names, n of them.
        capture_ns: Shape (k,), increasing.
        position: [rad], grippers 0..1, shape (k, n).
        velocity: Shape (k, n), NaN where not recorded.
        effort: Shape (k, n), NaN where not recorded.
    """

    names: tuple[str, ...]
    capture_ns: IntArray
    position: Array
    velocity: Array
    effort: Array


@dataclass(frozen=True, slots=True)
class PoseTrack:
    """Poses over time: capture_ns (k,), pose (k, 7) with quat_wxyz, gripper (k,)."""

    capture_ns: IntArray
    pose: Array
    gripper: Array


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """Index of a camera's packets; pixels are fetched by `EpisodeReader`.

    Attributes:
        camera: Its header.
        capture_ns: Shape (k,).
        receive_ns: When the packet was ready, shape (k,).
        seq: Grid index, shape (k,); `seq[0]` belongs to the first frame; gaps are lost frames.
        keyframe: Shape (k,) bool.
    """

    camera: CameraHeader
    capture_ns: IntArray
    receive_ns: IntArray
    seq: IntArray
    keyframe: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FrameStamps:
    """Times of a camera's frames beside `VideoTrack.capture_ns`, same order; 0 where unknown.

    Attributes:
        device_ns: The camera's own stamps, shape (k,).
        receive_ns: When the raw frame was available, shape (k,).
        exposure_ns: Shape (k,).
    """

    device_ns: IntArray
    receive_ns: IntArray
    exposure_ns: IntArray


@dataclass(frozen=True, slots=True)
class StreamTrack:
    """A numeric stream: capture_ns, device_ns (0 unknown), receive_ns (k,), values (k, n)."""

    header: StreamHeader
    capture_ns: IntArray
    device_ns: IntArray
    receive_ns: IntArray
    values: Array


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """A microphone: capture_ns of each sample frame (m,), samples int16 (m, channels); gaps are lost."""

    header: AudioHeader
    capture_ns: IntArray
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class ForceTrack:
    """A force sensor: capture_ns (k,), force [N] (k, 3)."""

    name: str
    capture_ns: IntArray
    force: Array


@dataclass(frozen=True, slots=True)
class TickTrack:
    """Control ticks: capture_ns, lateness_ns, input_age_ns, flags (k,), state and actor as strings."""

    capture_ns: IntArray
    lateness_ns: IntArray
    input_age_ns: IntArray
    flags: IntArray
    state: tuple[str, ...]
    actor: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AutonomyTrack:
    """The control ticks during which a policy was in use; fields as in `AutonomyTick`, shape (k,).

    `capture_ns` are times of control ticks. `human` has shape (k, n), NaN where nobody asked by a leader.
    """

    capture_ns: IntArray
    mode: tuple[str, ...]
    phase: tuple[str, ...]
    takeover: IntArray
    alpha: Array
    chunk: IntArray
    index: Array
    policy_ns: IntArray
    speed: Array
    human: Array


@dataclass(frozen=True, slots=True)
class WorldTrack:
    """The simulated world: capture_ns (k,), sim_time_s (k,), qpos (k, nq)."""

    capture_ns: IntArray
    sim_time_s: Array
    qpos: Array


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event of the episode: capture_ns, kind, origin, text, fields."""

    capture_ns: int
    kind: str
    origin: str
    text: str
    fields: dict[str, object]
