"""Leader arms of the station: which there are, and engaging them from the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from teleop_app.core.config import StationConfig
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import ControlState, ControlTick
from teleop_app.station.roster import input_process

LEADERS = ("dynamixel-leader", "feetech-leader")
"""Drivers whose processes answer `engage` and `follow`."""


class LeaderPort(Protocol):
    """What engaging needs."""

    def call(
        self,
        process: str,
        command: str,
        /,
        done: Callable[[dict[str, Any]], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
        **args: Any,
    ) -> None:
        """Runs a command without blocking."""
        ...


def leaders_of(config: StationConfig) -> dict[str, tuple[str, ...]]:
    """Returns the arms that each leader leads, by the name of its input."""
    every = tuple(arm.name for arm in config.arms)
    return {each.name: tuple(each.arms) or every for each in config.inputs.devices if each.driver in LEADERS}


class LeaderClutches:
    """One key for the leaders: it engages those of the selected arm, or lets go of the one that drives.

    Args:
        port: Commands of the station.
        config: The station file.
        failed: Takes the sentence of a refusal.
    """

    def __init__(self, port: LeaderPort, config: StationConfig, failed: Callable[[str], object]) -> None:
        self._port = port
        self._leaders = leaders_of(config)
        self._failed = failed

    def __bool__(self) -> bool:
        """Whether the station has leaders."""
        return bool(self._leaders)

    def driving(self, tick: ControlTick | None) -> str:
        """Name of the leader that drives or is being aligned, empty for none."""
        if tick is None or tick.source not in self._leaders:
            return ""
        held = any(tick.engaged) or tick.state is ControlState.ALIGNING
        return tick.source if held else ""

    def toggle(self, tick: ControlTick | None, selected: str) -> None:
        """Lets go of the leader that drives, else asks to engage what leads the selected arm.

        Args:
            tick: The newest.
            selected: The arm that the window has selected.
        """
        name = self.driving(tick)
        if name:
            self._engage([name], False)
            return
        wanted = [name for name, arms in self._leaders.items() if selected in arms]
        if wanted:
            self._engage(wanted, True)
        else:
            self._failed(f"No leader leads the {selected} arm. Select another arm, then engage.")

    def _engage(self, names: Sequence[str], on: bool) -> None:
        for name in names:
            self._port.call(
                input_process(name), "engage", failed=lambda error: self._failed(error.sentence), on=on
            )
