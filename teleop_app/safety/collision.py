"""Slow-down and stop before shapes touch: links of an arm, of two arms, and what is fixed in the cell.

Two guards. Ahead: the joints' target is held back along the gradient of each near distance, and the nearer
the slower (velocity damper, Faverjon and Tournassoud, ICRA 1987). Last: the jerk limiter takes no step
after which the arms could not come to rest farther apart than the stop, whatever asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.contract import Shapes
from teleop_app.safety.jerk_limiter import Mask
from teleop_app.safety.limits import CellLimits
from teleop_app.safety.outcome import Intervention

KEPT_M = 5e-4
"""Kept beyond the stop distance, so that rounding and the way between two ticks stay outside it."""

_PASSES = 3
_SLOWEST = 0.05
_TOLD = 0.9
_ROUNDING_M = 1e-9


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A target after the slow-down.

    Attributes:
        target: Joints [rad], shape (joints,).
        share: Of the joints' speeds that is left, shape (joints,), 1 where nothing is near.
        held: Joints whose target was changed.
    """

    target: Array
    share: Array
    held: Mask


class CollisionSlowDown:
    """See the module.

    Args:
        limits: Of the cell.
        safety: `collision_slow_m` and `collision_stop_m`.
        shapes: What must not touch; looked at within `collision_slow_m`.
    """

    def __init__(self, limits: CellLimits, safety: SafetySection, shapes: Shapes) -> None:
        self._names = limits.names
        self._arm_of_joint = limits.arm_of_joint
        self._slow_m = safety.collision_slow_m
        self._stop_m = safety.collision_stop_m + KEPT_M
        self._shapes = shapes
        self._moves = shapes.joints_of.astype(bool)

    def hold_back(
        self, rest: Array, target: Array, moving: Mask, speed: Array, notes: list[Intervention]
    ) -> HeldBack:
        """Hold a target back from what is near.

        Args:
            rest: Where the joints would come to rest now [rad], shape (joints,).
            target: Where they are to go.
            moving: Joints that go there; the others come to rest.
            speed: Their speed limits [rad/s].
            notes: Interventions are added.
        """
        share = np.ones(len(rest))
        held = np.zeros(len(rest), dtype=bool)
        here = self._shapes.at(rest)
        if not len(here.near) or not moving.any():
            return HeldBack(target, share, held)
        step = np.where(moving, target - rest, 0.0)
        slopes = np.where(moving, here.gradient, 0.0)
        room = np.maximum(here.distance_m[here.near] - self._stop_m, 0.0)
        told: dict[int, float] = {}
        order = np.argsort(room)
        for _ in range(_PASSES):
            if not self._project(step, slopes, room, order, told):
                break
        held = moving & (step != np.where(moving, target - rest, 0.0))
        for row in order:
            left = self._speed_left(step, slopes[row], float(room[row]), speed)
            if left < 1.0:
                mine = self._arms_of(int(here.near[row])) & moving
                share[mine] = np.minimum(share[mine], left)
                if left < _TOLD:
                    told[int(row)] = min(left, told.get(int(row), 1.0))
        for row, left in told.items():
            self._tell(int(here.near[row]), float(here.distance_m[here.near[row]]), left, moving, notes)
        return HeldBack(np.where(held, rest + step, target), share, held)

    def refuses(self, there: Array, rest: Array) -> Mask:
        """Joints that must brake: a pair would be nearer than the stop `there`, and nearer than at `rest`."""
        distance, here = self._shapes.distances(there), self._shapes.at(rest)
        bad = (distance < self._stop_m) & (distance < here.distance_m - _ROUNDING_M)
        joints = np.zeros(len(rest), dtype=bool)
        if bad.any():
            rows = {int(pair): row for row, pair in enumerate(here.near)}
            for pair in np.flatnonzero(bad):
                joints |= self._to_blame(int(pair), rows.get(int(pair)), here.gradient, there - rest)
        return joints

    def _project(
        self, step: Array, slopes: Array, room: Array, order: NDArray[np.intp], told: dict[int, float]
    ) -> bool:
        """Take out of `step` what would come nearer than the stop; whether anything was."""
        changed = False
        for row in order:
            slope = slopes[row]
            excess = -float(slope @ step) - float(room[row])
            steepness = float(slope @ slope)
            if excess > _ROUNDING_M and steepness > 0.0:
                step += slope * (excess / steepness)
                told[int(row)] = 0.0 if room[row] <= 0.0 else min(1.0, float(room[row]) / self._slow_m)
                changed = True
        return changed

    def _speed_left(self, step: Array, slope: Array, room: float, speed: Array) -> float:
        """Share of the speed at which the pair comes nearer no faster than its distance allows."""
        nearing = -float(slope @ step)
        size = float(np.abs(step).max())
        if nearing <= _ROUNDING_M or size <= 0.0:
            return 1.0
        full = float(np.abs(slope) @ speed)
        asked = nearing / size * float(speed.max())
        width = self._slow_m - self._stop_m
        allowed = full * (room / width if width > 0.0 else 0.0)
        return max(_SLOWEST, min(1.0, allowed / asked))

    def _arms_of(self, pair: int) -> Mask:
        arms = np.unique(self._arm_of_joint[self._moves[pair]])
        return np.isin(self._arm_of_joint, arms)

    def _to_blame(self, pair: int, row: int | None, gradient: Array, step: Array) -> Mask:
        """The arms whose own motion brings the pair nearer; all of its arms when that is not known."""
        arms = np.unique(self._arm_of_joint[self._moves[pair]])
        if row is not None:
            parts = gradient[row] * step
            guilty = [arm for arm in arms if parts[self._arm_of_joint == arm].sum() < 0.0]
            arms = guilty or arms
        return np.isin(self._arm_of_joint, arms)

    def _tell(
        self, pair: int, distance_m: float, share: float, moving: Mask, notes: list[Intervention]
    ) -> None:
        arms = np.unique(self._arm_of_joint[self._moves[pair] & moving])
        first, second = self._shapes.names[pair]
        for arm in arms:
            name = self._names[arm]
            text = (
                f"Arm '{name}' is held back: {first} is {distance_m * 1000:.0f} mm from "
                f"{second or 'the room'} (stop at {(self._stop_m - KEPT_M) * 1000:.0f} mm)."
            )
            notes.append(Intervention(SafetyFlag.COLLISION, name, text, (distance_m,), (share,)))
