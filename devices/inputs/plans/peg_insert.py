"""Peg from the table into the socket."""

from __future__ import annotations

import numpy as np

from devices.inputs.plans.view import Grip, Move, Pause, PlanFailedError, PlanView, Script, raised, yaw_of
from teleop_app.core.geometry import pose_compose, pose_inverse, quat_rotate
from teleop_app.core.types import Array

ATTEMPTS = 4
GRASP_ABOVE_MIDDLE_M = 0.032
"""Where the hand takes the peg: the finger tips then clear the funnel when it is in."""

_QUARTER = np.pi / 2
_LIFTED_M = 0.10
_STANDS_COS = 0.9
_OVER_SOCKET_M = 0.085


def peg_insert(view: PlanView) -> Script:
    """Take the peg near its top, bring it upright over the socket, lower it in, let go."""
    for _ in view.attempts(ATTEMPTS):
        peg = view.pose("peg")
        axis = quat_rotate(peg[3:], np.array([0.0, 0.0, 1.0]))
        if abs(axis[2]) < _STANDS_COS:
            raise PlanFailedError("The peg fell over; taking it up from lying is not in the plan.")
        arm = view.nearer_arm(peg)
        grasp = view.from_above(arm, peg[:3] + GRASP_ABOVE_MIDDLE_M * axis, yaw_of(peg), _QUARTER)
        over = raised(grasp, 0.09 + view.style.clearance_m)
        yield Move(arm, over), Grip(arm, 1.0)
        yield (Pause(view.style.pause_s),)
        yield (Move(arm, grasp, speed=0.8, tolerance_m=0.003),)
        yield (Grip(arm, 0.0, rest_s=0.25),)
        yield (Move(arm, over, speed=0.9, tolerance_m=0.02),)
        if view.pose("peg")[2] < _LIFTED_M:
            continue
        yield from _insert(view, arm)
        yield (Grip(arm, 1.0),)
        yield (Move(arm, raised(view.tools[arm], 0.11), tolerance_m=0.03),)
        yield (Pause(1.5, until_solved=True),)
        if view.solved:
            return
    raise PlanFailedError(f"The peg was not in the socket after {ATTEMPTS} attempts.")


def _insert(view: PlanView, arm: str) -> Script:
    goal = view.pose("goal")
    above = _tool_for(view, arm, raised(goal, _OVER_SOCKET_M))
    yield (Move(arm, above, speed=0.9, tolerance_m=0.004, tolerance_rad=0.05),)
    # Look again: what the peg did in the fingers on the way is seen now.
    yield (Move(arm, _tool_for(view, arm, raised(goal, 0.065)), speed=0.6, tolerance_m=0.0025),)
    yield (Move(arm, _tool_for(view, arm, raised(goal, 0.002)), speed=0.5, tolerance_m=0.004),)


def _tool_for(view: PlanView, arm: str, world_T_peg: Array) -> Array:
    """Where the tool must be for the peg it holds to be at a pose, by the nearest equal turn."""
    peg = view.pose("peg")
    held = pose_compose(pose_inverse(peg), view.tools[arm])
    turns = np.round((yaw_of(peg) - yaw_of(world_T_peg)) / _QUARTER)
    half = 0.5 * turns * _QUARTER
    turned = pose_compose(world_T_peg, np.array([0.0, 0.0, 0.0, np.cos(half), 0.0, 0.0, np.sin(half)]))
    return pose_compose(turned, held)
