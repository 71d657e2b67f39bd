"""Clutch, virtual target, joint mirror, gripper and frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.config import MappingSection
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import (
    quat_angle,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    quat_to_matrix,
)
from teleop_app.core.types import ArmInput
from teleop_app.mapping.clutch import RelativeClutch
from teleop_app.mapping.frames import FLU_FROM_OPENXR, flu_from_openxr, yaw_quat
from teleop_app.mapping.gripper import GripperPickup
from teleop_app.mapping.joint_mirror import JointMirror
from teleop_app.mapping.retarget import ArmGoal, ArmRetargeter
from teleop_app.mapping.symmetry import MirrorPlane
from teleop_app.mapping.virtual_target import VirtualTarget
from teleop_app.mapping.yaw_calibration import yaw_from_motion

number = st.floats(-2.0, 2.0, width=32)
vectors = st.tuples(number, number, number).map(np.array)
poses = st.tuples(vectors, vectors).map(lambda pr: np.concatenate([pr[0], quat_from_rotvec(pr[1])]))
scales = st.floats(0.1, 5.0)
yaws = st.floats(-180.0, 180.0)


@given(hand=poses, home=poses, scale=scales, yaw=yaws)
def test_clutch_engage_is_free_of_jumps(hand, home, scale, yaw):
    clutch = RelativeClutch(scale, yaw)
    clutch.engage(hand, home)
    target = clutch.target(hand)
    assert np.abs(target[:3] - home[:3]).max() < 1e-9
    assert quat_angle(target[3:], home[3:]) < 1e-6


@given(hand=poses, later=poses, home=poses, scale=scales, yaw=yaws)
def test_clutch_obeys_its_algebra(hand, later, home, scale, yaw):
    clutch = RelativeClutch(scale, yaw)
    clutch.engage(hand, home)
    target = clutch.target(later)
    c, r0, r1, rh = (quat_to_matrix(q) for q in (yaw_quat(yaw), hand[3:], later[3:], home[3:]))
    assert np.allclose(target[:3], home[:3] + scale * c @ (later[:3] - hand[:3]), atol=1e-9)
    assert np.allclose(quat_to_matrix(target[3:]), c @ r1 @ r0.T @ c.T @ rh, atol=1e-7)


@given(moves=st.lists(poses, min_size=2, max_size=6), yaw=yaws)
def test_clutch_rotation_does_not_drift_over_clutches(moves, yaw):
    """Turning the hand there and back, with a new clutch for each way, ends where it began."""
    home = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    clutch, present = RelativeClutch(1.0, yaw), home
    there_and_back = list(pairwise(moves))
    there_and_back += [(b, a) for a, b in reversed(there_and_back)]
    for start, end in there_and_back:
        clutch.engage(start, present)
        present = clutch.target(end)
    assert quat_angle(present[3:], home[3:]) < 1e-5
    assert np.abs(present[:3]).max() < 1e-6


def test_clutch_refuses_a_target_when_released():
    clutch = RelativeClutch()
    clutch.engage(np.array([0, 0, 0, 1.0, 0, 0, 0]), np.array([0, 0, 0, 1.0, 0, 0, 0]))
    clutch.release()
    with pytest.raises(ValueError, match="not engaged"):
        clutch.target(np.array([0, 0, 0, 1.0, 0, 0, 0]))


def test_mapping_openxr_axes():
    assert np.allclose(FLU_FROM_OPENXR @ [0, 0, -1], [1, 0, 0])  # ahead
    assert np.allclose(FLU_FROM_OPENXR @ [1, 0, 0], [0, -1, 0])  # right
    assert np.allclose(FLU_FROM_OPENXR @ [0, 1, 0], [0, 0, 1])  # up


@given(pose=poses)
def test_mapping_openxr_pose_turns_about_the_same_axis(pose):
    turned = flu_from_openxr(pose)
    assert np.allclose(turned[:3], FLU_FROM_OPENXR @ pose[:3], atol=1e-9)
    body = np.array([0.3, -0.2, 0.9])
    assert np.allclose(
        FLU_FROM_OPENXR @ quat_rotate(pose[3:], body),
        quat_rotate(turned[3:], FLU_FROM_OPENXR @ body),
        atol=1e-9,
    )


@given(home=poses, twist=st.tuples(vectors, vectors).map(np.concatenate), yaw=yaws)
def test_mapping_virtual_target_integrates_in_the_operator_frame(home, twist, yaw):
    target = VirtualTarget(yaw)
    target.engage(home)
    for _ in range(10):
        pose = target.advance(twist, 0.005)
    turn = yaw_quat(yaw)
    assert np.allclose(pose[:3], home[:3] + quat_rotate(turn, twist[:3]) * 0.05, atol=1e-9)
    rotated = quat_multiply(quat_from_rotvec(quat_rotate(turn, twist[3:]) * 0.05), home[3:])
    assert quat_angle(pose[3:], rotated) < 1e-6


def test_mapping_joint_mirror_is_absolute_and_waits_until_the_arms_are_aligned():
    mirror = JointMirror(MappingSection(), ("left/waist", "left/elbow"))
    mirror.engage(np.array([0.4, -0.2]), np.array([0.0, 0.0]))
    assert np.allclose(mirror.target(np.array([0.4, -0.2]), np.array([0.1, -0.1])), [0.4, -0.2])
    assert not mirror.aligned
    assert mirror.apart(np.array([0.4, -0.2]), np.array([0.1, -0.1])) == ("waist", pytest.approx(0.3))
    mirror.target(np.array([0.4, -0.2]), np.array([0.36, -0.19]))
    assert mirror.aligned
    assert np.allclose(mirror.target(np.array([0.9, -0.2]), np.array([0.36, -0.19])), [0.9, -0.2])


def test_mapping_joint_mirror_refuses_a_leader_far_away_and_one_with_other_joints():
    mirror = JointMirror(MappingSection(align_limit_rad=0.5), ("left/waist", "left/elbow"))
    with pytest.raises(ValueError, match=r"joint 'elbow' stands -0.70 rad \(-40 deg\) from .*limit 0.50"):
        mirror.engage(np.array([0.4, -0.7]), np.zeros(2))
    mirror.engage(np.array([0.4, -0.4]), np.zeros(2))
    with pytest.raises(ValueError, match="'waist' stands"):  # moved away while the follower was coming
        mirror.target(np.array([0.6, -0.4]), np.zeros(2))
    with pytest.raises(ValueError, match="2 joints cannot mirror a follower of 3; it must send the pose"):
        mirror.engage(np.zeros(2), np.zeros(3))


def test_mapping_gripper_waits_for_a_person_to_move_it():
    gripper = GripperPickup()
    gripper.engage(0.1, pickup=True)
    assert gripper.target(1.0) == 0.1
    assert gripper.target(0.99) == 0.1
    assert gripper.target(0.9) == 0.9
    assert gripper.target(1.0) == 1.0
    assert gripper.target(None) == 1.0


def test_mapping_gripper_follows_a_script_at_once():
    gripper = GripperPickup()
    gripper.engage(0.1, pickup=False)
    assert gripper.target(7.0) == 1.0


def _present() -> ArmGoal:
    return ArmGoal(np.array([0.1, 0.2, 0.3, 1.0, 0, 0, 0]), np.array([0.5, -0.5]), 0.4)


def test_mapping_retargeter_ties_the_hand_at_its_first_sample():
    retargeter = ArmRetargeter(MappingSection(), 0.005)
    retargeter.engage(_present(), pickup=True)
    hand = np.array([5.0, 5.0, 5.0, 1.0, 0, 0, 0])
    goal = retargeter.goal(ArmInput(clutch=True, pose=hand), 1)
    assert goal.pose is not None
    assert np.allclose(goal.pose, _present().pose)
    assert goal.gripper == 0.4


def test_mapping_retargeter_pulls_a_virtual_target_back_from_a_wall():
    retargeter = ArmRetargeter(MappingSection(), 0.005)
    retargeter.engage(_present(), pickup=True)
    push = ArmInput(clutch=True, twist=np.array([1.0, 0, 0, 0, 0, 0]))
    wall = np.array([0.1, 0.2, 0.3, 1.0, 0, 0, 0])
    for k in range(100):
        retargeter.goal(push, k)
        retargeter.limited(wall)
    back = ArmInput(clutch=True, twist=np.array([-1.0, 0, 0, 0, 0, 0]))
    goal = retargeter.goal(back, 200)
    assert goal.pose is not None
    assert goal.pose[0] < 0.1


def test_mapping_retargeter_mirrors_joints_once_aligned():
    retargeter = ArmRetargeter(MappingSection(), 0.005)
    retargeter.engage(_present(), pickup=False)
    leader = ArmInput(clutch=True, joints=np.array([0.9, -0.5]))
    coming = retargeter.goal(leader, 1, np.array([0.5, -0.5]))
    assert coming.joints is not None and np.allclose(coming.joints, [0.9, -0.5])
    assert "joint '1' is 0.40 rad away" in coming.aligning
    assert coming.speed_rad_s == 0.5
    there = retargeter.goal(leader, 2, np.array([0.89, -0.5]))
    assert not there.aligning and there.speed_rad_s is None


def test_mapping_retargeter_takes_the_pose_of_a_leader_with_other_joints():
    retargeter = ArmRetargeter(MappingSection(filter=False), 0.005)
    retargeter.engage(_present(), pickup=False)
    pose = np.array([1.0, 1.0, 1.0, 1.0, 0, 0, 0])
    goal = retargeter.goal(ArmInput(clutch=True, joints=np.zeros(5), pose=pose), 1)
    assert goal.pose is not None and np.allclose(goal.pose, _present().pose)
    with pytest.raises(ValueError, match="5 joints cannot mirror a follower of 2"):
        retargeter.goal(ArmInput(clutch=True, joints=np.zeros(5)), 2)


@given(hand=poses, later=poses, precise=st.lists(st.booleans(), min_size=1, max_size=8), yaw=yaws)
def test_mapping_precision_mode_never_jumps_and_scales(hand, later, precise, yaw):
    mapping = MappingSection(filter=False, yaw_deg=yaw, scale=2.0)
    retargeter = ArmRetargeter(mapping, 0.005)
    retargeter.engage(_present(), pickup=False)
    before = None
    for stamp, mode in enumerate([False, *precise]):
        goal = retargeter.goal(ArmInput(clutch=True, pose=hand, precise=mode), stamp).pose
        assert goal is not None
        assert before is None or np.abs(goal[:3] - before[:3]).max() < 1e-9
        before = goal
    moved = retargeter.goal(ArmInput(clutch=True, pose=later, precise=precise[-1]), 99).pose
    assert moved is not None and before is not None
    scale = 2.0 * (mapping.precision_scale if precise[-1] else 1.0)
    way = np.linalg.norm(later[:3] - hand[:3])
    assert np.linalg.norm(moved[:3] - before[:3]) == pytest.approx(scale * way, abs=1e-9)


def test_mapping_nudges_add_to_where_the_hand_has_put_the_arm():
    mapping = MappingSection(filter=False, yaw_deg=90.0)
    for asked in (
        ArmInput(clutch=True, pose=np.array([1.0, 0, 0, 1, 0, 0, 0])),
        ArmInput(clutch=True, twist=np.zeros(6)),
        ArmInput(clutch=True, gripper=0.5),
    ):
        retargeter = ArmRetargeter(mapping, 0.005)
        retargeter.engage(_present(), pickup=False)
        before = retargeter.goal(asked, 1).pose
        retargeter.nudge("x", -1)
        after = retargeter.goal(asked, 2).pose
        assert before is not None and after is not None
        assert np.allclose(after[:3] - before[:3], [0, -mapping.nudge_m, 0])
        retargeter.nudge("yaw", 1)
        turned = retargeter.goal(asked, 3).pose
        assert turned is not None
        assert quat_angle(turned[3:], after[3:]) == pytest.approx(np.radians(mapping.nudge_deg))
    with pytest.raises(ValueError, match="no nudge 'w' by 1"):
        retargeter.nudge("w", 1)


@given(first=poses, second=poses, angle=yaws)
def test_mapping_a_mirror_image_moves_and_turns_as_a_mirror_does(first, second, angle):
    normal = np.array([np.cos(angle), np.sin(angle), 0.0])
    plane = MirrorPlane(3.0 * normal)
    mirror = np.eye(3) - 2.0 * np.outer(normal, normal)
    for pose in (first, second):
        image = plane.mirrored(pose)
        assert np.allclose(image[:3], mirror @ pose[:3], atol=1e-9)
        assert np.allclose(quat_to_matrix(image[3:]), mirror @ quat_to_matrix(pose[3:]) @ mirror, atol=1e-7)
        assert np.allclose(plane.mirrored(image)[:3], pose[:3], atol=1e-9)
    assert MirrorPlane.between(np.zeros(3), np.array([0.0, 0.0, 1.0])) is None


def _line(yaw_deg: float, length: float = 0.35, climb: float = 0.0, bend: float = 0.0) -> np.ndarray:
    t = np.linspace(0.0, 1.0, 50)
    way = np.stack([t * length, bend * np.sin(np.pi * t), t * climb], axis=1)
    return np.array([5.0, -2.0, 1.0]) + np.array([quat_rotate(yaw_quat(yaw_deg), row) for row in way])


@given(yaw=st.floats(-179.0, 179.0), ahead=st.floats(-90.0, 90.0))
def test_mapping_yaw_from_a_motion_turns_the_hands_ahead_into_the_worlds(yaw, ahead):
    found = yaw_from_motion(_line(yaw), ahead)
    moved = quat_rotate(yaw_quat(found), _line(yaw)[-1] - _line(yaw)[0])
    wanted = quat_rotate(yaw_quat(ahead), np.array([0.35, 0.0, 0.0]))
    assert np.allclose(moved, wanted, atol=1e-6)
    assert -180.0 <= found <= 180.0


@pytest.mark.parametrize(
    ("positions", "why"),
    [
        (_line(0.0, length=0.1), "the hand moved 0.10 m"),
        (_line(0.0, climb=0.3), "deg up or down"),
        (_line(0.0, bend=0.08), "left the straight line by 0.08 m"),
        (np.zeros((1, 3)), "no motion"),
        (np.full((5, 3), np.nan), "not finite"),
    ],
)
def test_mapping_yaw_is_refused_with_the_reason(positions, why):
    with pytest.raises(StationError, match=f"The yaw was not calibrated: .*{why}.*straight ahead"):
        yaw_from_motion(positions)
