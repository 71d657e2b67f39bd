"""Angles of a person's hand, from the 25 joints of WebXR Hand Input.

Only directions count: neither the length of a bone nor the size of the hand, nor where it is held.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.geometry import Array, quat_rotate

FINGERS: Final = ("index", "middle", "ring", "little")
FEATURES: Final = (
    "thumb_opposition",
    "thumb_abduction",
    "thumb_mcp",
    "thumb_ip",
    *(f"{finger}_{angle}" for finger in FINGERS for angle in ("abduction", "mcp", "pip", "dip")),
)
"""What is measured [rad].

Flexion grows from a straight finger. Abduction of a finger grows towards the thumb, that of the thumb away
from the fingers; opposition grows from a thumb in the plane of the palm to one that stands before it.
"""

_WRIST: Final = 0
_THUMB: Final = 1
_FIRST: Final = {finger: 5 + 5 * number for number, finger in enumerate(FINGERS)}
"""Index of each finger's metacarpal; proximal, intermediate, distal and tip follow."""
_BONE_STARTS: Final = np.array([1, 2, 3, *(first + bone for first in _FIRST.values() for bone in (1, 2, 3))])
"""Three bones of the thumb, then three of each finger."""
_BONE_ENDS: Final = _BONE_STARTS + 1
_AHEAD: Final = np.array([[1.0, 0.0, 0.0]])
_JOINTS: Final = 25
_PALM_M: Final = (0.03, 0.2)
_SHORTEST_BONE_M: Final = 1e-3
_DORSAL: Final = np.array([0.0, 0.0, 1.0])
"""In the frame of the wrist, out of the back of the hand: WebXR's +Y, turned to the operator's axes."""


def is_plausible_hand(joints: Array) -> bool:
    """Whether these are 25 finite joints, shape (25, 7), that make up a hand."""
    if joints.shape != (_JOINTS, 7) or not np.isfinite(joints).all():
        return False
    points = joints[:, :3]
    palm_m = float(np.linalg.norm(points[_FIRST["middle"] + 1] - points[_WRIST]))
    bones = points[_BONE_ENDS] - points[_BONE_STARTS]
    upright = abs(float(np.linalg.norm(joints[_WRIST, 3:])) - 1.0) < 0.01
    long_enough = bool((np.linalg.norm(bones, axis=1) > _SHORTEST_BONE_M).all())
    return upright and long_enough and _PALM_M[0] < palm_m < _PALM_M[1]


def hand_features(joints: Array) -> Array:
    """The angles of `FEATURES`, shape (20,).

    Args:
        joints: A plausible hand, left or right, in any frame, shape (25, 7).
    """
    points = joints[:, :3]
    bones = _unit(points[_BONE_ENDS] - points[_BONE_STARTS])
    seen = bones @ _palm(joints).T  # ahead, towards the thumb's side, out of the palm
    thumb, first = seen[0], seen[3::3]
    aside = np.arctan2(first[:, 1], np.hypot(first[:, 0], first[:, 2]))
    flexion = np.arctan2(first[:, 2], first[:, 0])
    bends = _angles(bones[:-1], bones[1:])
    fingers = np.stack([aside, flexion, bends[3::3], bends[4::3]], axis=1)
    opposition = np.arctan2(thumb[2], thumb[1])
    away = _angles(seen[:1], _AHEAD)
    return np.concatenate([[opposition], away, bends[:2], fingers.ravel()])


def pinch_gap(joints: Array) -> float:
    """Distance between the tips of thumb and index finger, in lengths of the index finger."""
    points, first = joints[:, :3], _FIRST["index"]
    length = np.linalg.norm(np.diff(points[first + 1 : first + 5], axis=0), axis=1).sum()
    return float(np.linalg.norm(points[_THUMB + 3] - points[first + 4]) / length)


def _palm(joints: Array) -> Array:
    """Unit vectors in rows: wrist to middle finger, towards the thumb's side, out of the palm."""
    points = joints[:, :3]
    along = _unit(points[_FIRST["middle"] + 1] - points[_WRIST])
    across = points[_FIRST["index"] + 1] - points[_FIRST["little"] + 1]
    radial = _unit(across - (across @ along) * along)
    (ax, ay, az), (rx, ry, rz) = along.tolist(), radial.tolist()
    normal = np.array([ay * rz - az * ry, az * rx - ax * rz, ax * ry - ay * rx])
    back = quat_rotate(joints[_WRIST, 3:], _DORSAL)
    return np.stack([along, radial, -normal if normal @ back > 0.0 else normal])


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), 1e-12)


def _angles(a: Array, b: Array) -> Array:
    """Between unit vectors, row by row; exact for small angles and for those near half a turn."""
    apart, along = a - b, a + b
    return 2.0 * np.arctan2(np.sqrt((apart * apart).sum(axis=1)), np.sqrt((along * along).sum(axis=1)))
