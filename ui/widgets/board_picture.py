"""The live picture of a camera being calibrated: corners of the board, and where it has been seen."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.camera_wizard import CameraView
from ui.widgets.camera_tile import letterbox

_SIZE = QSize(theme.grid(52), theme.grid(39))
_DOT_PX = 3.0


class BoardPicture(QWidget):
    """Paints a `CameraView`; cells that were seen are framed and ticked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = CameraView()
        self.setFixedSize(_SIZE)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Picture of the camera")

    def set_view(self, view: CameraView) -> None:
        """Shows a picture with what was found in it."""
        self._view = view
        seen = int(view.coverage.sum())
        self.setAccessibleDescription(f"{seen} of {view.coverage.size} cells seen")
        self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws picture, cells and corners."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        t, view = theme.tokens(), self._view
        painter.fillRect(self.rect(), t.color(Role.WINDOW))
        if view.image is None:
            painter.setPen(t.color(Role.MUTED))
            painter.setFont(theme.font(FontSize.BASE))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "No picture yet")
            painter.end()
            return
        height, width = view.image.shape[:2]
        image = QImage(view.image.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        box = QRectF(letterbox(image.size(), self.rect()))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(box, image)
        self._paint_cells(painter, box)
        painter.setPen(QPen(t.color(Role.WINDOW), 1.0))
        painter.setBrush(t.color(Role.HUMAN))
        for x, y in view.corners:
            at = QPointF(box.left() + box.width() * x / width, box.top() + box.height() * y / height)
            painter.drawEllipse(at, _DOT_PX, _DOT_PX)
        painter.end()

    def _paint_cells(self, painter: QPainter, box: QRectF) -> None:
        t, coverage = theme.tokens(), self._view.coverage
        rows, columns = coverage.shape
        width, height = box.width() / columns, box.height() / rows
        painter.setFont(theme.font(FontSize.LABEL, bold=True))
        for row in range(rows):
            for column in range(columns):
                cell = QRectF(box.left() + column * width, box.top() + row * height, width, height)
                if coverage[row, column]:
                    painter.fillRect(cell, t.color(Role.GOOD, 0.28))
                    painter.setPen(t.color(Role.TEXT))
                    painter.drawText(cell.adjusted(4, 2, 0, 0), "\N{CHECK MARK}")
                painter.setPen(QPen(t.color(Role.MUTED, 0.5), 1.0, Qt.PenStyle.DotLine))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(cell)
