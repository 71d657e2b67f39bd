"""Slow-down and stop before shapes touch: links of an arm, of two arms, and what is fixed in the cell.

Two guards. Ahead: the joints' target is held back along the gradient of each near distance, and the nearer
the slower (velocity damper, Faverjon and Tournassoud, ICRA 1987). Last: the jerk limiter takes no step
after which the arms could not come to rest farther apart than the stop, whatever asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teleop_app.core.config import SafetySection
from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.contract import Shapes
from teleop_app.safety.jerk_limiter import Mask
from teleop_app.safety.limits import CellLimits
from teleop_app.safety.outcome import Intervention

KEPT_M = 5e-4
"""Kept beyond the stop distance, so that rounding and the way between two ticks stay outside it."""

_STOP_AT_HOME = 0.5
_PASSES = 12
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
        # Bodies that are near each other at home, by their shape, are not held back there.
        self._stop_m = np.minimum(safety.collision_stop_m + KEPT_M, _STOP_AT_HOME * shapes.home_m)
        self._slow_m = np.minimum(safety.collision_slow_m, shapes.home_m)
        self._width_m = np.maximum(self._slow_m - self._stop_m, _ROUNDING_M)
        self._widest_stop_m = float(self._stop_m.max(initial=0.0))
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
        near = here.near
        room = np.maximum(here.distance_m[near] - self._stop_m[near], 0.0)
        shares = np.minimum(room / self._width_m[near], 1.0)
        told = self._project(step, slopes, room, shares)
        held = moving & (step != np.where(moving, target - rest, 0.0))
        left = self._speed_left(step, slopes, shares, speed)
        for row in np.flatnonzero(left < 1.0):
            mine = self._arms_of(int(here.near[row])) & moving
            share[mine] = np.minimum(share[mine], left[row])
            if left[row] < _TOLD:
                told[int(row)] = min(float(left[row]), told.get(int(row), 1.0))
        for row, part in told.items():
            self._tell(int(here.near[row]), float(here.distance_m[here.near[row]]), part, moving, notes)
        return HeldBack(np.where(held, rest + step, target), share, held)

    def refuses(self, places: Array, now: Array) -> Mask:
        """Joints that must brake: a pair would come nearer than the stop, and nearer than `now`.

        Args:
            places: Postures that would be passed [rad], shape (k, joints).
            now: Posture to compare with, shape (joints,).
        """
        joints = np.zeros(len(now), dtype=bool)
        for row, pairs, distance in self._shapes.too_near(places, self._widest_stop_m):
            here = self._shapes.at(now)
            nearer = distance < np.minimum(self._stop_m[pairs], here.distance_m[pairs] - _ROUNDING_M)
            rows = {int(pair): index for index, pair in enumerate(here.near)}
            for pair in pairs[nearer]:
                step = places[row] - now
                joints |= self._to_blame(int(pair), rows.get(int(pair)), here.gradient, step)
        return joints

    def _project(self, step: Array, slopes: Array, room: Array, shares: Array) -> dict[int, float]:
        """Take out of `step` what would come nearer than the stop, the worst first; whose pairs."""
        told: dict[int, float] = {}
        steepness = np.einsum("ij,ij->i", slopes, slopes)
        for _ in range(_PASSES):
            excess = np.where(steepness > 0.0, -(slopes @ step) - room, 0.0)
            row = int(np.argmax(excess))
            if excess[row] <= _ROUNDING_M:
                break
            step += slopes[row] * (excess[row] / steepness[row])
            told[row] = float(shares[row])
        return told

    def _speed_left(self, step: Array, slopes: Array, shares: Array, speed: Array) -> Array:
        """Share of the speed at which each pair comes nearer no faster than its distance allows."""
        nearing = -(slopes @ step)
        left = np.ones(len(shares))
        size = float(np.abs(step).max())
        rows = nearing > _ROUNDING_M
        if size > 0.0 and rows.any():
            allowed = np.abs(slopes[rows]) @ speed * shares[rows]
            asked = nearing[rows] / size * float(speed.max())
            left[rows] = np.clip(allowed / asked, _SLOWEST, 1.0)
        return left

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
                f"{second or 'the room'} (stop at {(self._stop_m[pair] - KEPT_M) * 1000:.0f} mm)."
            )
            notes.append(Intervention(SafetyFlag.COLLISION, name, text, (distance_m,), (share,)))
