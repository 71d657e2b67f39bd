"""What every task of the simulated cell must keep to, and that each can be solved by friction alone."""

import json

import daqp  # noqa: F401 - the solver that mink is asked for must be there
import mink
import numpy as np
import pytest

from devices.sim.arms import ARMS
from devices.sim.cell import Cell, TaskState
from devices.sim.model import load_model
from devices.sim.tasks import TASKS, make_task
from devices.sim.tasks.peg_insert import GRASP_ABOVE_MIDDLE_M
from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import pose_compose, quat_from_matrix, quat_to_matrix

NAMES = list(TASKS)
SEEDS = range(50)


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell()


def nearest_side(x: float) -> str:
    return "left" if x < 0 else "right"


def down_grasp(pose: np.ndarray, side: str, quarter_turns: bool) -> np.ndarray:
    """World rotation of a TCP straight down, opening along the object's y, nearest to the arm's own."""
    yaw_axis = quat_to_matrix(pose[3:])[:, 0]
    base = np.array(ARMS[0 if side == "left" else 1].world_T_base)
    outward = quat_to_matrix(base[3:])[:, 0]
    yaw = np.arctan2(yaw_axis[1], yaw_axis[0])
    turns = (0, 1, 2, 3) if quarter_turns else (0, 2)
    candidates = [yaw + k * np.pi / 2 for k in turns]
    best = max(candidates, key=lambda a: np.cos(a) * outward[0] + np.sin(a) * outward[1])
    z_axis = np.array([np.cos(best), np.sin(best), 0.0])
    x_axis = np.array([0.0, 0.0, -1.0])
    return np.column_stack([x_axis, np.cross(z_axis, x_axis), z_axis])


class Hand:
    """Drives one arm along straight lines by differential inverse kinematics, at 100 Hz."""

    def __init__(self, cell: Cell, side: str, targets: np.ndarray) -> None:
        self.cell, self.side, self.targets = cell, side, targets
        self.model = cell.model
        self.configuration = mink.Configuration(self.model, cell.qpos)
        self.task = mink.FrameTask(f"{side}/tcp", "site", position_cost=1.0, orientation_cost=0.2)
        arm = ARMS[0 if side == "left" else 1]
        self.offset = 0 if side == "left" else 7
        self.at = np.array([self.model.joint(name).qposadr[0] for name in arm.joint_names])
        dofs = np.array([self.model.joint(name).dofadr[0] for name in arm.joint_names])
        self.frozen = [d for d in range(self.model.nv) if d not in dofs]
        self.position, quat = np.split(cell.tcp_pose(side), [3])
        self.rotation = quat_to_matrix(quat)
        self.limits = [mink.ConfigurationLimit(self.model)]

    def track(self, position: np.ndarray, rotation: np.ndarray, iterations: int = 1) -> float:
        goal = mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rotation), position)
        self.task.set_target(goal)
        freeze = [mink.DofFreezingTask(self.model, dof_indices=self.frozen)]
        for _ in range(iterations):
            velocity = mink.solve_ik(
                self.configuration, [self.task], 0.01, "daqp", 1e-6, limits=self.limits, constraints=freeze
            )
            self.configuration.integrate_inplace(velocity, 0.01)
        self.targets[self.offset : self.offset + 6] = self.configuration.q[self.at]
        return float(np.linalg.norm(self.task.compute_error(self.configuration)[:3]))

    def go(self, position: np.ndarray, rotation: np.ndarray | None = None, speed: float = 0.3) -> None:
        rotation = self.rotation if rotation is None else rotation
        start, before = self.position.copy(), quat_from_matrix(self.rotation)
        turn = mink.SO3(before).inverse() @ mink.SO3(quat_from_matrix(rotation))
        length = max(np.linalg.norm(position - start) / speed, np.linalg.norm(turn.log()) / 1.5, 0.1)
        for step in range(1, int(length * 100) + 1):
            part = step / int(length * 100)
            here = mink.SO3(before) @ mink.SO3.exp(part * turn.log())
            self.track(start + part * (position - start), here.as_matrix())
            self.wait(0.01)
        self.position, self.rotation = np.array(position), rotation
        self.wait(0.25)

    def grip(self, opening: float, seconds: float = 0.4) -> None:
        self.targets[self.offset + 6] = opening
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self.cell.set_targets(self.targets)
        self.cell.step(round(seconds / 0.002))


def above(point: np.ndarray, height: float) -> np.ndarray:
    return np.array([point[0], point[1], height])


def solve_pick_place(cell: Cell) -> None:
    truth = {name: np.array(pose) for name, pose in cell.truth().items()}
    side = nearest_side(truth["target"][0])
    hand = Hand(cell, side, cell.targets())
    rotation = down_grasp(truth["target"], side, quarter_turns=True)
    hand.go(above(truth["target"], 0.12), rotation)
    hand.go(truth["target"][:3])
    hand.grip(0.0)
    forces = cell.finger_forces()[0 if side == "left" else 2 :][:2]
    assert (np.abs(forces[:, 1]) > 3.0).all(), forces
    hand.go(above(truth["target"], 0.14))
    lifted = np.array(cell.truth()["target"])
    assert lifted[2] > 0.12, "the cube was not lifted by friction"
    hand.go(above(truth["goal"], 0.14), down_grasp(truth["goal"], side, quarter_turns=True))
    hand.go(np.add(truth["goal"][:3], [0.0, 0.0, 0.015]))
    hand.grip(1.0)
    hand.go(above(truth["goal"], 0.15))
    hand.wait(0.7)


def solve_hand_over(cell: Cell) -> None:
    truth = {name: np.array(pose) for name, pose in cell.truth().items()}
    right = Hand(cell, "right", cell.targets())
    rotation = down_grasp(truth["target"], "right", quarter_turns=False)
    right.go(above(truth["grasp_right"], 0.12), rotation)
    right.go(truth["grasp_right"][:3])
    right.grip(0.0)
    right.go(above(truth["grasp_right"], 0.17))
    at_pass = pose_compose(truth["pass"], np.array([0.075, 0, 0, 1, 0, 0, 0]))
    right.go(at_pass[:3], down_grasp(truth["pass"], "right", quarter_turns=False))
    now = {name: np.array(pose) for name, pose in cell.truth().items()}
    left = Hand(cell, "left", right.targets)
    left.go(above(now["grasp_left"], 0.27), down_grasp(now["target"], "left", quarter_turns=False))
    left.go(now["grasp_left"][:3])
    left.grip(0.0)
    right.grip(1.0)
    right.go(above(right.position, 0.27))
    left.go(left.position + truth["goal"][:3] - truth["pass"][:3])
    left.wait(0.7)


def solve_peg_insert(cell: Cell) -> None:
    truth = {name: np.array(pose) for name, pose in cell.truth().items()}
    side = nearest_side(truth["target"][0])
    hand = Hand(cell, side, cell.targets())
    up = np.array([0.0, 0.0, GRASP_ABOVE_MIDDLE_M])
    hand.go(above(truth["target"], 0.22), down_grasp(truth["target"], side, quarter_turns=True))
    hand.go(truth["target"][:3] + up)
    hand.grip(0.0)
    hand.go(above(truth["target"], 0.145) + up)
    hand.go(above(truth["goal"], 0.145) + up, down_grasp(truth["goal"], side, quarter_turns=True), 0.2)
    hand.go(truth["goal"][:3] + up + [0, 0, 0.002], speed=0.1)
    hand.grip(1.0)
    hand.go(above(truth["goal"], 0.24))
    hand.wait(0.7)


def solve_belt_pick(cell: Cell) -> None:
    truth = {name: np.array(pose) for name, pose in cell.truth().items()}
    side = "right" if truth["belt_end"][0] > 0 else "left"
    hand = Hand(cell, side, cell.targets())
    meet = truth["target"][:3].copy()
    meet[0] = 0.02 * np.sign(truth["belt_end"][0])
    hand.go(above(meet, 0.14), down_grasp(truth["target"], side, quarter_turns=True))
    for _ in range(3000):
        cube, ahead = (np.array(cell.truth()[name]) for name in ("target", "target_in_1s"))
        velocity = (ahead - cube)[:3]
        if abs(cube[0] - meet[0]) < abs(velocity[0]) * 0.6:
            break
        hand.wait(0.01)
    for step in range(100):
        cube = np.array(cell.truth()["target"])[:3]
        hand.position = cube + velocity * 0.04 + [0, 0, max(0.0, 0.08 * (1 - step / 60))]
        hand.track(hand.position, hand.rotation)
        if step == 65:
            hand.targets[hand.offset + 6] = 0.0
        hand.wait(0.01)
    hand.go(above(hand.position, 0.16))
    hand.go(above(truth["goal"], 0.16))
    hand.go(np.add(truth["goal"][:3], [0.0, 0.0, 0.03]))
    hand.grip(1.0)
    hand.go(above(truth["goal"], 0.18))
    hand.wait(0.7)


SOLVERS = {
    "pick-place": solve_pick_place,
    "hand-over": solve_hand_over,
    "peg-insert": solve_peg_insert,
    "belt-pick": solve_belt_pick,
}


def test_every_task_has_a_solver_here() -> None:
    assert set(SOLVERS) == set(TASKS)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_task_can_be_solved_by_friction(cell: Cell, name: str, seed: int) -> None:
    cell.reset(name, seed)
    SOLVERS[name](cell)
    state = cell.task_state()
    assert state.success, (state, cell.truth())
    assert not state.failed


@pytest.mark.parametrize("name", NAMES)
def test_fifty_scenes_start_at_rest_unsolved_and_free_of_overlap(cell: Cell, name: str) -> None:
    starts = set()
    for seed in SEEDS:
        cell.reset(name, seed)
        assert cell.task_state() == TaskState(success=False, failed=False, dwell_s=0.0, reason="")
        assert not cell.data.qvel.any()
        assert cell.data.contact.dist.min(initial=0.0) > -1e-3
        before = cell.truth()
        starts.add(tuple(before["target"]))
        cell.step(50)
        moved = np.abs(np.array(cell.truth()["target"]) - before["target"]).max()
        assert moved < 5e-4, f"seed {seed}: the target moves by {moved} at rest"
        assert not cell.task_state().success
    assert len(starts) == len(SEEDS), "every seed is another scene"


@pytest.mark.parametrize("name", NAMES)
def test_target_and_goal_are_within_reach(cell: Cell, name: str) -> None:
    for seed in range(0, 50, 5):
        cell.reset(name, seed)
        truth = {key: np.array(pose) for key, pose in cell.truth().items()}
        if name == "hand-over":
            wanted = [("right", truth["grasp_right"]), ("left", truth["goal"])]
        else:
            side = nearest_side(truth["target"][0])
            wanted = [(side, truth["target"])] + ([(side, truth["goal"])] if name != "belt-pick" else [])
        for side, pose in wanted:
            hand = Hand(cell, side, cell.targets())
            turns = name != "hand-over"
            error = hand.track(
                np.add(pose[:3], [0.0, 0.0, 0.03]), down_grasp(pose, side, turns), iterations=400
            )
            assert error < 2e-3, (seed, side, pose)


@pytest.mark.parametrize("name", NAMES)
def test_words_and_truth_travel(cell: Cell, name: str) -> None:
    cell.reset(name, 7)
    assert cell.instruction.endswith(".")
    assert len(set(cell.paraphrases) - {cell.instruction}) >= 3
    truth = json.loads(json.dumps(cell.truth()))
    assert {"target", "goal"} <= set(truth)
    for pose in truth.values():
        assert len(pose) == 7
        assert abs(np.linalg.norm(pose[3:]) - 1.0) < 1e-6


def test_colours_of_the_instruction_vary(cell: Cell) -> None:
    said = set()
    for seed in range(20):
        cell.reset("pick-place", seed)
        said.add(cell.instruction)
    assert len(said) == 3


def test_belt_waits_for_the_arms_and_then_fails_at_its_end(cell: Cell) -> None:
    cell.reset("belt-pick", 3)
    start = cell.truth()["target"][0]
    cell.step(500)
    assert cell.truth()["target"][0] == pytest.approx(start, abs=1e-4)
    targets = cell.home_q
    targets[0] = 0.1
    cell.set_targets(targets)
    cell.step(1000)
    truth = cell.truth()
    assert abs(truth["target"][0] - start) > 0.02, "the belt carries the cube"
    assert abs(truth["target_in_1s"][0] - truth["target"][0]) > 0.02
    cell.step(10_000)
    assert cell.task_state().failed
    assert "end of the belt" in cell.task_state().reason


def test_passing_through_the_goal_is_not_success(cell: Cell) -> None:
    cell.reset("pick-place", 0)
    truth = cell.truth()
    target = f"cube_{cell.instruction.split()[2]}"
    at = int(cell.model.joint(target).qposadr[0])
    away = cell.data.qpos[at : at + 7].copy()
    cell.data.qpos[at : at + 7] = truth["goal"]
    cell.step(150)
    assert not cell.task_state().success
    assert cell.task_state().dwell_s > 0.0
    cell.data.qpos[at : at + 7] = away
    cell.step(20)
    assert cell.task_state().dwell_s == 0.0
    cell.data.qpos[at : at + 7] = truth["goal"]
    cell.step(300)
    assert cell.task_state().success


def test_falling_off_the_table_fails(cell: Cell) -> None:
    for name, body in (("peg-insert", "peg"), ("hand-over", "bar")):
        cell.reset(name, 0)
        cell.data.qpos[int(cell.model.joint(body).qposadr[0])] = 0.9
        cell.step(100)
        assert cell.task_state().failed
        assert "fell off" in cell.task_state().reason


def test_unknown_task_names_the_known(cell: Cell) -> None:
    before = cell.qpos
    with pytest.raises(ConfigError, match="pick-place, hand-over, peg-insert, belt-pick"):
        cell.reset("juggle", 1)
    assert (cell.qpos == before).all()
    assert make_task("pick-place").title


def test_both_looks_have_the_same_physics() -> None:
    plain, meshes = load_model("primitive"), load_model("viperx")
    for name in ("body_mass", "body_inertia", "dof_armature", "actuator_gainprm", "jnt_range", "body_pos"):
        assert np.array_equal(getattr(plain, name), getattr(meshes, name)), name
