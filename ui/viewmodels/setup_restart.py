"""Which processes still run with what a station file said before it was changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.station.roster import (
    affected,
    follower_process,
    input_process,
    process_names,
    sensor_process,
)

STATION = "station"
"""In place of a process: the station as a whole, since it has to have other processes."""

_TITLES = {"input": "Input", "sensor": "Sensor", "follower": "Follower"}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def to_restart(before: StationConfig | None, after: StationConfig) -> tuple[str, ...]:
    """Returns the processes to restart in their order, or `STATION` where processes come or go.

    Args:
        before: What the station runs with, None when that could not be read.
        after: What stands in the file now.
    """
    if before is None:
        return (STATION,)
    changed = {name for name in StationConfig.model_fields if getattr(before, name) != getattr(after, name)}
    try:
        if process_names(before) != process_names(after):
            return (STATION,)
        unchanged = _unchanged_devices(before, after, changed)
        return tuple(name for name in affected(after, changed) if name not in unchanged)
    except ConfigError:
        return (STATION,)


def _unchanged_devices(before: StationConfig, after: StationConfig, changed: set[str]) -> set[str]:
    """Processes of devices that only share a section of the file with one that changed."""
    kept: set[str] = set()
    if changed <= {"inputs"}:
        kept |= {input_process(name) for name in _same(before.inputs.devices, after.inputs.devices)}
        if before.inputs.gamepad == after.inputs.gamepad:
            kept.add("gamepad")
    if changed <= {"sensors"}:
        kept |= {sensor_process(name) for name in _same(before.sensors, after.sensors)}
    if changed <= {"arms"}:
        kept |= {follower_process(name) for name in _same(before.arms, after.arms)}
    return kept


def _same(before: Sequence[_Named], after: Sequence[_Named]) -> set[str]:
    old = {item.name: item for item in before}
    return {item.name for item in after if old.get(item.name) == item}


def process_title(process: str) -> str:
    """Returns the name of a process for people, e.g. `Input 'quest'`."""
    kind, _, name = process.partition("-")
    return f"{_TITLES[kind]} '{name}'" if name and kind in _TITLES else process
