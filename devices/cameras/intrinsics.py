"""The lens of a camera from views of a board: K and distortion, with outliers left out and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from devices.cameras.calibration_views import TILTED_RAD, stance_of
from devices.cameras.charuco import Board, BoardView
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array

FEWEST_VIEWS: Final = 8
FEWEST_TILTED: Final = 3
_OUTLIER: Final = 3.0
_OUTLIER_PX: Final = 0.5
_UNSURE_FOCAL: Final = 0.01
_SURE_FOCAL: Final = 0.0015
_WORTH_IT: Final = 0.97
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Lens:
    """Intrinsics of a camera.

    Attributes:
        matrix: K [px], shape (3, 3).
        distortion: k1, k2, p1, p2, k3; shape (5,).
        reprojection_px: RMS over all corners.
        view_errors_px: RMS of each view that was kept.
        kept: Indices of the views that were kept.
        focal_error: Standard deviation of the focal length, as a share of it.
    """

    matrix: Array
    distortion: Array
    reprojection_px: float
    view_errors_px: Array
    kept: tuple[int, ...]
    focal_error: float

    @property
    def verdict(self) -> str:
        """How good it is, as a sentence."""
        sure = f"focal length known to {100 * self.focal_error:.2f} %"
        error = f"{self.reprojection_px:.2f} px over {len(self.kept)} views, {sure}"
        if self.reprojection_px < 0.5 and self.focal_error < _SURE_FOCAL:
            return f"Good: {error}."
        if self.reprojection_px < 0.5:
            return f"Usable: {error}. Tilt the board more, and fill the picture with it, to do better."
        if self.reprojection_px < 1.0:
            return f"Usable: {error}. Hold the board flat and still to do better."
        return f"Poor: {error}. Glue the board onto something flat, give it more light, and calibrate anew."


def solve_lens(views: Sequence[BoardView], board: Board, width: int, height: int) -> Lens:
    """Fit the pinhole model with radial and tangential distortion (Zhang's method, OpenCV's).

    Raises:
        DeviceError: Too few views, all of them frontal, or the fit is not sure.
    """
    tilted = sum(stance_of(view, board, width, height).tilt_rad > TILTED_RAD for view in views)
    if len(views) < FEWEST_VIEWS:
        raise DeviceError(
            f"{len(views)} views are too few to calibrate a camera",
            why=f"it takes at least {FEWEST_VIEWS}",
            next_step="Show the board from more sides",
        )
    if tilted < FEWEST_TILTED:
        raise DeviceError(
            "The views do not tell the focal length",
            why=f"only {tilted} of {len(views)} show the board tilted by 15 degrees or more",
            next_step="Tilt the board towards and away from the camera, left and right",
        )
    kept = list(range(len(views)))
    lens = _fit(views, kept, board, (width, height))
    for _ in range(_ROUNDS):
        limit_px = max(_OUTLIER * float(np.median(lens.view_errors_px)), _OUTLIER_PX)
        sound = [index for index, error in zip(kept, lens.view_errors_px, strict=True) if error <= limit_px]
        if len(sound) == len(kept) or len(sound) < FEWEST_VIEWS:
            break
        kept = sound
        lens = _fit(views, kept, board, (width, height))
    if not np.isfinite(lens.matrix).all() or lens.focal_error > _UNSURE_FOCAL:
        raise DeviceError(
            "The views do not tell the focal length",
            why=f"it is only known to {100 * lens.focal_error:.1f} %",
            next_step="Tilt the board more, and show it in the corners of the picture too",
        )
    return lens


def _fit(views: Sequence[BoardView], kept: list[int], board: Board, size: tuple[int, int]) -> Lens:
    chosen = [views[index] for index in kept]
    objects = [board.corners[view.ids].astype(np.float32) for view in chosen]
    images = [view.corners.reshape(-1, 1, 2) for view in chosen]
    tries = [_calibrate(objects, images, size, flags) for flags in (cv2.CALIB_FIX_K3, 0)]
    plain, full = tries
    rms, matrix, distortion, deviations, errors = full if full[0] < _WORTH_IT * plain[0] else plain
    coefficients = np.zeros(5)
    found = np.asarray(distortion, np.float64).reshape(-1)[:5]
    coefficients[: len(found)] = found
    matrix = np.asarray(matrix, np.float64)
    focal_error = float(np.max(np.asarray(deviations).reshape(-1)[:2] / np.diag(matrix)[:2]))
    return Lens(
        matrix, coefficients, float(rms), np.asarray(errors, np.float64).reshape(-1), tuple(kept), focal_error
    )


def _calibrate(
    objects: list[np.ndarray], images: list[np.ndarray], size: tuple[int, int], flags: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    try:
        found = cv2.calibrateCameraExtended(objects, images, size, np.zeros((3, 3)), np.zeros(5), flags=flags)
    except cv2.error as error:
        raise DeviceError(
            "The camera cannot be calibrated with these views",
            why=str(error.err),
            next_step="Discard them and show the board from other sides",
        ) from error
    rms, matrix, distortion, _, _, deviations, _, errors = found
    return float(rms), matrix, distortion, deviations, errors
