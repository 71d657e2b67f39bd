"""Frames of the operator: OpenXR axes to robot axes, and the calibrated yaw between person and robot.

Robot axes are FLU: x forward, y left, z up. OpenXR: x right, y up, z backward.
"""

from __future__ import annotations

import numpy as np
from pyquaternion import Quaternion

from teleop_app.core.geometry import (
    Array,
    make_pose,
    quat_conjugate,
    quat_from_matrix,
    quat_multiply,
    quat_rotate,
)

FLU_FROM_OPENXR: Array = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Turns a vector in OpenXR axes into FLU axes."""
FLU_FROM_OPENXR.flags.writeable = False

_QUAT: Array = quat_from_matrix(FLU_FROM_OPENXR)


def flu_from_openxr(pose: Array) -> Array:
    """A pose, shape (7,), given in OpenXR axes, in FLU axes (the body's own axes turn with them)."""
    rotation = quat_multiply(quat_multiply(_QUAT, pose[3:]), quat_conjugate(_QUAT))
    return make_pose(quat_rotate(_QUAT, pose[:3]), rotation)


def yaw_quat(yaw_deg: float) -> Array:
    """Rotation of the operator's frame into the world's: a turn about the vertical alone.

    Inverting a whole headset pose instead would tilt the robot's up by the head's pitch and roll.
    """
    return np.asarray(Quaternion(axis=(0.0, 0.0, 1.0), degrees=yaw_deg).elements, dtype=np.float64)
