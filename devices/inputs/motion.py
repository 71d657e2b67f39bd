"""Turns the actions of a plan into a reference for each tool, moment by moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from devices.inputs.hand import between, min_jerk, reach_time_s
from devices.inputs.plans.view import Action, Grip, Move, Pause, PlanView
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Array


@dataclass(slots=True)
class ArmReference:
    """Where one tool should be.

    Attributes:
        pose: World pose, shape (7,).
        opening: Gripper, 0 closed .. 1 open.
        arrived: The reach is over and the tool should stand (or ride) there.
    """

    pose: Array
    opening: float
    arrived: bool = True


@dataclass(slots=True)
class _Running:
    """An action under way."""

    action: Action
    started_ns: int
    start_pose: Array
    start_opening: float
    duration_s: float
    done: bool = False


@dataclass(slots=True)
class StepMotion:
    """Carries out one step of a plan: actions that run together.

    Args:
        actions: The step.
        references: By arm; changed in place.
        view: The world.
    """

    references: dict[str, ArmReference]
    running: list[_Running] = field(default_factory=list)

    @classmethod
    def begin(
        cls, actions: tuple[Action, ...], references: dict[str, ArmReference], view: PlanView
    ) -> StepMotion:
        """Start a step from the present references."""
        motion = cls(references)
        for action in actions:
            arm = "" if isinstance(action, Pause) else action.arm
            pose = references[arm].pose if arm else np.zeros(7)
            opening = references[arm].opening if arm else 0.0
            duration_s = _duration_s(action, pose, view)
            motion.running.append(_Running(action, view.now_ns, pose.copy(), opening, duration_s))
        return motion

    def advance(self, view: PlanView) -> bool:
        """Move the references to the view's time; True when every action is done."""
        for running in self.running:
            if not running.done:
                running.done = self._advance(running, view)
        return all(running.done for running in self.running)

    def _advance(self, running: _Running, view: PlanView) -> bool:
        action = running.action
        elapsed_s = (view.now_ns - running.started_ns) / NS_PER_S
        if isinstance(action, Pause):
            return elapsed_s >= action.seconds or (action.until_solved and view.solved)
        reference = self.references[action.arm]
        if isinstance(action, Grip):
            fraction = min(1.0, elapsed_s / action.over_s) if action.over_s > 0 else 1.0
            reference.opening = running.start_opening + fraction * (action.opening - running.start_opening)
            return elapsed_s >= running.duration_s
        target = _target(action, view.now_ns)
        fraction = min_jerk(elapsed_s / running.duration_s)
        reference.pose = between(running.start_pose, target, fraction)
        reference.arrived = elapsed_s >= running.duration_s
        if not reference.arrived:
            return False
        return view.reached(action, target, elapsed_s - running.duration_s)


def _target(move: Move, now_ns: int) -> Array:
    return move.to(now_ns) if callable(move.to) else move.to


def _duration_s(action: Action, start: Array, view: PlanView) -> float:
    if isinstance(action, Move):
        return reach_time_s(start, _target(action, view.now_ns), action.speed * view.style.speed)
    if isinstance(action, Grip):
        return action.over_s + action.rest_s
    return action.seconds
