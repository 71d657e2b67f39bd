"""From the axes of OpenXR and WebXR to those of the operator.

OpenXR and WebXR (`local-floor`): x right, y up, z towards the operator. The operator's axes, in which every
input of the station speaks (docs/devices.md): x right, y away from the operator, z up. What turns them into
the robot's world is `mapping.yaw_deg` alone.
"""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import Array


def operator_from_openxr(poses: Array) -> Array:
    """Poses given in OpenXR axes, in the operator's axes; the bodies' own axes turn with them.

    Args:
        poses: Shape (..., 7): position [m], quat_wxyz.

    Returns:
        Shape (..., 7).
    """
    turned = np.empty_like(poses)
    # A quarter turn about x: (x, y, z) -> (x, -z, y); the imaginary part of a quaternion turns alike.
    for start in (0, 4):
        turned[..., start] = poses[..., start]
        turned[..., start + 1] = -poses[..., start + 2]
        turned[..., start + 2] = poses[..., start + 1]
    turned[..., 3] = poses[..., 3]
    return turned
