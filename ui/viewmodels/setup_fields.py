"""The station file as fields of a form, made from the pydantic models and their docstrings."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from devices.driver import DriverKind
from teleop_app.core.attribute_help import attribute_help
from teleop_app.core.config import StationConfig

SECTIONS = (*StationConfig.model_fields, "inputs.devices")
"""Every section with a form of its own; the list of input devices stands within one."""

DRIVER_FIELDS = {
    "arms": ("follower", DriverKind.FOLLOWER),
    "cameras": ("driver", DriverKind.CAMERA),
    "inputs.devices": ("driver", DriverKind.INPUT),
    "sensors": ("driver", DriverKind.SENSOR),
    "hands": ("driver", DriverKind.HAND),
    "mobile_base": ("driver", DriverKind.BASE),
    "lift": ("driver", DriverKind.LIFT),
}
"""Sections of devices: the field that names the driver, and its kind."""

_AXES = 3
LONG_TEXT = 400
"""A text that may be longer gets several lines."""

_UNITS = (
    ("_rad_s3", "rad/s³"),
    ("_rad_s2", "rad/s²"),
    ("_rad_s", "rad/s"),
    ("_per_s", "1/s"),
    ("_m_s2", "m/s²"),
    ("_m_s", "m/s"),
    ("_hz", "Hz"),
    ("_ms", "ms"),
    ("_mb", "MB"),
    ("_deg", "°"),
    ("_rad", "rad"),
    ("_s", "s"),
    ("_m", "m"),
)
_NAMED_UNITS = {
    "width": "px",
    "height": "px",
    "fps": "frames/s",
    "workspace_min": "m",
    "workspace_max": "m",
    "keyframe_frames": "frames",
    "base_position": "m",
}
_WORDS = {"tcp": "tool", "max": "largest", "min": "smallest"}
_LABELS = {
    "base_position": "Base position",
    "base_yaw_deg": "Base turned by",
    "model": "Robot model",
    "posture_weight": "Pull to home posture",
    "symmetry": "One hand drives both",
    "align_limit_rad": "Leader refused beyond",
    "align_tolerance_rad": "Leader aligned within",
    "nudge_m": "Nudge step",
    "nudge_deg": "Nudge turn",
    "deadman": "Enabling device",
    "singularity_slow": "Singularity, slow below",
    "singularity_stop": "Singularity, stop at",
    "collision_slow_m": "Collision, slow below",
    "collision_stop_m": "Collision, stop at",
    "options": "Settings of the driver",
    "baud": "Baud rate",
    "url": "URL",
    "host": "Address",
    "stale_hold_ms": "Hold after",
    "stale_release_ms": "Release after",
    "follower_stale_ms": "Follower lost after",
    "max_episode_s": "Longest episode",
    "preroll_s": "Pre-roll",
    "segment_s": "Segment length",
    "encoder": "Video encoder",
    "depth": "Depth images",
    "workspace_min": "Workspace, lower corner",
    "workspace_max": "Workspace, upper corner",
    "filter_min_cutoff_hz": "Filter cutoff",
    "key_turn_rad_s": "Key turning speed",
    "realtime_priority": "Real-time priority",
    "flush_s": "Flush every",
    "autosave_s": "Automatic save after",
    "headroom_mb": "Disk headroom",
    "keyframe_frames": "Keyframe every",
    "crf": "Quality (CRF)",
    "fps": "Frame rate",
    "preset": "x264 preset",
}
"""Where the words of the field's name do not make a label."""
_HELPS = {
    "width": "Of its images; 0 lets the station choose.",
    "height": "Of its images; 0 lets the station choose.",
}
"""Where the model's docstring names only the unit."""
_SECTION_HELPS = {
    "inputs.devices": "Beside keyboard, mouse and gamepad. Each runs in a process of its own.",
    "sensors": "Force and torque, tactile arrays, microphones. Each runs in a process of its own.",
}


class FieldKind(Enum):
    """Which editor a field gets."""

    TEXT = auto()
    LONG_TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    SWITCH = auto()
    CHOICE = auto()
    VECTOR = auto()
    LIST = auto()
    DRIVER = auto()
    OPTIONS = auto()


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of the form.

    Attributes:
        place: Where it stands, e.g. `safety.stale_hold_ms` or `arms[0].name`; that of its problems too.
        label: For people.
        help: From the model's docstring, without the unit.
        unit: Behind the editor, empty for none.
        kind: Editor.
        limits: The range in words, empty for none.
        choices: Of a CHOICE.
        default: When the file does not name it; None for a field that must be given.
        numbers: The parts of a LIST are numbers, not words.
        driver: Kind of the driver that a DRIVER names or OPTIONS belong to.
    """

    place: str
    label: str
    help: str
    unit: str
    kind: FieldKind
    limits: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None
    numbers: bool = False
    driver: DriverKind | None = None


def section_help(section: str) -> str:
    """Returns what a section's docstring says first, without naming what one item is."""
    if section in _SECTION_HELPS:
        return _SECTION_HELPS[section]
    line = (inspect.getdoc(_model_of(section)) or "").partition("\n")[0]
    return line.partition(". ")[2] if line.startswith("One ") else line


def section_fields(section: str, index: int | None = None) -> tuple[FieldSpec, ...]:
    """Returns the fields of a section, or of one item of a list section.

    Args:
        section: Name in the station file.
        index: Place in a list section (`arms`, `cameras`).
    """
    base = section if index is None else f"{section}[{index}]"
    named, kind = DRIVER_FIELDS.get(section, ("", None))
    return tuple(
        replace(spec, kind=FieldKind.DRIVER, driver=kind)
        if spec.place == f"{base}.{named}"
        else replace(spec, driver=kind)
        if spec.kind is FieldKind.OPTIONS
        else spec
        for spec in model_fields(_model_of(section), base)
        if f"{section}.{spec.place.rpartition('.')[2]}" not in SECTIONS
    )


def model_fields(model: type[BaseModel], base: str) -> tuple[FieldSpec, ...]:
    """Returns the fields of any pydantic model, e.g. the settings of a driver.

    Args:
        model: With an `Attributes:` part in its docstring, or descriptions at its fields.
        base: Place of the whole.
    """
    helps = attribute_help(model)
    return tuple(
        _field(f"{base}.{name}", name, info, helps.get(name) or info.description or "")
        for name, info in model.model_fields.items()
    )


def is_list(section: str) -> bool:
    """Whether a section holds several items."""
    return get_origin(_annotation_of(section)) is list


def item_defaults(section: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a new item of a list section, with a box of its own for an arm.

    Args:
        section: Name.
        given: What is known of it, its name at least.
    """
    item: dict[str, Any] = dict(given)
    if section == "arms":
        item = {"workspace_min": [-0.3, 0.1, 0.0], "workspace_max": [0.3, 0.7, 0.6]} | item
    return _model_of(section).model_validate(item).model_dump(mode="json")


def _annotation_of(section: str) -> Any:
    outer, _, inner = section.partition(".")
    annotation: Any = StationConfig.model_fields[outer].annotation
    return annotation.model_fields[inner].annotation if inner else annotation


def _model_of(section: str) -> type[BaseModel]:
    annotation = _annotation_of(section)
    inner = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        raise TypeError(f"the section {section} of the station file is not a model")
    return inner


def _field(place: str, name: str, info: FieldInfo, text: str) -> FieldSpec:
    kind, choices, numbers = _kind(info)
    return FieldSpec(
        place=place,
        label=_label(name),
        help=_without_unit(text) or _HELPS.get(name, ""),
        unit=_unit(name),
        kind=kind,
        limits=_limits(info) if kind in (FieldKind.INTEGER, FieldKind.NUMBER) else "",
        choices=choices,
        default=None if info.is_required() else _plain(info.get_default(call_default_factory=True)),
        numbers=numbers,
    )


def _kind(info: FieldInfo) -> tuple[FieldKind, tuple[str, ...], bool]:
    """Returns the editor, the choices, and whether the parts of a list are numbers."""
    annotation = _without_none(info.annotation)
    simple = {bool: FieldKind.SWITCH, int: FieldKind.INTEGER, float: FieldKind.NUMBER}
    if get_origin(annotation) is Literal:
        return FieldKind.CHOICE, tuple(str(choice) for choice in get_args(annotation)), False
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return FieldKind.CHOICE, tuple(str(choice.value) for choice in annotation), False
    if annotation in simple:
        return simple[annotation], (), False
    if get_origin(annotation) is dict:
        return FieldKind.OPTIONS, (), False
    if get_origin(annotation) in (list, tuple):
        numbers = _without_none(get_args(annotation)[0]) in (int, float)
        longest = _longest(info)
        if get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
            longest = len(get_args(annotation))
        return (FieldKind.VECTOR if numbers and longest == _AXES else FieldKind.LIST), (), numbers
    return (FieldKind.LONG_TEXT if _longest(info) > LONG_TEXT else FieldKind.TEXT), (), False


def _plain(value: Any) -> Any:
    """Returns a default as it would stand in the station file."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _longest(info: FieldInfo) -> int:
    return next((each.max_length for each in info.metadata if isinstance(each, MaxLen)), 0)


def _without_none(annotation: Any) -> Any:
    """Returns the type of an optional field, without the annotations of a part."""
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return _without_none(kept[0]) if len(kept) == 1 else str
    return annotation


def _limits(info: FieldInfo) -> str:
    low = high = ""
    for each in info.metadata:
        match each:
            case Ge(ge):
                low = f"{ge:,}".replace(",", " ") if isinstance(ge, int) else f"{ge:g}"
            case Gt(gt):
                low = f"above {gt:g}"
            case Le(le):
                high = f"{le:,}".replace(",", " ") if isinstance(le, int) else f"{le:g}"
            case Lt(lt):
                high = f"below {lt:g}"
            case _:
                pass
    if low and high:
        return f"{low} to {high}" if not low.startswith("above") else f"{low}, up to {high}"
    return low or high


def _unit(name: str) -> str:
    if name in _NAMED_UNITS:
        return _NAMED_UNITS[name]
    return next((unit for suffix, unit in _UNITS if name.endswith(suffix)), "")


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    stem = name
    for suffix, _ in _UNITS:
        if stem.endswith(suffix):
            stem = stem.removesuffix(suffix)
            break
    words = [_WORDS.get(word, word) for word in stem.split("_")]
    text = " ".join(word for word in words if word)
    return text[:1].upper() + text[1:]


def _without_unit(text: str) -> str:
    cleaned = re.sub(r"\s*\[[^\]]{1,10}\]", "", text).replace("`", "").strip()
    if cleaned in (".", "") or cleaned.startswith("x264"):
        return cleaned.strip(".")
    return cleaned[:1].upper() + cleaned[1:]
