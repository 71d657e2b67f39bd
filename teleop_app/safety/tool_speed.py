"""Speed of an end effector that is commanded by joints."""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.safety.contract import Kinematics

_PASSES = 3


class ToolSpeed:
    """Shortens a step of an arm's commanded joints so that its end effector keeps a speed.

    Args:
        kinematics: Of the cell.
        period_s: Of a tick.
    """

    def __init__(self, kinematics: Kinematics, period_s: float) -> None:
        self._kinematics = kinematics
        self._period_s = period_s

    def limit(self, arm: int, mine: slice, before: Array, joints: Array, speed_m_s: float) -> Array:
        """Joints of the arm [rad] after one tick on the straight way to `joints`, shape (n,).

        Args:
            arm: Its index.
            mine: Its joints among all.
            before: All joints as commanded before [rad].
            joints: Asked of the arm [rad].
            speed_m_s: Limit of the position of its end effector.
        """
        start = self._kinematics.poses(before)[arm, :3]
        most, step, after = speed_m_s * self._period_s, joints - before[mine], before.copy()
        for _ in range(_PASSES):  # a large step bends: its end is nearer than its beginning is fast
            after[mine] = before[mine] + step
            moved = float(np.linalg.norm(self._kinematics.poses(after)[arm, :3] - start))
            if moved <= most:
                break
            step = step * (most / moved)
        return before[mine] + step
