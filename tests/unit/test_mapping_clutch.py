"""Clutch, virtual target, joint mirror, gripper and frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.config import MappingSection
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
from teleop_app.mapping.virtual_target import VirtualTarget

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


def test_mapping_joint_mirror_starts_where_the_follower_is():
    mirror = JointMirror()
    mirror.engage(np.array([1.0, 2.0]), np.array([0.0, 0.5]))
    assert np.allclose(mirror.target(np.array([1.0, 2.0])), [0.0, 0.5])
    assert np.allclose(mirror.target(np.array([1.2, 1.9])), [0.2, 0.4])
    with pytest.raises(ValueError, match="2 joints cannot mirror a follower of 3"):
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


def test_mapping_retargeter_mirrors_joints():
    retargeter = ArmRetargeter(MappingSection(), 0.005)
    retargeter.engage(_present(), pickup=False)
    first = retargeter.goal(ArmInput(clutch=True, joints=np.array([2.0, 2.0])), 1)
    moved = retargeter.goal(ArmInput(clutch=True, joints=np.array([2.1, 2.0])), 2)
    assert first.joints is not None
    assert moved.joints is not None
    assert np.allclose(first.joints, [0.5, -0.5])
    assert np.allclose(moved.joints, [0.6, -0.5])
