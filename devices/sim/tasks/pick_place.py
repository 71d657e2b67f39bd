"""Put the cube of the named colour into the tray."""

from typing import ClassVar, Final

import numpy as np

from devices.sim.scene import CUBE_HALF_M, Scene
from devices.sim.tasks.task import Task, Truth, as_truth, upright

COLOURS: Final = ("red", "green", "blue")
_TRAY_FLOOR_M: Final = 0.004
_TRAY_INSIDE_M: Final = (0.080, 0.065)
_MIN_DISTANCE_M: Final = 0.085


class PickPlace(Task):
    """Three cubes lie on the table; one of them, named by its colour, belongs into the tray."""

    name: ClassVar[str] = "pick-place"
    title: ClassVar[str] = "Put a cube into the tray"
    time_limit_s: ClassVar[float] = 45.0

    def __init__(self) -> None:
        self._colour = COLOURS[0]

    def reset(self, scene: Scene, rng: np.random.Generator) -> None:
        """Draws the colour, the tray's place and the cubes' places and yaws."""
        self._colour = COLOURS[int(rng.integers(len(COLOURS)))]
        scene.place_fixture("tray", rng.uniform(-0.03, 0.03), rng.uniform(0.61, 0.65))
        taken: list[np.ndarray] = []
        for colour in rng.permutation(np.array(COLOURS)):
            while True:
                side = 1.0 if rng.random() < 0.5 else -1.0
                spot = np.array([side * rng.uniform(0.05, 0.20), rng.uniform(0.37, 0.50)])
                if all(np.linalg.norm(spot - other) >= _MIN_DISTANCE_M for other in taken):
                    break
            taken.append(spot)
            yaw = rng.uniform(-np.pi / 5, np.pi / 5)
            scene.place_object(f"cube_{colour}", upright(spot[0], spot[1], CUBE_HALF_M, yaw))

    @property
    def target(self) -> str:
        """Name of the cube that is asked for."""
        return f"cube_{self._colour}"

    @property
    def instruction(self) -> str:
        """Names the colour."""
        return f"Put the {self._colour} cube into the tray."

    @property
    def paraphrases(self) -> tuple[str, ...]:
        """The same order in other words."""
        colour = self._colour
        return (
            f"Pick up the {colour} cube and place it in the tray.",
            f"Move the {colour} block to the tray.",
            f"The {colour} cube belongs in the tray; put it there.",
            f"Grab the {colour} one and drop it into the white tray.",
        )

    def is_solved(self, scene: Scene) -> bool:
        """The named cube, and no other, lies still in the tray, and no finger touches it."""
        if any(scene.touched_by(self.target).values()) or scene.object_speed(self.target) > 0.03:
            return False
        inside = {colour for colour in COLOURS if self._in_tray(scene, f"cube_{colour}")}
        return inside == {self._colour}

    def why_failed(self, scene: Scene) -> str:
        """The named cube fell off the table."""
        return f"The {self._colour} cube fell off the table." if scene.fell_off(self.target) else ""

    def truth(self, scene: Scene) -> Truth:
        """`target`, `goal`, `tray` and the cubes."""
        tray = scene.fixture_pose("tray")
        goal = upright(tray[0], tray[1], _TRAY_FLOOR_M + CUBE_HALF_M)
        cubes = {f"cube_{colour}": scene.object_pose(f"cube_{colour}") for colour in COLOURS}
        return as_truth(target=scene.object_pose(self.target), goal=goal, tray=tray, **cubes)

    def _in_tray(self, scene: Scene, cube: str) -> bool:
        x, y, z = (scene.object_pose(cube) - scene.fixture_pose("tray"))[:3]
        return abs(x) < _TRAY_INSIDE_M[0] and abs(y) < _TRAY_INSIDE_M[1] and 0.0 < z < 0.05
