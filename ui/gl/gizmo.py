"""The 3-D target a mouse drags: picking and the three ways of dragging."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ui.gl.camera import OrbitCamera

GRAB_RADIUS_M = 0.035
MIN_GRAB_RADIUS_PX = 14.0
ROTATE_RAD_PER_PX = 0.008


class DragMode(Enum):
    """What the mouse changes while the target is held."""

    PLANE = "move"
    DEPTH = "depth"
    ROTATE = "turn"


@dataclass(slots=True)
class Drag:
    """A drag in progress: which arm, where it began, the offset of the grab."""

    arm: str
    last_x: float
    last_y: float


def pick(
    camera: OrbitCamera,
    targets: dict[str, NDArray[np.float64]],
    x: float,
    y: float,
    width: float,
    height: float,
) -> str | None:
    """Returns the arm whose target is under a pixel, the nearest to the eye when several are.

    Args:
        camera: The view.
        targets: `world_T_target` poses (7,) by arm.
        x: Pixels from the left.
        y: Pixels from the top.
        width: Of the view [px].
        height: Of the view [px].
    """
    eye, direction = camera.eye, camera.ray(x, y, width, height)
    best: tuple[float, str] | None = None
    for arm, pose in targets.items():
        to_target = pose[:3] - eye
        along = float(np.dot(to_target, direction))
        if along <= 0:
            continue
        miss = float(np.linalg.norm(to_target - along * direction))
        radius = max(GRAB_RADIUS_M, MIN_GRAB_RADIUS_PX * camera.metres_per_pixel(pose[:3], height))
        if miss <= radius and (best is None or along < best[0]):
            best = (along, arm)
    return None if best is None else best[1]


def dragged(
    camera: OrbitCamera,
    pose: NDArray[np.float64],
    dx_px: float,
    dy_px: float,
    height: float,
    mode: DragMode,
) -> NDArray[np.float64]:
    """Returns `world_T_target` after a mouse movement (y down), the other part unchanged."""
    moved = np.array(pose, dtype=np.float64)
    scale = camera.metres_per_pixel(moved[:3], height)
    if mode is DragMode.PLANE:
        moved[:3] += camera.right * dx_px * scale - camera.up * dy_px * scale
    elif mode is DragMode.DEPTH:
        moved[:3] -= camera.forward * dy_px * scale
    else:
        turn = quat_multiply(
            quat_about(camera.up, dx_px * ROTATE_RAD_PER_PX),
            quat_about(camera.right, dy_px * ROTATE_RAD_PER_PX),
        )
        rotated = quat_multiply(turn, moved[3:])
        moved[3:] = rotated / np.linalg.norm(rotated)
    return moved


def quat_about(axis: NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """Returns `quat_wxyz` of a turn about a unit axis."""
    return np.concatenate([[np.cos(angle_rad / 2)], np.sin(angle_rad / 2) * axis])


def quat_multiply(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the Hamilton product of two `quat_wxyz`."""
    w = a[0] * b[0] - a[1:] @ b[1:]
    v = a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
    return np.concatenate([[w], v])


def rotation_of(quat_wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the 3x3 rotation matrix of a unit `quat_wxyz`."""
    w, x, y, z = quat_wxyz
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
