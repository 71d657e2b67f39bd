"""Lanes of the last 20 seconds of a policy at work: driver, doubt, latency, starvation and calls for help."""

from __future__ import annotations

# ruff: noqa: N802
import math

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, QTimer
from PyQt6.QtGui import QBrush, QColor, QHideEvent, QPainter, QPaintEvent, QPen, QPolygonF, QShowEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from teleop_app.core.types import Actor, AutonomyPhase, ControlTick, PolicyChunk, PolicyStatus
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.supervision_history import (
    ACTORS,
    BINS,
    HELP_AT,
    PHASES,
    SPAN_S,
    SupervisionHistory,
)

_REFRESH_MS = 100
_LABEL_PX = 64
_VALUE_PX = 140
_EDGE_PX = 6
_DRIVER_PX = 20
_LANE_PX = 30
_MARKS_PX = 16
_GAP_PX = 5
_HEIGHT_PX = 2 * _EDGE_PX + _DRIVER_PX + 2 * _LANE_PX + _MARKS_PX + 3 * _GAP_PX
_DOUBT_TOP = 1.5
"""Of the lane: the threshold lies at two thirds, so that a look tells how far it is."""

_ACTOR_ROLES = {
    Actor.HUMAN: Role.HUMAN,
    Actor.SCRIPT: Role.POLICY,
    Actor.POLICY: Role.POLICY,
    Actor.BLEND: Role.POLICY,
}
_WORDS = {
    AutonomyPhase.POLICY: "policy",
    AutonomyPhase.DEMONSTRATE: "you",
    AutonomyPhase.RECOVER: "you: recover",
    AutonomyPhase.CORRECT: "you: correct",
    AutonomyPhase.BLEND: "both",
    AutonomyPhase.HOLD: "hold",
    AutonomyPhase.RETURN: "returns",
    AutonomyPhase.REWIND: "rewind",
}
_ACTOR_WORDS = {Actor.HUMAN: "you", Actor.SCRIPT: "script", Actor.POLICY: "policy", Actor.BLEND: "both"}
_EMPTY = "The policy's last 20 seconds will be drawn here: who drives, its doubt, its latency."


class AutonomyStrips(QWidget):
    """Now is at the right edge. Nothing is drawn while nobody looks; what comes is kept meanwhile."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.history = SupervisionHistory()
        self._status: PolicyStatus | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT_PX)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Last 20 seconds: who drives, doubt, latency, starvation and calls for help")
        self.setToolTip(
            "The last 20 seconds.\n"
            "Doubt: at the dashed line the policy asks for help.\n"
            "Latency: each answer, against the time that its actions last (the top of the lane).\n"
            "Red ticks: the policy should have driven and had nothing to propose. Triangles: calls for help."
        )
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.update)

    @property
    def running(self) -> bool:
        """Whether it draws."""
        return self._timer.isActive()

    def add_tick(self, tick: ControlTick) -> None:
        """Takes every tick."""
        self.history.add_tick(tick)

    def add_chunk(self, chunk: PolicyChunk) -> None:
        """Takes every chunk."""
        self.history.add_chunk(chunk)

    def set_status(self, status: PolicyStatus) -> None:
        """Takes the policy's newest word."""
        self._status = status
        self.history.add_status(status)

    def clear(self) -> None:
        """Begins anew."""
        self.history.clear()
        self._status = None
        self.update()

    def sizeHint(self) -> QSize:
        """Returns the fixed height."""
        return QSize(theme.grid(60), _HEIGHT_PX)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Begins to draw."""
        super().showEvent(a0)
        self._timer.start()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Draws no more."""
        self._timer.stop()
        super().hideEvent(a0)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the lanes from the top."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        painter.setPen(t.color(Role.BORDER))
        painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        if not self.history.started:
            painter.setPen(t.color(Role.MUTED))
            painter.setFont(theme.font())
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, _EMPTY)
            return
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        width = self.width() - _LABEL_PX - _VALUE_PX
        lane = QRectF(_LABEL_PX, _EDGE_PX, width, _DRIVER_PX)
        self._grid(painter, QRectF(_LABEL_PX, _EDGE_PX, width, self.height() - 2 * _EDGE_PX))
        self._driver(painter, lane)
        lane = QRectF(lane.left(), lane.bottom() + _GAP_PX, width, _LANE_PX)
        self._doubt(painter, lane)
        lane = lane.translated(0, _LANE_PX + _GAP_PX)
        self._latency(painter, lane)
        self._marks(painter, QRectF(lane.left(), lane.bottom() + _GAP_PX, width, _MARKS_PX))

    def _grid(self, painter: QPainter, area: QRectF) -> None:
        painter.setPen(QPen(theme.tokens().color(Role.BORDER, 0.7), 1))
        for second in range(0, int(SPAN_S) + 1, 5):
            x = area.left() + area.width() * second / SPAN_S
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))

    def _label(self, painter: QPainter, lane: QRectF, name: str, value: str, role: Role = Role.TEXT) -> None:
        t = theme.tokens()
        painter.setPen(t.color(Role.MUTED))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(8, lane.top(), _LABEL_PX - 12, lane.height()), middle, name)
        painter.setPen(QColor(theme.accent_text(role)))
        spot = QRectF(lane.right() + 8, lane.top(), _VALUE_PX - 16, lane.height())
        painter.drawText(spot, middle | Qt.AlignmentFlag.AlignRight, value)

    def _driver(self, painter: QPainter, lane: QRectF) -> None:
        t = theme.tokens()
        history = self.history
        self._label(painter, lane, "Driver", "")
        painter.fillRect(lane, t.color(Role.RAISED))
        both = history.actor.astype(np.int64) * len(PHASES) + history.phase
        edges = np.flatnonzero(np.diff(both)) + 1
        width = lane.width() / BINS
        for start, end in zip([0, *edges.tolist()], [*edges.tolist(), BINS], strict=True):
            actor, phase = ACTORS[history.actor[start]], PHASES[history.phase[start]]
            span = QRectF(lane.left() + start * width, lane.top(), (end - start) * width, lane.height())
            _fill(painter, span, actor, phase)
            painter.fillRect(QRectF(span.left(), span.top(), 1.0, span.height()), t.color(Role.PANEL))
            word = _WORDS.get(phase) if phase is not None else None
            word = word or _ACTOR_WORDS.get(actor, "")
            if word and span.width() > painter.fontMetrics().horizontalAdvance(word) + 10:
                painter.setPen(_ink(actor))
                painter.drawText(span.adjusted(5, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, word)

    def _doubt(self, painter: QPainter, lane: QRectF) -> None:
        t = theme.tokens()
        history, status = self.history, self._status
        score = status.help if status is not None else math.nan
        judged = np.isfinite(history.doubt).any() or math.isfinite(score)
        if judged:
            asks = math.isfinite(score) and score >= HELP_AT
            word = f"{score:.2f}" if math.isfinite(score) else "-"
            self._label(
                painter,
                lane,
                "Doubt",
                f"{word} asks for help" if asks else word,
                Role.FAULT if asks else Role.TEXT,
            )
            values, top = history.doubt, _DOUBT_TOP
            y = lane.bottom() - lane.height() * HELP_AT / top
            pen = QPen(t.color(Role.FAULT), 1)
            pen.setDashPattern([4, 4])
            painter.setPen(pen)
            painter.drawLine(QLineF(lane.left(), y, lane.right(), y))
        else:
            known = history.uncertainty[np.isfinite(history.uncertainty)]
            newest = f"{known[-1] * 1e3:.0f} mrad" if known.size else "not told"
            self._label(painter, lane, "Doubt", newest)
            values, top = history.uncertainty, max(float(known.max()) * 1.2, 1e-3) if known.size else 1.0
        self._area(painter, lane, values, top, threshold=HELP_AT if judged else math.inf)

    def _area(
        self, painter: QPainter, lane: QRectF, values: NDArray[np.float64], top: float, threshold: float
    ) -> None:
        """A filled curve; what is above the threshold is red."""
        known = np.flatnonzero(np.isfinite(values))
        if not known.size:
            return
        t = theme.tokens()
        # A word of the policy holds until the next one, some five a second.
        held = np.repeat(values[known], np.diff(np.append(known, BINS)))
        first = int(known[0])
        width = lane.width() / BINS
        line: list[QPointF] = []
        for offset, value in enumerate(held.tolist()):
            y = lane.bottom() - lane.height() * min(value / top, 1.0)
            line.append(QPointF(lane.left() + (first + offset) * width, y))
        line.append(QPointF(lane.right(), line[-1].y()))
        ground = [QPointF(lane.right(), lane.bottom()), QPointF(line[0].x(), lane.bottom())]
        painter.save()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color(Role.POLICY, 0.28))
        painter.drawPolygon(QPolygonF([*line, *ground]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(t.color(Role.POLICY), 1.5))
        painter.drawPolyline(QPolygonF(line))
        if math.isfinite(threshold):
            above = QRectF(lane.left(), lane.top(), lane.width(), lane.height() * (1.0 - threshold / top))
            painter.setClipRect(above)
            painter.setPen(QPen(t.color(Role.FAULT), 2))
            painter.setBrush(t.color(Role.FAULT, 0.35))
            painter.drawPolygon(QPolygonF([*line, *ground]))
        painter.restore()

    def _latency(self, painter: QPainter, lane: QRectF) -> None:
        t = theme.tokens()
        answers = self.history.answers
        if not answers:
            self._label(painter, lane, "Latency", "no answer yet")
            return
        newest = answers[-1]
        text = f"{newest.latency_ms:.0f} of {newest.lasts_ms:.0f} ms"
        self._label(painter, lane, "Latency", text, Role.FAULT if newest.late else Role.TEXT)
        now_ns = self.history.now_ns
        top = max(answer.lasts_ms for answer in answers)
        painter.setPen(QPen(t.color(Role.MUTED, 0.7), 1))
        for answer in answers:
            x = lane.right() - lane.width() * (now_ns - answer.at_ns) / (SPAN_S * 1e9)
            if x < lane.left():
                continue
            height = lane.height() * min(answer.latency_ms / top, 1.0)
            role = Role.FAULT if answer.late else Role.POLICY
            painter.fillRect(
                QRectF(x - 1.5, lane.bottom() - max(height, 2.0), 3.0, max(height, 2.0)), t.color(role)
            )
            level = lane.bottom() - lane.height() * answer.lasts_ms / top
            painter.drawLine(QLineF(x - 3, level, x + 3, level))

    def _marks(self, painter: QPainter, lane: QRectF) -> None:
        t = theme.tokens()
        starved, calls = int(self.history.starved.sum()), int(self.history.help.sum())
        parts = []
        if starved:
            parts.append(f"{starved} ticks")
        if calls:
            parts.append("1 help call" if calls == 1 else f"{calls} help calls")
        role = Role.FAULT if starved else Role.WARNING if calls else Role.MUTED
        self._label(painter, lane, "Starved", ", ".join(parts) or "none", role)
        width = lane.width() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color(Role.FAULT))
        for index in np.flatnonzero(self.history.starved).tolist():
            painter.drawRect(
                QRectF(lane.left() + index * width, lane.top() + 2, max(width, 1.5), lane.height() - 4)
            )
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(t.color(Role.WARNING))
        painter.setPen(QPen(t.color(Role.PANEL), 1))
        middle = lane.center().y()
        for index in np.flatnonzero(self.history.help).tolist():
            x = lane.left() + (index + 0.5) * width
            corners = [QPointF(x, middle - 7), QPointF(x + 7, middle + 6), QPointF(x - 7, middle + 6)]
            painter.drawPolygon(QPolygonF(corners))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _fill(painter: QPainter, span: QRectF, actor: Actor, phase: AutonomyPhase | None) -> None:
    """A person is plain, a policy striped, both are split, a hold is hatched grey."""
    t = theme.tokens()
    role = _ACTOR_ROLES.get(actor)
    if role is None:
        if phase in (AutonomyPhase.HOLD, AutonomyPhase.RETURN, AutonomyPhase.REWIND):
            painter.fillRect(span, QBrush(t.color(Role.MUTED, 0.6), Qt.BrushStyle.BDiagPattern))
        return
    painter.fillRect(span, t.color(role))
    if actor is Actor.BLEND:
        painter.fillRect(span.adjusted(0, span.height() * 0.7, 0, 0), t.color(Role.HUMAN))
    elif actor is not Actor.HUMAN:
        painter.fillRect(span, QBrush(QColor(255, 255, 255, 46), Qt.BrushStyle.FDiagPattern))


def _ink(actor: Actor) -> QColor:
    role = _ACTOR_ROLES.get(actor)
    t = theme.tokens()
    return t.color(Role.TEXT) if role is None else theme.text_color_on(t.hex(role))
