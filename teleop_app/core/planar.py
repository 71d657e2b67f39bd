"""Motion in the plane: poses and displacements (x, y, theta) [m, rad] of a mobile base."""

from __future__ import annotations

import math

import numpy as np

from teleop_app.core.geometry import Array

_STRAIGHT_RAD = 1e-9


def displacement(twist: Array, seconds: float) -> Array:
    """Where a constant velocity leads: (dx, dy, dtheta) in the frame at its start, along an arc.

    The exponential map of SE(2): Sola, Deray and Atchuthan, "A micro Lie theory for state estimation in
    robotics", 2018, eq. 156-158.

    Args:
        twist: (vx, vy, wz) [m/s, rad/s] in the moving frame.
        seconds: For how long.
    """
    x, y, turn = (float(part) * seconds for part in twist)
    if abs(turn) < _STRAIGHT_RAD:
        return np.array([x, y, turn])
    along, across = math.sin(turn) / turn, (1.0 - math.cos(turn)) / turn
    return np.array([along * x - across * y, across * x + along * y, turn])


def advance(pose: Array, step: Array) -> Array:
    """The pose after a displacement given in the frame of `pose`; angles add up without wrapping."""
    cosine, sine = math.cos(pose[2]), math.sin(pose[2])
    x, y, turn = step
    return np.array([pose[0] + cosine * x - sine * y, pose[1] + sine * x + cosine * y, pose[2] + turn])


def path(steps: Array) -> Array:
    """Poses that displacements lead to one after the other from the origin.

    Args:
        steps: Shape (k, 3), each in the frame that the one before led to.

    Returns:
        Shape (k, 3): row i is the pose after step i.
    """
    turn = np.cumsum(steps[:, 2])
    before = turn - steps[:, 2]
    x = np.cumsum(np.cos(before) * steps[:, 0] - np.sin(before) * steps[:, 1])
    y = np.cumsum(np.sin(before) * steps[:, 0] + np.cos(before) * steps[:, 1])
    return np.stack([x, y, turn], axis=1)


def between(start: Array, end: Array) -> Array:
    """Displacements from poses to others, each in the frame of its start.

    Args:
        start: Shape (m, 3).
        end: Shape (m, 3).
    """
    away = end - start
    cosine, sine = np.cos(start[:, 2]), np.sin(start[:, 2])
    x = cosine * away[:, 0] + sine * away[:, 1]
    y = -sine * away[:, 0] + cosine * away[:, 1]
    return np.stack([x, y, away[:, 2]], axis=1)
