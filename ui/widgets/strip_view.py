"""The strip of the last 20 seconds: gripper, speed, force, lost frames, who drove."""

from __future__ import annotations

# ruff: noqa: N802
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from teleop_app.core.types import Actor
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.strip_history import ACTORS, BINS, SPAN_S, StripHistory

_LABEL_PX = 64
_VALUE_PX = 92
_WHO_PX = 12
_ACTOR_ROLES = {
    Actor.HUMAN: Role.HUMAN,
    Actor.SCRIPT: Role.POLICY,
    Actor.POLICY: Role.POLICY,
    Actor.BLEND: Role.POLICY,
}
_SPEED_FLOOR_M_S = 0.2
_FORCE_FLOOR_N = 5.0


class StripView(QWidget):
    """Draws a `StripHistory`; now is at the right edge."""

    def __init__(self, history: StripHistory, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._history = history
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(theme.grid(15))
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Last 20 seconds: gripper, speed, force, lost frames, who drove")
        self.setToolTip("The last 20 seconds. Marks at the top of the lowest lane are lost frames.")

    def sizeHint(self) -> QSize:
        """Returns the fixed height."""
        return QSize(theme.grid(60), theme.grid(15))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws three curves and the lane of who drove."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        painter.setPen(t.color(Role.BORDER))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        top, bottom = 5.0, float(self.height() - _WHO_PX - 9)
        lane = (bottom - top) / 3
        plot = QRectF(_LABEL_PX, top, self.width() - _LABEL_PX - _VALUE_PX, lane)
        self._grid(painter, QRectF(plot.left(), top, plot.width(), self.height() - 10))
        h = self._history
        colors = (t.color(Role.TEXT), QColor(theme.FOCUS_BLUE[t.name]))
        self._label(painter, plot, "Gripper", self._gripper_text())
        for arm in range(h.gripper.shape[0]):
            self._curve(painter, plot, h.gripper[arm], 1.0, colors[arm % 2])
        plot.translate(0, lane)
        speed_top = _ceiling(h.speed, _SPEED_FLOOR_M_S)
        self._label(painter, plot, "Speed", _latest(h.speed, "m/s", 2))
        self._curve(painter, plot, h.speed, speed_top, t.color(Role.TEXT))
        plot.translate(0, lane)
        self._label(painter, plot, "Force", _latest(h.force, "N", 1))
        self._curve(painter, plot, h.force, _ceiling(h.force, _FORCE_FLOOR_N), t.color(Role.TEXT))
        who = QRectF(plot.left(), self.height() - _WHO_PX - 5, plot.width(), _WHO_PX)
        self._label(painter, who, "Driver", "")
        self._who(painter, who)
        painter.end()

    def _gripper_text(self) -> str:
        values = []
        for arm in range(self._history.gripper.shape[0]):
            known = self._history.gripper[arm][np.isfinite(self._history.gripper[arm])]
            values.append(f"{known[-1] * 100:.0f}" if known.size else "-")
        return " / ".join(values) + " %"

    def _grid(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(QPen(theme.tokens().color(Role.BORDER, 0.7), 1))
        for second in range(0, int(SPAN_S) + 1, 5):
            x = area.left() + area.width() * second / SPAN_S
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _label(self, painter: QPainter, lane: QRectF, name: str, value: str) -> None:
        t = theme.tokens()
        painter.setPen(t.color(Role.MUTED))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(8, lane.top(), _LABEL_PX - 12, lane.height()), middle, name)
        painter.setPen(t.color(Role.TEXT))
        spot = QRectF(lane.right() + 8, lane.top(), _VALUE_PX - 14, lane.height())
        painter.drawText(spot, middle | Qt.AlignmentFlag.AlignRight, value)

    def _curve(
        self, painter: QPainter, lane: QRectF, values: NDArray[np.float64], top: float, color: QColor
    ) -> None:
        known = np.flatnonzero(np.isfinite(values))
        if known.size < 2:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(color, 1.4))
        x = lane.left() + lane.width() * known / (BINS - 1)
        y = lane.bottom() - 3 - (lane.height() - 6) * np.clip(values[known] / top, 0.0, 1.0)
        breaks = np.flatnonzero(np.diff(known) > 6) + 1
        for piece in np.split(np.arange(known.size), breaks):
            line = QPolygonF([QPointF(float(x[i]), float(y[i])) for i in piece])
            painter.drawPolyline(line)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _who(self, painter: QPainter, lane: QRectF) -> None:
        t = theme.tokens()
        painter.fillRect(lane, t.color(Role.RAISED))
        actor = self._history.actor
        edges = np.flatnonzero(np.diff(actor)) + 1
        width = lane.width() / BINS
        for start, end in zip([0, *edges], [*edges, BINS], strict=True):
            role = _ACTOR_ROLES.get(ACTORS[actor[start]])
            if role is None:
                continue
            span = QRectF(lane.left() + start * width, lane.top(), (end - start) * width, lane.height())
            painter.fillRect(span, t.color(role))
            word = str(ACTORS[actor[start]])
            if ACTORS[actor[start]] is Actor.BLEND:
                painter.fillRect(span.adjusted(0, span.height() / 2, 0, 0), t.color(Role.HUMAN))
                word = ""
            if word and span.width() > painter.fontMetrics().horizontalAdvance(word) + 8:
                painter.setPen(theme.text_color_on(t.hex(role)))
                painter.drawText(span.adjusted(4, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, word)
        painter.setPen(QPen(t.color(Role.FAULT), 2))
        for index in np.flatnonzero(self._history.lost):
            x = lane.left() + (index + 0.5) * width
            painter.drawLine(QPointF(x, lane.top() - 4), QPointF(x, lane.top() + 4))


def _ceiling(values: NDArray[np.float64], floor: float) -> float:
    known = values[np.isfinite(values)]
    return max(float(known.max()) * 1.1, floor) if known.size else floor


def _latest(values: NDArray[np.float64], unit: str, digits: int) -> str:
    recent = values[-10:]
    known = recent[np.isfinite(recent)]
    return f"{known[-1]:.{digits}f} {unit}" if known.size else f"- {unit}"
