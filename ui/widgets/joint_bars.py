"""Live angles of an arm being calibrated: smallest, now and largest of each joint on one line."""

from __future__ import annotations

# ruff: noqa: N802
import math
from collections.abc import Mapping

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from ui import theme
from ui.theme import FontSize, Role

_LINE_PX = theme.grid(3)
_NAME_PX = theme.grid(16)
_FIGURE_PX = theme.grid(24)
_SPAN_RAD = math.tau


class JointBars(QWidget):
    """A line is one turn wide, its middle moves with the joint's own range; the joint asked for is marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._live: Mapping[str, tuple[float, float, float]] = {}
        self._joint = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_live(self, live: Mapping[str, tuple[float, float, float]], joint: str) -> None:
        """Shows angle, smallest and largest of each joint [rad]."""
        if len(live) != len(self._live):
            self.updateGeometry()
        self._live, self._joint = live, joint
        self.update()

    def sizeHint(self) -> QSize:
        """Returns a line a joint."""
        return QSize(theme.grid(60), len(self._live) * _LINE_PX)

    def minimumSizeHint(self) -> QSize:
        """Returns a line a joint."""
        return QSize(theme.grid(40), len(self._live) * _LINE_PX)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws a line a joint."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        t = theme.tokens()
        lane_width = max(self.width() - _NAME_PX - _FIGURE_PX, theme.grid(10))
        for row, (name, (now, low, high)) in enumerate(self._live.items()):
            top = row * _LINE_PX
            asked = name == self._joint
            painter.setFont(theme.font(FontSize.BASE, bold=asked))
            painter.setPen(t.color(Role.TEXT if asked or not self._joint else Role.MUTED))
            mark = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} " if asked else ""
            align = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, _NAME_PX, _LINE_PX), align, f"{mark}{name}")
            lane = QRectF(_NAME_PX, top + _LINE_PX * 0.33, lane_width, _LINE_PX * 0.34)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color(Role.RAISED))
            painter.drawRoundedRect(lane, 3, 3)
            middle = 0.5 * (low + high)
            left, right = (lane.left() + lane.width() * _share(x, middle) for x in (low, high))
            painter.setBrush(t.color(Role.GOOD))
            painter.drawRoundedRect(QRectF(left, lane.top(), max(right - left, 2.0), lane.height()), 3, 3)
            at = lane.left() + lane.width() * _share(now, middle)
            painter.setBrush(t.color(Role.TEXT))
            painter.drawRect(QRectF(at - 1, lane.top() - 3, 2, lane.height() + 6))
            painter.setFont(theme.font(FontSize.LABEL, tabular=True))
            painter.setPen(t.color(Role.MUTED))
            degrees = [math.degrees(x) for x in (low, now, high)]
            text = (
                "{:+.0f} \N{LESS-THAN OR EQUAL TO} {:+.1f} \N{LESS-THAN OR EQUAL TO} {:+.0f}\N{DEGREE SIGN}"
            )
            figure = QRectF(lane.right(), top, _FIGURE_PX, _LINE_PX)
            painter.drawText(figure, align | Qt.AlignmentFlag.AlignRight, text.format(*degrees))
        painter.end()


def _share(rad: float, middle: float) -> float:
    return min(max(0.5 + (rad - middle) / _SPAN_RAD, 0.0), 1.0)
