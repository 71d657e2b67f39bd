"""A tracked hand of known angles: the 25 joints that a headset would send of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from devices.vr.frames import operator_from_openxr
from teleop_app.core.geometry import Array, quat_from_rotvec, quat_multiply, quat_normalise, quat_rotate

FINGERS: Final = ("index", "middle", "ring", "little")
LENGTHS_M: Final = np.array([[0.065, 0.04, 0.025, 0.02]] * 4)
"""Of palm and the three phalanges of each finger."""
_NOWHERE: Final = np.zeros(3)


def tracked_hand(
    angles: Mapping[str, float],
    *,
    side: str = "right",
    size: float = 1.0,
    lengths_m: Array = LENGTHS_M,
    turn: Array = _NOWHERE,
    place: Array = _NOWHERE,
) -> Array:
    """Joints in WebXR's order, in the operator's axes, shape (25, 7); all have the orientation of the wrist.

    Args:
        angles: [rad] by name: `thumb_opposition`, `thumb_abduction`, `thumb_mcp`, `thumb_ip`, and of each
            finger `<finger>_abduction`, `_mcp`, `_pip`, `_dip`. Those left out are 0.
        side: `left` or `right`.
        size: Factor on everything.
        lengths_m: See `LENGTHS_M`, shape (4, 4).
        turn: Rotation vector [rad], in OpenXR's axes; without it the palm is down, the fingers ahead.
        place: Of the wrist [m], in OpenXR's axes.
    """
    radial = np.array([-1.0 if side == "right" else 1.0, 0.0, 0.0])
    points = np.zeros((25, 3))
    points[1:5] = _thumb(angles, radial)
    for number, (finger, lengths) in enumerate(zip(FINGERS, lengths_m, strict=True)):
        aside = (0.02 - 0.02 * number) * radial  # the middle finger is straight ahead of the wrist
        points[5 + 5 * number : 10 + 5 * number] = aside + _finger(angles, finger, lengths, radial)
    rotation = quat_normalise(quat_from_rotvec(np.asarray(turn, dtype=float)))
    joints = np.zeros((25, 7))
    joints[:, :3] = [quat_rotate(rotation, size * point) + place for point in points]
    joints[:, 3:] = quat_multiply(rotation, np.array([1.0, 0.0, 0.0, 0.0]))
    return operator_from_openxr(joints)


_AHEAD: Final = np.array([0.0, 0.0, -1.0])
_PALMAR: Final = np.array([0.0, -1.0, 0.0])


def _thumb(angles: Mapping[str, float], radial: Array) -> Array:
    opposition, abduction = angles.get("thumb_opposition", 0.0), angles.get("thumb_abduction", 0.0)
    out = math.cos(opposition) * radial + math.sin(opposition) * _PALMAR
    bone = math.cos(abduction) * _AHEAD + math.sin(abduction) * out
    curl = math.sin(abduction) * _AHEAD - math.cos(abduction) * out  # it bends back towards the fingers
    points = [0.02 * radial + 0.01 * _AHEAD]
    points.append(points[-1] + 0.04 * bone)
    bent = 0.0
    for joint in ("thumb_mcp", "thumb_ip"):
        bent += angles.get(joint, 0.0)
        points.append(points[-1] + 0.03 * (math.cos(bent) * bone + math.sin(bent) * curl))
    return np.array(points)


def _finger(angles: Mapping[str, float], finger: str, lengths: Array, radial: Array) -> Array:
    spread, mcp = angles.get(f"{finger}_abduction", 0.0), angles.get(f"{finger}_mcp", 0.0)
    straight = math.cos(mcp) * _AHEAD + math.sin(mcp) * _PALMAR
    bone = math.cos(spread) * straight + math.sin(spread) * radial
    curl = math.cos(mcp) * _PALMAR - math.sin(mcp) * _AHEAD
    points = [0.3 * lengths[0] * _AHEAD, lengths[0] * _AHEAD]
    bent = 0.0
    for length, joint in zip(lengths[1:], ("", "pip", "dip"), strict=True):
        bent += angles.get(f"{finger}_{joint}", 0.0) if joint else 0.0
        points.append(points[-1] + length * (math.cos(bent) * bone + math.sin(bent) * curl))
    return np.array(points)
