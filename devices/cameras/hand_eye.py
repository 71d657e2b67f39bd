"""Where a camera is: on a link that moves before a fixed board, or fixed before a board in the gripper.

With camera_T_board B, and A the link's pose (inverted for a camera on the link), every view says
B = inv(X) A Z, where X is the wanted place of the camera and Z that of the board. X comes first from the
motions between views (Park and Martin, "Robot sensor calibration: solving AX = XB on the Euclidean group",
1994), then X and Z together by Levenberg-Marquardt on the differences between the two sides. Reprojection
errors would be the wrong measure: the arm's own error is larger than that of the corners (1.5 mm, not 0.6 mm,
with an arm that is off by 0.3 mm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

import cv2
import numpy as np

from devices.cameras.charuco import Board, BoardView
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import (
    make_pose,
    pose_compose,
    pose_inverse,
    quat_angle,
    quat_from_matrix,
    quat_from_rotvec,
    quat_to_matrix,
    quat_to_rotvec,
)
from teleop_app.core.types import Array

FEWEST_VIEWS: Final = 6
_LEAST_TURN: Final = 0.02
_OUTLIER: Final = 4.0
_OUTLIER_M: Final = 0.002
_STEPS: Final = 30
_LIKELY_M: Final = 1e-3
_LIKELY_RAD: Final = 2e-3
"""How far a view is likely to be off: weighs positions against turns."""


class MountKind(StrEnum):
    """How a camera is mounted."""

    ON_LINK = "on-link"
    """On a link of the arm; the board stands still."""
    FIXED = "fixed"
    """Fixed in the cell; the board is held by the arm."""


@dataclass(frozen=True, slots=True)
class MountView:
    """A view with the pose of the arm at its time.

    Attributes:
        view: Corners.
        world_T_link: Of the link that carries camera or board, shape (7,).
    """

    view: BoardView
    world_T_link: Array


@dataclass(frozen=True, slots=True)
class Mount:
    """Where the camera is.

    Attributes:
        parent_T_camera: In the link (camera on it) or the world (fixed camera), shape (7,), OpenCV axes.
        error_m: RMS over the views of where the board seems to be, about its mean.
        error_rad: Likewise of its orientation.
        kept: Indices of the views that were kept.
    """

    parent_T_camera: Array
    error_m: float
    error_rad: float
    kept: tuple[int, ...]

    @property
    def verdict(self) -> str:
        """How good it is, as a sentence."""
        turn_deg = np.rad2deg(self.error_rad)
        error = f"{self.error_m * 1e3:.1f} mm and {turn_deg:.2f} degrees over {len(self.kept)} views"
        if self.error_m < 0.003:
            return f"Good: {error}."
        if self.error_m < 0.008:
            return f"Usable: {error}. Let the arm come to rest before each view to do better."
        return (
            f"Poor: {error}. Check that board and camera are fixed where they are, that the arm is "
            "calibrated, and that the square's size is the printed one."
        )


def solve_mount(
    views: Sequence[MountView], board: Board, matrix: Array, distortion: Array, kind: MountKind
) -> Mount:
    """Find where the camera is.

    Raises:
        DeviceError: Too few views, or the arm turned about one axis alone.
    """
    if len(views) < FEWEST_VIEWS:
        raise DeviceError(
            f"{len(views)} views with the arm's pose are too few to find where the camera is",
            why=f"it takes at least {FEWEST_VIEWS}",
            next_step="Move the arm to more places",
        )
    arms = [
        pose_inverse(each.world_T_link) if kind is MountKind.ON_LINK else each.world_T_link for each in views
    ]
    boards = [board_pose(each.view, board, matrix, distortion) for each in views]

    def fit(kept: list[int]) -> tuple[Array, list[float], list[float]]:
        some, seen = [arms[i] for i in kept], [boards[i] for i in kept]
        camera, target = _solve(some, seen)
        camera, target = _refine(camera, target, some, seen)
        places = _places(camera, some, seen)
        off_m = [float(np.linalg.norm(place[:3] - target[:3])) for place in places]
        return camera, off_m, [quat_angle(place[3:], target[3:]) for place in places]

    kept = list(range(len(views)))
    camera, off_m, off_rad = fit(kept)
    limit_m = max(_OUTLIER * float(np.median(off_m)), _OUTLIER_M)
    sound = [index for index, error in zip(kept, off_m, strict=True) if error <= limit_m]
    if FEWEST_VIEWS <= len(sound) < len(kept):
        kept = sound
        camera, off_m, off_rad = fit(kept)
    return Mount(camera, _rms(off_m), _rms(off_rad), tuple(kept))


def board_pose(view: BoardView, board: Board, matrix: Array, distortion: Array) -> Array:
    """camera_T_board of a view, shape (7,).

    Raises:
        DeviceError: The corners have no pose.
    """
    # The planar solver gives up on a few corners in two rows; the general one does not.
    for method in (cv2.SOLVEPNP_IPPE, cv2.SOLVEPNP_SQPNP):
        done, turn, place = cv2.solvePnP(
            board.corners[view.ids], view.corners.astype(np.float64), matrix, distortion, flags=method
        )
        if done and np.isfinite(turn).all() and np.isfinite(place).all():
            break
    else:
        raise DeviceError(
            "The board's pose cannot be found in a view", next_step="Discard it and take another"
        )
    turn, place = cv2.solvePnPRefineLM(
        board.corners[view.ids], view.corners.astype(np.float64), matrix, distortion, turn, place
    )
    return make_pose(
        np.asarray(place, np.float64).reshape(3), quat_from_rotvec(np.asarray(turn, np.float64).reshape(3))
    )


def _solve(arms: list[Array], boards: list[Array]) -> tuple[Array, Array]:
    """X and Z in closed form."""
    of_arm, of_board, pairs = [], [], []
    for i, j in combinations(range(len(arms)), 2):
        a = pose_compose(arms[i], pose_inverse(arms[j]))
        b = pose_compose(boards[i], pose_inverse(boards[j]))
        of_arm.append(quat_to_rotvec(a[3:]))
        of_board.append(quat_to_rotvec(b[3:]))
        pairs.append((a, b))
    alpha, beta = np.array(of_arm), np.array(of_board)
    spread = np.linalg.svd(alpha, compute_uv=False) / np.sqrt(len(alpha))
    if spread[1] < _LEAST_TURN:
        raise DeviceError(
            "The views do not tell where the camera is",
            why="the arm did not turn about two different axes",
            next_step="Turn the wrist by 20 degrees and more about two axes between views",
        )
    u, _, vt = np.linalg.svd(alpha.T @ beta)
    rotation = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    left = np.concatenate([quat_to_matrix(a[3:]) - np.eye(3) for a, _ in pairs])
    right = np.concatenate([rotation @ b[:3] - a[:3] for a, b in pairs])
    position = np.asarray(np.linalg.lstsq(left, right, rcond=None)[0], np.float64)
    camera = make_pose(position, quat_from_matrix(rotation))
    places = _places(camera, arms, boards)
    middle = min(places, key=lambda place: sum(quat_angle(place[3:], other[3:]) for other in places))
    return camera, make_pose(np.mean([place[:3] for place in places], axis=0), middle[3:])


def _places(camera: Array, arms: list[Array], boards: list[Array]) -> list[Array]:
    """Where each view says that the board is: inv(A) X B."""
    return [
        pose_compose(pose_inverse(arm), pose_compose(camera, seen))
        for arm, seen in zip(arms, boards, strict=True)
    ]


def _refine(camera: Array, target: Array, arms: list[Array], boards: list[Array]) -> tuple[Array, Array]:
    """Levenberg-Marquardt over both poses, steps as a rotation vector and a shift in the pose's own frame."""

    def moved(step: Array) -> tuple[Array, Array]:
        return _nudged(camera, step[:6]), _nudged(target, step[6:])

    def residuals(step: Array) -> Array:
        here, there = moved(step)
        errors = []
        for place in _places(here, arms, boards):
            error = pose_compose(pose_inverse(there), place)
            errors += [error[:3] / _LIKELY_M, quat_to_rotvec(error[3:]) / _LIKELY_RAD]
        return np.concatenate(errors)

    damping = 1e-3
    zero = np.zeros(12)
    before = residuals(zero)
    for _ in range(_STEPS):
        slopes = np.empty((len(before), 12))
        for index in range(12):
            step = np.zeros(12)
            step[index] = 1e-6
            slopes[:, index] = (residuals(step) - before) / 1e-6
        normal = slopes.T @ slopes
        stiff = normal + damping * np.diag(np.diag(normal) + 1e-12)
        step = np.asarray(-np.linalg.solve(stiff, slopes.T @ before), np.float64)
        after = residuals(step)
        if not np.isfinite(after).all() or after @ after >= before @ before:
            damping *= 10.0
            if damping > 1e6:
                break
            continue
        gained = before @ before - after @ after
        camera, target = moved(step)
        before, damping = after, max(damping * 0.1, 1e-9)
        if gained < 1e-9 * (before @ before + 1e-12):
            break
    return camera, target


def _nudged(pose: Array, step: Array) -> Array:
    return pose_compose(pose, make_pose(step[3:], quat_from_rotvec(step[:3])))


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
