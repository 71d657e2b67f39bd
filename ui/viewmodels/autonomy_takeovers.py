"""The takeovers of the running station: when, for how long, why, and how each ended. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import AutonomyPhase, ControlTick, Event

REASONS: dict[str, str] = {
    "grasp": "Grasp",
    "wrong-object": "Wrong object",
    "collision": "Collision",
    "stuck": "Stuck",
    "imprecise": "Imprecise",
    "lost": "Lost",
    "other": "Other",
}
"""Words of each reason, in the order of their keys."""

OUTCOMES = {"resumed": "given back", "finished": "finished", "aborted": "aborted"}

MOST = 200
"""Kept in the list; the store has them all."""

_ACTIVE = frozenset({AutonomyPhase.RECOVER, AutonomyPhase.CORRECT, AutonomyPhase.BLEND})


@dataclass(frozen=True, slots=True)
class Takeover:
    """One takeover.

    Attributes:
        number: From 1, as control counts.
        start_ns: When, host clock.
        at_s: Into the recording [s], None when nothing was recorded.
        seconds: How long it has lasted.
        source: Input that seized, empty when not known.
        phase: Of its last tick.
        reason: Key of `REASONS`, empty when nobody said.
        outcome: Key of `OUTCOMES`, empty while it lasts.
    """

    number: int
    start_ns: int
    at_s: float | None = None
    seconds: float = 0.0
    source: str = ""
    phase: AutonomyPhase = AutonomyPhase.CORRECT
    reason: str = ""
    outcome: str = ""

    @property
    def running(self) -> bool:
        """Whether it still lasts."""
        return not self.outcome


class TakeoverLog:
    """Follows events and ticks; a window that was opened meanwhile learns of a takeover from its ticks."""

    def __init__(self) -> None:
        self._entries: dict[int, Takeover] = {}

    @property
    def newest_first(self) -> tuple[Takeover, ...]:
        """All that are known."""
        return tuple(reversed(self._entries.values()))

    @property
    def last(self) -> Takeover | None:
        """The newest one."""
        return next(reversed(self._entries.values()), None)

    def get(self, number: int) -> Takeover | None:
        """Returns one by its number."""
        return self._entries.get(number)

    def clear(self) -> None:
        """Forgets all: another station counts anew."""
        self._entries.clear()

    def on_event(self, event: Event, at_s: float | None) -> None:
        """Takes an event of control; `at_s` as in `Takeover`."""
        number = _integer(event.fields.get("takeover"))
        if number <= 0:
            return
        match event.kind:
            case "autonomy.takeover":
                known = self._open(number, event.capture_ns, at_s)
                phase = _phase(event.fields.get("phase"), known.phase)
                source = str(event.fields.get("source", ""))
                self._entries[number] = replace(known, source=source, phase=phase)
            case "autonomy.returned":
                known = self._open(number, event.capture_ns, at_s)
                seconds = event.fields.get("seconds", known.seconds)
                self._entries[number] = replace(
                    known,
                    seconds=float(seconds) if isinstance(seconds, int | float) else known.seconds,
                    outcome=str(event.fields.get("outcome", "")) or "resumed",
                )
            case "autonomy.reason":
                known = self._open(number, event.capture_ns, at_s)
                self._entries[number] = replace(known, reason=str(event.fields.get("reason", "")))
            case _:
                pass

    def on_ticks(self, ticks: Sequence[ControlTick], at_s: float | None) -> None:
        """Takes new control ticks, oldest first."""
        tick = ticks[-1]
        autonomy = tick.autonomy
        if autonomy is None or autonomy.takeover <= 0:
            return
        known = self._open(autonomy.takeover, tick.tick_ns, at_s)
        if known.running and autonomy.phase in _ACTIVE:
            seconds = max(tick.tick_ns - known.start_ns, 0) / NS_PER_S
            self._entries[known.number] = replace(known, phase=autonomy.phase, seconds=seconds)

    def set_reason(self, number: int, reason: str) -> str:
        """Gives a takeover a reason; returns the one before.

        Raises:
            KeyError: There is no such takeover.
        """
        known = self._entries[number]
        self._entries[number] = replace(known, reason=reason)
        return known.reason

    def _open(self, number: int, start_ns: int, at_s: float | None) -> Takeover:
        known = self._entries.get(number)
        if known is None:
            known = self._entries[number] = Takeover(number, start_ns, at_s)
            while len(self._entries) > MOST:
                del self._entries[next(iter(self._entries))]
        return known


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _phase(value: object, before: AutonomyPhase) -> AutonomyPhase:
    return next((phase for phase in AutonomyPhase if phase == value), before)
