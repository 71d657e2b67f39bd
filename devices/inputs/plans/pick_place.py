"""Cube from the table into the tray."""

from __future__ import annotations

import numpy as np

from devices.inputs.plans.view import Grip, Move, Pause, PlanFailedError, PlanView, Script, raised, yaw_of

ATTEMPTS = 4
_QUARTER = np.pi / 2
_LIFTED_M = 0.04


def pick_place(view: PlanView) -> Script:
    """Take the named cube with the nearer arm, carry it over the tray, let it go, draw back."""
    for _ in view.attempts(ATTEMPTS):
        cube = view.pose("target")
        arm = view.nearer_arm(cube)
        grasp = view.from_above(arm, cube[:3], yaw_of(cube), _QUARTER)
        grasp[:2] += view.style.grasp_offset
        over = raised(grasp, 0.09 + view.style.clearance_m)
        yield Move(arm, over), Grip(arm, 1.0)
        yield (Pause(view.style.pause_s),)
        yield (Move(arm, grasp, speed=0.8, tolerance_m=0.004),)
        yield (Grip(arm, 0.0, rest_s=0.2),)
        yield (Move(arm, over, tolerance_m=0.02),)
        if view.pose("target")[2] < _LIFTED_M:
            continue
        goal = view.pose("goal")
        drop = view.from_above(arm, goal[:3] + np.array([0.0, 0.0, 0.008]), 0.0, _QUARTER)
        drop[:2] += view.rng.uniform(-0.012, 0.012, 2)
        yield (Move(arm, raised(drop, 0.10 + view.style.clearance_m), tolerance_m=0.02),)
        if view.pose("target")[2] < _LIFTED_M:
            continue
        yield (Move(arm, drop, speed=0.8, tolerance_m=0.012),)
        yield (Grip(arm, 1.0),)
        yield (Move(arm, raised(drop, 0.12), tolerance_m=0.03),)
        yield (Pause(1.5, until_solved=True),)
        if view.solved:
            return
    raise PlanFailedError(f"The cube was not in the tray after {ATTEMPTS} attempts.")
