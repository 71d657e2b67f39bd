"""Calibration of a camera picture by picture: what the command line and the window drive alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np

from devices.cameras.calibration_views import GRID, TILTED_RAD, Stance, cells_of, is_sharp, stance_of
from devices.cameras.charuco import Board, BoardFinder, BoardView, Points
from devices.cameras.hand_eye import FEWEST_VIEWS as FEWEST_MOUNT_VIEWS
from devices.cameras.hand_eye import Mount, MountKind, MountView, solve_mount
from devices.cameras.intrinsics import Lens, solve_lens
from devices.cameras.source import Image
from teleop_app.core.calibration import CameraCalibration
from teleop_app.core.errors import DeviceError
from teleop_app.core.geometry import is_pose
from teleop_app.core.types import Array

WANTED_VIEWS: Final = 20
WANTED_COVERAGE: Final = 0.7
WANTED_TILTED: Final = 5
MOST_VIEWS: Final = 60
_STILL_PX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of an offered picture.

    Attributes:
        sentence: What the person should know or do now.
        kept: It became a view.
        corners: Corners of the board that were seen [px], shape (n, 2).
        coverage: Cells of the grid seen so far, bool (rows, columns).
    """

    sentence: str
    kept: bool
    corners: Points
    coverage: np.ndarray


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A solved calibration.

    Attributes:
        calibration: To be stored.
        lens: Intrinsics, None when those of before were kept.
        mount: Place, None when it was not asked for.
    """

    calibration: CameraCalibration
    lens: Lens | None
    mount: Mount | None

    @property
    def sentences(self) -> list[str]:
        """How good it is."""
        found = [] if self.lens is None else [f"Lens. {self.lens.verdict}"]
        return found + ([] if self.mount is None else [f"Place. {self.mount.verdict}"])


@dataclass
class CameraCalibrator:
    """Collects views of a board and calibrates one camera with them. Used from one thread.

    Attributes:
        serial: Of the camera, else its name in the station file.
        width: Of its pictures [px].
        height: Likewise.
        board: Which board.
        mount: How it is mounted; None: only the lens is calibrated.
        parent: Link that carries the camera; for a fixed one `world`.
        known: Earlier calibration whose lens is kept, so that few views do for the place; None: all anew.
        settle: Pictures come as a stream: one is kept only when the board rests from one to the next.
    """

    serial: str
    width: int
    height: int
    board: Board = field(default_factory=Board)
    mount: MountKind | None = None
    parent: str = "world"
    known: CameraCalibration | None = None
    settle: bool = True
    views: list[BoardView] = field(default_factory=list[BoardView], init=False)
    poses: list[Array | None] = field(default_factory=list["Array | None"], init=False)

    def __post_init__(self) -> None:
        self._finder = BoardFinder(self.board)
        self._stances: list[Stance] = []
        self._coverage = np.zeros((GRID[1], GRID[0]), bool)
        self._before: BoardView | None = None
        if self.known is not None and (self.known.width, self.known.height) != (self.width, self.height):
            of = f"{self.known.width}x{self.known.height}"
            raise DeviceError(
                f"The known lens of '{self.serial}' was measured at {of}, not at {self.width}x{self.height}",
                next_step="Calibrate the lens anew too",
            )

    @property
    def progress(self) -> float:
        """0 to 1; from 1 on `solve` has what it wants. It may be called earlier."""
        views = len(self.views) / (WANTED_VIEWS if self.known is None else 2 * FEWEST_MOUNT_VIEWS)
        if self.known is not None:
            return min(1.0, views)
        covered = float(self._coverage.mean()) / WANTED_COVERAGE
        return min(1.0, views, covered, self._tilted / WANTED_TILTED)

    @property
    def advice(self) -> str:
        """What to show next, as a sentence."""
        if len(self.views) < 3:
            return "Show the whole board, filling half of the picture."
        if self.known is None and self._tilted < WANTED_TILTED:
            return "Tilt the board by 20 to 40 degrees: towards the camera, away, left, right."
        if self.known is None and self._coverage.mean() < WANTED_COVERAGE:
            return f"Show the board {self._empty_corner()} of the picture."
        if self.mount is not None:
            return "Move the arm to another place, turned about another axis."
        return (
            "Enough views. A few more, near and far, do no harm."
            if self.progress >= 1
            else "Show it from other sides."
        )

    def offer(self, image: Image, world_T_link: Array | None = None) -> Feedback:
        """Look at a picture, and keep it when it helps.

        Args:
            image: RGB, uint8 (height, width, 3).
            world_T_link: Pose of the link that carries camera or board at the picture's time, shape (7,).
        """
        nothing = np.zeros((0, 2), np.float32)
        if image.shape[:2] != (self.height, self.width):
            text = f"{image.shape[1]}x{image.shape[0]} instead of {self.width}x{self.height}"
            return self._answer(f"The picture is {text}: it is not of this camera.", nothing)
        if len(self.views) >= MOST_VIEWS:
            return self._answer("There are views enough.", nothing)
        view = self._finder.find(image)
        before, self._before = self._before, view
        if view is None:
            return self._answer("The board is not in view, or too small, too dark or too oblique.", nothing)
        if self.settle and not _rests(before, view):
            return self._answer("Hold the board still.", view.corners)
        if not is_sharp(image, view):
            return self._answer("The picture is blurred: hold still, and focus or add light.", view.corners)
        if self.mount is not None and (world_T_link is None or not is_pose(world_T_link)):
            return self._answer("The arm's pose at the time of the picture is not known.", view.corners)
        stance = stance_of(view, self.board, self.width, self.height)
        if any(not stance.differs(other) for other in self._stances):
            return self._answer(f"This view is there already. {self.advice}", view.corners)
        self.views.append(view)
        self.poses.append(world_T_link)
        self._stances.append(stance)
        for x, y in cells_of(view, self.width, self.height):
            self._coverage[y, x] = True
        return self._answer(f"View {len(self.views)} kept. {self.advice}", view.corners, kept=True)

    def solve(self) -> Calibrated:
        """The calibration by the views so far.

        Raises:
            DeviceError: They are too few or do not tell; the sentence says what to show.
        """
        lens = None
        if self.known is None:
            lens = solve_lens(self.views, self.board, self.width, self.height)
            matrix, distortion = lens.matrix, lens.distortion
        else:
            matrix = np.array(self.known.matrix).reshape(3, 3)
            distortion = np.array(self.known.distortion or [0.0] * 5)
        mount = None
        if self.mount is not None:
            posed = zip(self.views, self.poses, strict=True)
            views = [MountView(view, pose) for view, pose in posed if pose is not None]
            mount = solve_mount(views, self.board, matrix, distortion, self.mount)
        previous = self.known
        calibration = CameraCalibration(
            serial=self.serial,
            width=self.width,
            height=self.height,
            matrix=matrix.reshape(-1).tolist(),
            distortion=distortion.tolist(),
            reprojection_px=lens.reprojection_px
            if lens is not None
            else previous.reprojection_px
            if previous
            else 0.0,
            views=len(lens.kept) if lens is not None else previous.views if previous else 0,
            parent=self.parent if mount is not None else "",
            parent_T_camera=mount.parent_T_camera.tolist() if mount is not None else None,
            mount_error_m=mount.error_m if mount is not None else 0.0,
            measured_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return Calibrated(calibration, lens, mount)

    @property
    def _tilted(self) -> int:
        return sum(stance.tilt_rad > TILTED_RAD for stance in self._stances)

    def _answer(self, sentence: str, corners: Points, *, kept: bool = False) -> Feedback:
        return Feedback(sentence, kept, corners, self._coverage.copy())

    def _empty_corner(self) -> str:
        """Where the picture is emptiest, in words."""
        rows, columns = self._coverage.shape
        quarters = {
            "at the top left": self._coverage[: rows // 2, : columns // 2],
            "at the top right": self._coverage[: rows // 2, columns // 2 :],
            "at the bottom left": self._coverage[rows // 2 :, : columns // 2],
            "at the bottom right": self._coverage[rows // 2 :, columns // 2 :],
        }
        return min(quarters, key=lambda name: float(quarters[name].mean()))


def _rests(before: BoardView | None, now: BoardView) -> bool:
    if before is None:
        return False
    common, old, new = np.intersect1d(before.ids, now.ids, return_indices=True)
    if len(common) < 4:
        return False
    moved = np.linalg.norm(before.corners[old] - now.corners[new], axis=1)
    return float(np.median(moved)) <= _STILL_PX
