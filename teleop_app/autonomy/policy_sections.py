"""The parts of a policy file: what a policy sees and what its actions mean."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from teleop_app.autonomy.rotations import Rotation

Part = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}/(joints|velocity|gripper|ee)$")]
"""An arm and what of it, e.g. `left/joints`, `left/gripper`, `right/ee`."""
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
TEMPLATE_FIELDS = ("instruction", "embodiment", "rate_hz", "horizon")
_SMALLEST_STROKE = 1e-9


class Convention(StrEnum):
    """What the joints or poses of an action are relative to; grippers are always absolute.

    ABSOLUTE: nothing. DELTA: the action before, the first one the observed state. CHUNK_DELTA: the state in
    the chunk's observation.
    """

    ABSOLUTE = "absolute"
    DELTA = "delta"
    CHUNK_DELTA = "chunk_delta"


class Section(BaseModel):
    """Base of all: unknown fields and non-finite numbers are errors, and defaults are checked too."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, validate_default=True)


class Statistics(Section):
    """Normalisation of numbers: what the policy sees or says is in these units.

    Attributes:
        kind: `quantiles`: q01, q99 to [-1, 1], clipped. `mean_std`. `min_max` to [-1, 1]. `none`.
        low: q01, mean or minimum of each channel.
        high: q99, standard deviation or maximum.
        file: JSON file beside the policy file that holds these numbers instead (`statistics_file`).
        entry: Its entry, slashes between levels; empty for the usual ones.
    """

    kind: Literal["none", "quantiles", "mean_std", "min_max"] = "none"
    low: list[Number] = Field(default_factory=list, max_length=512)
    high: list[Number] = Field(default_factory=list, max_length=512)
    file: str = Field(default="", max_length=200)
    entry: str = Field(default="", max_length=200)

    @field_validator("high")
    @classmethod
    def _are_a_range(cls, high: list[float], info: ValidationInfo) -> list[float]:
        kind, low = info.data.get("kind"), info.data.get("low")
        if kind is None or low is None:
            return high
        if kind == "none":
            if low or high:
                raise ValueError("kind none uses no numbers: choose a kind, or leave them out")
            return high
        if len(low) != len(high) or not high:
            raise ValueError(f"low has {len(low)} numbers and high {len(high)}: give one each a channel")
        for channel, (left, right) in enumerate(zip(low, high, strict=True)):
            if kind == "mean_std" and right < 0:
                raise ValueError(f"channel {channel}: the standard deviation {right:g} is below 0")
            if kind != "mean_std" and right < left:
                raise ValueError(f"channel {channel}: low {left:g} is above high {right:g}")
        return high

    @property
    def width(self) -> int:
        """Channels that they are of, 0 for `none`."""
        return len(self.low)


def channels(parts: Iterable[str], rotation: Rotation, joints: Mapping[str, int]) -> int | None:
    """Numbers that parts take up.

    Args:
        parts: Of a state or an action.
        rotation: Of their poses.
        joints: Joints of each arm, the gripper left out.

    Returns:
        None when an arm's joints are not known.
    """
    total = 0
    for part in parts:
        arm, what = part.split("/")
        if what in ("joints", "velocity"):
            if arm not in joints:
                return None
            total += joints[arm]
        else:
            total += 1 if what == "gripper" else 3 + rotation.width
    return total


def _smallest_width(parts: Iterable[str], rotation: Rotation) -> int:
    """Channels that parts take at the least, an arm having one joint or more."""
    return sum(channels([part], rotation, {}) or 1 for part in parts)


class _Numbers(Section):
    """What states and actions have in common; the fields are documented there."""

    @field_validator("parts", check_fields=False)
    @classmethod
    def _each_once(cls, parts: list[str]) -> list[str]:
        if twice := sorted({part for part in parts if parts.count(part) > 1}):
            raise ValueError(f"each part may be named once, but {', '.join(twice)} is there again")
        return parts

    @field_validator("opened", check_fields=False)
    @classmethod
    def _gripper_has_a_stroke(cls, opened: float, info: ValidationInfo) -> float:
        closed = info.data.get("closed")
        if closed is not None and abs(opened - closed) < _SMALLEST_STROKE:
            raise ValueError(f"opened {opened:g} must differ from closed")
        return opened

    @field_validator("width", check_fields=False)
    @classmethod
    def _parts_fit(cls, width: int, info: ValidationInfo) -> int:
        parts, rotation = info.data.get("parts"), info.data.get("rotation")
        if width and parts and rotation and width < (least := _smallest_width(parts, rotation)):
            raise ValueError(f"width {width} is less than the {least} channels of the parts")
        return width

    @field_validator("statistics", check_fields=False)
    @classmethod
    def _one_for_each_channel(cls, statistics: Statistics, info: ValidationInfo) -> Statistics:
        parts, rotation = info.data.get("parts"), info.data.get("rotation")
        if statistics.kind == "none" or not parts or not rotation:
            return statistics
        wanted = channels(parts, rotation, {})
        least = _smallest_width(parts, rotation)
        if wanted is not None and statistics.width != wanted:
            raise ValueError(f"{statistics.width} channels, but the parts have {wanted}")
        if wanted is None and statistics.width < least:
            raise ValueError(f"{statistics.width} channels, but the parts have at least {least}")
        return statistics


class ImageInput(Section):
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


class StateInput(_Numbers):
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
    closed: Number = 0.0
    opened: Number = 1.0
    width: int = Field(default=0, ge=0, le=512)
    statistics: Statistics = Statistics()


class ObservationSection(Section):
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

    @field_validator("images", "states", "prompt", "truth", "task")
    @classmethod
    def _keys_are_free(cls, value: Any, info: ValidationInfo) -> Any:
        taken = list(_keys(info.data))
        for key in _keys({str(info.field_name): value}):
            if key in taken:
                raise ValueError(f"the key {key!r} is given to two things")
            taken.append(key)
        return value

    @field_validator("template")
    @classmethod
    def _fields_are_known(cls, template: str) -> str:
        for _, name, form, conversion in string.Formatter().parse(template):
            if name is not None and (name not in TEMPLATE_FIELDS or form or conversion):
                known = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
                raise ValueError(f"{{{name}}} cannot be put in; it knows {known} (a brace itself: {{{{)")
        return template

    @field_validator("nested")
    @classmethod
    def _maps_hold_no_values(cls, nested: bool, info: ValidationInfo) -> bool:
        keys = list(_keys(info.data)) if nested else []
        for key in keys:
            if not all(key.split("/")):
                raise ValueError(f"the key {key!r} has an empty level")
            if below := next((other for other in keys if other.startswith(f"{key}/")), None):
                raise ValueError(f"{key!r} cannot be a value and hold {below!r} too")
        return nested

    @property
    def keys(self) -> tuple[str, ...]:
        """Of everything that is given, slashes between levels."""
        return tuple(_keys({name: getattr(self, name) for name in type(self).model_fields}))


def _keys(fields: Mapping[str, Any]) -> Iterable[str]:
    """Keys that the validated fields of an observation section give."""
    for name in ("images", "states"):
        yield from (each.key for each in fields.get(name, ()))
    yield from (fields[name] for name in ("prompt", "truth", "task") if fields.get(name))


class ActionSection(_Numbers):
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
    closed: Number = 0.0
    opened: Number = 1.0
    width: int = Field(default=0, ge=0, le=512)
    statistics: Statistics = Statistics()

    @field_validator("parts")
    @classmethod
    def _can_be_commanded(cls, parts: list[str]) -> list[str]:
        for part in parts:
            arm, what = part.split("/")
            if what == "velocity":
                raise ValueError(f"{part} can be seen, not asked for: joints, ee and gripper can")
            if what == "ee" and f"{arm}/joints" in parts:
                raise ValueError(f"arm {arm} is asked for joints and a pose at once: keep one of them")
        return parts

    @field_validator("frame")
    @classmethod
    def _tool_frame_moves(cls, frame: str, info: ValidationInfo) -> str:
        if frame == "tool" and info.data.get("convention") is Convention.ABSOLUTE:
            raise ValueError("frame tool is for deltas: an absolute pose needs base or world")
        return frame
