"""Which pictures of the board are worth keeping: sharp, unlike those before, and all over the view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from devices.cameras.charuco import Board, BoardView
from devices.cameras.source import Image
from teleop_app.core.types import Array

GRID: Final = (6, 4)
"""Cells of the picture, across and down, that the board should have been seen in."""
TILTED_RAD: Final = np.deg2rad(15.0)
_SHARP: Final = 0.9
_MOVED: Final = 0.08
_SCALED: Final = 0.2
_TURNED_RAD: Final = np.deg2rad(8.0)
_MARGIN_PX: Final = 8


@dataclass(frozen=True, slots=True)
class Stance:
    """Roughly how the board stands before the camera, by a lens of 60 degrees.

    Attributes:
        centre: Of the corners, as shares of the picture, shape (2,).
        distance: In widths of the board.
        normal: Of the board in the camera's axes, shape (3,).
        across: Direction of its x axis in the camera's axes, shape (3,).
    """

    centre: Array
    distance: float
    normal: Array
    across: Array

    @property
    def tilt_rad(self) -> float:
        """Angle between the board's normal and the optical axis."""
        return float(np.arccos(np.clip(abs(self.normal[2]), 0.0, 1.0)))

    def differs(self, other: Stance) -> bool:
        """Whether a view says something that another one does not."""
        turned = max(_angle(self.normal, other.normal), _angle(self.across, other.across))
        return (
            float(np.abs(self.centre - other.centre).max()) > _MOVED
            or abs(np.log(self.distance / other.distance)) > _SCALED
            or turned > _TURNED_RAD
        )


def stance_of(view: BoardView, board: Board, width: int, height: int) -> Stance:
    """How the board of a view stands."""
    focal = 0.87 * max(width, height)
    matrix = np.array([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])
    points = board.corners[view.ids], view.corners.astype(np.float64)
    _, turn, place = cv2.solvePnP(*points, matrix, None, flags=cv2.SOLVEPNP_SQPNP)
    rotation = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
    centre = view.corners.mean(axis=0).astype(np.float64) / (width, height)
    distance = float(np.linalg.norm(place)) / (board.columns * board.square_m)
    return Stance(centre, max(distance, 1e-3), rotation[:, 2], rotation[:, 0])


def sharpness(image: Image, view: BoardView) -> float:
    """How steep the edges of the board are, whatever its size and the light: 2 sharp, 0.9 blurred by 2 px."""
    low = np.maximum(view.corners.min(axis=0).astype(int) - _MARGIN_PX, 0)
    high = view.corners.max(axis=0).astype(int) + _MARGIN_PX
    part = image[low[1] : high[1], low[0] : high[0]]
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY) if part.ndim == 3 else part
    spread = float(grey.std())
    if spread < 1.0:
        return 0.0
    # A little smoothing, or the sensor's noise would count as edges.
    steep = cv2.Laplacian(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_64F)
    # The larger the squares, the fewer of the pixels are edges.
    square_px = np.sqrt(grey.size / len(view))
    return float(steep.std()) / spread * float(np.sqrt(square_px))


def is_sharp(image: Image, view: BoardView) -> bool:
    """Whether the edges are good for a fraction of a pixel."""
    return sharpness(image, view) >= _SHARP


def cells_of(view: BoardView, width: int, height: int) -> set[tuple[int, int]]:
    """Cells of the grid in which the view has corners."""
    places = np.floor(view.corners / (width, height) * GRID).astype(int)
    places = np.clip(places, 0, np.array(GRID) - 1)
    return {(int(x), int(y)) for x, y in places}


def _angle(a: Array, b: Array) -> float:
    return float(np.arccos(np.clip(a @ b, -1.0, 1.0)))
