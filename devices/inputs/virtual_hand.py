"""The controller of a virtual hand: where it must be for the tool to be where it is wanted."""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import (
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_normalise,
    quat_rotate,
    quat_to_rotvec,
)
from teleop_app.core.types import Array

_GAIN_PER_S = 3.0
_MAX_OFFSET_M = 0.04
_MAX_OFFSET_RAD = 0.25


class VirtualHand:
    """Inverts the relative clutch, and watches the tool as a person does.

    Control maps `p = p_home + s C (p_c - p_c0)` and `R = C (R_c R_c0^-1) C^T R_home`. The hand knows
    s and C and takes the measured tool at the clutch for home; what that leaves out (the sag of the
    servos, a home that was not the measured one) it sees as an offset between tool and wish, and takes
    out slowly while the tool should stand still.

    Args:
        scale: Hand metres to robot metres, s.
        yaw_deg: Yaw of the operator's frame against the world, C [deg].
    """

    def __init__(self, scale: float = 1.0, yaw_deg: float = 0.0) -> None:
        self._scale = scale
        half = 0.5 * np.deg2rad(yaw_deg)
        self._C = np.array([np.cos(half), 0.0, 0.0, np.sin(half)])
        self._home = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        self._offset = np.zeros(3)
        self._turn = np.zeros(3)

    def clutch(self, tool: Array) -> Array:
        """Start anew at the measured tool pose; the controller pose at that moment."""
        self._home = tool.copy()
        self._offset[:] = 0.0
        self._turn[:] = 0.0
        return self.controller(tool)

    def watch(self, wanted: Array, tool: Array, dt_s: float) -> None:
        """See the standing tool, and shift the hand against what is missing."""
        gain = min(1.0, _GAIN_PER_S * dt_s)
        self._offset = _bounded(self._offset + gain * (wanted[:3] - tool[:3]), _MAX_OFFSET_M)
        missing = quat_to_rotvec(quat_multiply(wanted[3:], quat_conjugate(tool[3:])))
        self._turn = _bounded(self._turn + gain * missing, _MAX_OFFSET_RAD)

    def controller(self, wanted: Array) -> Array:
        """Controller pose, device frame, that brings the tool to `wanted`; home is the device's zero."""
        to_device = quat_conjugate(self._C)
        shift = wanted[:3] + self._offset - self._home[:3]
        position = quat_rotate(to_device, shift) / self._scale
        orientation = quat_multiply(quat_from_rotvec(self._turn), wanted[3:])
        turned = quat_multiply(orientation, quat_conjugate(self._home[3:]))
        rotation = quat_multiply(quat_multiply(to_device, turned), self._C)
        return np.concatenate([position, quat_normalise(rotation)])


def _bounded(vector: Array, limit: float) -> Array:
    length = float(np.linalg.norm(vector))
    return vector if length <= limit else vector * (limit / length)
