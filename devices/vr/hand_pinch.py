"""What bare hands say in place of buttons: pinches, from the 25 joints."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.geometry import Array

# Indices of WebXR Hand Input, XRHandJoint, in order: wrist, 4 of the thumb, 5 of each finger.
WRIST: Final = 0
THUMB_TIP: Final = 4
INDEX_TIP: Final = 9
MIDDLE_TIP: Final = 14

_CLOSED_M: Final = 0.012
_OPEN_M: Final = 0.06


def pinch(joints: Array, finger_tip: int) -> float:
    """How far thumb and a finger are pinched, 0 (6 cm apart) .. 1 (touching).

    Args:
        joints: Shape (25, 7).
        finger_tip: Index of the finger's tip.
    """
    apart_m = float(np.linalg.norm(joints[THUMB_TIP, :3] - joints[finger_tip, :3]))
    return min(1.0, max(0.0, (_OPEN_M - apart_m) / (_OPEN_M - _CLOSED_M)))
