"""Header and footer of an episode as MCAP metadata: JSON in, checked dataclasses out."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
import typing
from functools import cache
from typing import Any, TypeVar

from recorders.schema import FORMAT_VERSION, EpisodeFooter, EpisodeHeader
from teleop_app.core.errors import EpisodeError

T = TypeVar("T")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INT64 = 1 << 63
_SHOWN = ("uuid", "station", "operator", "task", "instruction", "outcome", "duration_ns")


def to_metadata(record: EpisodeHeader | EpisodeFooter) -> dict[str, str]:
    """Metadata map of a record: the whole as `json`, and some fields plain for people in viewers."""
    plain = dataclasses.asdict(record)
    shown = {name: str(plain[name]) for name in _SHOWN if name in plain}
    return {**shown, "json": json.dumps(plain, ensure_ascii=False, separators=(",", ":"))}


def header_from(metadata: dict[str, str]) -> EpisodeHeader:
    """Inverse of `to_metadata`.

    Raises:
        EpisodeError: A field is missing or of the wrong kind, or the format is newer.
    """
    plain = _json(metadata)
    version = plain.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise EpisodeError(
            f"The episode has format {version}",
            why=f"this program reads formats up to {FORMAT_VERSION}",
            next_step="Update the program",
        )
    header = _build(EpisodeHeader, plain)
    if not _UUID.fullmatch(header.uuid):
        raise EpisodeError(f"The episode names itself {header.uuid[:40]!r}", why="that is not a UUID")
    return header


def footer_from(metadata: dict[str, str]) -> EpisodeFooter:
    """Inverse of `to_metadata`.

    Raises:
        EpisodeError: A field is missing or of the wrong kind.
    """
    return _build(EpisodeFooter, _json(metadata))


def _json(metadata: dict[str, str]) -> dict[str, Any]:
    try:
        plain = json.loads(metadata["json"])
    except (KeyError, ValueError, RecursionError) as error:
        raise EpisodeError("The episode's metadata cannot be read", why=str(error)) from error
    if not isinstance(plain, dict):
        raise EpisodeError("The episode's metadata cannot be read", why="it is not a map")
    return plain


def _build(kind: type[T], plain: Any) -> T:
    """A dataclass from JSON, every value checked; unknown names are ignored (newer minor writers)."""
    if not isinstance(plain, dict):
        raise EpisodeError(f"The episode's {kind.__name__} is not a map")
    values = {name: _convert(hint, plain[name], name) for name, hint in _hints(kind).items() if name in plain}
    try:
        return kind(**values)
    except TypeError as error:
        raise EpisodeError(f"The episode's {kind.__name__} is incomplete", why=str(error)) from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # of one kind and None
        return None if value is None else _convert(arguments[0], value, name)
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(arguments[0], item, name) for item in value)
    if origin is dict and isinstance(value, dict):
        return {str(key): _convert(arguments[1], item, name) for key, item in value.items()}
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        if dataclasses.is_dataclass(hint):
            return _build(hint, value)
        if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) <= sys.float_info.max or not isinstance(value, int):
                return float(value)
        elif isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
            if hint is not int or -_INT64 <= value < _INT64:
                return value
    raise EpisodeError(f"The episode's metadata has a wrong {name}", why=f"{value!r:.60}")
