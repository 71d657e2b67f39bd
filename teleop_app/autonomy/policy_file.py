"""The policy file: which policy, how it wants to see the station, and what its actions mean.

Read with `load_policy`; every mistake is reported at once, with its place. docs/policies.md is its prose.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PolicyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Part = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}/(joints|velocity|gripper|ee)$")]
"""An arm and what of it, e.g. `left/joints`, `left/gripper`, `right/ee`."""


class Execution(StrEnum):
    """How chunks are joined.

    SYNC: a chunk's first actions are executed, then the robot rests until the next chunk is here.
    SWITCH: the next one is asked for meanwhile, and followed from the action that is then due.
    ENSEMBLE: likewise, and overlapping chunks are averaged.
    RTC: likewise, and the policy continues the chunk that is being executed (real-time chunking).
    """

    SYNC = "sync"
    SWITCH = "switch"
    ENSEMBLE = "ensemble"
    RTC = "rtc"


class Rotation(StrEnum):
    """How a rotation is written. EULER_XYZ: intrinsic roll, pitch, yaw [rad]. ROT6D: first two columns."""

    EULER_XYZ = "euler_xyz"
    QUAT_WXYZ = "quat_wxyz"
    QUAT_XYZW = "quat_xyzw"
    AXIS_ANGLE = "axis_angle"
    ROT6D = "rot6d"


class Convention(StrEnum):
    """What the joints or poses of an action are relative to; grippers are always absolute.

    ABSOLUTE: nothing. DELTA: the action before, the first one the observed state. CHUNK_DELTA: the state in
    the chunk's observation.
    """

    ABSOLUTE = "absolute"
    DELTA = "delta"
    CHUNK_DELTA = "chunk_delta"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Statistics(_Section):
    """Normalisation of numbers: what the policy sees or says is in these units.

    Attributes:
        kind: `quantiles`: q01, q99 to [-1, 1], clipped. `mean_std`. `min_max` to [-1, 1]. `none`.
        low: q01, mean or minimum of each channel.
        high: q99, standard deviation or maximum.
    """

    kind: Literal["none", "quantiles", "mean_std", "min_max"] = "none"
    low: list[float] = Field(default_factory=list)
    high: list[float] = Field(default_factory=list)


class ImageInput(_Section):
    """A picture in the observation.

    Attributes:
        key: Its key there, slashes as given unless `nested`.
        camera: Of the station.
        width: [px].
        height: [px].
        fit: `pad` keeps the whole picture, `crop` its middle, `stretch` neither.
        layout: Order of axes.
        values: `uint8`, or `unit` for float32 0..1.
    """

    key: str = Field(min_length=1, max_length=120)
    camera: str = Field(min_length=1, max_length=32)
    width: int = Field(default=224, ge=8, le=2048)
    height: int = Field(default=224, ge=8, le=2048)
    fit: Literal["pad", "crop", "stretch"] = "pad"
    layout: Literal["HWC", "CHW"] = "HWC"
    values: Literal["uint8", "unit"] = "uint8"


class StateInput(_Section):
    """Numbers of the robot in the observation.

    Attributes:
        key: Its key there.
        parts: What it is made of, in order.
        rotation: How poses of `ee` parts are written; they are in the frame `frame`.
        frame: Of `ee` parts.
        closed: What the policy calls a closed gripper.
        opened: And an open one.
        width: Padded with zeros to so many channels, 0 not at all.
        statistics: Normalisation.
    """

    key: str = Field(min_length=1, max_length=120)
    parts: list[Part] = Field(min_length=1, max_length=32)
    rotation: Rotation = Rotation.EULER_XYZ
    frame: Literal["world", "base"] = "base"
    closed: float = 0.0
    opened: float = 1.0
    width: int = Field(default=0, ge=0, le=512)
    statistics: Statistics = Statistics()


class ObservationSection(_Section):
    """How the policy sees the station.

    Attributes:
        images: Pictures.
        states: Numbers.
        prompt: Key of the instruction, empty for none.
        template: Of the instruction; `{instruction}`, `{embodiment}`, `{rate_hz}`, `{horizon}` are put in.
        truth: Key under which the simulated cell's object poses are given, empty for none.
        task: Key under which the task's name is given, empty for none.
        nested: Keys with slashes become maps in maps.
    """

    images: list[ImageInput] = Field(default_factory=list, max_length=16)
    states: list[StateInput] = Field(default_factory=list, max_length=16)
    prompt: str = Field(default="prompt", max_length=120)
    template: str = Field(default="{instruction}", max_length=4000)
    truth: str = Field(default="", max_length=120)
    task: str = Field(default="", max_length=120)
    nested: bool = False


class ActionSection(_Section):
    """What an action means.

    Attributes:
        parts: Of an action's channels, in order; `velocity` is not one. Arms left out keep their place.
        convention: Of joints and poses.
        rotation: Of `ee` parts.
        frame: Of `ee` parts; `tool` only for deltas.
        closed: What the policy calls a closed gripper.
        opened: And an open one.
        width: Channels that it sends, the first of which are the parts' (unified padded layout); 0: no more.
        statistics: Normalisation of the parts' channels.
    """

    parts: list[Part] = Field(min_length=1, max_length=32)
    convention: Convention = Convention.ABSOLUTE
    rotation: Rotation = Rotation.EULER_XYZ
    frame: Literal["world", "base", "tool"] = "base"
    closed: float = 0.0
    opened: float = 1.0
    width: int = Field(default=0, ge=0, le=512)
    statistics: Statistics = Statistics()


class PolicyFile(_Section):
    """One policy.

    Attributes:
        name: Its file's stem.
        title: For people.
        driver: `openpi`, `groot`, `starvla`, `lerobot`, or built in: `hold`, `replay`, `scripted`.
        options: Settings of the driver.
        version: Checkpoint hash, for servers that do not tell.
        rate_hz: Of its actions.
        horizon: Actions of a chunk (H).
        execute: Actions executed before the next chunk is wanted.
        execution: How chunks are joined.
        samples: Chunks drawn at a time to judge its uncertainty; 1 does not.
        novelty: File of picture statistics to tell what it was not trained on, beside this file; empty: none.
        observation: How it sees the station.
        action: What its actions mean.
    """

    name: PolicyName = "policy"
    title: str = Field(default="", max_length=120)
    driver: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    options: dict[str, Any] = Field(default_factory=dict)
    version: str = Field(default="", max_length=120)
    rate_hz: float = Field(default=20.0, gt=0.0, le=200.0)
    horizon: int = Field(default=16, ge=1, le=256)
    execute: int = Field(default=8, ge=1, le=256)
    execution: Execution = Execution.SWITCH
    samples: int = Field(default=1, ge=1, le=32)
    novelty: str = Field(default="", max_length=200)
    observation: ObservationSection = ObservationSection()
    action: ActionSection
