"""Inverse kinematics on the arms of the simulated cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.sim.arms import ARMS
from devices.sim.cell import Cell
from devices.sim.model import build_spec
from teleop_app.core.errors import ConfigError
from teleop_app.core.geometry import quat_angle
from teleop_app.mapping.ik import ArmChain, CellKinematics
from teleop_app.mapping.ik_model import arms_only

NAMES = [name for arm in ARMS for name in arm.joint_names]
CHAINS = [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS]
SOLVER = 1e-5  # daqp keeps its constraints to about 1e-6; the jerk limiter keeps them exactly
HOME = np.concatenate([chain.home for chain in CHAINS])
LOWER = np.array([low for arm in ARMS for low in arm.lower_rad])
UPPER = np.array([up for arm in ARMS for up in arm.upper_rad])
SETTINGS = {"period_s": 0.005, "max_velocity_rad_s": 2.5, "margin_rad": 0.03}
KINEMATICS = CellKinematics(arms_only(build_spec("primitive"), NAMES), CHAINS, **SETTINGS)


def reach(targets, q=HOME, ticks=250):
    for _ in range(ticks):
        solution = KINEMATICS.solve(q, targets)
        assert np.abs(solution.q - q).max() <= 2.5 * 0.005 + SOLVER
        q = solution.q
    return solution


def test_ik_poses_agree_with_the_cell():
    cell = Cell("primitive", "pick-place", 0)
    joints = cell.read()[0][[*range(6), *range(7, 13)]]
    for arm, pose in zip(ARMS, KINEMATICS.poses(joints), strict=True):
        assert np.abs(pose[:3] - cell.tcp_pose(arm.side)[:3]).max() < 1e-6


@given(offset=st.tuples(*[st.floats(-0.06, 0.06)] * 3).map(np.array))
@settings(max_examples=6, deadline=None)
def test_ik_reaches_what_is_near(offset):
    targets = KINEMATICS.poses(HOME)
    targets[:, :3] += offset
    solution = reach(list(targets), ticks=400)
    assert solution.position_error_m.max() < 0.002
    poses = KINEMATICS.poses(solution.q)
    assert max(quat_angle(p[3:], t[3:]) for p, t in zip(poses, targets, strict=True)) < 0.05


@given(
    far=st.tuples(*[st.floats(-3.0, 3.0)] * 3).map(np.array),
    start=st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12).map(np.array),
)
@settings(max_examples=8, deadline=None)
def test_ik_keeps_limits_when_pulled_out_of_reach(far, start):
    targets = KINEMATICS.poses(HOME)
    targets[:, :3] += far
    q = LOWER + 0.03 + start * (UPPER - LOWER - 0.06)
    solution = reach(list(targets), q, ticks=100)
    assert (solution.q >= LOWER + 0.03 - SOLVER).all()
    assert (solution.q <= UPPER - 0.03 + SOLVER).all()


def test_ik_leaves_an_arm_without_target_alone():
    target = KINEMATICS.poses(HOME)[0]
    target[0] += 0.05
    solution = reach([target, None], ticks=50)
    assert np.array_equal(solution.q[6:], HOME[6:])
    assert solution.q[0:6].tolist() != HOME[0:6].tolist()


def test_ik_reports_what_is_out_of_reach():
    target = KINEMATICS.poses(HOME)[0]
    target[2] += 2.0
    assert reach([target, None]).position_error_m[0] > 0.5


def test_ik_model_has_the_arms_alone():
    model = arms_only(build_spec("primitive"), NAMES)
    assert model.nq == model.nv == 12
    assert model.ngeom == 0


def test_ik_model_names_a_missing_joint():
    with pytest.raises(ConfigError, match=r"no joint 'left/knee'.*left/waist"):
        arms_only(build_spec("primitive"), ["left/knee"])


def test_ik_refuses_a_model_with_other_joints():
    model = arms_only(build_spec("primitive"), NAMES)
    with pytest.raises(ConfigError, match="joints differ"):
        CellKinematics(model, CHAINS[:1], **SETTINGS)
