"""What travels between the processes of a station: enums and frozen messages.

Every sample carries up to three times: `device_ns`, the device's own raw stamp (None or 0: it has none);
`capture_ns`, the best estimate of when it was physically true; `receive_ns`, when it was available on this
host (0: not told apart from `capture_ns`). The last two are CLOCK_MONOTONIC. Joint vectors hold each
arm's joints [rad] followed by its gripper (0 closed, 1 open), arms in station order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.codec import message

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ControlState(StrEnum):
    """What the control loop is doing. Shown large on Collect.

    IDLE: nobody is engaged; followers hold their last sent target. ALIGNING: a leader is being
    matched before it may engage. ENGAGED: an input moves the robot. HOLD: engaged input is missing,
    stale or refused; robot stopped, engage anew to resume. FAULT: a follower is lost or refuses.
    ESTOP: latched; reset, then engage anew.
    """

    IDLE = "idle"
    ALIGNING = "aligning"
    ENGAGED = "engaged"
    HOLD = "hold"
    FAULT = "fault"
    ESTOP = "estop"


class Actor(StrEnum):
    """Who drives at a tick. BLEND: a person and a policy together."""

    NONE = "none"
    HUMAN = "human"
    SCRIPT = "script"
    POLICY = "policy"
    BLEND = "blend"


class AuthorityMode(StrEnum):
    """What a policy may do, as the operator has set it.

    MANUAL: nothing; people drive. SUPERVISED: it drives, and a person seizes the robot at any moment.
    BLENDED: while a person is engaged, both are weighed. CORRECTIVE: while a person is engaged, the motion of
    the hand is added to what the policy does. PAUSED: the arms hold until the policy is resumed.
    """

    MANUAL = "manual"
    SUPERVISED = "supervised"
    BLENDED = "blended"
    CORRECTIVE = "corrective"
    PAUSED = "paused"


class AutonomyPhase(StrEnum):
    """What goes on at a tick while a policy is in use; the `phase` of a dataset.

    IDLE: nobody drives. DEMONSTRATE: a person drives in manual mode. POLICY: the policy drives. HOLD: it
    should, and has no valid proposal or asked for help. RECOVER, CORRECT: a person has taken over, and brings
    the robot back to where the policy knows its way, or shows what it should have done. BLEND: a person and
    the policy drive together. RETURN: the policy was given the robot back and has not proposed anew yet.
    REWIND: the robot goes back along the path it came.
    """

    IDLE = "idle"
    DEMONSTRATE = "demonstrate"
    POLICY = "policy"
    HOLD = "hold"
    RECOVER = "recover"
    CORRECT = "correct"
    BLEND = "blend"
    RETURN = "return"
    REWIND = "rewind"


class SafetyFlag(IntFlag):
    """Why the supervisor changed or refused a command at a tick (0: passed unchanged)."""

    STALE_INPUT = 1
    DEADMAN = 2
    NON_FINITE = 4
    JUMP = 8
    WORKSPACE = 16
    TCP_SPEED = 32
    JOINT_LIMIT = 64
    RATE_LIMIT = 128
    IK_FAILED = 256
    SINGULARITY = 512
    COLLISION = 1024
    FOLLOWER_STALE = 2048
    ESTOP = 4096


class RecorderState(StrEnum):
    """The episode flow. `REVIEW`: the episode is durable and waits for a verdict."""

    IDLE = "idle"
    COUNTDOWN = "countdown"
    RECORDING = "recording"
    FINALISING = "finalising"
    REVIEW = "review"
    FAULT = "fault"


class Verdict(StrEnum):
    """What became of an episode. `PENDING` counts as kept when nobody says otherwise."""

    PENDING = "pending"
    SAVED = "saved"
    DISCARDED = "discarded"


class ProcessState(StrEnum):
    """Life of one station process."""

    STARTING = "starting"
    RUNNING = "running"
    FAULT = "fault"
    STOPPED = "stopped"


@message
@dataclass(frozen=True, slots=True)
class ArmInput:
    """What an input device asks of one arm. Exactly one of pose, twist and joints is normally set.

    Attributes:
        clutch: The engage / deadman control of this arm is held.
        valid: Tracking is good. Invalid samples never move the robot.
        pose: Controller pose in the device frame, shape (7,): position [m], quat_wxyz. Mapped by the
            relative clutch, so only its changes matter.
        twist: Velocity in the operator frame, shape (6,): [m/s], [rad/s].
        joints: Leader joint positions [rad], shape (n,).
        gripper: 0 closed .. 1 open, None leaves it.
        precise: Precision mode: motion is scaled down.
        hand: Joints of a tracked hand in the device frame, shape (25, 7): WebXR's order, wrist first.
    """

    clutch: bool
    valid: bool = True
    pose: Array | None = None
    twist: Array | None = None
    joints: Array | None = None
    gripper: float | None = None
    precise: bool = False
    hand: Array | None = None


@message
@dataclass(frozen=True, slots=True)
class InputSample:
    """One reading of an input device: VR controllers, leader arms, pedals, gamepad, keys, a script.

    Attributes:
        source: Device name, unique in the station, e.g. `keyboard`, `scripted`.
        actor: HUMAN or SCRIPT; a human outranks a script.
        seq: Counts up by one a sample; gaps are counted as loss.
        capture_ns: When the hand was there, host clock.
        device_ns: The device's own stamp, if it has one.
        arms: By arm name; an arm left out is not touched.
        buttons: Names of the app actions pressed now (`record`, `save`, `discard`, `redo`, `undo`,
            `next`, `estop`, `enable` of an enabling device); edges are found by the receiver.
        base_twist: Mobile base velocity, shape (3,): vx, vy [m/s], wz [rad/s], base frame.
        lift_m_s: Velocity of the lift, up positive.
    """

    source: str
    actor: Actor
    seq: int
    capture_ns: int
    arms: dict[str, ArmInput]
    buttons: tuple[str, ...] = ()
    device_ns: int | None = None
    base_twist: Array | None = None
    lift_m_s: float | None = None


@message
@dataclass(frozen=True, slots=True)
class AutonomyTick:
    """The part of a control tick that tells of the policy in use.

    Attributes:
        mode: Authority.
        phase: What goes on.
        takeover: Number of the takeover that this tick belongs to, from 1 in the order of the station's life;
            0 outside of one.
        alpha: Weight of the policy in what was commanded, 0..1.
        chunk: `PolicyChunk.chunk` that the proposal comes from, 0 for none. Of several, the newest.
        index: Place in that chunk [steps], fractional between two actions; -1 for none.
        policy_ns: The policy's clock: time during which it could act, slowed down with it. It indexes chunks.
        speed: Rate of that clock while the policy drives, 1 for full speed.
        human: Joint vector that the person asks for by a leader; None when nobody does or by a hand's pose.
    """

    mode: AuthorityMode
    phase: AutonomyPhase
    takeover: int
    alpha: float
    chunk: int
    index: float
    policy_ns: int
    speed: float = 1.0
    human: Array | None = None


@message
@dataclass(frozen=True, slots=True)
class PolicyChunk:
    """A chunk of actions that a policy proposed, as absolute joint targets of the station.

    Attributes:
        policy: Name of its policy file.
        version: Checkpoint hash or other version that the server tells, else of the policy file.
        chunk: Number, from 1, counted by the policy process over its life.
        observation_ns: Capture time of the oldest part of the observation, host clock.
        made_ns: When the answer was here, host clock.
        start_policy_ns: `AutonomyTick.policy_ns` at which action 0 is due.
        step_ns: From one action to the next.
        actions: Joint vectors, shape (steps, n); columns of arms that the policy does not drive hold
            the measured values of the observation.
        arms: Arms that it drives.
        latency_ns: From the request to the answer.
        server_ns: The server's own share of it, 0 when it does not tell.
        delay_steps: Steps that were expected to pass before it could take over, when it was asked.
        frozen_steps: Leading steps that repeat the chunk before (real-time chunking), 0 without.
        execution: How it was asked for: `sync`, `switch`, `ensemble` or `rtc`.
        uncertainty: Spread of sampled chunks [rad], NaN when not known.
        novelty: Out-of-distribution score of its pictures, 1 at the edge of what is known; NaN unknown.
    """

    policy: str
    version: str
    chunk: int
    observation_ns: int
    made_ns: int
    start_policy_ns: int
    step_ns: int
    actions: Array
    arms: tuple[str, ...]
    latency_ns: int = 0
    server_ns: int = 0
    delay_steps: int = 0
    frozen_steps: int = 0
    execution: str = "switch"
    uncertainty: float = math.nan
    novelty: float = math.nan


@message
@dataclass(frozen=True, slots=True)
class ControlTick:
    """One control tick: operator, policy, commanded, sent and measured kept apart.

    Attributes:
        seq: Tick number; gaps are missed ticks.
        tick_ns: When the tick began.
        due_ns: When it should have begun (lateness = tick_ns - due_ns).
        state: Control state after the tick.
        actor: Who drives.
        source: Input device that drives, empty when none.
        engaged: Per arm.
        input_capture_ns: Capture time of the operator sample used, 0 when none.
        operator_pose: End-effector pose the hand asked for, world frame, shape (arms, 7), NaN rows
            where nobody asks.
        operator_gripper: Shape (arms,), NaN where nobody asks.
        policy: Policy proposal as a joint vector, None when no policy runs.
        commanded: Joint vector after mapping, arbitration and IK, before safety.
        sent: Joint vector given to the followers: the action of a dataset.
        sent_ns: When it was handed to the followers.
        measured: Joint vector the followers reported.
        measured_velocity: [rad/s]; grippers 1/s.
        measured_effort: [N m]; grippers N.
        measured_ns: Capture time of `measured`.
        measured_receive_ns: When `measured` was available to control.
        measured_device_ns: The follower's own stamp of `measured`.
        autonomy: Of the policy in use, None while there is none.
        flags: `SafetyFlag` bits of this tick.
        reason: Sentence for the state when it is HOLD, FAULT or ESTOP, else empty.
    """

    seq: int
    tick_ns: int
    due_ns: int
    state: ControlState
    actor: Actor
    source: str
    engaged: tuple[bool, ...]
    input_capture_ns: int
    operator_pose: Array
    operator_gripper: Array
    policy: Array | None
    commanded: Array
    sent: Array
    sent_ns: int
    measured: Array
    measured_velocity: Array
    measured_effort: Array
    measured_ns: int
    flags: int
    reason: str = ""
    measured_receive_ns: int = 0
    measured_device_ns: int = 0
    autonomy: AutonomyTick | None = None


@message
@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once: a button edge, a safety cue, a task result, a fault.

    Attributes:
        kind: Dotted name: `input.button`, `safety.hold`, `safety.estop`, `task.success`,
            `task.failed`, `scene.reset`, `recorder.started`, `recorder.saved`, `recorder.discarded`,
            `recorder.fault`, `process.died`, `control.engaged`, `control.released`, `autonomy.mode`,
            `autonomy.takeover`, `autonomy.returned`, `autonomy.help`, `policy.fault`.
        capture_ns: When.
        origin: Process that reports it.
        text: A sentence for people.
        fields: Machine-readable details (JSON-able).
    """

    kind: str
    capture_ns: int
    origin: str
    text: str = ""
    fields: dict[str, object] = field(default_factory=dict)


@message
@dataclass(frozen=True, slots=True)
class WorldState:
    """The simulated world: everything a viewer needs to draw it and a replay to restore it.

    Attributes:
        seq: Publication count.
        capture_ns: Host time at which this physics state was the present one.
        sim_time_s: Physics time.
        qpos: MuJoCo generalised positions, shape (nq,).
    """

    seq: int
    capture_ns: int
    sim_time_s: float
    qpos: Array


@message
@dataclass(frozen=True, slots=True)
class ForceBatch:
    """Contact forces of k consecutive instants.

    Attributes:
        names: Sensor names, e.g. `left/left_finger`.
        capture_ns: Shape (k,).
        force: [N] in each sensor's frame, shape (k, sensors, 3).
        seq: Number of the first instant; the next batch starts at seq + k.
        receive_ns: When the batch was available.
    """

    names: tuple[str, ...]
    capture_ns: IntArray
    force: Array
    seq: int
    receive_ns: int = 0


class Resampling(StrEnum):
    """How a stream is read off at an instant between its samples.

    LINEAR: between the two neighbours. PREVIOUS: what was in force. NEAREST: the nearest sample.
    SLERP: as LINEAR, but values 3..6 are a quaternion (w, x, y, z) that turns along the shortest arc.
    """

    LINEAR = "linear"
    PREVIOUS = "previous"
    NEAREST = "nearest"
    SLERP = "slerp"


@message
@dataclass(frozen=True, slots=True)
class StreamSetup:
    """A numeric stream of any sensor; published as `stream` about once a second and on change.

    Attributes:
        name: Unique in the station, e.g. `left/wrench`, `headset`; letters, digits, `_`, `-`, `/`.
        kind: What it is, e.g. `wrench`, `tactile`, `pose`, `twist`, `level`.
        values: Name of each value, n of them, e.g. (`fx`, ..., `tz`).
        unit: Of the values, e.g. `N, N m`.
        frame: Frame they are expressed in, empty when none.
        rate_hz: Nominal rate.
        resampling: How to read it between samples.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    unit: str
    frame: str
    rate_hz: float
    resampling: Resampling = Resampling.LINEAR


@message
@dataclass(frozen=True, slots=True)
class StreamBatch:
    """k consecutive samples of a numeric stream at its native rate; topic `batch/<stream>`.

    Attributes:
        stream: Name of a `StreamSetup`.
        seq: Number of the first sample; the next batch starts at seq + k.
        capture_ns: Shape (k,), increasing.
        values: Shape (k, n).
        device_ns: The device's stamps, shape (k,), None when it has none.
        receive_ns: When the batch was available.
    """

    stream: str
    seq: int
    capture_ns: IntArray
    values: Array
    device_ns: IntArray | None = None
    receive_ns: int = 0


@message
@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive sound samples; topic `audio/<source>`.

    Attributes:
        source: Microphone name, unique in the station.
        seq: Number of the first sample frame; the next block starts at seq + frames.
        capture_ns: When the first sample was heard.
        receive_ns: When the block was available.
        rate_hz: Sample frames a second.
        channels: Interleaved channels.
        payload: PCM, signed 16 bit little endian.
        device_ns: The device's stamp of the first sample, 0 when it has none.
    """

    source: str
    seq: int
    capture_ns: int
    receive_ns: int
    rate_hz: int
    channels: int
    payload: bytes
    device_ns: int = 0


@message
@dataclass(frozen=True, slots=True)
class ClockFit:
    """How a device's clock maps to the host's, as fitted now; topic `clock/<stream>`, about once a second.

    host = host_ref_ns + (device - device_ref_ns) * (1 + drift_ppm * 1e-6)

    Attributes:
        stream: Camera, stream, input source or arm whose device has a clock of its own.
        capture_ns: When it was fitted.
        device_ref_ns: Device time of the reference point.
        host_ref_ns: Host time of the same instant.
        drift_ppm: How much faster the host's clock runs.
        spread_ns: 95th percentile of the distance of the samples from the line.
        samples: How many the fit rests on.
    """

    stream: str
    capture_ns: int
    device_ref_ns: int
    host_ref_ns: int
    drift_ppm: float
    spread_ns: int
    samples: int


@message
@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The task in the simulated cell.

    Attributes:
        task: Registry name, e.g. `pick-place`.
        seed: Of the scene.
        scene: Counts scene resets.
        instruction: What the operator is asked to do.
        success: The success check holds.
        failed: The task can no longer be solved.
        truth: Poses of objects and goals by name (7 numbers, world frame), for the scripted operator.
    """

    task: str
    seed: int
    scene: int
    instruction: str
    success: bool
    failed: bool
    capture_ns: int
    truth: dict[str, list[float]] = field(default_factory=dict)


@message
@dataclass(frozen=True, slots=True)
class CameraSetup:
    """What a camera delivers; published about once a second and on change.

    Attributes:
        name: Camera name.
        width: [px].
        height: [px].
        fps: Frame grid rate.
        encoder: e.g. `libx264 superfast crf 23`.
        ring: File of its raw RGB frames (core.ring).
        intrinsics: Row-major 3x3 matrix K [px]; zeros when it is not known.
        parent_T_camera: Pose in its parent, shape (7,), OpenCV axes (x right, y down, z ahead); shape (0,) if
            not measured.
        parent: Name of the parent frame (`world` or a link), empty when not measured.
        reason: Why this size and rate (render probe).
        depth_unit_m: Metres of one count of its depth images, 0 when it delivers none.
        latency_ns: Calibrated latency that `capture_ns` already accounts for.
        distortion: OpenCV's coefficients (k1, k2, p1, p2, k3, ...), empty when there are none known.
        serial: Of the camera, which names its calibration; empty when it has none.
    """

    name: str
    width: int
    height: int
    fps: int
    encoder: str
    ring: str
    intrinsics: Array
    parent: str
    parent_T_camera: Array
    reason: str = ""
    depth_unit_m: float = 0.0
    latency_ns: int = 0
    distortion: tuple[float, ...] = ()
    serial: str = ""


@message
@dataclass(frozen=True, slots=True)
class FrameNotice:
    """A raw frame is in the camera's ring.

    Attributes:
        camera: Camera name.
        seq: Index on the camera's frame grid; gaps are lost frames.
        capture_ns: When the scene looked so: the middle of the exposure.
        width: [px].
        height: [px].
        receive_ns: When the raw frame was available on this host.
        device_ns: The camera's own stamp, 0 when it has none.
        exposure_ns: How long it was exposed, 0 unknown.
    """

    camera: str
    seq: int
    capture_ns: int
    width: int
    height: int
    receive_ns: int = 0
    device_ns: int = 0
    exposure_ns: int = 0


@message
@dataclass(frozen=True, slots=True)
class VideoPacket:
    """One encoded frame: H.264 Annex B, no B-frames, parameter sets before each keyframe.

    Attributes:
        camera: Camera name.
        seq: Index on the camera's frame grid; gaps are lost frames.
        capture_ns: When the scene looked so: the middle of the exposure.
        encoded_ns: When the packet was ready.
        keyframe: IDR.
        width: [px].
        height: [px].
        payload: The access unit.
        receive_ns: When the raw frame was available on this host.
        device_ns: The camera's own stamp, 0 when it has none.
        exposure_ns: How long it was exposed, 0 unknown.
    """

    camera: str
    seq: int
    capture_ns: int
    encoded_ns: int
    keyframe: bool
    width: int
    height: int
    payload: bytes
    receive_ns: int = 0
    device_ns: int = 0
    exposure_ns: int = 0


@message
@dataclass(frozen=True, slots=True)
class DepthPacket:
    """A depth image, losslessly packed; topic `depth/<camera>`.

    Attributes:
        camera: Name of the camera whose colour frame of the same `seq` shows the same instant.
        seq: Index on the camera's frame grid; gaps are lost frames.
        capture_ns: When the scene was so.
        encoded_ns: When the packet was ready.
        width: [px].
        height: [px].
        unit_m: Metres of one count; count 0 means no reading.
        payload: One-channel 16-bit PNG.
        receive_ns: When the raw image was available on this host.
        device_ns: The camera's own stamp, 0 when it has none.
        exposure_ns: How long it was exposed, 0 unknown.
    """

    camera: str
    seq: int
    capture_ns: int
    encoded_ns: int
    width: int
    height: int
    unit_m: float
    payload: bytes
    receive_ns: int = 0
    device_ns: int = 0
    exposure_ns: int = 0


Sample = (
    ControlTick
    | PolicyChunk
    | InputSample
    | VideoPacket
    | DepthPacket
    | WorldState
    | ForceBatch
    | StreamBatch
    | AudioBlock
    | ClockFit
    | Event
)
"""What an episode is made of."""


@message
@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """Heartbeat of one process, several times a second.

    Attributes:
        process: Name, e.g. `control`.
        pid: Process id.
        state: Life state.
        capture_ns: When.
        text: A sentence when something is off, else empty.
        metrics: Figures by name, e.g. `rate_hz`, `late_p99_ms`, `frames_lost`.
    """

    process: str
    pid: int
    state: ProcessState
    capture_ns: int
    text: str = ""
    metrics: dict[str, float] = field(default_factory=dict)


@message
@dataclass(frozen=True, slots=True)
class StationStatus:
    """The whole station as its supervisor sees it, about twice a second and on change."""

    name: str
    capture_ns: int
    processes: tuple[ProcessStatus, ...]
    disk_free_bytes: int
    faults: tuple[str, ...] = ()


@message
@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """The episode flow, about ten times a second and on change.

    Attributes:
        state: Flow state.
        capture_ns: When.
        session: Session id, empty when none is open.
        task: Task name.
        instruction: What the next or current episode shows.
        episode: UUID of the open or reviewed episode, else empty.
        elapsed_s: Of the recording, or of the reviewed episode.
        countdown_s: Until start (COUNTDOWN) or automatic save (REVIEW); negative when none runs.
        saved: Episodes saved in this session.
        target: Wanted episodes of the task.
        frames: By camera, in the open or last episode's files: with those kept from before its key.
        lost: Frames lost by camera, in the open or last episode.
        size_bytes: Of the open or last episode.
        episodes_left: Estimate of how many more fit on the disk, -1 unknown.
        last_saved: UUID of the last durable episode.
        verdict_reasons: Sentences on the reviewed episode's quality.
        can_undo: There is a verdict to take back.
        text: A sentence when something is off, else empty.
        backlog: Fill of the fullest queue on the way to the disk, 0..1.
        dropped: Samples refused or dropped on that way in the open or last episode, by `stream: reason`.
        preroll_s: Seconds before the record key that a recording started now would keep.
    """

    state: RecorderState
    capture_ns: int
    session: str = ""
    task: str = ""
    instruction: str = ""
    episode: str = ""
    elapsed_s: float = 0.0
    countdown_s: float = -1.0
    saved: int = 0
    target: int = 0
    frames: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    episodes_left: int = -1
    last_saved: str = ""
    verdict_reasons: tuple[str, ...] = ()
    can_undo: bool = False
    text: str = ""
    backlog: float = 0.0
    dropped: dict[str, int] = field(default_factory=dict)
    preroll_s: float = 0.0


class PolicyState(StrEnum):
    """What the policy process does. READY: connected and checked, and not asked. RUNNING: it is asked."""

    NONE = "none"
    CONNECTING = "connecting"
    READY = "ready"
    RUNNING = "running"
    FAULT = "fault"


@message
@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """One thing that a policy expects, against what the station offers.

    Attributes:
        what: e.g. `image observation/wrist_image_left`, `state`, `action`, `rate`, `prompt`, `embodiment`.
        expects: In words.
        offers: In words.
        level: `ok`, `warning`, or `mismatch`: it may not move the robot.
        text: A sentence with the remedy when it is not ok, else empty.
    """

    what: str
    expects: str
    offers: str
    level: str
    text: str = ""


@message
@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """The policy in use, several times a second and on change; topic `policy`.

    Attributes:
        state: What the process does.
        capture_ns: When.
        policy: Name of the policy file, empty for none and in a blind comparison.
        title: For people, likewise.
        version: Of the checkpoint, likewise.
        label: `A` or `B` in a blind comparison, else empty.
        execution: How chunks are joined.
        rate_hz: Of its actions, 0 when it is not told; so are horizon and delay in a blind comparison.
        horizon: Actions of a chunk.
        text: A sentence when something is off, else empty.
        checks: What it expects against what the station offers.
        chunks: Answers taken.
        refused: Answers refused.
        latency_p50_ms: Of the last answers, NaN before the first.
        latency_p99_ms: Likewise.
        delay_steps: Expected steps from a request to its answer.
        uncertainty: Of the last answer, NaN when not known.
        novelty: Likewise.
        stalled_s: For how long the robot has made no progress while the policy drove.
        help: Score that would ask for help at 1, NaN when it is not judged.
        seen: Whether this version has driven this station before; if not, it starts slowly.
    """

    state: PolicyState
    capture_ns: int
    policy: str = ""
    title: str = ""
    version: str = ""
    label: str = ""
    execution: str = ""
    rate_hz: float = 0.0
    horizon: int = 0
    text: str = ""
    checks: tuple[PolicyCheck, ...] = ()
    chunks: int = 0
    refused: int = 0
    latency_p50_ms: float = math.nan
    latency_p99_ms: float = math.nan
    delay_steps: int = 0
    uncertainty: float = math.nan
    novelty: float = math.nan
    stalled_s: float = 0.0
    help: float = math.nan
    seen: bool = False
