"""The lanes under the pictures: who drove, the control state, what happened, and sound."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QToolTip, QWidget

from teleop_app.core.types import Actor, ControlState
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.player import TimeAxis
from ui.viewmodels.player_media import EpisodeTracks, Mark, Span, min_max_thinned
from ui.widgets.time_ruler import LEFT_PX, TimeStrip, time_text

_ROW_PX = 18
_MARK_REACH_PX = 6
_ACTOR_ROLES = {
    Actor.HUMAN: Role.HUMAN,
    Actor.SCRIPT: Role.POLICY,
    Actor.POLICY: Role.POLICY,
    Actor.BLEND: Role.POLICY,
}
_ACTOR_WORDS = {
    Actor.NONE: "nobody",
    Actor.HUMAN: "human",
    Actor.SCRIPT: "script",
    Actor.POLICY: "policy",
    Actor.BLEND: "both",
}
_STATE_ROLES = {
    ControlState.ALIGNING: Role.WARNING,
    ControlState.HOLD: Role.WARNING,
    ControlState.FAULT: Role.FAULT,
    ControlState.ESTOP: Role.FAULT,
}


class LaneView(TimeStrip):
    """Rows for driver, state and events, and one a microphone. Pointing at an event tells its sentence."""

    def __init__(self, axis: TimeAxis, parent: QWidget | None = None) -> None:
        super().__init__(axis, parent)
        self._tracks: EpisodeTracks | None = None
        self._fit()
        self.setAccessibleName("Driver, state, events and sound")

    def _fit(self) -> None:
        self.setFixedHeight((3 + len(self._levels)) * _ROW_PX + 4)

    @property
    def _levels(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        return self._tracks.levels if self._tracks is not None else {}

    def sizeHint(self) -> QSize:
        """Returns the fixed height."""
        return QSize(theme.grid(40), self.height())

    def set_tracks(self, tracks: EpisodeTracks | None) -> None:
        """Shows another episode's lanes."""
        self._tracks = tracks
        self._fit()
        self.update()

    def marks_near(self, x: float) -> list[Mark]:
        """Returns the events within a few pixels of an x, the nearest first."""
        if self._tracks is None:
            return []
        near = [mark for mark in self._tracks.marks if abs(self.to_x(mark.at_s) - x) <= _MARK_REACH_PX]
        return sorted(near, key=lambda mark: abs(self.to_x(mark.at_s) - x))

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Moves the cursor; a press on an event moves it exactly there."""
        if a0 is not None and a0.button() == Qt.MouseButton.LeftButton and self._in_events(a0.position().y()):
            near = self.marks_near(a0.position().x())
            if near:
                self.scrubbed.emit(near[0].at_s)
                return
        super().mousePressEvent(a0)

    @staticmethod
    def _in_events(y: float) -> bool:
        return 2 * _ROW_PX < y <= 3 * _ROW_PX

    def event(self, a0: QEvent | None) -> bool:
        """Shows what happened under the pointer."""
        if isinstance(a0, QHelpEvent) and a0.type() == QEvent.Type.ToolTip:
            QToolTip.showText(a0.globalPos(), self._tip(a0.pos().x(), a0.pos().y()), self)
            return True
        return super().event(a0)

    def _tip(self, x: int, y: int) -> str:
        if self._tracks is None or x < LEFT_PX:
            return ""
        if y > 3 * _ROW_PX:
            row = min(int(y) // _ROW_PX - 3, len(self._levels) - 1)
            return f"Loudness of {list(self._levels)[row]}" if row >= 0 else ""
        if self._in_events(y):
            lines = [f"{time_text(m.at_s, 0.1)}  {m.text or m.kind} ({m.origin})" for m in self.marks_near(x)]
            return "\n".join(lines[:6])
        spans = self._tracks.actors if y < _ROW_PX else self._tracks.states
        at_s = self.to_s(x)
        span = next((span for span in spans if span.start_s <= at_s <= span.end_s), None)
        if span is None:
            return ""
        return f"{span.word}, {time_text(span.start_s, 0.1)} to {time_text(span.end_s, 0.1)}"

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the three rows and the cursor."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        painter.setFont(theme.font(FontSize.LABEL))
        for row, name in enumerate(("Driver", "State", "Events", *self._levels)):
            painter.setPen(t.color(Role.MUTED))
            label = QRectF(theme.grid(1), row * _ROW_PX + 2, LEFT_PX - theme.grid(1), _ROW_PX - 2)
            shown = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, int(label.width()))
            painter.drawText(label, Qt.AlignmentFlag.AlignVCenter, shown)
        painter.setClipRect(self.time_rect().adjusted(-7, 0, 7, 0))
        if self._tracks is not None:
            self._draw_spans(painter, self._tracks.actors, 0)
            self._draw_spans(painter, self._tracks.states, 1)
            self._draw_marks(painter, self._tracks.marks)
        for row, (at_s, peaks) in enumerate(self._levels.values(), start=3):
            self._draw_level(painter, at_s, peaks, row)
        self.draw_cursor(painter)
        painter.end()

    def _draw_spans(self, painter: QPainter, spans: Iterable[Span], row: int) -> None:
        t = theme.tokens()
        for span in spans:
            if span.end_s < self._axis.start_s or span.start_s > self._axis.end_s:
                continue
            left = self.to_x(max(span.start_s, self._axis.start_s))
            right = self.to_x(min(span.end_s, self._axis.end_s))
            place = QRectF(left, row * _ROW_PX + 3, max(right - left, 1.0), _ROW_PX - 4)
            role, word = _look(span.word, row)
            if role is None:
                fill = t.raised
            else:
                fill = t.hex(role) if row == 0 else theme.blend(t.hex(role), t.panel, 0.45)
            painter.fillRect(place, QColor(fill))
            if painter.fontMetrics().horizontalAdvance(word) + theme.grid(1) <= place.width():
                painter.setPen(theme.text_color_on(fill) if role is not None else t.color(Role.MUTED))
                painter.drawText(place.adjusted(4, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, word)

    def _draw_level(
        self, painter: QPainter, at_s: NDArray[np.float64], peaks: NDArray[np.float64], row: int
    ) -> None:
        """Draws loudness about the middle of a row, the loudest of what falls on each pixel."""
        first = int(np.searchsorted(at_s, self._axis.start_s))
        last = int(np.searchsorted(at_s, self._axis.end_s, side="right"))
        times, loud = min_max_thinned(
            at_s[first:last], peaks[first:last], max(round(self.time_rect().width()), 1)
        )
        middle, half = (row + 0.5) * _ROW_PX + 1, _ROW_PX / 2 - 2
        painter.setPen(QPen(theme.tokens().color(Role.MUTED), 1))
        for at, peak in zip(times.tolist(), loud.tolist(), strict=True):
            x, reach = self.to_x(at), max(min(peak, 1.0) ** 0.5 * half, 0.5)
            painter.drawLine(QLineF(x, middle - reach, x, middle + reach))

    def _draw_marks(self, painter: QPainter, marks: Iterable[Mark]) -> None:
        t = theme.tokens()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = 2.5 * _ROW_PX + 1
        for mark in marks:
            if not self._axis.start_s <= mark.at_s <= self._axis.end_s:
                continue
            x = self.to_x(mark.at_s)
            role, shape = mark_look(mark.kind)
            painter.setPen(QPen(t.color(role), 1.5))
            painter.setBrush(t.color(role))
            if shape == "check":
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QPen(t.color(role), 2))
                painter.drawPolyline(
                    QPolygonF(
                        [QPointF(x - 5, middle), QPointF(x - 1.5, middle + 4), QPointF(x + 5, middle - 5)]
                    )
                )
            elif shape == "triangle":
                corners = [QPointF(x, middle - 5), QPointF(x + 5, middle + 4), QPointF(x - 5, middle + 4)]
                painter.drawPolygon(QPolygonF(corners))
            elif shape == "cross":
                painter.drawLine(QPointF(x - 4, middle - 4), QPointF(x + 4, middle + 4))
                painter.drawLine(QPointF(x - 4, middle + 4), QPointF(x + 4, middle - 4))
            else:
                painter.drawEllipse(QPointF(x, middle), 2.5, 2.5)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _look(word: str, row: int) -> tuple[Role | None, str]:
    if row == 0:
        actor = next((actor for actor in Actor if actor == word), None)
        return (None, word) if actor is None else (_ACTOR_ROLES.get(actor), _ACTOR_WORDS[actor])
    state = next((state for state in ControlState if state == word), None)
    return (None if state is None else _STATE_ROLES.get(state)), word


def mark_look(kind: str) -> tuple[Role, str]:
    """Returns colour and shape of an event: success a check, safety a triangle, a fault a cross."""
    if kind == "task.success":
        return Role.GOOD, "check"
    if kind in ("task.failed", "process.died", "recorder.fault", "safety.estop", "safety.fault"):
        return Role.FAULT, "cross"
    if kind.startswith("safety."):
        return Role.WARNING, "triangle"
    return Role.MUTED, "dot"
