"""The ChArUco board that cameras are calibrated with: a chessboard whose white squares carry markers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from devices.cameras.source import Image
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import Array

Points = NDArray[np.float32]
_DICTIONARY: Final = cv2.aruco.DICT_5X5_100
_FEWEST: Final = 8


@dataclass(frozen=True)
class Board:
    """A board; the usual one fits A4 paper, landscape.

    Attributes:
        columns: Squares across.
        rows: Squares down.
        square_m: Side of a square [m], as measured on the print.
        marker_m: Side of a marker [m].
    """

    columns: int = 9
    rows: int = 6
    square_m: float = 0.030
    marker_m: float = 0.021

    def __post_init__(self) -> None:
        if not (3 <= self.columns <= 14 and 3 <= self.rows <= 14):
            raise ConfigError(
                f"A board of {self.columns} x {self.rows} squares is not one of 3 to 14 each way"
            )
        if not 0.004 <= self.square_m <= 0.5 or not 0.3 * self.square_m <= self.marker_m < self.square_m:
            sides = f"{self.square_m * 1e3:g} mm and {self.marker_m * 1e3:g} mm"
            raise ConfigError(
                f"A board with squares and markers of {sides} cannot be used",
                next_step="Squares are 4 to 500 mm wide, markers at least a third of that",
            )

    @cached_property
    def drawing(self) -> cv2.aruco.CharucoBoard:
        """OpenCV's description of it."""
        dictionary = cv2.aruco.getPredefinedDictionary(_DICTIONARY)
        return cv2.aruco.CharucoBoard((self.columns, self.rows), self.square_m, self.marker_m, dictionary)

    @cached_property
    def corners(self) -> Array:
        """Inner corners in the board's frame [m], shape (n, 3): x to the right, y down, z into the board."""
        return np.asarray(self.drawing.getChessboardCorners(), np.float64)

    def with_square(self, square_m: float) -> Board:
        """The same board printed at another scale."""
        return Board(self.columns, self.rows, square_m, self.marker_m * square_m / self.square_m)

    def picture(self, px_per_square: int) -> Image:
        """Black and white, uint8 (rows * px, columns * px)."""
        size = (self.columns * px_per_square, self.rows * px_per_square)
        return np.asarray(self.drawing.generateImage(size, marginSize=0, borderBits=1), np.uint8)


@dataclass(frozen=True, slots=True)
class BoardView:
    """Corners of the board seen in a picture.

    Attributes:
        ids: Which, indices into `Board.corners`, shape (n,).
        corners: Where [px], shape (n, 2).
    """

    ids: NDArray[np.intp]
    corners: Points

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class BoardFinder:
    """Finds a board in pictures.

    Attributes:
        board: Which.
    """

    board: Board
    _detector: cv2.aruco.CharucoDetector = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._detector = cv2.aruco.CharucoDetector(self.board.drawing)

    def find(self, image: Image) -> BoardView | None:
        """Corners in an RGB or grey picture, None when fewer than eight are seen, or all on one line."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or corners is None or len(ids) < _FEWEST:
            return None
        which = np.asarray(ids, np.intp).reshape(-1)
        places = self.board.corners[which]
        if min(len(np.unique(places[:, 0])), len(np.unique(places[:, 1]))) < 2:
            return None
        return BoardView(which, np.asarray(corners, np.float32).reshape(-1, 2))
