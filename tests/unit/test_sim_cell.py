"""The simulated cell: names, limits, determinism, state, forces, refusals."""

import mujoco
import numpy as np
import pytest

from devices.sim import viperx_meshes
from devices.sim.arms import ARMS, arm_model
from devices.sim.cell import Cell
from devices.sim.model import CAMERA_NAMES, load_model, model_xml
from devices.sim.renderer import camera_mount, intrinsics
from teleop_app.core.errors import ConfigError, DeviceError


@pytest.fixture(scope="module")
def cell() -> Cell:
    return Cell()


def wiggle(cell: Cell, steps: int = 40) -> np.ndarray:
    rng = np.random.default_rng(1)
    states = []
    for _ in range(steps):
        cell.set_targets(cell.home_q + rng.normal(0, 0.1, 14))
        cell.step(5)
        states.append(np.concatenate([cell.data.qpos, cell.data.qvel]))
    return np.array(states)


@pytest.mark.parametrize("task", ["pick-place", "belt-pick"])
def test_same_seed_and_targets_give_the_same_states(cell: Cell, task: str) -> None:
    cell.reset(task, 5)
    first = wiggle(cell)
    cell.reset("hand-over", 9)
    wiggle(cell, 10)
    cell.reset(task, 5)
    assert np.array_equal(wiggle(cell), first)
    assert np.array_equal(wiggle(Cell("primitive", task, 5)), first)


def test_how_steps_are_grouped_does_not_matter(cell: Cell) -> None:
    cell.reset("belt-pick", 2)
    target = cell.home_q + 0.05
    cell.set_targets(target)
    cell.step(60)
    whole = cell.qpos
    cell.reset("belt-pick", 2)
    cell.set_targets(target)
    for _ in range(60):
        cell.step()
    assert np.array_equal(cell.qpos, whole)
    assert cell.time_s == pytest.approx(0.12)


def test_names_are_in_station_order(cell: Cell) -> None:
    assert cell.joint_names[:7] == (
        *("left/waist", "left/shoulder", "left/elbow", "left/forearm_roll", "left/wrist_angle"),
        *("left/wrist_rotate", "left/gripper"),
    )
    assert cell.joint_names[7] == "right/waist"
    assert len(cell.joint_names) == 14
    assert cell.finger_names == (
        *("left/left_finger", "left/right_finger", "right/left_finger", "right/right_finger"),
    )


def test_home_is_level_and_the_arms_hold_it(cell: Cell) -> None:
    cell.reset("pick-place", 0)
    cell.step(250)
    q, dq, effort = cell.read()
    assert np.allclose(q, cell.home_q, atol=1e-3)
    assert np.allclose(dq, 0.0, atol=1e-3)
    assert np.isfinite(effort).all()
    for arm in ARMS:
        rotation = cell.data.site(arm.tcp_site_name).xmat.reshape(3, 3)
        toward = 1.0 if arm.side == "left" else -1.0
        assert np.allclose(rotation[:, 0], [toward, 0, 0], atol=1e-3), "x out of the gripper"
        assert np.allclose(rotation[:, 2], [0, 0, 1], atol=1e-3), "z up"


def test_targets_are_tracked_and_clipped(cell: Cell) -> None:
    cell.reset("pick-place", 0)
    wanted = cell.home_q + np.array([0.3, 0.1, -0.1, 0.2, 0.2, -0.4, -0.5] * 2)
    cell.set_targets(wanted)
    cell.step(400)
    assert np.allclose(cell.read()[0], wanted, atol=5e-3)
    cell.set_targets(np.full(14, 50.0))
    assert np.array_equal(cell.targets(), cell.upper_limits)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_target_that_is_no_number_is_refused_by_name(cell: Cell, bad: float) -> None:
    before = cell.targets()
    target = cell.home_q.copy()
    target[8] = bad
    with pytest.raises(DeviceError, match="right/shoulder"):
        cell.set_targets(target)
    with pytest.raises(DeviceError, match="14 values"):
        cell.set_targets(np.zeros(7))
    assert np.array_equal(cell.targets(), before)


def test_closed_fingers_press_on_each_other_alike(cell: Cell) -> None:
    cell.reset("pick-place", 0)
    assert not cell.finger_forces().any()
    at = int(cell.model.joint("cube_red").qposadr[0])
    targets = cell.home_q
    targets[6] = 0.0
    cell.set_targets(targets)
    tcp = cell.tcp_pose("left")
    for _ in range(100):
        if cell.finger_forces().any():
            break
        cell.data.qpos[at : at + 7] = tcp
        cell.step(2)
    cell.step(200)
    left, right = cell.finger_forces()[:2]
    assert left[1] > 5.0, "pushed open, along +y"
    assert right[1] == pytest.approx(-left[1], rel=0.1)
    assert not cell.finger_forces()[2:].any()


def test_state_is_shown_as_recorded(cell: Cell) -> None:
    cell.reset("peg-insert", 4)
    state = cell.qpos
    pose = cell.tcp_pose("right")
    cell.set_targets(cell.home_q + 0.2)
    cell.step(200)
    cell.set_qpos(state)
    assert np.array_equal(cell.qpos, state)
    assert np.allclose(cell.tcp_pose("right"), pose)
    with pytest.raises(DeviceError, match="finite"):
        cell.set_qpos(np.full(cell.model.nq, np.nan))


def test_reset_can_leave_the_arms_alone(cell: Cell) -> None:
    cell.reset("pick-place", 0)
    targets = cell.home_q + 0.1
    cell.set_targets(targets)
    cell.step(500)
    before = cell.read()[0]
    cell.reset("peg-insert", 1, keep_arms=True)
    assert np.allclose(cell.read()[0], before, atol=2e-3)
    assert np.allclose(cell.targets(), np.clip(targets, cell.lower_limits, cell.upper_limits))


def test_the_text_of_the_model_compiles_by_itself() -> None:
    model = mujoco.MjModel.from_xml_string(model_xml("primitive"))
    assert model.nq == load_model("primitive").nq
    for arm in ARMS:
        for joint in (*arm.joint_names, *arm.finger_joint_names):
            assert model.joint(joint).id >= 0
        low, high = zip(*(model.joint(joint).range for joint in arm.joint_names), strict=True)
        assert np.allclose(low, arm.lower_rad) and np.allclose(high, arm.upper_rad)
        assert np.allclose(model.site(arm.tcp_site_name).pos, [0.14, 0, 0])


def test_unknown_look_and_side_name_the_known() -> None:
    with pytest.raises(ConfigError, match="primitive, viperx"):
        load_model("wire")  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="left, right"):
        arm_model("middle")


def test_missing_meshes_are_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(viperx_meshes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="gym-aloha"):
        load_model("viperx")

    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(viperx_meshes.importlib.util, "find_spec", lambda name: Found)
    with pytest.raises(ConfigError, match=r"lacks 11 mesh file"):
        load_model("viperx")


def test_cameras_have_intrinsics_and_mounts(cell: Cell) -> None:
    for camera in CAMERA_NAMES:
        matrix = intrinsics(cell.model, camera, 320, 240)
        assert matrix[0, 0] == matrix[1, 1] > 100
        assert tuple(matrix[:2, 2]) == (160, 120)
        body, pose = camera_mount(cell.model, camera)
        assert body == (f"{camera.split('_')[0]}/gripper_link" if "wrist" in camera else "world")
        assert abs(np.linalg.norm(pose[3:]) - 1.0) < 1e-9
    overhead = camera_mount(cell.model, "overhead")[1]
    assert np.allclose(overhead[3:] / overhead[4], [0, 1, 0, 0], atol=1e-9), "x right, y down, z ahead"
    with pytest.raises(ConfigError, match="overhead, left_wrist"):
        intrinsics(cell.model, "back", 320, 240)
