"""Take the cube from the moving belt and put it into the bin."""

from typing import ClassVar, Final

import numpy as np

from devices.sim.scene import BELT_HALF_LENGTH_M, BELT_TOP_M, BELT_Y_M, CUBE_HALF_M, Scene
from devices.sim.tasks.pick_place import COLOURS
from devices.sim.tasks.task import Task, Truth, as_truth, upright

_START_M: Final = 0.235
_RAMP_M_S2: Final = 0.08
_BIN_FLOOR_M: Final = 0.004
_BIN_INSIDE_M: Final = (0.070, 0.060)


class BeltPick(Task):
    """A cube rides on a conveyor; it belongs into the bin before it reaches the belt's end.

    The belt waits for the operator: it starts when an arm is first commanded away from its posture.
    """

    name: ClassVar[str] = "belt-pick"
    title: ClassVar[str] = "Pick a cube from a moving belt"
    time_limit_s: ClassVar[float] = 45.0

    def __init__(self) -> None:
        self._colour = COLOURS[0]
        self._speed_m_s = 0.0
        self._rode_off = False

    def reset(self, scene: Scene, rng: np.random.Generator) -> None:
        """Draws the colour, the belt's speed and direction, the cube's and the bin's places."""
        self._colour = COLOURS[int(rng.integers(len(COLOURS)))]
        direction = 1.0 if rng.random() < 0.5 else -1.0
        self._speed_m_s = direction * rng.uniform(0.030, 0.045)
        self._rode_off = False
        scene.place_belt()
        scene.place_fixture("bin", rng.uniform(-0.05, 0.05), rng.uniform(0.40, 0.45))
        x = -direction * (_START_M - rng.uniform(0.0, 0.05))
        y = BELT_Y_M + rng.uniform(-0.012, 0.012)
        yaw = rng.uniform(-np.pi / 8, np.pi / 8)
        scene.place_object(self.target, upright(x, y, BELT_TOP_M + CUBE_HALF_M, yaw))

    @property
    def target(self) -> str:
        """Name of the cube on the belt."""
        return f"cube_{self._colour}"

    @property
    def instruction(self) -> str:
        """Names the colour."""
        return f"Pick the {self._colour} cube from the moving belt and put it into the bin."

    @property
    def paraphrases(self) -> tuple[str, ...]:
        """The same order in other words."""
        colour = self._colour
        return (
            f"Take the {colour} cube off the conveyor and drop it in the grey bin.",
            f"Catch the {colour} block on the belt and place it in the bin.",
            f"Before it reaches the end, move the {colour} cube from the belt to the bin.",
            f"Sort the {colour} cube from the conveyor into the bin.",
        )

    def advance(self, scene: Scene, dt_s: float, arms_moved: bool) -> None:
        """Ramps the belt up once the arms move, and watches its end."""
        if arms_moved and scene.belt_speed != self._speed_m_s:
            change = np.clip(self._speed_m_s - scene.belt_speed, -_RAMP_M_S2 * dt_s, _RAMP_M_S2 * dt_s)
            scene.belt_speed = scene.belt_speed + float(change)
        if not self._rode_off and self._past_end(scene):
            self._rode_off = not any(scene.touched_by(self.target).values())

    def is_solved(self, scene: Scene) -> bool:
        """The cube lies still in the bin, and no finger touches it."""
        if any(scene.touched_by(self.target).values()) or scene.object_speed(self.target) > 0.03:
            return False
        x, y, z = (scene.object_pose(self.target) - scene.fixture_pose("bin"))[:3]
        return bool(abs(x) < _BIN_INSIDE_M[0] and abs(y) < _BIN_INSIDE_M[1] and 0.0 < z < 0.06)

    def why_failed(self, scene: Scene) -> str:
        """The cube rode off the belt's end, or fell off the table."""
        if self._rode_off:
            return f"The {self._colour} cube rode off the end of the belt."
        return f"The {self._colour} cube fell off the table." if scene.fell_off(self.target) else ""

    def truth(self, scene: Scene) -> Truth:
        """`target`, `target_in_1s`, `goal`, `bin` and the belt's end."""
        cube, bin_pose = scene.object_pose(self.target), scene.fixture_pose("bin")
        ahead = cube.copy()
        if self._rides(scene):
            ahead[0] += scene.belt_speed * 1.0
        return as_truth(
            **{"target": cube, self.target: cube, "target_in_1s": ahead, "bin": bin_pose},
            goal=upright(bin_pose[0], bin_pose[1], _BIN_FLOOR_M + CUBE_HALF_M),
            belt_end=upright(np.sign(self._speed_m_s) * BELT_HALF_LENGTH_M, BELT_Y_M, BELT_TOP_M),
        )

    def _rides(self, scene: Scene) -> bool:
        x, y, z = scene.object_pose(self.target)[:3]
        on_belt = abs(x) < BELT_HALF_LENGTH_M and abs(y - BELT_Y_M) < 0.06
        return on_belt and abs(z - BELT_TOP_M - CUBE_HALF_M) < 0.01

    def _past_end(self, scene: Scene) -> bool:
        x, y, z = scene.object_pose(self.target)[:3]
        beyond = x * np.sign(self._speed_m_s) > BELT_HALF_LENGTH_M - 0.005
        return bool(beyond and abs(y - BELT_Y_M) < 0.10 and z < BELT_TOP_M + 2 * CUBE_HALF_M)
