"""The tools' predicted way in the camera pictures: projected, clipped and drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRect, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from teleop_app.core.geometry import Array
from teleop_app.core.types import CameraSetup
from ui import theme
from ui.gl.vector_kinematics import VectorKinematics
from ui.theme import FontSize
from ui.viewmodels.chunk_preview import ChunkPreview
from ui.viewmodels.pinhole import NEAR_M, Pinhole, pinhole_of

_LINE_PX = 2.5
_HALO_PX = 5.0
_FAINTEST = 0.35
_MARK_PX = 3.5
_MOST_MARKS = 10
_BANDS = 4
"""Steps in which a line becomes paler; each is one stroke, so that the halo of one hides no other."""


@dataclass(frozen=True, slots=True)
class OverlayLine:
    """The way of one tool in a picture.

    Attributes:
        arm: Whose.
        arm_index: In station order, for the look.
        starts: First ends of its straight pieces, shares of the picture's width and height, shape (m, 2).
        ends: Second ends, shape (m, 2).
        steps: Piece by piece the step it leads to, shape (m,).
        count: Steps of the whole way.
    """

    arm: str
    arm_index: int
    starts: Array
    ends: Array
    steps: NDArray[np.int64]
    count: int


class ChunkOverlay:
    """Projects a preview into the pictures of all cameras.

    Args:
        kinematics: Of the station's joint vectors; tells where a link that carries a camera is.
    """

    def __init__(self, kinematics: VectorKinematics) -> None:
        self._kinematics = kinematics
        self._cameras: dict[str, Pinhole] = {}

    def set_camera(self, setup: CameraSetup) -> bool:
        """Takes a camera's calibration; returns whether its picture can be drawn over."""
        camera = pinhole_of(setup)
        if camera is None:
            self._cameras.pop(setup.name, None)
            return False
        self._cameras[setup.name] = camera
        return True

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras whose lens and place are known."""
        return tuple(self._cameras)

    def lines(self, preview: ChunkPreview, measured: Array) -> dict[str, tuple[OverlayLine, ...]]:
        """Returns what to draw over each camera's picture; cameras that see none of it have no entry.

        Args:
            preview: What lies ahead.
            measured: Joint vector as the robot stands now, which carries some of the cameras.
        """
        if not self._cameras or not self._kinematics.pose(measured):
            return {}
        found: dict[str, tuple[OverlayLine, ...]] = {}
        for name, camera in self._cameras.items():
            parent = self._kinematics.link(camera.parent)
            if parent is None:
                continue
            lines = (
                _line(camera, parent, arm, self._kinematics.arms.index(arm), points)
                for arm, points in zip(preview.arms, preview.tools, strict=True)
            )
            drawn = tuple(line for line in lines if len(line.starts))
            if drawn:
                found[name] = drawn
        return found


def _line(
    camera: Pinhole, parent: tuple[Array, Array], arm: str, arm_index: int, points: Array
) -> OverlayLine:
    pieces, steps = clipped(camera.in_camera(points, parent))
    seen = camera.visible(pieces[:, 0]) & camera.visible(pieces[:, 1])
    pieces, steps = pieces[seen], steps[seen]
    size = np.array(camera.size)
    starts, ends = (camera.pixels(pieces[:, side]) / size for side in (0, 1))
    return OverlayLine(arm, arm_index, starts, ends, steps, len(points))


def clipped(in_camera: Array) -> tuple[Array, NDArray[np.int64]]:
    """Cuts a way at the plane just before the lens.

    Args:
        in_camera: Points in the order of time, camera frame [m], shape (k, 3).

    Returns:
        What is left of its straight pieces, shape (m, 2, 3), and the step that each leads to, shape (m,).
    """
    start, end = in_camera[:-1].copy(), in_camera[1:].copy()
    depth, depth_end = start[:, 2].copy(), end[:, 2].copy()
    across = (depth_end - depth)[:, None]
    cut = start + (end - start) * (NEAR_M - depth)[:, None] / np.where(np.abs(across) < 1e-12, 1.0, across)
    start = np.where((depth < NEAR_M)[:, None], cut, start)
    end = np.where((depth_end < NEAR_M)[:, None], cut, end)
    finite = np.isfinite(start).all(axis=1) & np.isfinite(end).all(axis=1)
    keep = ((depth >= NEAR_M) | (depth_end >= NEAR_M)) & finite
    # Just behind the plane by rounding would be behind it.
    start[:, 2], end[:, 2] = np.maximum(start[:, 2], NEAR_M), np.maximum(end[:, 2], NEAR_M)
    return np.stack([start, end], axis=1)[keep], np.arange(1, len(in_camera))[keep]


def draw_overlay(painter: QPainter, picture: QRect, lines: tuple[OverlayLine, ...]) -> None:
    """Draws the ways over a picture; nothing outside of it.

    Args:
        painter: Of the widget.
        picture: Where the picture is.
        lines: Of this camera.
    """
    painter.save()
    painter.setClipRect(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    several = len({line.arm_index for line in lines}) > 1
    for line in lines:
        _draw_line(painter, picture, line, several)
    painter.restore()


def arm_color(arm_index: int) -> QColor:
    """Returns the colour of an arm's way: violet as the policy, lighter for the second arm."""
    t = theme.DARK  # over a picture, which no theme changes
    return QColor(theme.blend("#FFFFFF", t.policy, 0.15 if arm_index % 2 == 0 else 0.6))


def _draw_line(painter: QPainter, picture: QRect, line: OverlayLine, named: bool) -> None:
    scale = np.array([picture.width(), picture.height()])
    origin = np.array([picture.x(), picture.y()])
    starts, ends = line.starts * scale + origin, line.ends * scale + origin
    color = arm_color(line.arm_index)
    share = line.steps / max(line.count - 1, 1)
    opacity = 1.0 - (1.0 - _FAINTEST) * share
    for width, ink in ((_HALO_PX, QColor(0, 0, 0, 130)), (_LINE_PX, color)):
        for band in range(_BANDS):
            chosen = np.flatnonzero(np.minimum((share * _BANDS).astype(int), _BANDS - 1) == band)
            if not len(chosen):
                continue
            shade = QColor(ink)
            shade.setAlphaF(ink.alphaF() * float(opacity[chosen[0]]))
            painter.setPen(QPen(shade, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            pieces = np.concatenate([starts[chosen], ends[chosen]], axis=1).tolist()
            painter.drawLines(*(QLineF(*piece) for piece in pieces))
    _draw_marks(painter, picture, line, ends, named)


def _draw_marks(painter: QPainter, picture: QRect, line: OverlayLine, ends: Array, named: bool) -> None:
    """Marks equal times apart, diamonds for the first arm and squares for the second; the last is larger."""
    color = arm_color(line.arm_index)
    stride = max(-(-line.count // _MOST_MARKS), 1)
    last = line.count - 1
    painter.setPen(QPen(QColor(0, 0, 0, 150), 1))
    painter.setBrush(color)
    for step, (x, y) in zip(line.steps.tolist(), ends.tolist(), strict=True):
        if (last - step) % stride:
            continue
        half = _MARK_PX * (1.7 if step == last else 1.0)
        if line.arm_index % 2 == 0:
            corners = [(x - half, y), (x, y - half), (x + half, y), (x, y + half)]
        else:
            side = half * 0.8
            corners = [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
        painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
        if step == last and named:
            _draw_name(painter, picture, QPointF(x, y), half + 4, line.arm)


def _draw_name(painter: QPainter, picture: QRect, at: QPointF, beside: float, arm: str) -> None:
    """The arm's name at the right of a point, at its left where the picture ends."""
    painter.setFont(theme.font(FontSize.LABEL, bold=True))
    metrics = painter.fontMetrics()
    width = metrics.horizontalAdvance(arm)
    left = at.x() + beside if at.x() + beside + width < picture.right() else at.x() - beside - width
    spot = QPointF(left, at.y() + metrics.ascent() / 2 - 1)
    painter.setPen(QColor(0, 0, 0, 200))
    for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        painter.drawText(spot + QPointF(dx, dy), arm)
    painter.setPen(QColor(theme.DARK.text))
    painter.drawText(spot, arm)
