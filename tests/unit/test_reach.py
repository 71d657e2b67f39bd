"""Tool poses to joints, complete, within the limits, whatever the start."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.mapping.ik import ArmChain
from teleop_app.mapping.ik_model import arms_only
from teleop_app.mapping.reach import CellReach
from teleop_app.station.policy_cell import PolicyCell

HOME = np.array([value for arm in ARMS for value in (*arm.home_q, 0.3)])
MARGIN = 0.02


@pytest.fixture(scope="module")
def reach() -> CellReach:
    model = arms_only(build_spec("primitive"), [name for arm in ARMS for name in arm.joint_names])
    chains = [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS]
    return CellReach(model, chains, MARGIN)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return 2.0 * float(np.arccos(np.clip(abs(a @ b), 0.0, 1.0)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.5, 0.5), min_size=12, max_size=12))
def test_a_pose_that_some_joints_make_is_reached(reach: CellReach, offsets: list[float]) -> None:
    goal = HOME.copy()
    goal[[*range(6), *range(7, 13)]] += np.array(offsets)
    model_limits = [(arm.lower, arm.upper, arm.joints) for arm in reach._arms]
    for lower, upper, joints in model_limits:
        goal[joints] = np.clip(goal[joints], lower, upper)
    wanted = reach.poses(goal)
    found, left = reach.reach(HOME, list(wanted))
    there = reach.poses(found)
    assert left.max() < 2e-3
    assert np.abs(there[:, :3] - wanted[:, :3]).max() < 2e-3
    assert max(angle(a[3:], b[3:]) for a, b in zip(there, wanted, strict=True)) < 0.05
    assert found[6] == found[13] == 0.3


def test_an_arm_without_a_pose_stays(reach: CellReach) -> None:
    pose = reach.poses(HOME)[1]
    pose[2] += 0.05
    found, left = reach.reach(HOME, [None, pose])
    assert np.array_equal(found[:7], HOME[:7]) and left[0] == 0.0 and left[1] < 1e-4
    assert reach.poses(found)[1, 2] == pytest.approx(pose[2], abs=1e-4)


def test_the_start_is_reached_by_staying(reach: CellReach) -> None:
    found, left = reach.reach(HOME, list(reach.poses(HOME)))
    assert np.abs(found - HOME).max() < 1e-6 and left.max() < 1e-6


def test_what_is_out_of_reach_leaves_a_distance_and_stays_within_the_limits(reach: CellReach) -> None:
    pose = reach.poses(HOME)[0]
    pose[:3] += (0.0, 0.0, 2.0)
    found, left = reach.reach(HOME, [pose, None])
    arm = reach._arms[0]
    assert left[0] > 0.5 and np.isfinite(found).all()
    assert (found[arm.joints] >= arm.lower).all() and (found[arm.joints] <= arm.upper).all()


def test_a_path_is_followed_without_flipping_the_arm(reach: CellReach) -> None:
    vector = HOME.copy()
    vector[4] = 0.6  # the wrist well bent
    pose, largest = reach.poses(vector)[0], 0.0
    for step in range(40):
        target = pose.copy()
        target[:3] += 0.04 * np.array([np.sin(0.2 * step), 0.0, 1.0 - np.cos(0.2 * step)])
        moved, left = reach.reach(vector, [target, None])
        largest = max(largest, float(np.abs(moved - vector).max()))
        assert left[0] < 1e-3
        vector = moved
    assert largest < 0.2


def test_a_station_offers_its_joints_limits_bases_and_cameras() -> None:
    config = StationConfig()
    described = [
        ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
    ]
    sizes = {camera.name: (320, 240) for camera in config.cameras} | {"stranger": (8, 8)}
    cell = PolicyCell(config, described, build_spec("primitive"), lambda: sizes)
    layout = cell.layout()
    assert layout.arms == ("left", "right") and len(layout.joint_names) == 14
    assert layout.joint_names[0] == "left/waist" and layout.joint_names[6] == "left/gripper"
    assert layout.joints_of == {"left": slice(0, 6), "right": slice(7, 13)}
    assert layout.gripper_of == {"left": 6, "right": 13}
    assert layout.lower[6] == 0.0 and layout.upper[13] == 1.0 and (layout.lower < layout.upper).all()
    assert set(layout.cameras) == {camera.name for camera in config.cameras} and layout.simulated
    tools = cell.kinematics().poses(HOME)
    away = np.linalg.norm(layout.base_poses[:, :3] - tools[:, :3], axis=1)
    assert (away > 0.1).all() and (away < 1.0).all()  # each arm stands on its own base
    with pytest.raises(ConfigError, match="no arm 'right'"):
        PolicyCell(config, described[:1], build_spec("primitive"), dict)
