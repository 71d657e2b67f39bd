"""Rigid-body geometry in plain NumPy: unit quaternions `quat_wxyz` and poses of shape (7,).

A pose is `[x, y, z, qw, qx, qy, qz]` (metres, unit quaternion); `base_T_ee` maps points from the
frame `ee` to the frame `base`. MuJoCo and mink use the same order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

IDENTITY_POSE: Array = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
IDENTITY_POSE.flags.writeable = False


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product of two quaternions wxyz: the rotation `b` first, then `a`."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def quat_conjugate(q: Array) -> Array:
    """Inverse of a unit quaternion."""
    return np.array([q[0], -q[1], -q[2], -q[3]])


def quat_normalise(q: Array) -> Array:
    """Scale to unit length with a non-negative real part.

    Raises:
        ValueError: The norm is zero or not finite.
    """
    norm = math.sqrt(float(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]))
    if not math.isfinite(norm) or norm < 1e-9:
        msg = f"quaternion {q!r} cannot be normalised"
        raise ValueError(msg)
    return q / norm if q[0] >= 0.0 else q / -norm


def quat_rotate(q: Array, v: Array) -> Array:
    """Rotate the vector `v`, shape (3,), by the unit quaternion `q`."""
    w, x, y, z = q
    vx, vy, vz = v
    tx = 2.0 * (y * vz - z * vy)
    ty = 2.0 * (z * vx - x * vz)
    tz = 2.0 * (x * vy - y * vx)
    return np.array(
        [
            vx + w * tx + y * tz - z * ty,
            vy + w * ty + z * tx - x * tz,
            vz + w * tz + x * ty - y * tx,
        ]
    )


def quat_from_rotvec(rotvec: Array) -> Array:
    """Quaternion of a rotation vector [rad], shape (3,)."""
    angle = math.sqrt(float(rotvec @ rotvec))
    half = 0.5 * angle
    scale = math.sin(half) / angle if angle > 1e-8 else 0.5
    return np.array([math.cos(half), rotvec[0] * scale, rotvec[1] * scale, rotvec[2] * scale])


def quat_to_rotvec(q: Array) -> Array:
    """Rotation vector [rad] of a unit quaternion, angle in [0, pi]."""
    w, x, y, z = q if q[0] >= 0.0 else -q
    sine = math.sqrt(float(x * x + y * y + z * z))
    scale = 2.0 * math.atan2(sine, float(w)) / sine if sine > 1e-8 else 2.0
    return np.array([x * scale, y * scale, z * scale])


def quat_slerp(a: Array, b: Array, fraction: float) -> Array:
    """Spherical interpolation from `a` (0) to `b` (1) along the shorter arc."""
    delta = quat_to_rotvec(quat_multiply(quat_conjugate(a), b))
    return quat_multiply(a, quat_from_rotvec(delta * fraction))


def quat_angle(a: Array, b: Array) -> float:
    """Angle [rad] between two rotations, in [0, pi]."""
    return float(np.linalg.norm(quat_to_rotvec(quat_multiply(quat_conjugate(a), b))))


def quat_to_matrix(q: Array) -> Array:
    """Rotation matrix, shape (3, 3), of a unit quaternion."""
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quat_from_matrix(m: Array) -> Array:
    """Unit quaternion of a rotation matrix, shape (3, 3) (Shepperd's method)."""
    diagonal = np.array([m[0, 0] + m[1, 1] + m[2, 2], m[0, 0], m[1, 1], m[2, 2]])
    largest = int(np.argmax(diagonal))
    if largest == 0:
        q = np.array([1 + diagonal[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    elif largest == 1:
        q = np.array([m[2, 1] - m[1, 2], 1 + 2 * m[0, 0] - diagonal[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]])
    elif largest == 2:
        q = np.array([m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 1 + 2 * m[1, 1] - diagonal[0], m[1, 2] + m[2, 1]])
    else:
        q = np.array([m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1 + 2 * m[2, 2] - diagonal[0]])
    return quat_normalise(q)


def make_pose(position: Array, quat_wxyz: Array) -> Array:
    """Join a position (3,) and a quaternion (4,) into a pose (7,)."""
    return np.concatenate([position, quat_wxyz])


def pose_compose(a_T_b: Array, b_T_c: Array) -> Array:
    """`a_T_c` of two poses."""
    position = a_T_b[:3] + quat_rotate(a_T_b[3:], b_T_c[:3])
    return np.concatenate([position, quat_multiply(a_T_b[3:], b_T_c[3:])])


def pose_inverse(a_T_b: Array) -> Array:
    """`b_T_a`."""
    inverse = quat_conjugate(a_T_b[3:])
    return np.concatenate([-quat_rotate(inverse, a_T_b[:3]), inverse])


def is_pose(value: Array) -> bool:
    """Whether `value` is finite, has shape (7,) and a quaternion within 1 % of unit length."""
    if value.shape != (7,) or not np.isfinite(value).all():
        return False
    return abs(float(value[3:] @ value[3:]) - 1.0) < 0.02
