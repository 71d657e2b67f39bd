"""Motions by command: home, nudges, rewinds. One at a time, and never against an input that drives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from teleop_app.control.executed_path import ExecutedPath
from teleop_app.control.home_motion import HomeMotion
from teleop_app.control.nudge_motion import NudgeMotion
from teleop_app.control.rewind_motion import RewindMotion
from teleop_app.core.config import AutonomySection
from teleop_app.core.geometry import Array
from teleop_app.safety.outcome import ArmRequest, Outcome
from teleop_app.safety.supervisor import SafetySupervisor

Note = Callable[[str, int, str, dict[str, object]], None]


class Motion(Protocol):
    """One motion by command."""

    @property
    def name(self) -> str:
        """Source of its ticks."""
        ...

    @property
    def done(self) -> str:
        """Kind of the event when it has arrived, empty for none."""
        ...

    @property
    def failed(self) -> str:
        """Kind of the event when it was ended before, empty for none."""
        ...

    def requests(self, now_ns: int) -> list[ArmRequest | None]:
        """Requests of this tick, by arm."""
        ...

    def finished(self, now_ns: int, /) -> bool:
        """Whether it has arrived."""
        ...

    def overdue(self, now_ns: int) -> bool:
        """Whether it takes so long that something must be in the way."""
        ...


class Motions:
    """The motion that goes on, if any.

    Args:
        supervisor: The only way to the followers.
        home: Home posture of each arm [rad].
        home_height_m: Height of each tool centre point at home, world frame.
        period_s: Of a tick.
        note: Writes an event: kind, time, text, fields.
    """

    def __init__(
        self,
        supervisor: SafetySupervisor,
        home: Sequence[Array],
        home_height_m: Sequence[float],
        period_s: float,
        note: Note,
    ) -> None:
        self._supervisor = supervisor
        self._home = [posture.copy() for posture in home]
        self._home_height_m = list(home_height_m)
        self._period_s = period_s
        self._note = note
        self._motion: Motion | None = None
        self.ended = ""

    @property
    def name(self) -> str:
        """Of the motion that goes on: `home`, `nudge`, `rewind`; empty for none."""
        return "" if self._motion is None else self._motion.name

    def start_home(self, now_ns: int) -> None:
        """Bring every arm home."""
        self._motion = HomeMotion(self._supervisor, self._home, self._home_height_m, now_ns, self._period_s)

    def nudge(self, arm: int, step: tuple[Array, Array], now_ns: int) -> None:
        """Move an arm by one small step and turn, after those that it has not finished."""
        if not isinstance(self._motion, NudgeMotion) or self._motion.arm != arm:
            arms = len(self._home)
            motion = NudgeMotion(self._supervisor, arms, arm, now_ns, self._period_s)
            motion.add(*step, now_ns)
            self._motion = motion
        else:
            self._motion.add(*step, now_ns)

    def start_rewind(self, path: ExecutedPath, seconds: float, limits: AutonomySection, now_ns: int) -> None:
        """Go back along the path."""
        self.ended = ""
        self._motion = RewindMotion(self._supervisor, path, seconds, limits, now_ns, self._period_s)

    def requests(self, now_ns: int) -> list[ArmRequest | None] | None:
        """Requests of this tick, by arm; None when nothing goes on."""
        return None if self._motion is None else self._motion.requests(now_ns)

    def watch(self, now_ns: int, outcome: Outcome) -> None:
        """End the motion when it has arrived, is in contact, or takes too long."""
        motion = self._motion
        if motion is None:
            return
        blocked = motion.blocked(outcome) if isinstance(motion, RewindMotion) else ""
        if motion.finished(now_ns):
            self._motion = None
            if motion.done:
                self._note(motion.done, now_ns, "The arms are home.", {})
        elif blocked or motion.overdue(now_ns):
            self.cancel(now_ns, blocked or "something is in the way")

    def cancel(self, now_ns: int, why: str) -> None:
        """End the motion; the arms come to rest."""
        motion, self._motion = self._motion, None
        if motion is None:
            return
        self.ended = why
        if motion.failed:
            self._note(motion.failed, now_ns, f"The arms did not get home: {why}.", {"why": why})
