"""The tasks of the simulated cell, by name, and what their `truth()` tells a scripted operator.

Every entry of `truth()` is a world pose, 7 numbers x y z [m] qw qx qy qz, of the present instant.
z = 0 is the table top, x runs from the left arm (base at x = -0.469) to the right (x = +0.469),
both at y = 0.5. A free gripper opens 69 mm; the pads are 18 mm wide and reach 16 mm past the TCP.

`pick-place`
    `target`: the cube asked for (edge 40 mm), `goal`: where its middle ends up in the tray, `tray`:
    its floor, `cube_red`, `cube_green`, `cube_blue`. Either arm: the one on the cube's side.
    TCP height: `target` to grasp; release with the cube's middle 10 to 40 mm above `goal`; travel
    at 0.12 or more.
`hand-over`
    `target` and `bar` (220 x 25 x 25 mm, long axis x of its frame), `grasp_right` and `grasp_left`:
    the same axes at the middle of each end, `pass`: where the right arm should hold the bar for the
    left to come, `goal`: where the left should hold it. Right arm first; its fingers leave last.
`peg-insert`
    `target` and `peg` (22 x 22 x 110 mm, standing along its z), `goal`: the peg's pose when it is in
    (any quarter turn about z will do), `socket`: its foot. Either arm: the one on the peg's side.
    Take it `GRASP_ABOVE_MIDDLE_M` above its middle, travel with the peg's middle above 0.14, align
    over the hole, lower to `goal` and open. The hole has 3 mm play a side and a funnel.
`belt-pick`
    `target` and its cube's name, `target_in_1s`: where the belt will have carried it, `goal`: the
    cube's middle in the bin, `bin`: its floor, `belt_end`. The belt starts with the first motion of
    the arms and the ride takes 10 s or more; take the cube with the arm that is nearer to where it
    will be, following it while closing. Travel at 0.15 or more.

A grasp that always works: the gripper straight down (TCP x axis along world -z), the opening
direction (TCP y axis) along the object's y axis, or x for the cubes and the peg; take the one
nearest to the arm's own. Squeeze fully: the gripper motor is limited to 30 N.
"""

from typing import Final

from devices.sim.tasks.belt_pick import BeltPick
from devices.sim.tasks.hand_over import HandOver
from devices.sim.tasks.peg_insert import PegInsert
from devices.sim.tasks.pick_place import PickPlace
from devices.sim.tasks.task import Task, Truth
from teleop_app.core.errors import ConfigError

TASKS: Final[dict[str, type[Task]]] = {task.name: task for task in (PickPlace, HandOver, PegInsert, BeltPick)}
"""Task classes by registry name, in the order in which they are offered."""


def make_task(name: str) -> Task:
    """Makes a task of its name.

    Raises:
        ConfigError: There is no task of that name.
    """
    if name not in TASKS:
        raise ConfigError(
            f"The simulated cell has no task '{name}'", next_step=f"Choose one of: {', '.join(TASKS)}"
        )
    return TASKS[name]()


__all__ = ["TASKS", "Task", "Truth", "make_task"]
