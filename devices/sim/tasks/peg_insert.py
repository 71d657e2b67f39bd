"""Put the peg into the socket."""

from typing import ClassVar, Final

import numpy as np

from devices.sim.scene import Scene
from devices.sim.tasks.task import Task, Truth, as_truth, upright
from teleop_app.core.geometry import quat_rotate

PEG_HALF_LENGTH_M: Final = 0.055
SOCKET_FLOOR_M: Final = 0.008
GRASP_ABOVE_MIDDLE_M: Final = 0.032
"""Where to take the peg, above its middle: the finger tips then clear the funnel when it is in."""

_PLAY_M: Final = 0.006
_LEFT_TO_GO_M: Final = 0.008
_UPRIGHT_COS: Final = float(np.cos(np.deg2rad(12.0)))


class PegInsert(Task):
    """A square peg stands on the table; it goes into the square hole of the socket, 3 mm play a side."""

    name: ClassVar[str] = "peg-insert"
    title: ClassVar[str] = "Insert a peg into a socket"
    time_limit_s: ClassVar[float] = 60.0

    def reset(self, scene: Scene, rng: np.random.Generator) -> None:
        """Draws the socket's place, the peg's side, place and yaw."""
        scene.place_fixture("socket", rng.uniform(-0.05, 0.05), rng.uniform(0.56, 0.62))
        side = 1.0 if rng.random() < 0.5 else -1.0
        x, y = side * rng.uniform(0.10, 0.20), rng.uniform(0.39, 0.48)
        scene.place_object("peg", upright(x, y, PEG_HALF_LENGTH_M, rng.uniform(-0.4, 0.4)))

    @property
    def instruction(self) -> str:
        """The same in every scene."""
        return "Insert the purple peg into the yellow socket."

    @property
    def paraphrases(self) -> tuple[str, ...]:
        """The same order in other words."""
        return (
            "Put the peg into the hole of the yellow block.",
            "Pick up the purple peg and push it into the socket.",
            "Place the peg in the socket.",
            "Plug the purple stick into the yellow holder.",
        )

    def is_solved(self, scene: Scene) -> bool:
        """The peg stands in the hole, down to its floor, upright, still, and no finger touches it."""
        if any(scene.touched_by("peg").values()) or scene.object_speed("peg") > 0.03:
            return False
        peg = scene.object_pose("peg")
        x, y, z = (peg - scene.fixture_pose("socket"))[:3]
        axis = quat_rotate(peg[3:], np.array([0.0, 0.0, 1.0]))
        return bool(
            abs(x) < _PLAY_M
            and abs(y) < _PLAY_M
            and z < SOCKET_FLOOR_M + PEG_HALF_LENGTH_M + _LEFT_TO_GO_M
            and abs(axis[2]) > _UPRIGHT_COS
        )

    def why_failed(self, scene: Scene) -> str:
        """The peg fell off the table."""
        return "The peg fell off the table." if scene.fell_off("peg") else ""

    def truth(self, scene: Scene) -> Truth:
        """`target`, `goal` and `socket`."""
        peg, socket = scene.object_pose("peg"), scene.fixture_pose("socket")
        goal = upright(socket[0], socket[1], SOCKET_FLOOR_M + PEG_HALF_LENGTH_M)
        return as_truth(target=peg, peg=peg, goal=goal, socket=socket)
