"""Small steps and turns of an end effector, at the press of a key."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.config import MappingSection
from teleop_app.core.geometry import (
    Array,
    make_pose,
    quat_from_rotvec,
    quat_multiply,
    quat_normalise,
    quat_rotate,
)
from teleop_app.mapping.frames import yaw_quat

NUDGE_AXES: Final = ("x", "y", "z", "roll", "pitch", "yaw")
"""Along the operator's axes, and about them."""


def nudge_step(mapping: MappingSection, axis: str, sign: int) -> tuple[Array, Array]:
    """Step [m], shape (3,), and turn (quaternion wxyz) of one nudge, world frame.

    Args:
        mapping: Its sizes, and the yaw of the operator's frame, along whose axes it goes.
        axis: `x`, `y`, `z`, or `roll`, `pitch`, `yaw` about them.
        sign: 1 or -1.

    Raises:
        ValueError: There is no such axis.
    """
    if axis not in NUDGE_AXES or sign not in (-1, 1):
        msg = f"there is no nudge {axis!r} by {sign!r}: axes are {', '.join(NUDGE_AXES)}, signs 1 and -1"
        raise ValueError(msg)
    index = NUDGE_AXES.index(axis)
    along = quat_rotate(yaw_quat(mapping.yaw_deg), np.eye(3)[index % 3] * float(sign))
    if index < 3:
        return along * mapping.nudge_m, np.array([1.0, 0.0, 0.0, 0.0])
    return np.zeros(3), quat_from_rotvec(along * np.radians(mapping.nudge_deg))


def nudged(pose: Array, step_m: Array, turn: Array) -> Array:
    """A pose after one nudge."""
    return make_pose(pose[:3] + step_m, quat_normalise(quat_multiply(turn, pose[3:])))
