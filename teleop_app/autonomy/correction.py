"""What a person adds to a policy's motion, or how both are weighed, for one arm.

Poses are `world_T_tcp`, shape (7,). Nothing here jumps by itself: a correction starts at nothing, and what is
left of it when the person lets go fades out at a limited speed.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from teleop_app.core.geometry import (
    Array,
    make_pose,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_normalise,
    quat_slerp,
    quat_to_rotvec,
)

MAX_SHIFT_M: Final = 0.3
MAX_TURN_RAD: Final = 1.2
"""A correction grows no larger: who needs more takes the robot over."""

FADE_M_S: Final = 0.1
FADE_RAD_S: Final = 0.5
WEIGHT_PER_S: Final = 1.0
"""How fast the policy's weight changes: all of it in a second."""

UNCERTAIN_RAD: Final = 0.2
"""Spread of sampled chunks at which a policy's confidence counts as none."""


class PoseCorrection:
    """A hand's motion since it engaged, as a shift and a turn in the world frame, added to any pose.

    The turn is about the tool, multiplied from the left as the clutch does.
    """

    def __init__(self) -> None:
        self._shift_m = np.zeros(3)
        self._turn = np.zeros(3)
        self._before = (self._shift_m, self._turn)
        self._tie = -1

    @property
    def nothing(self) -> bool:
        """Whether it adds nothing."""
        return not (self._shift_m.any() or self._turn.any())

    def take(self, tie: int, home: Array, goal: Array) -> None:
        """The hand is tied to the arm at `home` and asks for `goal` now.

        When hand and arm are tied anew (another number `tie`), the correction goes on from what it was.
        """
        if tie != self._tie:
            self._tie, self._before = tie, (self._shift_m, self._turn)
        shift, turn = self._before
        moved = quat_multiply(goal[3:], quat_conjugate(home[3:]))
        turned = quat_to_rotvec(quat_normalise(quat_multiply(moved, quat_from_rotvec(turn))))
        self._shift_m = _at_most(shift + goal[:3] - home[:3], MAX_SHIFT_M)
        self._turn = _at_most(turned, MAX_TURN_RAD)

    def absorb(self, before: Array, after: Array) -> None:
        """The policy proposes `after` where it proposed `before`: what is commanded stays where it was.

        A new chunk begins where the robot was seen, correction included; added again, it would run away.
        """
        gone = before[:3] - after[:3]
        turned = quat_multiply(before[3:], quat_conjugate(after[3:]))
        first_m, first = self._before
        self._before = (first_m + gone, _followed(first, turned))
        self._shift_m, self._turn = self._shift_m + gone, _followed(self._turn, turned)

    def applied(self, pose: Array) -> Array:
        """The pose with the correction."""
        turn = quat_from_rotvec(self._turn)
        return make_pose(pose[:3] + self._shift_m, quat_normalise(quat_multiply(turn, pose[3:])))

    def fade(self, dt_s: float) -> None:
        """One step towards nothing."""
        self._tie = -1
        self._shift_m = _shortened(self._shift_m, FADE_M_S * dt_s)
        self._turn = _shortened(self._turn, FADE_RAD_S * dt_s)


class JointCorrection:
    """A leader's motion since it engaged, added joint by joint [rad]."""

    def __init__(self) -> None:
        self._change: Array | None = None
        self._first: Array | None = None
        self._before: Array | None = None
        self._tie = -1

    @property
    def nothing(self) -> bool:
        """Whether it adds nothing."""
        return self._change is None or not self._change.any()

    def take(self, tie: int, leader: Array) -> None:
        """The leader stands at `leader` now, shape (n,); `tie` as for a hand."""
        if self._first is None or tie != self._tie:
            self._tie, self._first = tie, leader.copy()
            self._before = np.zeros_like(leader) if self._change is None else self._change
        before = np.zeros_like(leader) if self._before is None else self._before
        self._change = np.clip(before + leader - self._first, -MAX_TURN_RAD, MAX_TURN_RAD)

    def absorb(self, before: Array, after: Array) -> None:
        """The policy proposes `after` where it proposed `before`, as for a hand."""
        if self._change is not None:
            self._change = self._change + before - after
        if self._before is not None:
            self._before = self._before + before - after

    def applied(self, joints: Array) -> Array:
        """The joints with the correction."""
        return joints.copy() if self._change is None else joints + self._change

    def fade(self, dt_s: float) -> None:
        """One step towards nothing."""
        self._tie, self._first = -1, None
        if self._change is not None:
            self._change = _shortened(self._change, FADE_RAD_S * dt_s)


def blended_pose(person: Array, policy: Array, alpha: float) -> Array:
    """Between two poses, `alpha` of the way from the person's to the policy's."""
    position = (1.0 - alpha) * person[:3] + alpha * policy[:3]
    return make_pose(position, quat_normalise(quat_slerp(person[3:], policy[3:], alpha)))


def blended_joints(person: Array, policy: Array, alpha: float) -> Array:
    """Likewise for joints [rad], shape (n,)."""
    return (1.0 - alpha) * person + alpha * policy


def weight(blend: float, uncertainty: float, *, by_confidence: bool) -> float:
    """Weight of the policy, 0..1.

    Args:
        blend: As set by hand: the weight, or the most that confidence may give it.
        uncertainty: Of the policy [rad]; NaN when it is not known, then `blend` counts.
        by_confidence: The weight falls with uncertainty, to nothing at `UNCERTAIN_RAD`.
    """
    if not by_confidence or math.isnan(uncertainty):
        return blend
    return blend * min(1.0, max(0.0, 1.0 - uncertainty / UNCERTAIN_RAD))


def approached(value: float, goal: float, step: float) -> float:
    """`value` after one step towards `goal` of at most `step`."""
    return value + min(step, max(-step, goal - value))


def _followed(turn: Array, turned: Array) -> Array:
    """Rotation vector of `turned` first, then `turn`."""
    return quat_to_rotvec(quat_normalise(quat_multiply(quat_from_rotvec(turn), turned)))


def _at_most(vector: Array, length: float) -> Array:
    norm = float(np.linalg.norm(vector))
    return vector if norm <= length else vector * (length / norm)


def _shortened(vector: Array, by: float) -> Array:
    norm = float(np.linalg.norm(vector))
    return np.zeros_like(vector) if norm <= by else vector * (1.0 - by / norm)
