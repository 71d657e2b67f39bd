"""The box each end effector stays in, and the speed of its target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array, make_pose, quat_angle, quat_slerp

MAX_TURN_RAD_S = 4.0
"""Fastest turn of a commanded pose; the wrists of the arms in use cannot follow more."""

REST_TOLERANCE_M = 0.01
"""How far outside its box an arm may come to rest: the joints' path to a pose in the box is not straight."""


@dataclass(frozen=True, slots=True)
class LimitedPose:
    """A pose after the workspace limits.

    Attributes:
        pose: `world_T_tcp`, shape (7,).
        boxed: It was moved into the box.
        slowed: It was brought nearer to keep the speed.
    """

    pose: Array
    boxed: bool
    slowed: bool


class Workspace:
    """Boxes and speed of the commanded end-effector poses.

    Args:
        lower: Lower corners [m], shape (arms, 3), world frame.
        upper: Upper corners.
        max_speed_m_s: Of the commanded position.
        period_s: Of a tick.
    """

    def __init__(self, lower: Array, upper: Array, max_speed_m_s: float, period_s: float) -> None:
        self._lower, self._upper = lower, upper
        self._period_s = period_s
        self._max_speed_m_s = max_speed_m_s
        self._max_turn_rad = MAX_TURN_RAD_S * period_s

    def limit(self, arm: int, target: Array, previous: Array, speed_m_s: float | None = None) -> LimitedPose:
        """Clamp a target pose to the box, then to one tick of speed from the previous commanded pose.

        An arm that stands outside its box may come back but not go farther out.

        Args:
            arm: Its index.
            target: Shape (7,).
            previous: Shape (7,).
            speed_m_s: Limit of this motion where it is lower than the cell's.
        """
        lower = np.minimum(self._lower[arm], previous[:3])
        upper = np.maximum(self._upper[arm], previous[:3])
        position = np.clip(target[:3], lower, upper)
        boxed = bool((position != target[:3]).any())
        step = position - previous[:3]
        length = float(np.linalg.norm(step))
        speed = self._max_speed_m_s if speed_m_s is None else min(speed_m_s, self._max_speed_m_s)
        most = speed * self._period_s
        slowed = length > most
        if slowed:
            position = previous[:3] + step * (most / length)
        rotation = target[3:]
        angle = quat_angle(previous[3:], rotation)
        if angle > self._max_turn_rad:
            rotation = quat_slerp(previous[3:], rotation, self._max_turn_rad / angle)
            slowed = True
        return LimitedPose(make_pose(position, rotation), boxed, slowed)

    def outside_m(self, positions: Array) -> Array:
        """Distance of each arm's position, shape (arms, 3), from its box; 0 inside."""
        over = np.maximum(np.maximum(self._lower - positions, positions - self._upper), 0.0)
        return np.linalg.norm(over, axis=1)

    def refuses(self, rest: Array, present_rest: Array) -> NDArray[np.bool_]:
        """Which arms would come to rest outside their box and farther out than they would now.

        Args:
            rest: Positions where the arms would come to rest, shape (arms, 3).
            present_rest: The same before the step in question.
        """
        outside = self.outside_m(rest)
        return (outside > REST_TOLERANCE_M) & (outside > self.outside_m(present_rest))
