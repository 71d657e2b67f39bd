"""Normalisation statistics from the JSON file that a training run left: LeRobot's, openpi's or StarVLA's.

`statistics.file` names a file beside the policy file. LeRobot's `meta/stats.json` holds features with `mean`,
`std`, `min`, `max`, `q01`, `q99`; openpi's `norm_stats.json` holds the same below `norm_stats`; StarVLA's
`dataset_statistics.json` has them below the dataset's key, which `statistics.entry` then names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_LISTS = {"quantiles": ("q01", "q99"), "mean_std": ("mean", "std"), "min_max": ("min", "max")}
_STATE_ENTRIES = ("observation.state", "state")
_ACTION_ENTRIES = ("action", "actions")
_LARGEST_FILE = 16_000_000
_WRAPPER = "norm_stats"


def fill_statistics(raw: dict[str, Any], folder: Path | None) -> dict[str, str]:
    """Put the numbers of every `statistics.file` of a policy file's raw tables in as `low` and `high`.

    Args:
        raw: As TOML gave it, of any shape; changed in place.
        folder: Where the policy file lies, None when it is text alone.

    Returns:
        Problems as sentences by dotted place.
    """
    problems: dict[str, str] = {}
    for place, statistics, entries in _tables(raw):
        if not statistics.get("file"):
            continue
        if statistics.get("low") or statistics.get("high"):
            problems[f"{place}.file"] = "give the numbers here or a file, not both"
            continue
        try:
            statistics["low"], statistics["high"] = _numbers(statistics, entries, folder)
        except (OSError, ValueError) as error:
            problems[f"{place}.file"] = str(error)
    return problems


def _tables(raw: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], tuple[str, ...]]]:
    """Every table `statistics`, with its place and the entries that it may be called in a JSON file."""
    match raw.get("observation"):
        case {"states": list(states)}:
            for index, state in enumerate(states):
                match state:
                    case {"statistics": dict(statistics)}:
                        yield f"observation.states[{index}].statistics", statistics, _STATE_ENTRIES
                    case _:
                        pass
        case _:
            pass
    match raw.get("action"):
        case {"statistics": dict(statistics)}:
            yield "action.statistics", statistics, _ACTION_ENTRIES
        case _:
            pass


def _numbers(
    statistics: Mapping[str, Any], entries: tuple[str, ...], folder: Path | None
) -> tuple[list[Any], list[Any]]:
    kind, name, entry = (str(statistics.get(key, "")) for key in ("kind", "file", "entry"))
    if kind not in _LISTS:
        raise ValueError(f"say which of its numbers count: kind = {', '.join(_LISTS)}")
    if folder is None:
        raise ValueError("only a policy file in a folder can name another file")
    if Path(name).name != name:
        raise ValueError(f"{name!r} must lie beside the policy file: give its name alone")
    content = _read(folder / name)
    if isinstance(content, dict) and isinstance(content.get(_WRAPPER), dict):
        content = content[_WRAPPER]
    found = _entry(content, (entry,) if entry else entries)
    if found is None:
        has = ", ".join(list(content)[:12]) if isinstance(content, dict) else "no entries"
        raise ValueError(f"{name} has no {entry or ' or '.join(entries)}; it has {has}: give its `entry`")
    first, second = _LISTS[kind]
    low, high = found.get(first), found.get(second)
    if not isinstance(low, list) or not isinstance(high, list):
        has = ", ".join(list(found)[:12])
        raise ValueError(f"{name} lacks the lists {first} and {second} there; it has {has}")
    return low, high


def _read(path: Path) -> Any:
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ValueError(f"{path.name} has {size} bytes (limit {_LARGEST_FILE})")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not valid JSON: {error}") from error


def _entry(content: Any, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The first of the named entries that is there; slashes lead through maps in maps."""
    for name in names:
        found = content
        for part in name.split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return None
