"""Back along the path that the robot came, as fast as it came and within the limits of a policy."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.control.executed_path import SPACING_S, ExecutedPath
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import AutonomySection
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.outcome import ArmRequest, Outcome
from teleop_app.safety.supervisor import SafetySupervisor

_LAG_RAD: Final = 0.08
_CONTACT_RAD: Final = 0.3
_CONTACT_TICKS: Final = 10
_SETTLED_RAD: Final = 2e-3
_LIMIT_FACTOR: Final = 4.0
_LIMIT_S: Final = 5.0


class RewindMotion:
    """Requests that lead back along the path, grippers too: what was grasped is let go where it was taken.

    What was gone back is forgotten, so that the next rewind goes on from there.

    Args:
        supervisor: Tells where the arms are; nothing is sent past it.
        path: Of the robot.
        seconds: How much of it.
        limits: Of a policy.
        now_ns: Start.
        period_s: Of a tick.
    """

    name = "rewind"
    done = ""
    failed = ""

    def __init__(
        self,
        supervisor: SafetySupervisor,
        path: ExecutedPath,
        seconds: float,
        limits: AutonomySection,
        now_ns: int,
        period_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._path = path
        self._limits = limits
        self._left = max(1, round(min(seconds, path.seconds) / SPACING_S))
        self._overdue_ns = now_ns + round((_LIMIT_FACTOR * seconds + _LIMIT_S) * NS_PER_S)
        self._pace = period_s / SPACING_S
        self._passed = 0.0
        self._from = self._goal = path.last().copy()
        path.drop_last()
        self._begun = False
        self._off_ticks = 0

    def requests(self, now_ns: int) -> list[ArmRequest | None]:
        """Requests of this tick, by arm."""
        cell = self._supervisor.limits
        arms = range(len(cell.names))
        # The first request makes known how far each arm is behind; before it nothing is.
        if self._begun and self._left and self._keeps_up():
            self._advance()
        self._begun = True
        joints, grippers = self._goal[cell.joint_at], self._goal[cell.gripper_at]
        speed, tool_speed = self._limits.max_joint_velocity_rad_s, self._limits.max_tcp_speed_m_s
        return [
            ArmRequest(now_ns, None, joints[cell.joints_of(arm)], float(grippers[arm]), speed, tool_speed)
            for arm in arms
        ]

    def finished(self, _now_ns: int) -> bool:
        """Whether it is there and has come to rest."""
        arms = range(len(self._supervisor.limits.names))
        return self._left == 0 and all(self._supervisor.lag_rad(arm) < _SETTLED_RAD for arm in arms)

    def overdue(self, now_ns: int) -> bool:
        """Whether it takes so long that something must be in the way."""
        return now_ns > self._overdue_ns

    def blocked(self, outcome: Outcome) -> str:
        """Why it must stop, empty when nothing is in the way."""
        for note in outcome.interventions:
            if note.flag is SafetyFlag.COLLISION:
                return note.text.rstrip(".")
        joints = self._supervisor.limits.joint_at
        off = np.abs(outcome.measured[joints] - outcome.sent[joints])
        touching = bool(np.isfinite(off).all()) and float(off.max()) > _CONTACT_RAD
        self._off_ticks = self._off_ticks + 1 if touching else 0
        return "an arm does not follow its command" if self._off_ticks >= _CONTACT_TICKS else ""

    def _keeps_up(self) -> bool:
        """Whether the arms are where the path is: else they would cut its corners."""
        cell = self._supervisor.limits
        goal = self._goal[cell.joint_at]
        for arm in range(len(cell.names)):
            behind = np.abs(self._supervisor.commanded(arm) - goal[cell.joints_of(arm)]).max()
            if max(float(behind), self._supervisor.lag_rad(arm)) > _LAG_RAD:
                return False
        return True

    def _advance(self) -> None:
        self._passed += self._pace
        while self._left and self._passed >= 1.0:
            self._from = self._path.last().copy()
            self._path.drop_last()
            self._left -= 1
            self._passed -= 1.0
        onward = self._path.last() if self._left else self._from
        self._goal = self._from + min(self._passed, 1.0) * (onward - self._from)
