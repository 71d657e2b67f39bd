"""Robot models against published kinematics, computed here in another way."""

from __future__ import annotations

from math import cos, pi, sin

import mujoco
import numpy as np
import pytest

from devices.models.cell import cell_arms, cell_spec
from devices.models.library import MODELS, robot_model
from recorders.robot_kinematics import RobotKinematics
from teleop_app.core.config import ArmSection, StationConfig
from teleop_app.core.errors import ConfigError

HALF = pi / 2
# a, d, alpha of standard tables; alpha, a, d, joint offset of modified ones, and the flange after the last.
STANDARD = {
    "ur5e": (
        (0, -0.425, -0.3922, 0, 0, 0),
        (0.1625, 0, 0, 0.1333, 0.0997, 0.0996),
        (HALF, 0, 0, HALF, -HALF, 0),
    ),
    "ur10e": (
        (0, -0.6127, -0.57155, 0, 0, 0),
        (0.1807, 0, 0, 0.17415, 0.11985, 0.11655),
        (HALF, 0, 0, HALF, -HALF, 0),
    ),
}
_FRANKA = (
    (0, -HALF, HALF, HALF, -HALF, HALF, HALF),
    (0, 0, 0, 0.0825, -0.0825, 0, 0.088),
    (0.333, 0, 0.316, 0, 0.384, 0, 0),
    (0,) * 7,
    0.107,
)
MODIFIED = {
    "fr3": _FRANKA,
    "panda": _FRANKA,
    "xarm6": (
        (0, -HALF, 0, -HALF, HALF, -HALF),
        (0, 0, 0.28948866, 0.0775, 0, 0.076),
        (0.267, 0, 0, 0.3425, 0, 0.097),
        (0, -1.3849179, 1.3849179, 0, 0, 0),
        0.0,
    ),
    "xarm7": (
        (0, -HALF, HALF, HALF, HALF, HALF, -HALF),
        (0, 0, 0, 0.0525, 0.0775, 0, 0.076),
        (0.267, 0, 0.293, 0, 0.3425, 0, 0.097),
        (0,) * 7,
        0.0,
    ),
}
# The makers' screw tables: height of the shoulder, x of the elbow, height of the rest, x of wrist and end.
SCREWS = {
    "viperx300": (0.12705, 0.05955, 0.42705, 0.35955, 0.536494),
    "widowx250": (0.11065, 0.04975, 0.36065, 0.29975, 0.458325),
}
TO_END = {"viperx300": 0.064375, "widowx250": 0.050575}  # ee_arm to ee_gripper, beyond our flange
WEIGHT_KG = {"ur5e": 20.6, "ur10e": 33.5, "xarm6": 12.2, "xarm7": 13.7, "fr3": 17.8, "panda": 17.8}


def turn_z(angle):
    c, s = cos(angle), sin(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def turn_x(angle):
    c, s = cos(angle), sin(angle)
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])


def shift(x=0.0, y=0.0, z=0.0):
    found = np.eye(4)
    found[:3, 3] = x, y, z
    return found


def rpy(roll, pitch, yaw):
    c, s = cos(pitch), sin(pitch)
    turn_y = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1.0]])
    return turn_z(yaw) @ turn_y @ turn_x(roll)


def screw(axis, point, angle):
    """Rotation about a line: Rodrigues."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0.0]])
    rotation = np.eye(3) + sin(angle) * k + (1 - cos(angle)) * k @ k
    found = np.eye(4)
    found[:3, :3] = rotation
    found[:3, 3] = (np.eye(3) - rotation) @ np.array(point)
    return found


def published(name, q):
    """Pose of the maker's flange in the maker's base frame."""
    if name in STANDARD:
        pose = np.eye(4)
        for a, d, alpha, angle in zip(*STANDARD[name], q, strict=True):
            pose = pose @ turn_z(angle) @ shift(z=d) @ shift(x=a) @ turn_x(alpha)
        return pose
    if name in MODIFIED:
        *table, end = MODIFIED[name]
        pose = np.eye(4)
        for alpha, a, d, offset, angle in zip(*table, q, strict=True):
            pose = pose @ turn_x(alpha) @ shift(x=a) @ turn_z(angle + offset) @ shift(z=d)
        return pose @ shift(z=end)
    if name in SCREWS:
        shoulder, elbow_x, high, wrist_x, end_x = SCREWS[name]
        axes = (
            ((0, 0, 1), (0, 0, 0)),
            ((0, 1, 0), (0, 0, shoulder)),
            ((0, 1, 0), (elbow_x, 0, high)),
            ((1, 0, 0), (0, 0, high)),
            ((0, 1, 0), (wrist_x, 0, high)),
            ((1, 0, 0), (0, 0, high)),
        )
        pose = np.eye(4)
        for (axis, point), angle in zip(axes, q, strict=True):
            pose = pose @ screw(axis, point, angle)
        return pose @ shift(end_x - TO_END[name], 0, high)
    joints = (
        ((0.0388353, 0, 0.0624), (pi, 0, -pi)),
        ((-0.0303992, -0.0182778, -0.0542), (-HALF, -HALF, 0)),
        ((-0.11257, -0.028, 0), (0, 0, HALF)),
        ((-0.1349, 0.0052, 0), (0, 0, -HALF)),
        ((0, -0.0611, 0.0181), (HALF, 0.0486795, pi)),
    )
    pose = np.eye(4)
    for (place, turn), angle in zip(joints, q, strict=True):
        pose = pose @ shift(*place) @ rpy(*turn) @ turn_z(angle)
    return pose @ shift(-0.0079, -0.000218121, -0.0981274) @ rpy(0, pi, 0)


def site_pose(model, data, name):
    pose = np.eye(4)
    pose[:3, :3] = data.site(name).xmat.reshape(3, 3)
    pose[:3, 3] = data.site(name).xpos
    return pose


@pytest.mark.parametrize("name", list(MODELS))
def test_forward_kinematics_are_the_published_ones(name):
    robot = MODELS[name]
    model = robot.build().compile()
    data = mujoco.MjData(model)
    at = [model.joint(joint).qposadr[0] for joint in robot.joint_names]
    base = turn_z(pi) if name in STANDARD else np.eye(4)
    rng = np.random.default_rng(5)
    for _ in range(20):
        q = rng.uniform(robot.lower, robot.upper)
        data.qpos[at] = q
        mujoco.mj_kinematics(model, data)
        site = "tcp" if name == "so101" else "flange"  # the SO-101's own gripper frame lies between its tips
        found, wanted = site_pose(model, data, site), base @ published(name, q)
        assert np.allclose(found[:3, 3], wanted[:3, 3], atol=2e-6)
        if name != "so101":
            assert np.allclose(found[:3, :3], wanted[:3, :3], atol=2e-6)


@pytest.mark.parametrize("name", list(MODELS))
def test_models_stand_ahead_of_their_base_and_weigh_what_the_robot_weighs(name):
    robot = MODELS[name]
    model = robot.build().compile()
    assert (np.array(robot.lower) < robot.home).all() and (np.array(robot.home) < robot.upper).all()
    assert all(0.5 < speed < 6.0 for speed in robot.velocity)
    assert np.allclose(
        [model.joint(joint).range for joint in robot.joint_names], np.c_[robot.lower, robot.upper]
    )
    if name in WEIGHT_KG:
        assert model.body_mass.sum() == pytest.approx(WEIGHT_KG[name], rel=0.15)
    data = mujoco.MjData(model)
    data.qpos[[model.joint(joint).qposadr[0] for joint in robot.joint_names]] = robot.home
    mujoco.mj_kinematics(model, data)
    x, _, z = data.site("tcp").xpos
    assert x > 0.2 and z > 0.05


def test_the_viperx_is_the_simulated_one():
    from devices.sim.model import build_spec

    simulated, own = build_spec("primitive").compile(), MODELS["viperx300"]
    model = own.build().compile()
    ours, theirs = mujoco.MjData(model), mujoco.MjData(simulated)
    q = np.array([0.4, -0.7, 0.9, 0.3, -0.5, 0.2])
    ours.qpos[[model.joint(name).qposadr[0] for name in own.joint_names]] = q
    theirs.qpos[[simulated.joint(f"left/{name}").qposadr[0] for name in own.joint_names]] = q
    mujoco.mj_kinematics(model, ours)
    mujoco.mj_kinematics(simulated, theirs)
    offset = theirs.site("left/tcp").xpos - theirs.body("left/base_link").xpos
    assert np.allclose(ours.site("tcp").xpos, offset, atol=1e-9)
    assert np.allclose(
        [model.joint(name).range for name in own.joint_names],
        [simulated.joint(f"left/{name}").range for name in own.joint_names],
        atol=1e-4,
    )


def cell(*arms):
    box = {"workspace_min": [-1.0, -1.0, 0.0], "workspace_max": [1.0, 1.0, 1.0]}
    return StationConfig(arms=[ArmSection(follower="ur", **box, **arm) for arm in arms])


def test_a_cell_stands_each_arm_on_its_base():
    config = cell(
        {"name": "left", "model": "so101", "base_position": [0.1, 0.3, 0.0]},
        {"name": "right", "model": "ur5e", "base_position": [0.0, -0.4, 0.2], "base_yaw_deg": 90.0},
    )
    spec = cell_spec(config)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert np.allclose(data.body("right/base_link").xpos, [0.0, -0.4, 0.2])
    arms = cell_arms(config)
    names = tuple(name for arm in arms for name in (*arm.joint_names, arm.gripper_name))
    kinematics = RobotKinematics(spec.to_xml(), names)  # as a reader of the episode sees it
    poses = kinematics.poses(np.array([*arms[0].home, 1.0, *arms[1].home, 0.0]))
    assert {"left/gripper_link", "right/left_finger"} <= set(kinematics.links)
    assert np.isfinite(poses).all()
    # The UR5e at home reaches 0.49 m ahead, which is along y with its base turned by 90 degrees.
    data.qpos[[model.joint(name).qposadr[0] for name in arms[1].joint_names]] = arms[1].home
    mujoco.mj_kinematics(model, data)
    assert data.site("right/tcp").xpos == pytest.approx([-0.1333, -0.4 + 0.4919, 0.2 + 0.3249], abs=1e-4)


MJCF = """<mujoco><worldbody><body name="a"><joint name="one" axis="0 0 1" range="-90 90"/>
<geom size="0.05"/><body name="b" pos="0.2 0 0"><joint name="two" axis="0 1 0" {limits}/><geom size="0.04"/>
{site}</body></body></worldbody></mujoco>"""
URDF = """<robot name="r"><link name="base"/><link name="arm"><inertial><mass value="1"/>
<inertia ixx="0.1" iyy="0.1" izz="0.1" ixy="0" ixz="0" iyz="0"/></inertial></link><link name="tool0"/>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 0 1"/>
<limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
<joint name="end" type="fixed"><parent link="arm"/><child link="tool0"/><origin xyz="0.3 0 0"/></joint>
</robot>"""


def test_a_users_own_mjcf_and_urdf(tmp_path):
    mjcf, urdf = tmp_path / "mine.xml", tmp_path / "mine.urdf"
    mjcf.write_text(MJCF.format(limits='range="10 60"', site='<site name="tcp" pos="0.1 0 0"/>'))
    urdf.write_text(URDF)
    first, second = robot_model(str(mjcf)), robot_model(str(urdf))
    assert first.joint_names == ("one", "two")
    assert first.lower[1] < first.home[1] < first.upper[1], "zero is outside the joint's range"
    assert second.joint_names == ("turn",)
    model = cell_spec(
        cell(
            {"name": "arm", "model": str(urdf)}, {"name": "b", "model": str(mjcf), "base_position": [1, 0, 0]}
        )
    ).compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    assert np.allclose(data.site("arm/tcp").xpos, [0.3, 0, 0])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<mujoco><worldbody>", "cannot be used: "),
        (MJCF.format(limits='range="-1 1"', site=""), "has no tool centre point. Give it a site `tcp`"),
        (MJCF.format(limits="", site='<site name="tcp"/>'), "its joint 'two' has no limits"),
    ],
)
def test_a_bad_model_file_is_refused_with_a_sentence(tmp_path, text, sentence):
    path = tmp_path / "mine.xml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        robot_model(str(path))


def test_a_model_that_is_not_there_is_refused_with_the_names_that_are(tmp_path):
    with pytest.raises(ConfigError, match=r"no robot model 'so102'.*viperx300, widowx250, so101, ur5e"):
        robot_model("so102")
    with pytest.raises(ConfigError, match=r"none\.urdf cannot be used: .*No such file"):
        robot_model(str(tmp_path / "none.urdf"))
