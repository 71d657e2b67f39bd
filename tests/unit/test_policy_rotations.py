"""Every way to write a rotation, against pyquaternion's and MuJoCo's own maths."""

import math

import mujoco
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyquaternion import Quaternion

from teleop_app.autonomy.rotations import Rotation, read_rotation, write_rotation
from teleop_app.core.geometry import quat_angle, quat_multiply, quat_normalise

COMPONENT = st.floats(-1, 1)
QUAT = (
    st.tuples(COMPONENT, COMPONENT, COMPONENT, COMPONENT)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 1e-2)
    .map(quat_normalise)
)
ANGLE = st.floats(-math.pi, math.pi)


def about(axis: tuple[float, float, float], angle: float) -> np.ndarray:
    q = np.zeros(4)
    mujoco.mju_axisAngle2Quat(q, np.array(axis), angle)
    return q


@given(QUAT, st.sampled_from(list(Rotation)))
def test_reading_inverts_writing(q: np.ndarray, rotation: Rotation) -> None:
    written = write_rotation(q, rotation)
    assert written.shape == (rotation.width,)
    assert quat_angle(read_rotation(written, rotation), q) < 1e-5


@given(ANGLE, ANGLE, ANGLE)
def test_euler_angles_turn_about_moving_axes_and_rpy_about_fixed_ones(r: float, p: float, y: float) -> None:
    angles = np.array([r, p, y])
    x, yy, z = about((1, 0, 0), r), about((0, 1, 0), p), about((0, 0, 1), y)
    moving = quat_multiply(quat_multiply(x, yy), z)
    fixed = quat_multiply(quat_multiply(z, yy), x)
    assert quat_angle(read_rotation(angles, Rotation.EULER_XYZ), moving) < 1e-6
    assert quat_angle(read_rotation(angles, Rotation.RPY), fixed) < 1e-6
    library = np.zeros(4)
    mujoco.mju_euler2Quat(library, angles, "xyz")
    assert quat_angle(library, moving) < 1e-6


@given(QUAT)
def test_written_forms_agree_with_other_libraries(q: np.ndarray) -> None:
    other = Quaternion(*q)
    matrix = other.rotation_matrix
    assert np.allclose(write_rotation(q, Rotation.ROT6D), [*matrix[:, 0], *matrix[:, 1]], atol=1e-9)
    assert np.allclose(write_rotation(q, Rotation.ROT6D_ROWS), [*matrix[0], *matrix[1]], atol=1e-9)
    velocity = np.zeros(3)
    mujoco.mju_quat2Vel(velocity, q, 1.0)
    turned = read_rotation(velocity, Rotation.AXIS_ANGLE)
    assert quat_angle(turned, q) < 1e-6
    assert np.allclose(write_rotation(q, Rotation.QUAT_XYZW), [*other.vector, other.scalar])


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
@pytest.mark.parametrize("rotation", [Rotation.EULER_XYZ, Rotation.RPY])
def test_gimbal_lock_keeps_the_rotation(rotation: Rotation, pitch: float) -> None:
    q = read_rotation(np.array([0.4, pitch, 0.3]), rotation)
    written = write_rotation(q, rotation)
    assert np.isfinite(written).all()
    assert quat_angle(read_rotation(written, rotation), q) < 1e-5


@given(st.floats(0.2, 50.0), QUAT)
def test_what_a_network_makes_is_made_a_rotation(scale: float, q: np.ndarray) -> None:
    assert quat_angle(read_rotation(q * scale, Rotation.QUAT_WXYZ), q) < 1e-6
    columns = write_rotation(q, Rotation.ROT6D)
    leaning = np.concatenate([columns[:3] * scale, columns[3:] * scale + 0.3 * columns[:3]])
    assert quat_angle(read_rotation(leaning, Rotation.ROT6D), q) < 1e-5


@pytest.mark.parametrize(
    ("rotation", "values"),
    [
        (Rotation.QUAT_WXYZ, [0.01, 0.0, 0.0, 0.0]),
        (Rotation.QUAT_XYZW, [0.0, 0.0, 0.0, 0.0]),
        (Rotation.ROT6D, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]),
        (Rotation.ROT6D, [1.0, 0.0, 0.0, 2.0, 0.01, 0.0]),
        (Rotation.ROT6D_ROWS, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_what_means_no_rotation_is_refused(rotation: Rotation, values: list[float]) -> None:
    with pytest.raises(ValueError, match="no rotation|no two directions"):
        read_rotation(np.array(values), rotation)
