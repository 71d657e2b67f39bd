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
_JOINTS: Final = 25
_PALM_M: Final = (0.03, 0.2)
_SHORTEST_BONE_M: Final = 1e-3
_DORSAL: Final = np.array([0.0, 1.0, 0.0])
"""In the frame of the wrist +Y comes out of the back of the hand (WebXR Hand Input, as in OpenXR)."""


def is_plausible_hand(joints: Array) -> bool:
    """Whether these are 25 finite joints, shape (25, 7), that make up a hand."""
    if joints.shape != (_JOINTS, 7) or not np.isfinite(joints).all():
        return False
    points = joints[:, :3]
    palm_m = float(np.linalg.norm(points[_FIRST["middle"] + 1] - points[_WRIST]))
    starts = [_THUMB, _THUMB + 1, _THUMB + 2]
    starts += [first + bone for first in _FIRST.values() for bone in (1, 2, 3)]
    bones = points[[start + 1 for start in starts]] - points[starts]
    upright = abs(float(np.linalg.norm(joints[_WRIST, 3:])) - 1.0) < 0.01
    long_enough = bool((np.linalg.norm(bones, axis=1) > _SHORTEST_BONE_M).all())
    return upright and long_enough and _PALM_M[0] < palm_m < _PALM_M[1]


def hand_features(joints: Array) -> Array:
    """The angles of `FEATURES`, shape (20,).

    Args:
        joints: A plausible hand, left or right, in any frame, shape (25, 7).
    """
    points = joints[:, :3]
    along, radial, palmar = _palm(joints)
    thumb = [points[_THUMB + bone + 1] - points[_THUMB + bone] for bone in range(3)]
    angles = [
        float(np.arctan2(thumb[0] @ palmar, thumb[0] @ radial)),
        _angle(thumb[0], along),
        _angle(thumb[0], thumb[1]),
        _angle(thumb[1], thumb[2]),
    ]
    for first in _FIRST.values():
        bones = [points[first + bone + 1] - points[first + bone] for bone in (1, 2, 3)]
        ahead, aside, inward = bones[0] @ along, bones[0] @ radial, bones[0] @ palmar
        angles.append(float(np.arctan2(aside, np.hypot(ahead, inward))))
        angles.append(float(np.arctan2(inward, ahead)))
        angles += [_angle(bones[0], bones[1]), _angle(bones[1], bones[2])]
    return np.array(angles)


def pinch_gap(joints: Array) -> float:
    """Distance between the tips of thumb and index finger, in lengths of the index finger."""
    points, first = joints[:, :3], _FIRST["index"]
    length = np.linalg.norm(np.diff(points[first + 1 : first + 5], axis=0), axis=1).sum()
    return float(np.linalg.norm(points[_THUMB + 3] - points[first + 4]) / length)


def _palm(joints: Array) -> tuple[Array, Array, Array]:
    """Unit vectors: wrist to middle finger, towards the thumb's side, out of the palm."""
    points = joints[:, :3]
    along = _unit(points[_FIRST["middle"] + 1] - points[_WRIST])
    across = points[_FIRST["index"] + 1] - points[_FIRST["little"] + 1]
    radial = _unit(across - (across @ along) * along)
    normal = np.cross(along, radial)
    back = quat_rotate(joints[_WRIST, 3:], _DORSAL)
    return along, radial, -normal if normal @ back > 0.0 else normal


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _angle(a: Array, b: Array) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))
