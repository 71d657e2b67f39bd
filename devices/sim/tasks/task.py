"""What a task of the simulated cell is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from devices.sim.scene import Scene
from teleop_app.core.geometry import Array

Truth = dict[str, list[float]]
"""World poses by name, 7 numbers each: x y z [m] qw qx qy qz."""


class Task(ABC):
    """A job for the two arms: how it starts, what is asked, and when it is done.

    An instance belongs to one cell. `reset` comes first; everything else speaks of that scene.

    Attributes:
        name: Registry name.
        title: A few words for lists.
        time_limit_s: What an unhurried operator needs at most.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    time_limit_s: ClassVar[float] = 60.0

    @abstractmethod
    def reset(self, scene: Scene, rng: np.random.Generator) -> None:
        """Places the parts; the scene has everything parked before the call."""

    @property
    @abstractmethod
    def instruction(self) -> str:
        """What the operator is asked to do in this scene."""

    @property
    @abstractmethod
    def paraphrases(self) -> tuple[str, ...]:
        """Other ways to say the instruction, at least three."""

    @abstractmethod
    def is_solved(self, scene: Scene) -> bool:
        """Whether the goal holds at this instant; the cell asks for it to last."""

    @abstractmethod
    def why_failed(self, scene: Scene) -> str:
        """A sentence when the task can no longer be solved, else empty."""

    @abstractmethod
    def truth(self, scene: Scene) -> Truth:
        """World poses of objects and goals, for the scripted operator."""

    def advance(self, scene: Scene, dt_s: float, arms_moved: bool) -> None:
        """Moves what moves by itself.

        Args:
            scene: The parts.
            dt_s: Time since the last call.
            arms_moved: Whether an arm has been commanded away from its posture at reset.
        """
        del scene, dt_s, arms_moved


def upright(x_m: float, y_m: float, z_m: float, yaw_rad: float = 0.0) -> Array:
    """World pose turned about the vertical only, shape (7,)."""
    return np.array([x_m, y_m, z_m, np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)])


def as_truth(**poses: Array) -> Truth:
    """Makes poses plain lists, fit for JSON and msgpack."""
    return {name: [float(value) for value in pose] for name, pose in poses.items()}
