"""Joint targets within position, velocity, acceleration and jerk limits (ruckig, online).

Every tick plans anew from the last sent state. A step is taken only if the arm could still come to rest
within its limits after it; otherwise that arm brakes. Braking from an accepted state ends where it was
found to end before, so the limits hold for ever, whatever is asked.

The target counts as standing still. Giving ruckig the target's velocity as well, or aiming ahead of it by
its own braking distance, took 30-45 ms off the lag but overshot a 0.2 m reach by 30-60 mm instead of 9.

Berscheid and Kroeger, "Jerk-limited Real-time Trajectory Generation with Arbitrary Target States", RSS 2021.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import NDArray

from teleop_app.core.geometry import Array

logger = logging.getLogger(__name__)
Mask = NDArray[np.bool_]
_POSITION = ruckig.ControlInterface.Position
_VELOCITY = ruckig.ControlInterface.Velocity
_GOOD = (ruckig.Result.Working, ruckig.Result.Finished)
_REST_TOLERANCE_RAD = 1e-9
_ATTEMPTS = 3
_ON_THE_WAY = (0.07, 0.15, 0.25, 0.4, 0.6, 0.8)
_FAR_RAD = 0.02

STILL_RAD_S = 1e-6
"""A joint slower than this is at rest."""


@dataclass(frozen=True, slots=True)
class JointState:
    """Where the sent motion is.

    Attributes:
        position: [rad], shape (n,).
        velocity: [rad/s].
        acceleration: [rad/s^2].
        rest: Where braking now would end [rad].
    """

    position: Array
    velocity: Array
    acceleration: Array
    rest: Array


class JerkLimiter:
    """Steps all joints of a cell towards their targets, one tick at a time. One thread.

    Args:
        lower: Lowest positions [rad], shape (n,).
        upper: Highest positions.
        velocity: Limits [rad/s].
        acceleration: Limits [rad/s^2].
        jerk: Limits [rad/s^3].
        period_s: Of a tick. A missed tick slows the motion down; it never speeds it up.
    """

    def __init__(
        self, lower: Array, upper: Array, velocity: Array, acceleration: Array, jerk: Array, period_s: float
    ) -> None:
        self._lower, self._upper = lower, upper
        self._velocity, self._acceleration, self._jerk = velocity, acceleration, jerk
        self._period_s = period_s
        n = len(lower)
        self._ruckig = ruckig.Ruckig(n, period_s)
        self._trajectory = ruckig.Trajectory(n)
        self._input = ruckig.InputParameter(n)
        self._input.synchronization = ruckig.Synchronization.No
        self._input.max_acceleration = acceleration
        self._input.max_jerk = jerk
        self._none = np.zeros(n, dtype=bool)
        self.reset(np.zeros(n))

    @property
    def state(self) -> JointState:
        """The state after the last step."""
        return self._state

    @property
    def at_rest(self) -> bool:
        """Whether nothing moves, but for rounding."""
        return bool(np.abs(self._state.velocity).max() < STILL_RAD_S)

    def reset(self, position: Array) -> None:
        """Stand still at `position` [rad] (start, or a follower that was lost and found elsewhere)."""
        zero = np.zeros_like(position)
        self._state = JointState(position.copy(), zero, zero.copy(), position.copy())

    def step(
        self,
        target: Array,
        moving: Mask,
        refused: Callable[[Array], Mask],
        speed: Array | None = None,
        on_the_way: Callable[[Array], Mask] | None = None,
    ) -> tuple[JointState, Mask]:
        """Advance one tick.

        Args:
            target: Positions asked [rad], shape (n,), finite; beyond the limits they are clipped.
            moving: Joints that go to their target; the others come to rest.
            refused: Given where the joints would come to rest after this step, shape (n,), tells which
                must brake instead (workspace).
            speed: Velocity limits of this tick where they are lower than the cell's [rad/s].
            on_the_way: Like `refused`, told the place after this step and some on the way to rest, (k, n).

        Returns:
            The state to send, and which joints had to brake though they were to move.
        """
        limit = self._velocity if speed is None else np.minimum(speed, self._velocity)
        goal = np.clip(target, self._lower, self._upper)
        candidate = self._advance(goal, moving, limit)
        braking = np.zeros_like(moving)
        for _ in range(_ATTEMPTS):
            if not (moving & ~braking).any():
                break  # braking alone was looked at a tick before
            bad = self._outside(candidate.rest) | refused(candidate.rest)
            if on_the_way is not None:
                bad |= on_the_way(self._way(candidate))
            bad &= moving & ~braking
            if not bad.any():
                break
            braking |= bad
            candidate = self._advance(goal, moving & ~braking, limit)
        else:
            braking = moving.copy()
            candidate = self._advance(goal, self._none, limit)
        self._state = candidate
        return candidate, braking

    def _outside(self, rest: Array) -> Mask:
        """Joints that would end beyond a limit, and farther than now (one switched on there may return)."""
        now = self._state.rest
        below = (rest < self._lower - _REST_TOLERANCE_RAD) & (rest < now)
        return below | ((rest > self._upper + _REST_TOLERANCE_RAD) & (rest > now))

    def _advance(self, goal: Array, moving: Mask, limit: Array) -> JointState:
        after = self._plan(goal, moving, limit) or self._plan(goal, self._none, limit) or self._ramp_down()
        return JointState(*after, self._rest(*after))

    def _way(self, state: JointState) -> Array:
        """A state's place, and places between it and its rest, of the newest trajectory, if that is far off.

        What is clear all the way stays so whatever comes: a step that is refused is replaced by braking on
        the way that was looked at a tick before.
        """
        if np.abs(state.rest - state.position).max() < _FAR_RAD:
            return state.position[None]
        duration = self._trajectory.duration
        way = [self._trajectory.at_time(part * duration)[0] for part in _ON_THE_WAY]
        return np.array([state.position, *way])

    def _plan(self, goal: Array, moving: Mask, limit: Array) -> tuple[Array, Array, Array] | None:
        """Position, velocity and acceleration after one tick; None when nothing could be planned."""
        now = self._state
        if not self._calculate(now.position, now.velocity, now.acceleration, goal, moving, limit):
            return None
        after = self._trajectory.at_time(self._period_s)
        position, velocity, acceleration = (np.array(part) for part in after[:3])
        finite = np.isfinite(position).all() and np.isfinite(velocity).all()
        return (position, velocity, acceleration) if finite and np.isfinite(acceleration).all() else None

    def _rest(self, position: Array, velocity: Array, acceleration: Array) -> Array:
        if not (velocity.any() or acceleration.any()):
            return position
        if not self._calculate(position, velocity, acceleration, position, self._none, self._velocity):
            return position
        return np.array(self._trajectory.at_time(self._trajectory.duration)[0])

    def _calculate(
        self,
        position: Array,
        velocity: Array,
        acceleration: Array,
        goal: Array,
        moving: Mask,
        limit: Array,
    ) -> bool:
        plan = self._input
        plan.max_velocity = limit
        plan.current_position, plan.current_velocity = position, velocity
        plan.current_acceleration = acceleration
        plan.target_position = goal
        plan.per_dof_control_interface = [_POSITION if move else _VELOCITY for move in moving]
        try:
            return self._ruckig.calculate(plan, self._trajectory) in _GOOD
        except ruckig.RuckigError as error:
            logger.warning("a trajectory could not be planned: %s", error)
            return False

    def _ramp_down(self) -> tuple[Array, Array, Array]:
        """The last resort when ruckig refuses even to brake: slow down by plain acceleration steps."""
        dt = self._period_s
        state = self._state
        slowing = np.clip(-state.velocity / dt, -self._acceleration, self._acceleration)
        change = np.clip(slowing - state.acceleration, -self._jerk * dt, self._jerk * dt)
        acceleration = state.acceleration + change
        velocity = state.velocity + acceleration * dt
        stopped = np.abs(velocity) < self._jerk * dt * dt
        velocity[stopped] = 0.0
        acceleration[stopped] = 0.0
        return state.position + velocity * dt, velocity, acceleration
