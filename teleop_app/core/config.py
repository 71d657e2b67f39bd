"""The station file: what the cell is made of, and its rates, limits and mapping.

Read with `load_station`; every mistake is reported at once, each with its place, value and limit.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Vector3 = Annotated[list[float], Field(min_length=3, max_length=3)]
DriverName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


RESERVED_SOURCES = ("keyboard", "gamepad", "scripted", "operator", "home", "nudge", "policy", "rewind")
"""Source names of what every station has."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_assignment=True)


class StationSection(_Section):
    """Who this cell is.

    Attributes:
        name: Shown on screen and kept with each episode.
        embodiment: Textual embodiment prompt for vision-language-action models.
    """

    name: str = Field(default="Simulated cell", min_length=1, max_length=80)
    embodiment: str = Field(
        default="Two ViperX 300 6-DoF arms with parallel grippers facing each other across a table, "
        "an overhead camera and a camera on each wrist.",
        max_length=2000,
    )


class ControlSection(_Section):
    """The control loop.

    Attributes:
        rate_hz: Tick rate.
        realtime_priority: SCHED_FIFO priority, 0 for normal scheduling.
    """

    rate_hz: int = Field(default=200, ge=50, le=1000)
    realtime_priority: int = Field(default=40, ge=0, le=90)


class SimulationSection(_Section):
    """The simulated cell.

    Attributes:
        look: `viperx` draws the robot's meshes, `primitive` capsules and boxes (faster); same physics.
        task: Task at start.
        seed: Scene seed of the first episode; each next scene adds one.
    """

    look: Literal["viperx", "primitive"] = "viperx"
    task: str = "pick-place"
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class ArmSection(_Section):
    """One arm.

    Attributes:
        name: e.g. `left`; prefix of its joints in the model.
        follower: Driver; `sim` is the simulated cell.
        model: Robot model: a built-in name, or the path of an MJCF or URDF file.
        base_position: Base of the arm in the world frame [m]; the simulated cell knows its own.
        base_yaw_deg: Turn of the base about the vertical [deg].
        workspace_min: Lower corner [m] of the box the end effector stays in, world frame.
        workspace_max: Upper corner [m].
        options: Settings of the driver, see docs/devices.md.
    """

    name: Name
    follower: DriverName = "sim"
    model: str = Field(default="viperx300", min_length=1, max_length=400)
    base_position: Vector3 = Field(default=[0.0, 0.0, 0.0])
    base_yaw_deg: float = Field(default=0.0, ge=-180.0, le=180.0)
    workspace_min: Vector3
    workspace_max: Vector3
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _box_has_volume(self) -> ArmSection:
        if any(low >= high for low, high in zip(self.workspace_min, self.workspace_max, strict=True)):
            msg = f"workspace_min {self.workspace_min} must lie below workspace_max {self.workspace_max}"
            raise ValueError(msg)
        return self


class CameraSection(_Section):
    """One camera. Width, height and fps 0 let the render probe choose (simulated cameras).

    Attributes:
        name: Camera name; of the model's camera for the `sim` driver.
        driver: `sim`, a real camera's (docs/devices.md), or `synthetic` (a moving pattern; benchmarks).
        width: [px].
        height: [px].
        fps: Frames a second.
        depth: Record its depth images too, where the driver can deliver them; costs processor time.
        emulated_latency_ms: Makes a `synthetic` camera behave as a free-running one: it exposes by a clock of
            its own, and its frames arrive so much later, jittering by a tenth of it. 0: off.
        options: Settings of the driver, see docs/devices.md.
    """

    name: Name
    driver: DriverName = "sim"
    width: int = Field(default=0, ge=0, le=4096)
    height: int = Field(default=0, ge=0, le=4096)
    fps: int = Field(default=0, ge=0, le=120)
    depth: bool = False
    emulated_latency_ms: float = Field(default=0.0, ge=0.0, le=500.0)
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _size_is_whole(self) -> CameraSection:
        if self.width % 2 or self.height % 2:
            msg = f"width and height must be even for H.264, not {self.width}x{self.height}"
            raise ValueError(msg)
        if (self.width == 0) != (self.height == 0):
            msg = "give both width and height, or neither"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _only_what_is_synthetic_is_emulated(self) -> CameraSection:
        if self.emulated_latency_ms and self.driver != "synthetic":
            msg = f"emulated_latency_ms is for the driver synthetic, not {self.driver}"
            raise ValueError(msg)
        return self


class LatencySection(_Section):
    """A calibrated latency: what the station subtracts from the time at which samples arrive.

    Attributes:
        stream: Camera, arm, input source or numeric stream.
        latency_ms: Subtracted.
        spread_ms: 95th percentile of the residuals when it was measured.
        method: `barcode`, `motion`, or `given` by hand.
        measured_utc: ISO date and time, empty when not known.
    """

    stream: str = Field(pattern=r"^[a-z][a-zA-Z0-9_/-]{0,63}$")
    latency_ms: float = Field(ge=0.0, le=2000.0)
    spread_ms: float = Field(default=0.0, ge=0.0, le=2000.0)
    method: Literal["barcode", "motion", "given"] = "given"
    measured_utc: str = Field(default="", max_length=40)


class MappingSection(_Section):
    """From the operator's hand to the end effector.

    Attributes:
        scale: Hand metres to robot metres.
        yaw_deg: Calibrated yaw of the operator's frame against the world [deg].
        filter_min_cutoff_hz: One-Euro filter, cutoff at rest.
        filter_beta: One-Euro filter, cutoff gained per m/s.
        key_speed_m_s: Speed of the movement keys.
        key_turn_rad_s: Turning speed of the rotation keys.
        filter: Whether poses are filtered.
        precision_scale: Translations and speeds are scaled by this while precision mode is on.
        nudge_m: Step of one nudge.
        nudge_deg: Turn of one nudge [deg].
        posture_weight: Pull of spare freedom towards the home posture, in the null space.
        symmetry: One hand drives two arms: the second mirrors the first in the plane between them.
        align_limit_rad: A leader farther than this from its follower is not engaged.
        align_tolerance_rad: A leader nearer than this counts as aligned.
    """

    scale: float = Field(default=1.0, ge=0.1, le=5.0)
    yaw_deg: float = Field(default=0.0, ge=-180.0, le=180.0)
    filter: bool = True
    filter_min_cutoff_hz: float = Field(default=2.0, gt=0.0, le=100.0)
    filter_beta: float = Field(default=20.0, ge=0.0, le=1000.0)
    key_speed_m_s: float = Field(default=0.15, gt=0.0, le=1.0)
    key_turn_rad_s: float = Field(default=0.8, gt=0.0, le=4.0)
    precision_scale: float = Field(default=0.25, ge=0.05, le=1.0)
    nudge_m: float = Field(default=0.005, gt=0.0, le=0.05)
    nudge_deg: float = Field(default=2.0, gt=0.0, le=15.0)
    posture_weight: float = Field(default=1e-3, ge=0.0, le=1.0)
    symmetry: bool = False
    align_limit_rad: float = Field(default=0.8, gt=0.0, le=3.2)
    align_tolerance_rad: float = Field(default=0.05, gt=0.0, le=0.5)


class SafetySection(_Section):
    """Limits of the safety supervisor (software above the robot's own safety, not a rated function).

    Attributes:
        stale_hold_ms: Input older than this starts a ramped stop.
        stale_release_ms: Input older than this releases the clutch: engage anew.
        follower_stale_ms: Follower feedback older than this is a fault.
        command_stale_ms: A real arm whose newest command is older than this is held by its own process.
        max_joint_velocity_rad_s: Of every joint.
        max_joint_acceleration_rad_s2: Of every joint.
        max_joint_jerk_rad_s3: Of every joint.
        joint_margin_rad: Kept from each joint limit of the model.
        max_tcp_speed_m_s: End effector.
        max_input_jump_m: A hand that moves more than this between two samples is rejected.
        max_gripper_speed_per_s: Full strokes a second.
        deadman: Input whose `enable` button must be held for any person's input to move the robot, e.g. a
            pedal; empty for none.
        singularity_slow: Smallest singular value of the arm's Jacobian below which motion towards the
            singularity is slowed.
        singularity_stop: And at which it is stopped.
        collision_slow_m: Distance between bodies below which motion towards each other is slowed.
        collision_stop_m: And at which it is stopped.
    """

    stale_hold_ms: float = Field(default=100.0, ge=10.0, le=1000.0)
    stale_release_ms: float = Field(default=500.0, ge=50.0, le=10_000.0)
    follower_stale_ms: float = Field(default=100.0, ge=10.0, le=2000.0)
    command_stale_ms: float = Field(default=100.0, ge=20.0, le=2000.0)
    max_joint_velocity_rad_s: float = Field(default=2.5, gt=0.0, le=10.0)
    max_joint_acceleration_rad_s2: float = Field(default=15.0, gt=0.0, le=100.0)
    max_joint_jerk_rad_s3: float = Field(default=1000.0, gt=0.0, le=5000.0)
    joint_margin_rad: float = Field(default=0.03, ge=0.0, le=0.5)
    max_tcp_speed_m_s: float = Field(default=0.8, gt=0.0, le=3.0)
    max_input_jump_m: float = Field(default=0.10, gt=0.0, le=1.0)
    max_gripper_speed_per_s: float = Field(default=4.0, gt=0.0, le=20.0)
    deadman: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,31})?$")
    singularity_slow: float = Field(default=0.06, ge=0.0, le=1.0)
    singularity_stop: float = Field(default=0.015, ge=0.0, le=1.0)
    collision_slow_m: float = Field(default=0.03, ge=0.0, le=1.0)
    collision_stop_m: float = Field(default=0.005, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def _slow_before_stop(self) -> SafetySection:
        pairs = (("singularity_stop", "singularity_slow"), ("collision_stop_m", "collision_slow_m"))
        for stop, slow in pairs:
            if getattr(self, stop) > getattr(self, slow):
                msg = f"{stop} {getattr(self, stop):g} must not exceed {slow} {getattr(self, slow):g}"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _hold_before_release(self) -> SafetySection:
        if self.stale_hold_ms > self.stale_release_ms:
            hold, release = self.stale_hold_ms, self.stale_release_ms
            msg = f"stale_hold_ms {hold:g} must not exceed stale_release_ms {release:g}"
            raise ValueError(msg)
        return self


class AutonomySection(_Section):
    """What a policy may do on this station, and how people take over.

    Attributes:
        max_joint_velocity_rad_s: Of every joint while a policy drives; the tighter of this and the cell's.
        max_tcp_speed_m_s: End effector, likewise.
        max_jump_rad: A proposal farther than this from where the arm is commanded to be is refused.
        first_run_speed: Share of full speed at which a version that never drove this station starts.
        speed: Share of full speed of all others.
        starve_pause_s: A policy without a valid proposal for so long is paused.
        stale_chunk_ms: A chunk whose observation is older than this is not executed.
        return_on_release: The policy goes on as soon as the person lets go; else it is asked to.
        blend: Weight of the policy in blended mode, 0..1.
        blend_by_confidence: The weight grows with the policy's confidence up to `blend`.
        takeover: `correct`: a takeover shows what the policy should have done. `recover`: it first brings the
            robot back to where the policy knows its way; a key says when the correction begins.
        rewind_s: How far a rewind goes back.
        help_per_minute: Calls for help that the operator has time for; 0 never asks.
        help_holds: The policy holds the robot when it asks for help.
        seize_rad: A leader pushed this far off the arm that it follows seizes the robot.
    """

    max_joint_velocity_rad_s: float = Field(default=1.5, gt=0.0, le=10.0)
    max_tcp_speed_m_s: float = Field(default=0.5, gt=0.0, le=3.0)
    max_jump_rad: float = Field(default=0.35, gt=0.0, le=3.2)
    first_run_speed: float = Field(default=0.4, ge=0.05, le=1.0)
    speed: float = Field(default=1.0, ge=0.05, le=1.0)
    starve_pause_s: float = Field(default=3.0, gt=0.0, le=60.0)
    stale_chunk_ms: float = Field(default=3000.0, ge=50.0, le=30_000.0)
    return_on_release: bool = False
    blend: float = Field(default=0.5, ge=0.0, le=1.0)
    blend_by_confidence: bool = False
    takeover: Literal["correct", "recover"] = "correct"
    rewind_s: float = Field(default=2.0, gt=0.0, le=30.0)
    help_per_minute: float = Field(default=1.0, ge=0.0, le=20.0)
    help_holds: bool = True
    seize_rad: float = Field(default=0.12, gt=0.0, le=1.0)


class RecordingSection(_Section):
    """Episodes.

    Attributes:
        preset: x264 preset.
        crf: x264 quality, lower is better and larger.
        keyframe_frames: Frames between keyframes.
        flush_s: The file is flushed this often: what a kill can lose.
        countdown_s: Before a recording starts.
        autosave_s: After which an unanswered verdict counts as save; 0 saves at once.
        headroom_mb: Free space below which no episode is started.
        max_episode_s: Recording stops by itself after this.
        preroll_s: Seconds before the record key that are kept; 0 keeps none.
        segment_s: A longer episode is written into files of this length each.
        encoder: `x264`, a hardware encoder (`nvenc`, `vaapi`), or `auto`: hardware when a probe shows
            that it works and saves processor time.
    """

    preset: Literal["ultrafast", "superfast", "veryfast", "faster"] = "superfast"
    crf: int = Field(default=23, ge=10, le=40)
    keyframe_frames: int = Field(default=10, ge=1, le=300)
    flush_s: float = Field(default=0.2, ge=0.02, le=5.0)
    countdown_s: float = Field(default=0.0, ge=0.0, le=30.0)
    autosave_s: float = Field(default=5.0, ge=0.0, le=120.0)
    headroom_mb: int = Field(default=500, ge=10, le=1_000_000)
    max_episode_s: float = Field(default=600.0, gt=0.0, le=86_400.0)
    preroll_s: float = Field(default=2.0, ge=0.0, le=30.0)
    segment_s: float = Field(default=600.0, ge=1.0, le=86_400.0)
    encoder: Literal["auto", "x264", "nvenc", "vaapi"] = "auto"


class InputDeviceSection(_Section):
    """One input device beside keyboard, mouse and gamepad. It runs in a process of its own.

    Attributes:
        name: Source name in samples.
        driver: e.g. `webxr`, `dynamixel-leader`, `feetech-leader`, `spacemouse`, `pedal`.
        arms: Arms that it drives; empty for all.
        options: Settings of the driver, see docs/devices.md.
    """

    name: Name
    driver: DriverName
    arms: list[Name] = Field(default_factory=list, max_length=8)
    options: dict[str, Any] = Field(default_factory=dict)


class InputsSection(_Section):
    """Input devices.

    Attributes:
        gamepad: Start the gamepad process when an SDL gamepad is found.
        sounds: Audible cues.
        devices: Further input devices.
    """

    gamepad: bool = True
    sounds: bool = True
    devices: list[InputDeviceSection] = Field(default_factory=list, max_length=16)


class SensorSection(_Section):
    """One sensor: force/torque, tactile, microphone. It runs in a process of its own.

    Attributes:
        name: Prefix of its streams.
        driver: e.g. `serial-wrench`, `serial-tactile`, `microphone`.
        options: Settings of the driver, see docs/devices.md.
    """

    name: Name
    driver: DriverName
    options: dict[str, Any] = Field(default_factory=dict)


class HandSection(_Section):
    """One dexterous hand, driven by the fingers of a tracked hand.

    Attributes:
        name: e.g. `left_hand`.
        arm: The arm that carries it.
        driver: e.g. `sim-hand`.
        options: Settings of the driver, see docs/devices.md.
    """

    name: Name
    arm: Name
    driver: DriverName
    options: dict[str, Any] = Field(default_factory=dict)


class MobileBaseSection(_Section):
    """The mobile base, driven by velocity.

    Attributes:
        driver: Empty for none.
        max_speed_m_s: Of translation.
        max_turn_rad_s: Of rotation.
        max_acceleration_m_s2: Of translation.
        max_turn_acceleration_rad_s2: Of rotation.
        options: Settings of the driver, see docs/devices.md.
    """

    driver: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]{0,63})?$")
    max_speed_m_s: float = Field(default=0.4, gt=0.0, le=2.0)
    max_turn_rad_s: float = Field(default=0.8, gt=0.0, le=4.0)
    max_acceleration_m_s2: float = Field(default=0.8, gt=0.0, le=10.0)
    max_turn_acceleration_rad_s2: float = Field(default=2.0, gt=0.0, le=20.0)
    options: dict[str, Any] = Field(default_factory=dict)


class LiftSection(_Section):
    """The lift that carries the arms, driven by velocity.

    Attributes:
        driver: Empty for none.
        lower_m: Lowest height.
        upper_m: Greatest height.
        max_speed_m_s: Up and down.
        max_acceleration_m_s2: Up and down.
        options: Settings of the driver, see docs/devices.md.
    """

    driver: str = Field(default="", pattern=r"^([a-z][a-z0-9_-]{0,63})?$")
    lower_m: float = Field(default=0.0, ge=-1.0, le=3.0)
    upper_m: float = Field(default=0.5, ge=-1.0, le=3.0)
    max_speed_m_s: float = Field(default=0.1, gt=0.0, le=1.0)
    max_acceleration_m_s2: float = Field(default=0.3, gt=0.0, le=5.0)
    options: dict[str, Any] = Field(default_factory=dict)


def _default_arms() -> list[ArmSection]:
    return [
        ArmSection(name="left", workspace_min=[-0.42, 0.10, 0.004], workspace_max=[0.30, 0.90, 0.60]),
        ArmSection(name="right", workspace_min=[-0.30, 0.10, 0.004], workspace_max=[0.42, 0.90, 0.60]),
    ]


def _default_cameras() -> list[CameraSection]:
    return [CameraSection(name=name) for name in ("overhead", "left_wrist", "right_wrist")]


class StationConfig(_Section):
    """A whole station file; the defaults are the simulated bimanual cell."""

    station: StationSection = Field(default_factory=StationSection)
    control: ControlSection = Field(default_factory=ControlSection)
    simulation: SimulationSection = Field(default_factory=SimulationSection)
    arms: list[ArmSection] = Field(default_factory=_default_arms, min_length=1, max_length=8)
    cameras: list[CameraSection] = Field(default_factory=_default_cameras, max_length=16)
    latencies: list[LatencySection] = Field(default_factory=list, max_length=64)
    mapping: MappingSection = Field(default_factory=MappingSection)
    safety: SafetySection = Field(default_factory=SafetySection)
    recording: RecordingSection = Field(default_factory=RecordingSection)
    inputs: InputsSection = Field(default_factory=InputsSection)
    sensors: list[SensorSection] = Field(default_factory=list, max_length=16)
    hands: list[HandSection] = Field(default_factory=list, max_length=4)
    mobile_base: MobileBaseSection = Field(default_factory=MobileBaseSection)
    lift: LiftSection = Field(default_factory=LiftSection)
    autonomy: AutonomySection = Field(default_factory=AutonomySection)

    @model_validator(mode="after")
    def _the_lift_has_a_stroke(self) -> StationConfig:
        if self.lift.lower_m >= self.lift.upper_m:
            msg = f"lift.lower_m {self.lift.lower_m:g} must lie below lift.upper_m {self.lift.upper_m:g}"
            raise ValueError(msg)
        return self

    @field_validator("arms", "cameras", "latencies", "sensors", "hands")
    @classmethod
    def _names_are_unique(cls, value: list[Any]) -> list[Any]:
        names = [item.stream if isinstance(item, LatencySection) else item.name for item in value]
        for name in names:
            if names.count(name) > 1:
                msg = f"the name {name!r} is used twice"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _devices_name_arms_that_exist(self) -> StationConfig:
        arms = {arm.name for arm in self.arms}
        named = [(f"input {d.name!r}", arm) for d in self.inputs.devices for arm in d.arms]
        named += [(f"hand {hand.name!r}", hand.arm) for hand in self.hands]
        for who, arm in named:
            if arm not in arms:
                msg = f"{who} names the arm {arm!r}; the station has {', '.join(sorted(arms))}"
                raise ValueError(msg)
        names = [device.name for device in self.inputs.devices]
        for name in names:
            if names.count(name) > 1 or name in RESERVED_SOURCES:
                msg = f"the input name {name!r} is used twice or reserved"
                raise ValueError(msg)
        if self.safety.deadman and self.safety.deadman not in {*names, "gamepad"}:
            msg = f"safety.deadman names the input {self.safety.deadman!r}, which the station does not have"
            raise ValueError(msg)
        return self

    def latency_ns(self, stream: str) -> int:
        """Calibrated latency of a camera, arm, input source or stream; 0 when none is known."""
        found = next((each for each in self.latencies if each.stream == stream), None)
        return round(found.latency_ms * NS_PER_MS) if found else 0


def load_station(path: Path) -> StationConfig:
    """Read and validate a station file.

    Raises:
        ConfigError: It is missing, not TOML, or has wrong fields; all of them are listed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            f"The station file {path} does not exist",
            next_step="Create one with: teleop station init",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The station file {path} cannot be read", why=str(error)) from error
    return parse_station(text, str(path))


def parse_station(text: str, origin: str = "station.toml") -> StationConfig:
    """Validate the text of a station file; `origin` names it in errors.

    Raises:
        ConfigError: As `load_station`.
    """
    try:
        return StationConfig.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin} is not valid TOML", why=str(error)) from error
    except ValidationError as error:
        problems = field_problems(error)
        listed = "; ".join(f"{place}: {problem}" for place, problem in problems.items())
        raise ConfigError(
            f"{origin} has {len(problems)} wrong field{'s' if len(problems) > 1 else ''}",
            why=listed,
            next_step="Correct it there or on the Setup page",
        ) from error


def field_problems(error: ValidationError) -> dict[str, str]:
    """Sentences by dotted place, e.g. `safety.stale_hold_ms`, `arms[0].name`."""
    problems: dict[str, str] = {}
    for item in error.errors(include_url=False):
        place = ""
        for part in item["loc"]:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        message = item["msg"].removeprefix("Value error, ")
        given = item.get("input")
        shown = f" (given {given!r:.60})" if isinstance(given, str | int | float | bool) else ""
        problems[place or "file"] = f"{message[0].lower()}{message[1:]}{shown}"
    return problems


def station_text(config: StationConfig, previous: str = "") -> str:
    """TOML of a station; comments and order of `previous` are kept where its values stand."""
    document = tomlkit.parse(previous) if previous else tomlkit.document()
    for section, values in config.model_dump(mode="json").items():
        if isinstance(values, dict) and isinstance(document.get(section), dict):
            table = document[section]
            for key, value in values.items():
                if table.get(key) != value:  # pyright: ignore[reportAttributeAccessIssue]
                    table[key] = value  # pyright: ignore[reportIndexIssue]
        elif document.get(section) != values:
            document[section] = values
    return tomlkit.dumps(document)


def latencies_text(latencies: list[LatencySection], previous: str) -> str:
    """The station file `previous` with these calibrations instead of its own; all else stays as it is."""
    document = tomlkit.parse(previous)
    table = tomlkit.aot()
    for each in latencies:
        table.append(tomlkit.item(each.model_dump(mode="json")))
    document["latencies"] = table
    return tomlkit.dumps(document)
