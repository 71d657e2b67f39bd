"""Which processes still run with what a station file said before it was changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from teleop_app.core.config import StationConfig

STATION = "station"
"""In place of a process: the station as a whole, since it has to have other processes."""

ORDER = ("simulation", "control", "cameras", "recorder", "operator", "gamepad")
"""In which processes are restarted; those of devices follow."""

AFFECTED: dict[str, tuple[str, ...]] = {
    "station": ("recorder",),
    "control": ("control", "recorder"),
    "simulation": ("simulation", "control", "cameras", "recorder", "operator"),
    "arms": ("simulation", "control", "cameras", "recorder", "operator"),
    "cameras": ("cameras", "recorder"),
    "latencies": ("control", "cameras", "recorder"),
    "mapping": (),
    "safety": ("control",),
    "recording": ("recorder", "cameras"),
    "inputs": (),
    "sensors": ("recorder",),
    "hands": ("control", "recorder"),
    "mobile_base": ("control", "recorder"),
    "lift": ("control", "recorder"),
}
"""Processes that read a section only when they start. Mapping is given to control live."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Item = TypeVar("Item", bound=_Named)


def affected(before: StationConfig | None, after: StationConfig) -> set[str]:
    """Returns the processes to restart, or `STATION` where processes come or go.

    Args:
        before: What the station runs with, None when that could not be read.
        after: What stands in the file now.
    """
    if before is None:
        return {STATION}
    changed = [name for name in StationConfig.model_fields if getattr(before, name) != getattr(after, name)]
    names = {process for section in changed for process in AFFECTED[section]}
    if before.inputs.gamepad != after.inputs.gamepad:
        names.add(STATION if after.inputs.gamepad else "gamepad")
    names |= _devices(before.inputs.devices, after.inputs.devices, "input")
    names |= _devices(before.sensors, after.sensors, "sensor")
    names |= _devices(before.arms, after.arms, "follower", lambda arm: arm.follower != "sim")
    if {arm.follower == "sim" for arm in before.arms} != {arm.follower == "sim" for arm in after.arms}:
        names.add(STATION)
    return names


def _devices(
    before: Sequence[Item],
    after: Sequence[Item],
    kind: str,
    runs: Callable[[Item], bool] = lambda _: True,
) -> set[str]:
    old = {item.name: item for item in before if runs(item)}
    new = {item.name: item for item in after if runs(item)}
    if old.keys() != new.keys():
        return {STATION}
    return {f"{kind}-{name}" for name in new if old[name] != new[name]}


def process_title(process: str) -> str:
    """Returns the name of a process for people, e.g. `Input 'quest'`."""
    kind, _, name = process.partition("-")
    words = {"input": "Input", "sensor": "Sensor", "follower": "Follower", "camera": "Camera"}
    return f"{words[kind]} '{name}'" if name and kind in words else process
