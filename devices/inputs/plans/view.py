"""What a plan sees of the world, and what it can ask of the hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from devices.inputs.hand import HandStyle
from devices.inputs.kinematics import ToolKinematics
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import quat_angle, quat_rotate
from teleop_app.core.types import Array, TaskStatus

Target = Array | Callable[[int], Array]
"""A world pose of the tool, or where it is at a time [ns]."""


@dataclass(frozen=True, slots=True)
class Move:
    """Bring a tool to a pose by a minimum-jerk reach.

    Attributes:
        arm: Arm name.
        to: Tool pose, world frame; may move.
        speed: Factor on the speed of a free reach.
        tolerance_m: The measured tool must come this near before the plan goes on.
        tolerance_rad: As `tolerance_m`.
        patience_s: The plan goes on after this much waiting all the same.
    """

    arm: str
    to: Target
    speed: float = 1.0
    tolerance_m: float = 0.006
    tolerance_rad: float = 0.08
    patience_s: float = 0.7


@dataclass(frozen=True, slots=True)
class Grip:
    """Open or close a gripper: 0 closed .. 1 open, over `over_s`, then rest for `rest_s`."""

    arm: str
    opening: float
    over_s: float = 0.25
    rest_s: float = 0.15


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while, or only until the task counts as solved."""

    seconds: float
    until_solved: bool = False


Action = Move | Grip | Pause
Script = Iterator[tuple[Action, ...]]
"""Steps of a plan, one after the other; the actions of a step run together."""


class PlanFailedError(Exception):
    """The plan ran out of attempts; its text is a sentence for people."""


@dataclass(slots=True)
class PlanView:
    """The world as a plan sees it whenever it chooses its next step.

    Attributes:
        kinematics: Of the arms.
        rng: For variation.
        style: The person.
        now_ns: Present time.
        task: Newest task status.
        tools: Measured tool poses by arm, world frame.
        grippers: Measured openings by arm.
        attempt: Number of the present attempt, counted by `attempts`.
    """

    kinematics: ToolKinematics
    rng: np.random.Generator
    style: HandStyle
    now_ns: int = 0
    task: TaskStatus | None = None
    tools: dict[str, Array] = field(default_factory=dict)
    grippers: dict[str, float] = field(default_factory=dict)
    attempt: int = 0

    def attempts(self, most: int) -> Iterator[int]:
        """Begin one attempt after the other."""
        for _ in range(most):
            self.attempt += 1
            yield self.attempt

    def reached(self, move: Move, target: Array, late_s: float) -> bool:
        """Whether the plan may go on after a reach.

        Args:
            move: The reach.
            target: Where it ends now.
            late_s: Time since it should have ended.
        """
        return near(self.tools[move.arm], move, target) or late_s >= move.patience_s

    @property
    def solved(self) -> bool:
        """The task's success check holds."""
        return self.task is not None and self.task.success

    def knows(self, name: str) -> bool:
        """Whether the task tells the pose `name`."""
        return self.task is not None and name in self.task.truth

    def pose(self, name: str) -> Array:
        """Pose of an object or goal, shape (7,).

        Raises:
            PlanFailedError: The task does not tell it.
        """
        if self.task is None or name not in self.task.truth:
            raise PlanFailedError(f"The task does not say where its '{name}' is.")
        return np.array(self.task.truth[name])

    def pose_at(self, name: str, now_ns: int) -> Array:
        """Pose of something that rides evenly, at a time near the present, from `name` and `name_in_1s`."""
        pose = self.pose(name)
        if self.task is not None and self.knows(f"{name}_in_1s"):
            elapsed_s = (now_ns - self.task.capture_ns) / NS_PER_S
            pose[:3] += (self.pose(f"{name}_in_1s")[:3] - pose[:3]) * elapsed_s
        return pose

    def nearer_arm(self, point: Array) -> str:
        """The arm whose base lies nearer to a point."""
        bases = {arm: self.kinematics.base(arm)[:2] for arm in self.kinematics.arms}
        return min(bases, key=lambda arm: float(np.linalg.norm(bases[arm] - point[:2])))

    def from_above(self, arm: str, position: Array, yaw_rad: float, symmetry_rad: float) -> Array:
        """Tool pose that points straight down at `position`.

        Args:
            arm: Arm name; of the equal orientations the one most natural to it is taken.
            position: Of the tool, shape (3,).
            yaw_rad: Direction across which the fingers close is this plus a quarter turn.
            symmetry_rad: Turns about the vertical by multiples of this are as good.
        """
        base = self.kinematics.base(arm)
        natural = float(np.arctan2(position[1] - base[1], position[0] - base[0]))
        turns = np.round((natural - yaw_rad) / symmetry_rad)
        psi = yaw_rad + turns * symmetry_rad
        return np.concatenate([position, down_quat(psi)])


def near(tool: Array, move: Move, target: Array) -> bool:
    """Whether a tool is within a reach's tolerances of its target."""
    off_m = float(np.linalg.norm(tool[:3] - target[:3]))
    return off_m < move.tolerance_m and quat_angle(tool[3:], target[3:]) < move.tolerance_rad


def down_quat(psi_rad: float) -> Array:
    """Orientation of a tool that points down, its z axis along the heading `psi_rad`."""
    half = 0.5 * psi_rad
    turn = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
    # A quarter turn about y takes x to -z and z to x.
    w, z = turn[0], turn[3]
    root = np.sqrt(0.5)
    return np.array([w * root, -z * root, w * root, z * root])


def yaw_of(pose: Array) -> float:
    """Heading of a pose's x axis [rad]."""
    axis = quat_rotate(pose[3:], np.array([1.0, 0.0, 0.0]))
    return float(np.arctan2(axis[1], axis[0]))


def raised(pose: Array, by_m: float) -> Array:
    """A pose shifted up."""
    return np.concatenate([pose[:3] + np.array([0.0, 0.0, by_m]), pose[3:]])
