"""Leader arms of the follower's own kinematics: joint for joint, once the follower has come to the leader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import Array

ALIGN_SPEED_RAD_S = 0.5
"""Speed of the follower's joints on their way to the leader."""


class JointMirror:
    """Maps leader joints to follower joints [rad], shape (n,), both in the follower's convention.

    Nothing is offset: a calibrated leader and its follower have the same posture. At engage the follower
    goes to the leader slowly (`aligned` is False); a leader too far away is refused.

    Args:
        mapping: `align_limit_rad` and `align_tolerance_rad`.
        joint_names: Of the follower, for sentences.
    """

    def __init__(self, mapping: MappingSection, joint_names: Sequence[str] = ()) -> None:
        self._limit_rad = mapping.align_limit_rad
        self._tolerance_rad = mapping.align_tolerance_rad
        self._names = tuple(name.rpartition("/")[2] for name in joint_names)
        self._engaged = self._aligned = False

    @property
    def engaged(self) -> bool:
        """Whether `target` may be called."""
        return self._engaged

    @property
    def aligned(self) -> bool:
        """Whether the follower has come to the leader since `engage`."""
        return self._aligned

    def engage(self, leader: Array, follower: Array) -> None:
        """Begin with the arms' present postures.

        Raises:
            ValueError: The arms have different numbers of joints, or stand too far apart.
        """
        if leader.shape != follower.shape:
            msg = (
                f"a leader of {leader.size} joints cannot mirror a follower of {follower.size}; it must "
                "send the pose of its end effector"
            )
            raise ValueError(msg)
        self._refuse_far(leader, follower)
        self._engaged, self._aligned = True, False

    def release(self) -> None:
        """End; the next engage aligns anew."""
        self._engaged = self._aligned = False

    def target(self, leader: Array, follower: Array) -> Array:
        """Follower joints for leader joints, given where the follower is commanded to.

        Raises:
            ValueError: Not engaged, or the leader was moved too far away before the arms were aligned.
        """
        if not self._engaged:
            msg = "the joint mirror is not engaged"
            raise ValueError(msg)
        if not self._aligned:
            self._refuse_far(leader, follower)
            self._aligned = bool(np.abs(leader - follower).max() <= self._tolerance_rad)
        return leader.copy()

    def apart(self, leader: Array, follower: Array) -> tuple[str, float]:
        """The joint that is farthest apart, and by how much [rad]."""
        difference = leader - follower
        worst = int(np.argmax(np.abs(difference)))
        name = self._names[worst] if worst < len(self._names) else str(worst + 1)
        return name, float(difference[worst])

    def _refuse_far(self, leader: Array, follower: Array) -> None:
        name, apart = self.apart(leader, follower)
        if abs(apart) > self._limit_rad:
            msg = (
                f"the leader's joint '{name}' stands {apart:+.2f} rad ({np.degrees(apart):+.0f} deg) from "
                f"the follower's (limit {self._limit_rad:.2f} rad); move the leader nearer"
            )
            raise ValueError(msg)
