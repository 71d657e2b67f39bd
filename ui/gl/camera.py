"""An orbiting camera: looks at a point from a distance, z is up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vec3 = NDArray[np.float64]

_MAX_ELEVATION_RAD = math.radians(89.0)


def _default_target() -> Vec3:
    return np.array([0.0, 0.0, 0.15])


@dataclass(slots=True)
class OrbitCamera:
    """Camera on a sphere around `target`, all lengths in metres and angles in radians.

    Attributes:
        target: Point looked at in the world frame, shape (3,).
        distance_m: From the eye to the target.
        azimuth_rad: Heading of the view direction about +z; 90 degrees looks along +y.
        elevation_rad: Negative looks down.
        field_of_view_rad: Vertical opening angle.
    """

    target: Vec3 = field(default_factory=_default_target)
    distance_m: float = 1.6
    azimuth_rad: float = math.radians(90.0)
    elevation_rad: float = math.radians(-32.0)
    field_of_view_rad: float = math.radians(45.0)

    @property
    def forward(self) -> Vec3:
        """Unit view direction in the world frame."""
        ce = math.cos(self.elevation_rad)
        return np.array(
            [
                ce * math.cos(self.azimuth_rad),
                ce * math.sin(self.azimuth_rad),
                math.sin(self.elevation_rad),
            ]
        )

    @property
    def right(self) -> Vec3:
        """Unit vector to the right of the picture, in the world frame."""
        return np.array([math.sin(self.azimuth_rad), -math.cos(self.azimuth_rad), 0.0])

    @property
    def up(self) -> Vec3:
        """Unit vector to the top of the picture, in the world frame."""
        return np.cross(self.right, self.forward)

    @property
    def eye(self) -> Vec3:
        """Position of the camera in the world frame."""
        return self.target - self.forward * self.distance_m

    def view(self) -> NDArray[np.float64]:
        """Returns `eye_T_world`, 4x4, OpenGL axes (x right, y up, z back)."""
        rotation = np.stack([self.right, self.up, -self.forward])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = -rotation @ self.eye
        return matrix

    def projection(self, aspect: float) -> NDArray[np.float64]:
        """Returns the OpenGL perspective matrix, 4x4, for a width/height ratio."""
        near = max(0.01, self.distance_m * 0.02)
        far = self.distance_m * 12.0 + 10.0
        focal = 1.0 / math.tan(self.field_of_view_rad / 2.0)
        matrix = np.zeros((4, 4))
        matrix[0, 0] = focal / max(aspect, 1e-6)
        matrix[1, 1] = focal
        matrix[2, 2] = (far + near) / (near - far)
        matrix[2, 3] = 2.0 * far * near / (near - far)
        matrix[3, 2] = -1.0
        return matrix

    def project(self, point: Vec3, width: float, height: float) -> tuple[float, float] | None:
        """Returns the pixel (x right, y down) of a world point, None behind the eye."""
        clip = self.projection(width / max(height, 1.0)) @ self.view() @ np.append(point, 1.0)
        if clip[3] <= 1e-9:
            return None
        return (
            float((clip[0] / clip[3] + 1.0) * 0.5 * width),
            float((1.0 - clip[1] / clip[3]) * 0.5 * height),
        )

    def ray(self, x: float, y: float, width: float, height: float) -> Vec3:
        """Returns the unit direction in the world frame through a pixel, from `eye`."""
        half = math.tan(self.field_of_view_rad / 2.0)
        across = (2.0 * x / max(width, 1.0) - 1.0) * half * width / max(height, 1.0)
        upward = (1.0 - 2.0 * y / max(height, 1.0)) * half
        direction = self.forward + across * self.right + upward * self.up
        return direction / np.linalg.norm(direction)

    def metres_per_pixel(self, point: Vec3, height: float) -> float:
        """Returns the size of one pixel at the depth of a world point."""
        depth = max(float(np.dot(point - self.eye, self.forward)), 1e-3)
        return 2.0 * depth * math.tan(self.field_of_view_rad / 2.0) / max(height, 1.0)

    def orbit(self, dx_px: float, dy_px: float) -> None:
        """Turns about the target by a mouse movement, 0.4 degrees a pixel."""
        step = math.radians(0.4)
        self.azimuth_rad = (self.azimuth_rad - dx_px * step) % math.tau
        elevation = self.elevation_rad - dy_px * step
        self.elevation_rad = min(max(elevation, -_MAX_ELEVATION_RAD), _MAX_ELEVATION_RAD)

    def pan(self, dx_px: float, dy_px: float, height: float) -> None:
        """Moves the target so that the scene follows the mouse."""
        scale = self.metres_per_pixel(self.target, height)
        self.target = self.target - self.right * dx_px * scale + self.up * dy_px * scale

    def zoom(self, steps: float) -> None:
        """Comes closer by wheel steps (positive is closer)."""
        self.distance_m = min(max(self.distance_m * 0.88**steps, 0.1), 20.0)
