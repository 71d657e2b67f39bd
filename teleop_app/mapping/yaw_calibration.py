"""The yaw between person and robot, from one motion of the hand straight ahead."""

from __future__ import annotations

import math

import numpy as np

from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array

MIN_DISTANCE_M = 0.2
MAX_CLIMB_DEG = 20.0
MAX_BEND = 0.1
"""Greatest distance from the straight line, as a share of its length."""

_AGAIN = "Hold the controller still, then move it straight ahead by a forearm's length"


def yaw_from_motion(positions: Array, ahead_deg: float = 0.0) -> float:
    """`mapping.yaw_deg` for a hand that was moved straight ahead [deg], in -180 .. 180.

    Args:
        positions: Of the hand in the device's frame (z up) [m], in order of time, shape (n, 3).
        ahead_deg: What the person calls ahead, in the world frame: 0 is along x.

    Raises:
        StationError: The hand moved too little, not level, or not straight.
    """
    if positions.ndim != 2 or positions.shape[1:] != (3,) or len(positions) < 2:
        raise _refusal("no motion of the hand was seen")
    if not np.isfinite(positions).all():
        raise _refusal("the hand's position was not finite")
    offsets = positions - positions[0]
    far = int(np.argmax(np.linalg.norm(offsets, axis=1)))
    way = offsets[far]
    length = float(np.linalg.norm(way))
    if length < MIN_DISTANCE_M:
        raise _refusal(f"the hand moved {length:.2f} m (at least {MIN_DISTANCE_M:.2f} m are needed)")
    climb_deg = math.degrees(math.asin(abs(float(way[2])) / length))
    if climb_deg > MAX_CLIMB_DEG:
        raise _refusal(f"the hand moved {climb_deg:.0f} deg up or down (at most {MAX_CLIMB_DEG:.0f})")
    along = offsets[: far + 1] @ (way / length)
    aside = np.linalg.norm(offsets[: far + 1] - along[:, None] * (way / length), axis=1).max()
    if aside > MAX_BEND * length:
        raise _refusal(f"the hand left the straight line by {aside:.2f} m (at most {MAX_BEND * length:.2f})")
    yaw = ahead_deg - math.degrees(math.atan2(float(way[1]), float(way[0])))
    return (yaw + 180.0) % 360.0 - 180.0


def _refusal(why: str) -> StationError:
    return StationError("The yaw was not calibrated", why=why, next_step=_AGAIN)
