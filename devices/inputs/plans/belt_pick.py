"""Cube from the moving belt into the bin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from devices.inputs.plans.view import Grip, Move, Pause, PlanFailedError, PlanView, Script, raised, yaw_of
from teleop_app.core.types import Array

ATTEMPTS = 4
_QUARTER = np.pi / 2
_LIFT_M = 0.10
_LEAD_S = 0.05


def belt_pick(view: PlanView) -> Script:
    """Follow the cube with the nearer arm, take it on the way, let it go in the bin."""
    for _ in view.attempts(ATTEMPTS):
        cube = view.pose("target")
        arm = view.nearer_arm(view.pose_at("target", view.now_ns + 2_000_000_000))
        start_z = cube[2]
        yield Move(arm, _ride(view, arm, 0.08 + view.style.clearance_m), tolerance_m=0.015), Grip(arm, 1.0)
        yield (Pause(view.style.pause_s),)
        yield (Move(arm, _ride(view, arm, 0.0), speed=0.8, tolerance_m=0.006),)
        yield (Grip(arm, 0.0, rest_s=0.15),)
        yield (Move(arm, raised(view.tools[arm], _LIFT_M), tolerance_m=0.02),)
        if view.pose("target")[2] < start_z + 0.5 * _LIFT_M:
            continue
        goal = view.pose("goal")
        drop = view.from_above(arm, goal[:3] + np.array([0.0, 0.0, 0.015]), 0.0, _QUARTER)
        drop[:2] += view.rng.uniform(-0.012, 0.012, 2)
        yield (Move(arm, raised(drop, 0.11 + view.style.clearance_m), tolerance_m=0.02),)
        if view.pose("target")[2] < start_z:
            continue
        yield (Move(arm, drop, speed=0.8, tolerance_m=0.012),)
        yield (Grip(arm, 1.0),)
        yield (Move(arm, raised(drop, 0.12), tolerance_m=0.03),)
        yield (Pause(1.5, until_solved=True),)
        if view.solved:
            return
    raise PlanFailedError(f"The cube was not in the bin after {ATTEMPTS} attempts.")


def _ride(view: PlanView, arm: str, above_m: float) -> Callable[[int], Array]:
    """The tool over the riding cube, a little ahead of it: the arm lags behind the hand."""

    def target(now_ns: int) -> Array:
        cube = view.pose_at("target", now_ns + round(_LEAD_S * 1e9))
        return raised(view.from_above(arm, cube[:3], yaw_of(cube), _QUARTER), above_m)

    return target
