"""What a person adds to a policy's motion: nothing at first, no jump when tied anew, fading on release."""

from __future__ import annotations

import math

import numpy as np
import pytest

from teleop_app.autonomy.correction import (
    FADE_M_S,
    MAX_SHIFT_M,
    JointCorrection,
    PoseCorrection,
    blended_joints,
    blended_pose,
    weight,
)
from teleop_app.core.geometry import make_pose, quat_angle, quat_from_rotvec, quat_multiply

HOME = make_pose(np.array([0.1, 0.2, 0.3]), quat_from_rotvec(np.array([0.0, 0.3, 0.0])))
POLICY = make_pose(np.array([0.4, 0.2, 0.1]), quat_from_rotvec(np.array([0.5, 0.0, 0.2])))
TURN = quat_from_rotvec(np.array([0.0, 0.0, 0.4]))


def moved(pose, shift, turn=None):
    rotation = pose[3:] if turn is None else quat_multiply(turn, pose[3:])
    return make_pose(pose[:3] + np.array(shift), rotation)


def test_a_hands_motion_is_added_to_any_pose():
    correction = PoseCorrection()
    correction.take(1, HOME, HOME)
    assert correction.nothing
    assert np.allclose(correction.applied(POLICY), POLICY)
    correction.take(1, HOME, moved(HOME, [0.05, 0.0, -0.02], TURN))
    expected = moved(POLICY, [0.05, 0.0, -0.02], TURN)
    assert np.allclose(correction.applied(POLICY)[:3], expected[:3])
    assert quat_angle(correction.applied(POLICY)[3:], expected[3:]) < 1e-6


def test_a_new_tie_goes_on_from_what_was_added():
    correction = PoseCorrection()
    correction.take(1, HOME, moved(HOME, [0.05, 0.0, 0.0], TURN))
    before = correction.applied(POLICY)
    correction.take(2, POLICY, POLICY)
    assert np.allclose(correction.applied(POLICY), before)
    correction.take(2, POLICY, moved(POLICY, [0.01, 0.0, 0.0]))
    assert np.allclose(correction.applied(POLICY)[:3] - before[:3], [0.01, 0.0, 0.0])


def test_it_is_bounded_and_fades_at_a_limited_speed():
    correction = PoseCorrection()
    correction.take(1, HOME, moved(HOME, [3.0, 0.0, 0.0]))
    assert correction.applied(POLICY)[0] - POLICY[0] == pytest.approx(MAX_SHIFT_M)
    last = correction.applied(POLICY)
    for _ in range(round(MAX_SHIFT_M / FADE_M_S / 0.005) + 2):
        correction.fade(0.005)
        now = correction.applied(POLICY)
        assert np.linalg.norm(now[:3] - last[:3]) <= FADE_M_S * 0.005 + 1e-12
        last = now
    assert correction.nothing


def test_a_leaders_motion_is_added_joint_by_joint():
    correction, leader = JointCorrection(), np.array([0.1, 0.2])
    correction.take(1, leader)
    assert correction.nothing
    correction.take(1, leader + np.array([0.1, -0.2]))
    assert np.allclose(correction.applied(np.ones(2)), [1.1, 0.8])
    correction.take(2, leader + 5.0)  # moved while it was not heard
    assert np.allclose(correction.applied(np.ones(2)), [1.1, 0.8])
    for _ in range(200):
        correction.fade(0.005)
    assert correction.nothing


def test_blends_lie_between():
    assert np.allclose(blended_pose(HOME, POLICY, 0.0), HOME)
    assert np.allclose(blended_pose(HOME, POLICY, 1.0), POLICY)
    half = blended_pose(HOME, POLICY, 0.5)
    assert np.allclose(half[:3], (HOME[:3] + POLICY[:3]) / 2)
    whole = quat_angle(HOME[3:], POLICY[3:])
    assert quat_angle(HOME[3:], half[3:]) == pytest.approx(whole / 2, abs=1e-6)
    assert np.allclose(blended_joints(np.zeros(3), np.ones(3), 0.25), 0.25)


def test_the_weight_falls_with_uncertainty():
    assert weight(0.8, 0.05, by_confidence=False) == 0.8
    assert weight(0.8, math.nan, by_confidence=True) == 0.8
    weights = [weight(0.8, spread, by_confidence=True) for spread in (0.0, 0.05, 0.1, 0.5)]
    assert weights[0] == 0.8 and weights[-1] == 0.0
    assert weights == sorted(weights, reverse=True)
