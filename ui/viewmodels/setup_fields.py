"""The station file as fields of a form, made from the pydantic models and their docstrings."""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from teleop_app.core.config import StationConfig

LONG_TEXT = 200
"""A text that may be longer gets several lines."""

_UNITS = (
    ("_rad_s3", "rad/s³"),
    ("_rad_s2", "rad/s²"),
    ("_rad_s", "rad/s"),
    ("_per_s", "1/s"),
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
}
_WORDS = {"tcp": "tool", "max": "largest", "min": "smallest"}
_LABELS = {
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
_ATTRIBUTE = re.compile(r"^    (\w+): (.*)$")


class FieldKind(Enum):
    """Which editor a field gets."""

    TEXT = auto()
    LONG_TEXT = auto()
    INTEGER = auto()
    NUMBER = auto()
    SWITCH = auto()
    CHOICE = auto()
    VECTOR = auto()


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
    """

    place: str
    label: str
    help: str
    unit: str
    kind: FieldKind
    limits: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None


def section_help(section: str) -> str:
    """Returns what a section's docstring says first, without naming what one item is."""
    line = (inspect.getdoc(_model_of(section)) or "").partition("\n")[0]
    return line.partition(". ")[2] if line.startswith("One ") else line


def section_fields(section: str, index: int | None = None) -> tuple[FieldSpec, ...]:
    """Returns the fields of a section, or of one item of a list section.

    Args:
        section: Name in the station file.
        index: Place in a list section (`arms`, `cameras`).
    """
    model = _model_of(section)
    base = section if index is None else f"{section}[{index}]"
    helps = attribute_help(model)
    return tuple(
        _field(f"{base}.{name}", name, info, helps.get(name, "")) for name, info in model.model_fields.items()
    )


def is_list(section: str) -> bool:
    """Whether a section holds several items."""
    return get_origin(StationConfig.model_fields[section].annotation) is list


def item_defaults(section: str, name: str) -> dict[str, Any]:
    """Returns a new item of a list section, with a box of its own for an arm."""
    item: dict[str, Any] = {"name": name}
    if section == "arms":
        item |= {"workspace_min": [-0.3, 0.1, 0.0], "workspace_max": [0.3, 0.7, 0.6]}
    return _model_of(section).model_validate(item).model_dump(mode="json")


def attribute_help(model: type[BaseModel]) -> dict[str, str]:
    """Returns the sentences of the `Attributes:` part of a model's docstring by field."""
    helps: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(model) or "").partition("Attributes:")[2].splitlines():
        started = _ATTRIBUTE.match(line)
        if started:
            name = started[1]
            helps[name] = started[2].strip()
        elif name and line.strip():
            helps[name] += f" {line.strip()}"
    return helps


def _model_of(section: str) -> type[BaseModel]:
    annotation = StationConfig.model_fields[section].annotation
    inner = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
        raise TypeError(f"the section {section} of the station file is not a model")
    return inner


def _field(place: str, name: str, info: FieldInfo, text: str) -> FieldSpec:
    kind, choices = _kind(info)
    unit = _unit(name)
    return FieldSpec(
        place=place,
        label=_label(name),
        help=_without_unit(text),
        unit=unit,
        kind=kind,
        limits=_limits(info) if kind in (FieldKind.INTEGER, FieldKind.NUMBER) else "",
        choices=choices,
        default=None if info.is_required() else info.get_default(call_default_factory=True),
    )


def _kind(info: FieldInfo) -> tuple[FieldKind, tuple[str, ...]]:
    annotation = info.annotation
    if get_origin(annotation) is Literal:
        return FieldKind.CHOICE, tuple(str(choice) for choice in get_args(annotation))
    if annotation is bool:
        return FieldKind.SWITCH, ()
    if annotation is int:
        return FieldKind.INTEGER, ()
    if annotation is float:
        return FieldKind.NUMBER, ()
    if get_origin(annotation) in (list, types.GenericAlias):
        return FieldKind.VECTOR, ()
    longest = next((each.max_length for each in info.metadata if isinstance(each, MaxLen)), 0)
    return (FieldKind.LONG_TEXT if longest > LONG_TEXT else FieldKind.TEXT), ()


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
