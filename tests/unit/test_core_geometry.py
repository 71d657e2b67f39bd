"""SE(3) as a group, against MuJoCo's own quaternion maths."""

import mujoco
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core import geometry as g

COMPONENT = st.floats(-10, 10)
QUAT = (
    st.tuples(COMPONENT, COMPONENT, COMPONENT, COMPONENT)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 1e-3)
    .map(g.quat_normalise)
)
VECTOR = st.tuples(COMPONENT, COMPONENT, COMPONENT).map(np.array)
POSE = st.tuples(VECTOR, QUAT).map(lambda parts: g.make_pose(*parts))


def same_pose(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.allclose(a[:3], b[:3], atol=1e-6)) and g.quat_angle(a[3:], b[3:]) < 1e-6


@given(POSE, POSE, POSE)
def test_poses_form_a_group(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    assert same_pose(g.pose_compose(g.pose_compose(a, b), c), g.pose_compose(a, g.pose_compose(b, c)))
    assert same_pose(g.pose_compose(a, g.pose_inverse(a)), g.IDENTITY_POSE)
    assert same_pose(g.pose_compose(g.IDENTITY_POSE, a), a)


@given(QUAT, QUAT, VECTOR)
def test_quaternions_agree_with_mujoco(a: np.ndarray, b: np.ndarray, v: np.ndarray) -> None:
    expected = np.zeros(4)
    mujoco.mju_mulQuat(expected, a, b)
    assert np.allclose(g.quat_multiply(a, b), expected)
    rotated = np.zeros(3)
    mujoco.mju_rotVecQuat(rotated, v, a)
    assert np.allclose(g.quat_rotate(a, v), rotated, atol=1e-9)
    assert np.allclose(g.quat_to_matrix(a) @ v, rotated, atol=1e-9)


@given(QUAT)
def test_maps_to_and_from_other_forms_are_inverse(q: np.ndarray) -> None:
    assert g.quat_angle(g.quat_from_rotvec(g.quat_to_rotvec(q)), q) < 1e-6
    assert g.quat_angle(g.quat_from_matrix(g.quat_to_matrix(q)), q) < 1e-6


@given(QUAT, QUAT)
def test_slerp_starts_and_ends_where_it_should(a: np.ndarray, b: np.ndarray) -> None:
    assert g.quat_angle(g.quat_slerp(a, b, 0.0), a) < 1e-6
    assert g.quat_angle(g.quat_slerp(a, b, 1.0), b) < 1e-6
    half = g.quat_slerp(a, b, 0.5)
    assert abs(g.quat_angle(a, half) - g.quat_angle(half, b)) < 1e-5


def test_what_is_not_a_pose() -> None:
    assert g.is_pose(g.IDENTITY_POSE)
    for bad in (
        np.zeros(7),
        np.ones(6),
        np.array([np.nan, 0, 0, 1, 0, 0, 0]),
        np.array([0, 0, 0, 1.2, 0, 0, 0]),
    ):
        assert not g.is_pose(bad)
