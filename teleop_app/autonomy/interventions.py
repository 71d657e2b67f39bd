"""Takeovers: when a person took the robot from a policy, why, and how it ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import StationError
from teleop_app.core.types import AutonomyPhase

TAKEOVER_REASONS: Final = MappingProxyType(
    {
        "grasp": "The grasp failed or would fail",
        "wrong-object": "It went for the wrong thing",
        "collision": "It was about to hit something",
        "stuck": "It made no progress",
        "imprecise": "It was near, but not exact",
        "lost": "It was where it does not know its way",
        "other": "Another reason",
    }
)
"""Why a person takes over: what is recorded, and what people read."""

TAKEOVER_OUTCOMES: Final = ("resumed", "finished", "aborted")
"""How it ended: the policy went on; people, or the episode's end, ended it; the robot was stopped."""

_KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Takeover:
    """One takeover.

    Attributes:
        number: From 1.
        source: Input device that took over.
        phase: `recover`, `correct` or `blend`, as it began.
        begun_ns: When.
        seconds: How long it lasted, negative while it lasts.
        outcome: One of `TAKEOVER_OUTCOMES`, empty while it lasts.
        reason: One of `TAKEOVER_REASONS`, empty until somebody says.
    """

    number: int
    source: str
    phase: AutonomyPhase
    begun_ns: int
    seconds: float = -1.0
    outcome: str = ""
    reason: str = ""


class TakeoverLog:
    """The newest takeovers, up to 500."""

    def __init__(self) -> None:
        self._entries: deque[Takeover] = deque(maxlen=_KEPT)

    @property
    def last(self) -> Takeover | None:
        """The newest one."""
        return self._entries[-1] if self._entries else None

    def begin(self, number: int, source: str, phase: AutonomyPhase, now_ns: int) -> Takeover:
        """A takeover begins."""
        entry = Takeover(number, source, phase, now_ns)
        self._entries.append(entry)
        return entry

    def end(self, number: int, outcome: str, now_ns: int) -> Takeover | None:
        """It ends; None when it is not known any more."""
        return self._change(number, lambda entry: _ended(entry, outcome, now_ns))

    def explain(self, number: int, reason: str) -> Takeover:
        """Note why it was; an earlier reason is replaced.

        Args:
            number: Of the takeover, 0 for the newest.
            reason: One of `TAKEOVER_REASONS`.

        Raises:
            StationError: There is no such reason or takeover.
        """
        if reason not in TAKEOVER_REASONS:
            raise StationError(
                f"There is no reason {reason!r} for a takeover",
                next_step=f"Choose one of: {', '.join(TAKEOVER_REASONS)}",
            )
        if number == 0 and self.last is not None:
            number = self.last.number
        entry = self._change(number, lambda known: replace(known, reason=reason))
        if entry is None:
            raise StationError(
                f"There was no takeover {number}" if number else "Nobody has taken over yet",
                next_step="A takeover is numbered by the event autonomy.takeover" if number else "",
            )
        return entry

    def _change(self, number: int, change: Callable[[Takeover], Takeover]) -> Takeover | None:
        for index, entry in enumerate(self._entries):
            if entry.number == number:
                self._entries[index] = changed = change(entry)
                return changed
        return None


def _ended(entry: Takeover, outcome: str, now_ns: int) -> Takeover:
    return replace(entry, outcome=outcome, seconds=(now_ns - entry.begun_ns) / NS_PER_S)
