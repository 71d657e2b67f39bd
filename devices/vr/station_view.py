"""What the headset page shows of the station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import (
    Actor,
    AutonomyPhase,
    ControlState,
    ControlTick,
    Event,
    RecorderStatus,
    TaskStatus,
)

_WARNING_NS: Final = 8 * NS_PER_S
_HELP: Final = "autonomy.help"
_WARNINGS: Final = ("safety.", "process.", "recorder.fault", "control.refused", "control.home_failed", _HELP)
_OVER: Final = (
    "safety.cleared",
    "safety.recovered",
    "safety.estop_reset",
    "autonomy.takeover",
    "autonomy.resumed",
)


class StationView:
    """Keeps the newest of each message. One thread.

    Args:
        source: Name of this input.
        arm_of: Arm by hand.
    """

    def __init__(self, source: str, arm_of: Mapping[str, str]) -> None:
        self._source = source
        self._arm_of = dict(arm_of)
        self._tick: ControlTick | None = None
        self._task: TaskStatus | None = None
        self._recorder: RecorderStatus | None = None
        self._warning: Event | None = None
        self._arms: tuple[str, ...] = ()

    def observe(self, value: object) -> None:
        """See a message of the station."""
        match value:
            case ControlTick():
                self._tick = value
            case TaskStatus():
                self._task = value
            case RecorderStatus():
                self._recorder = value
            case Event() if value.kind in _OVER:
                self._warning = None
            case Event() if value.text and value.kind.startswith(_WARNINGS):
                self._warning = value

    def message(self, held: Mapping[str, bool], precise: Mapping[str, bool]) -> dict[str, Any]:
        """What clients are told about ten times a second.

        Args:
            held: Whether the clutch of each hand is held.
            precise: Whether each hand is in precision mode.
        """
        tick, task, recorder = self._tick, self._task, self._recorder
        mine = tick is not None and tick.source == self._source
        return {
            "type": "station",
            "state": tick.state.value if tick else "",
            "reason": tick.reason if tick else "",
            "source": tick.source if tick else "",
            "mine": mine,
            "moving": bool(tick and any(tick.engaged)),
            "policy": self._policy(tick),
            "held": dict(held),
            "precise": dict(precise),
            "task": (recorder.instruction if recorder else "") or (task.instruction if task else ""),
            "recorder": recorder.state.value if recorder else "",
            "elapsed_s": round(recorder.elapsed_s, 1) if recorder else 0.0,
            "countdown_s": round(recorder.countdown_s, 1) if recorder else -1.0,
            "saved": recorder.saved if recorder else 0,
            "target": recorder.target if recorder else 0,
            "warning": self._warned(tick),
        }

    def _policy(self, tick: ControlTick | None) -> str:
        """What a policy does: `drives`, `both` with a person, `asks` for help, `holds`; else nothing."""
        autonomy = tick.autonomy if tick is not None else None
        if tick is None or autonomy is None or tick.state in (ControlState.ESTOP, ControlState.FAULT):
            return ""
        if tick.actor is Actor.BLEND:
            return "both"
        if tick.actor is Actor.POLICY:
            return "drives"
        if autonomy.phase is AutonomyPhase.HOLD:
            warning = self._warning
            return "asks" if warning is not None and warning.kind == _HELP else "holds"
        return ""

    def _warned(self, tick: ControlTick | None) -> str:
        warning = self._warning
        if warning is None or (tick is not None and tick.tick_ns - warning.capture_ns > _WARNING_NS):
            return ""
        return warning.text
