"""The way home: up to the height of the home posture first, then in joint space."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import Array
from teleop_app.safety.outcome import ArmRequest
from teleop_app.safety.supervisor import SafetySupervisor

SPEED_RAD_S = 1.0
LIFT_SPEED_M_S = 0.25
_NEAR_RAD = 0.005
_OPEN = 1.0
_NEAR_M = 0.01
_LIFT_LIMIT_S = 3.0
_LIMIT_S = 20.0


class _Phase(Enum):
    LIFT = 0
    JOINTS = 1


class HomeMotion:
    """Requests that bring every arm home with open grippers, through the supervisor like any other.

    Lifting first keeps the grippers from ploughing through what stands on the table.

    Args:
        supervisor: Tells where the arms are; nothing is sent past it.
        home: Home posture of each arm [rad].
        home_height_m: Height of each arm's tool centre point at home, world frame.
        now_ns: Start.
        period_s: Of a tick.
    """

    name = "home"
    done = "control.homed"
    failed = "control.home_failed"

    def __init__(
        self,
        supervisor: SafetySupervisor,
        home: Sequence[Array],
        home_height_m: Sequence[float],
        now_ns: int,
        period_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._home = [posture.copy() for posture in home]
        self._height_m = list(home_height_m)
        self._start_ns = now_ns
        self._lift_step_m = LIFT_SPEED_M_S * period_s
        anchors = [supervisor.anchor(arm) for arm in range(len(self._home))]
        self._pose = [anchor.pose for anchor in anchors]
        self._phase = [
            _Phase.LIFT if pose[2] < height - _NEAR_M else _Phase.JOINTS
            for pose, height in zip(self._pose, self._height_m, strict=True)
        ]

    def requests(self, now_ns: int) -> list[ArmRequest | None]:
        """Requests of this tick, by arm."""
        return [self._request(arm, now_ns) for arm in range(len(self._home))]

    def finished(self, _now_ns: int) -> bool:
        """Whether every arm is home and at rest."""
        return all(
            self._supervisor.is_at(arm, posture, _OPEN, _NEAR_RAD) for arm, posture in enumerate(self._home)
        )

    def overdue(self, now_ns: int) -> bool:
        """Whether it takes so long that something must be in the way."""
        return now_ns - self._start_ns > _LIMIT_S * NS_PER_S

    def _request(self, arm: int, now_ns: int) -> ArmRequest:
        lifting = self._phase[arm] is _Phase.LIFT
        if lifting:
            pose = self._pose[arm]
            late = now_ns - self._start_ns > _LIFT_LIMIT_S * NS_PER_S
            if pose[2] >= self._height_m[arm] - 1e-6 or late:
                self._phase[arm] = _Phase.JOINTS
            else:
                self._pose[arm] = pose = pose.copy()
                pose[2] = min(pose[2] + self._lift_step_m, self._height_m[arm])
                return ArmRequest(now_ns, pose, None, _OPEN)
        return ArmRequest(now_ns, None, np.asarray(self._home[arm]), _OPEN, SPEED_RAD_S)
