"""Bar from the right arm to the left."""

from __future__ import annotations

import numpy as np

from devices.inputs.plans.view import Grip, Move, Pause, PlanFailedError, PlanView, Script, raised, yaw_of
from teleop_app.core.geometry import pose_compose, pose_inverse
from teleop_app.core.types import Array

ATTEMPTS = 4
_LIFTED_M = 0.06
_HELD_M = 0.10


def hand_over(view: PlanView) -> Script:
    """The right hand takes its end of the bar to the meeting place, the left takes the other end."""
    for _ in view.attempts(ATTEMPTS):
        yield from _lift(view)
        if view.pose("bar")[2] < _LIFTED_M:
            continue
        yield from _pass(view)
        if view.pose("bar")[2] < _HELD_M:
            continue
        held = pose_compose(pose_inverse(view.pose("bar")), view.tools["left"])
        yield (Move("left", pose_compose(view.pose("goal"), held), speed=0.7),)
        yield (Pause(1.5, until_solved=True),)
        if view.solved:
            return
    raise PlanFailedError(f"The bar was not handed over after {ATTEMPTS} attempts.")


def _lift(view: PlanView) -> Script:
    bar = view.pose("bar")
    place = view.pose("grasp_right")[:3]
    grasp = view.from_above("right", place, yaw_of(bar), np.pi)
    along = view.style.grasp_offset
    grasp[:2] += along * np.array([np.cos(yaw_of(bar)), np.sin(yaw_of(bar))])
    over = raised(grasp, 0.09 + view.style.clearance_m)
    left_away = raised(view.tools["left"], max(0.0, 0.25 - view.tools["left"][2]))
    yield Move("right", over), Grip("right", 1.0), Grip("left", 1.0), Move("left", left_away)
    yield (Pause(view.style.pause_s),)
    yield (Move("right", grasp, speed=0.8, tolerance_m=0.004),)
    yield (Grip("right", 0.0, rest_s=0.25),)
    yield (Move("right", over, tolerance_m=0.02),)


def _pass(view: PlanView) -> Script:
    held = pose_compose(pose_inverse(view.pose("bar")), view.tools["right"])
    meeting = view.pose("pass")
    meeting[:3] += view.rng.uniform(-0.01, 0.01, 3)
    grasp = _left_grasp(view, pose_compose(meeting, _end(view)))
    wait = raised(grasp, 0.10 + view.style.clearance_m)
    yield Move("right", pose_compose(meeting, held), speed=0.8), Move("left", wait)
    if view.pose("bar")[2] < _LIFTED_M:
        return
    grasp = _left_grasp(view, view.pose("grasp_left"))
    yield (Move("left", raised(grasp, 0.08), tolerance_m=0.01),)
    yield (Move("left", grasp, speed=0.7, tolerance_m=0.005),)
    yield (Grip("left", 0.0, rest_s=0.3),)
    yield (Grip("right", 1.0),)
    yield (Move("right", raised(view.tools["right"], 0.10), speed=0.8, tolerance_m=0.03),)


def _left_grasp(view: PlanView, end: Array) -> Array:
    return view.from_above("left", end[:3], yaw_of(end), np.pi)


def _end(view: PlanView) -> Array:
    """The left end of the bar in the bar's frame."""
    return pose_compose(pose_inverse(view.pose("bar")), view.pose("grasp_left"))
