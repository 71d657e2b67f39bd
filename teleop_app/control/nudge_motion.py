"""Small steps of one arm that nobody drives, at a command."""

from __future__ import annotations

import numpy as np

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.geometry import Array, quat_angle, quat_slerp
from teleop_app.mapping.nudge import nudged
from teleop_app.safety.outcome import ArmRequest
from teleop_app.safety.supervisor import SafetySupervisor

SPEED_M_S = 0.05
SPEED_RAD_S = 0.4
_SETTLE_NS = 200 * NS_PER_MS
_SETTLED_RAD = 1e-3
_LIMIT_S = 10.0
_NEAR_M = 1e-6
_NEAR_RAD = 1e-5


class NudgeMotion:
    """Requests that bring one arm to a pose near by, through the supervisor like any other.

    Args:
        supervisor: Tells where the arms are; nothing is sent past it.
        arms: Number of arms.
        arm: Index of the one that moves.
        now_ns: Start.
        period_s: Of a tick.
    """

    name = "nudge"
    done = ""
    failed = ""

    def __init__(
        self, supervisor: SafetySupervisor, arms: int, arm: int, now_ns: int, period_s: float
    ) -> None:
        anchor = supervisor.anchor(arm)
        self._supervisor = supervisor
        self.arm = arm
        self._arms = arms
        self._gripper = anchor.gripper
        self._pose = anchor.pose
        self._target = anchor.pose.copy()
        self._step_m, self._step_rad = SPEED_M_S * period_s, SPEED_RAD_S * period_s
        self._start_ns = now_ns
        self._there_ns = 0

    def add(self, step_m: Array, turn: Array, now_ns: int) -> None:
        """One more nudge."""
        self._target = nudged(self._target, step_m, turn)
        self._there_ns, self._start_ns = 0, now_ns

    def requests(self, now_ns: int) -> list[ArmRequest | None]:
        """Requests of this tick, by arm."""
        self._advance()
        if self._there_ns == 0 and self._is_there():
            self._there_ns = now_ns
        requests: list[ArmRequest | None] = [None] * self._arms
        requests[self.arm] = ArmRequest(now_ns, self._pose, None, self._gripper)
        return requests

    def finished(self, now_ns: int) -> bool:
        """Whether the arm was sent there and has come to rest."""
        if self._there_ns == 0 or now_ns - self._there_ns < _SETTLE_NS:
            return False
        return self._supervisor.lag_rad(self.arm) < _SETTLED_RAD

    def overdue(self, now_ns: int) -> bool:
        """Whether it takes longer than it can."""
        return now_ns - self._start_ns > _LIMIT_S * NS_PER_S

    def _advance(self) -> None:
        way = self._target[:3] - self._pose[:3]
        angle = quat_angle(self._pose[3:], self._target[3:])
        share = max(float(np.linalg.norm(way)) / self._step_m, angle / self._step_rad)
        if share <= 1.0:
            self._pose = self._target.copy()
        else:
            rotation = quat_slerp(self._pose[3:], self._target[3:], 1.0 / share)
            self._pose = np.concatenate([self._pose[:3] + way / share, rotation])

    def _is_there(self) -> bool:
        near = float(np.linalg.norm(self._target[:3] - self._pose[:3])) < _NEAR_M
        return near and quat_angle(self._pose[3:], self._target[3:]) < _NEAR_RAD
