"""Numbers that may enter the control loop at all."""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import Array, is_pose

LARGEST = 1e4
"""No position, angle or velocity of a hand or robot is larger; far larger ones overflow when squared."""


def is_plausible(values: Array, size: int | None = None) -> bool:
    """Whether `values` is a vector of finite numbers of a sane size, `size` of them if that is given."""
    if values.ndim != 1 or (size is not None and len(values) != size):
        return False
    return bool(np.isfinite(values).all()) and bool((np.abs(values) < LARGEST).all())


def is_plausible_pose(pose: Array) -> bool:
    """Whether `pose` is position and unit quaternion, shape (7,), of a sane size."""
    return is_plausible(pose, 7) and is_pose(pose)
