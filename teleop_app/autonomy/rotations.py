"""How policies write rotations, to and from unit quaternions `quat_wxyz`.

Two traps are told apart by name, because the literature uses one word for both: roll-pitch-yaw about the
moving axes (`euler_xyz`) or about the fixed ones (`rpy`, as URDF), and the six numbers as the matrix's first
two columns (`rot6d`, Zhou et al., arXiv 1812.07035) or its first two rows (`rot6d_rows`).
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np

from teleop_app.core.geometry import (
    Array,
    quat_from_matrix,
    quat_from_rotvec,
    quat_normalise,
    quat_to_matrix,
    quat_to_rotvec,
)

_SMALLEST_NORM = 0.1
"""A network's quaternion or column shorter than this (of 1) says nothing of a direction."""
_GIMBAL = 1.0 - 1e-12


class Rotation(StrEnum):
    """How a rotation is written, angles in [rad].

    EULER_XYZ: roll, pitch, yaw about the moving axes x, y, z in turn (SciPy's `XYZ`).
    RPY: roll, pitch, yaw about the fixed axes x, y, z in turn (URDF; SciPy's `xyz`).
    AXIS_ANGLE: axis times angle. ROT6D: the rotation matrix's first column, then its second. ROT6D_ROWS: its
    first row, then its second.
    """

    EULER_XYZ = "euler_xyz"
    RPY = "rpy"
    QUAT_WXYZ = "quat_wxyz"
    QUAT_XYZW = "quat_xyzw"
    AXIS_ANGLE = "axis_angle"
    ROT6D = "rot6d"
    ROT6D_ROWS = "rot6d_rows"

    @property
    def width(self) -> int:
        """Numbers that it takes."""
        return _WIDTHS[self]


_WIDTHS = {
    Rotation.EULER_XYZ: 3,
    Rotation.RPY: 3,
    Rotation.QUAT_WXYZ: 4,
    Rotation.QUAT_XYZW: 4,
    Rotation.AXIS_ANGLE: 3,
    Rotation.ROT6D: 6,
    Rotation.ROT6D_ROWS: 6,
}


def write_rotation(quat_wxyz: Array, rotation: Rotation) -> Array:
    """Numbers of a unit quaternion, shape (rotation.width,); quaternions with a real part >= 0."""
    match rotation:
        case Rotation.QUAT_WXYZ:
            return quat_normalise(quat_wxyz)
        case Rotation.QUAT_XYZW:
            return quat_normalise(quat_wxyz)[[1, 2, 3, 0]]
        case Rotation.AXIS_ANGLE:
            return quat_to_rotvec(quat_wxyz)
        case Rotation.EULER_XYZ:
            return _moving_axes(quat_to_matrix(quat_wxyz))
        case Rotation.RPY:
            # About fixed axes x, y, z is about moving axes z, y, x: read off the transposed matrix.
            return -_moving_axes(quat_to_matrix(quat_wxyz).T)
        case Rotation.ROT6D:
            return quat_to_matrix(quat_wxyz)[:, :2].T.reshape(6)
        case Rotation.ROT6D_ROWS:
            return quat_to_matrix(quat_wxyz)[:2].reshape(6)


def read_rotation(values: Array, rotation: Rotation) -> Array:
    """Unit quaternion wxyz of finite numbers, shape (rotation.width,), that a network may have made.

    Quaternions are normalised and six numbers made orthonormal (Gram-Schmidt).

    Raises:
        ValueError: They are too short, or too near to parallel, to mean a rotation.
    """
    match rotation:
        case Rotation.QUAT_WXYZ:
            return _unit_quaternion(values)
        case Rotation.QUAT_XYZW:
            return _unit_quaternion(values[[3, 0, 1, 2]])
        case Rotation.AXIS_ANGLE:
            return quat_from_rotvec(values)
        case Rotation.EULER_XYZ:
            return _about_moving_axes(*(float(value) for value in values))
        case Rotation.RPY:
            w, x, y, z = _about_moving_axes(*(-float(value) for value in values))
            return np.array([w, -x, -y, -z])
        case Rotation.ROT6D:
            return quat_from_matrix(_orthonormal(values[:3], values[3:]))
        case Rotation.ROT6D_ROWS:
            return quat_from_matrix(_orthonormal(values[:3], values[3:]).T)


def _moving_axes(m: Array) -> Array:
    """Angles of R = Rx(roll) Ry(pitch) Rz(yaw); where roll and yaw are one turn, yaw is 0."""
    sine = float(m[0, 2])
    if abs(sine) >= _GIMBAL:
        return np.array([math.atan2(m[2, 1], m[1, 1]), math.copysign(math.pi / 2.0, sine), 0.0])
    pitch = math.atan2(sine, math.hypot(m[0, 0], m[0, 1]))
    return np.array([math.atan2(-m[1, 2], m[2, 2]), pitch, math.atan2(-m[0, 1], m[0, 0])])


def _about_moving_axes(roll: float, pitch: float, yaw: float) -> Array:
    cr, sr = math.cos(roll / 2.0), math.sin(roll / 2.0)
    cp, sp = math.cos(pitch / 2.0), math.sin(pitch / 2.0)
    cy, sy = math.cos(yaw / 2.0), math.sin(yaw / 2.0)
    return np.array(
        [
            cr * cp * cy - sr * sp * sy,
            sr * cp * cy + cr * sp * sy,
            cr * sp * cy - sr * cp * sy,
            cr * cp * sy + sr * sp * cy,
        ]
    )


def _unit_quaternion(q: Array) -> Array:
    norm = float(np.linalg.norm(q))
    if norm < _SMALLEST_NORM:
        msg = f"a quaternion of length {norm:.3g} (at least {_SMALLEST_NORM:g}) is no rotation"
        raise ValueError(msg)
    return quat_normalise(q)


def _orthonormal(first: Array, second: Array) -> Array:
    """Matrix whose first two columns are nearest the given ones, the first one's direction kept."""
    length = float(np.linalg.norm(first))
    if length >= _SMALLEST_NORM:
        x = first / length
        across = second - (x @ second) * x
        rest = float(np.linalg.norm(across))
        if rest >= _SMALLEST_NORM:
            y = across / rest
            return np.column_stack([x, y, np.cross(x, y)])
    msg = f"six numbers {np.round(first, 3).tolist()}, {np.round(second, 3).tolist()} span no two directions"
    raise ValueError(msg)
