"""Take the bar with the right arm and pass it to the left."""

from typing import ClassVar, Final

import numpy as np

from devices.sim.scene import Scene
from devices.sim.tasks.task import Task, Truth, as_truth, upright
from teleop_app.core.geometry import Array, pose_compose

BAR_HALF_M: Final = 0.0125
GRASP_OFFSET_M: Final = 0.075
"""From the bar's middle to the middle of each coloured end, where that side's arm takes it."""

_HELD_ABOVE_M: Final = 0.10
_PASS: Final = (0.02, 0.50, 0.17)
_GOAL: Final = (-0.08, 0.50, 0.17)


class HandOver(Task):
    """A bar lies on the right; the right arm lifts it, the left takes it over and keeps it up."""

    name: ClassVar[str] = "hand-over"
    title: ClassVar[str] = "Pass a bar from the right arm to the left"
    time_limit_s: ClassVar[float] = 60.0

    def __init__(self) -> None:
        self._lifted_by_right = False

    def reset(self, scene: Scene, rng: np.random.Generator) -> None:
        """Draws the bar's place and yaw."""
        self._lifted_by_right = False
        yaw = rng.uniform(-0.35, 0.35)
        scene.place_object("bar", upright(rng.uniform(0.08, 0.18), rng.uniform(0.42, 0.56), BAR_HALF_M, yaw))

    @property
    def instruction(self) -> str:
        """The same in every scene."""
        return "Pick up the bar with the right arm and hand it over to the left arm."

    @property
    def paraphrases(self) -> tuple[str, ...]:
        """The same order in other words."""
        return (
            "Take the bar with the right gripper and pass it to the left gripper.",
            "Lift the bar on the right and give it to the left arm.",
            "Hand the bar from the right arm to the left one and hold it up.",
            "Transfer the bar from right to left without putting it down.",
        )

    def advance(self, scene: Scene, dt_s: float, arms_moved: bool) -> None:
        """Remembers that the right arm alone had lifted the bar."""
        del dt_s, arms_moved
        if not self._lifted_by_right and scene.touched_by("bar")["right"] == 2:
            self._lifted_by_right = not scene.touches_anything_but("bar", "right")

    def is_solved(self, scene: Scene) -> bool:
        """The left arm alone holds the bar, still and above the table, after the right had lifted it."""
        return (
            self._lifted_by_right
            and scene.touched_by("bar")["left"] == 2
            and not scene.touches_anything_but("bar", "left")
            and scene.object_pose("bar")[2] > _HELD_ABOVE_M
            and scene.object_speed("bar") < 0.05
        )

    def why_failed(self, scene: Scene) -> str:
        """The bar fell off the table."""
        return "The bar fell off the table." if scene.fell_off("bar") else ""

    def truth(self, scene: Scene) -> Truth:
        """`target`, the grasps at its ends, `pass` and `goal`."""
        bar = scene.object_pose("bar")
        return as_truth(
            target=bar,
            bar=bar,
            grasp_right=pose_compose(bar, _along(GRASP_OFFSET_M)),
            grasp_left=pose_compose(bar, _along(-GRASP_OFFSET_M)),
            **{"pass": upright(*_PASS)},
            goal=upright(*_GOAL),
        )


def _along(offset_m: float) -> Array:
    return upright(offset_m, 0.0, 0.0)
