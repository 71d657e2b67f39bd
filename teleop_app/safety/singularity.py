"""Slow-down towards singularities: of a motion asked of an end effector, what leads into one.

Joint targets (leader arms, the way home) need none: they ask for no joint speed but their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.contract import Singularities
from teleop_app.safety.limits import CellLimits
from teleop_app.safety.outcome import Intervention


class SingularitySlowDown:
    """Scales the part of a step that leads towards a singularity; the rest and the way back stay.

    Args:
        limits: Of the cell.
        safety: `singularity_slow` and `singularity_stop`.
        singularities: Of the cell's arms.
    """

    def __init__(self, limits: CellLimits, safety: SafetySection, singularities: Singularities) -> None:
        self._names = limits.names
        self._joints_of = [limits.joints_of(arm) for arm in range(len(limits.names))]
        self._slow, self._stop = safety.singularity_slow, safety.singularity_stop
        self._singularities = singularities

    def limit(self, before: Array, after: Array, arms: Sequence[int], notes: list[Intervention]) -> Array:
        """The joints after one step of inverse kinematics, with less of what leads into a singularity.

        Args:
            before: Joints before the step [rad], shape (joints,).
            after: And after it.
            arms: Those that are asked to reach a pose.
            notes: Interventions are added.
        """
        limited = after
        slowed: list[int] = []
        for arm, here in zip(arms, self._singularities.at(before, arms, self._slow), strict=True):
            if here.smallest >= self._slow:
                continue
            mine = self._joints_of[arm]
            towards = float(here.gradient @ (after[mine] - before[mine]))
            if towards >= 0.0:
                continue
            share = self._share(here.smallest)
            if limited is after:
                limited = after.copy()
            away = here.gradient / float(here.gradient @ here.gradient)
            limited[mine] -= (1.0 - share) * towards * away
            slowed.append(arm)
            text = (
                f"Arm '{self._names[arm]}' is slowed to {share:.0%} towards a singularity "
                f"({here.smallest:.3f} m/rad, stop at {self._stop:.3f})."
            )
            note = Intervention(
                SafetyFlag.SINGULARITY, self._names[arm], text, (here.smallest,), (self._stop, share)
            )
            notes.append(note)
        return self._not_past_the_stop(before, limited, slowed)

    def _share(self, smallest: float) -> float:
        """1 at `singularity_slow`, 0 at `singularity_stop` and nearer."""
        width = self._slow - self._stop
        return min(1.0, max(0.0, (smallest - self._stop) / width)) if width > 0.0 else 0.0

    def _not_past_the_stop(self, before: Array, limited: Array, arms: list[int]) -> Array:
        """What slipped nearer along a curve than the stop stays where it was."""
        if not arms:
            return limited
        here = self._singularities.at(before, arms, 0.0)
        there = self._singularities.at(limited, arms, 0.0)
        for arm, was, now in zip(arms, here, there, strict=True):
            if now.smallest < min(self._stop, was.smallest) and np.isfinite(now.smallest):
                limited[self._joints_of[arm]] = before[self._joints_of[arm]]
        return limited
