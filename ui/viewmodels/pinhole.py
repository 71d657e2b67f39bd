"""Where points of the world appear in a camera's picture, by its calibration. No widgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.geometry import Array
from teleop_app.core.types import CameraSetup
from ui.gl.gizmo import rotation_of

NEAR_M = 0.02
"""What is nearer to the lens, or behind it, is not in the picture."""

_MOST_COEFFICIENTS = 12
_BEYOND = 1.2
"""How far outside of the picture's corners the lens is still taken for what its coefficients say."""


@dataclass(frozen=True, slots=True)
class Pinhole:
    """A camera with a known lens and place.

    Attributes:
        parent: Frame that carries it, `world` or a link.
        parent_R_camera: Rotation to the parent, OpenCV axes, shape (3, 3).
        parent_t_camera: Position in the parent [m], shape (3,).
        focal: fx, fy [px].
        centre: cx, cy [px].
        distortion: OpenCV's k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4.
        size: Width, height [px].
    """

    parent: str
    parent_R_camera: Array
    parent_t_camera: Array
    focal: Array
    centre: Array
    distortion: Array
    size: tuple[int, int]

    def in_camera(self, points: Array, parent: tuple[Array, Array]) -> Array:
        """Points in the camera's frame [m], shape (k, 3).

        Args:
            points: World frame [m], shape (k, 3).
            parent: `world_T_parent`: rotation (3, 3) and position (3,).
        """
        rotation, position = parent
        world_R_camera = rotation @ self.parent_R_camera
        world_t_camera = rotation @ self.parent_t_camera + position
        return (points - world_t_camera) @ world_R_camera

    def pixels(self, in_camera: Array) -> Array:
        """Pixels of points in front of the camera, shape (k, 2), as `cv2.projectPoints` has them.

        Args:
            in_camera: Camera frame, z above 0, shape (k, 3).
        """
        flat = in_camera[:, :2] / in_camera[:, 2:]
        return self._distorted(flat) * self.focal + self.centre

    def visible(self, in_camera: Array) -> NDArray[np.bool_]:
        """Which points the lens can show: in front of it, and not far outside of the picture.

        Far from the axis the polynomial of a lens folds back into the picture what is outside of it.
        """
        ahead = in_camera[:, 2] >= NEAR_M
        flat = in_camera[:, :2] / np.where(ahead, in_camera[:, 2], 1.0)[:, None]
        corners = np.array([[x, y] for x in (0, self.size[0]) for y in (0, self.size[1])])
        reach = np.linalg.norm((corners - self.centre) / self.focal, axis=1).max() * _BEYOND
        if not self.distortion.any():
            return ahead
        return ahead & (np.linalg.norm(flat, axis=1) <= reach)

    def _distorted(self, flat: Array) -> Array:
        """The model of OpenCV's calib3d without its tilted sensor (4.x, "Detailed Description")."""
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self.distortion
        x, y = flat[:, 0], flat[:, 1]
        r2 = x * x + y * y
        radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        across = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + s2 * r2)
        down = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + s4 * r2)
        return np.stack([across, down], axis=1)


def pinhole_of(setup: CameraSetup) -> Pinhole | None:
    """Returns the camera of a setup; None when its lens or its place is not known, or is none."""
    matrix = np.asarray(setup.intrinsics, dtype=np.float64).reshape(-1)
    pose = np.asarray(setup.parent_T_camera, dtype=np.float64).reshape(-1)
    if matrix.shape != (9,) or pose.shape != (7,) or not setup.parent:
        return None
    if len(setup.distortion) > _MOST_COEFFICIENTS and any(setup.distortion[_MOST_COEFFICIENTS:]):
        return None
    distortion = np.zeros(_MOST_COEFFICIENTS)
    known = setup.distortion[:_MOST_COEFFICIENTS]
    distortion[: len(known)] = known
    turn = float(np.linalg.norm(pose[3:]))
    finite = bool(np.isfinite([*matrix, *pose, *distortion]).all())
    if (
        not finite
        or matrix[0] <= 0.0
        or matrix[4] <= 0.0
        or turn < 1e-6
        or min(setup.width, setup.height) <= 0
    ):
        return None
    return Pinhole(
        setup.parent,
        rotation_of(pose[3:] / turn),
        pose[:3].copy(),
        matrix[[0, 4]],
        matrix[[2, 5]],
        distortion,
        (setup.width, setup.height),
    )
