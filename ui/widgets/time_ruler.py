"""The time ruler under the pictures: ticks, cursor, zoom, hover preview, in and out points, lost frames."""

from __future__ import annotations

# ruff: noqa: N802
import math
from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QBrush,
    QColor,
    QEnterEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QWheelEvent,
)
from PyQt6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.player import TimeAxis

LEFT_PX = 56
"""Room for labels left of the time axis, the same in ruler, lanes and plots."""
RIGHT_PX = 12
_HEIGHT_PX = 32
_STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_TICK_ROOM_PX = 64
_WHEEL_STEP = 1.25
BEFORE_KEY = "before the key"


class TimeStrip(QWidget):
    """A widget along the common time axis: a press or drag moves the cursor, the wheel zooms.

    Args:
        axis: The stretch shown, shared with the others.
        parent: Owner.
    """

    scrubbed = pyqtSignal(float)
    """The cursor is wanted at this place [s]."""

    def __init__(self, axis: TimeAxis, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._axis = axis
        self._cursor_s = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        axis.changed.connect(self.update)

    def set_cursor(self, at_s: float) -> None:
        """Draws the cursor at another place; only the two lines are painted anew."""
        if at_s != self._cursor_s:
            for place in (self._cursor_s, at_s):
                x = round(self.to_x(place))
                self.update(x - 8, 0, 17, self.height())
            self._cursor_s = at_s

    def time_rect(self) -> QRectF:
        """Returns the part of the widget that lies along the axis."""
        return QRectF(LEFT_PX, 0, max(self.width() - LEFT_PX - RIGHT_PX, 1), self.height())

    def to_x(self, at_s: float) -> float:
        """Returns the x of a place in time."""
        room = self.time_rect()
        return room.left() + (at_s - self._axis.start_s) / self._axis.span_s * room.width()

    def to_s(self, x: float) -> float:
        """Returns the place in time of an x, clamped to what is shown."""
        room = self.time_rect()
        share = min(max((x - room.left()) / room.width(), 0.0), 1.0)
        return self._axis.start_s + share * self._axis.span_s

    def draw_cursor(self, painter: QPainter) -> None:
        """Draws the cursor line."""
        if self._axis.start_s <= self._cursor_s <= self._axis.end_s:
            x = round(self.to_x(self._cursor_s)) + 0.5
            painter.setPen(QPen(theme.tokens().color(Role.TEXT), 1))
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Moves the cursor to the pointer."""
        if a0 is not None and a0.button() == Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self.to_s(a0.position().x()))

    def mouseMoveEvent(self, a0: QMouseEvent | None) -> None:
        """Drags the cursor."""
        if a0 is not None and a0.buttons() & Qt.MouseButton.LeftButton:
            self.scrubbed.emit(self.to_s(a0.position().x()))

    def wheelEvent(self, a0: QWheelEvent | None) -> None:
        """Zooms about the pointer; sideways, or with Shift, moves along."""
        if a0 is None:
            return
        delta = a0.angleDelta()
        if a0.modifiers() & Qt.KeyboardModifier.ShiftModifier or abs(delta.x()) > abs(delta.y()):
            steps = (delta.x() or delta.y()) / 120
            self._axis.pan(-steps * self._axis.span_s * 0.1)
        elif delta.y():
            self._axis.zoom(_WHEEL_STEP ** (delta.y() / 120), self.to_s(a0.position().x()))
        a0.accept()

    def mouseDoubleClickEvent(self, a0: QMouseEvent | None) -> None:
        """Shows the whole episode again."""
        self._axis.reset(self._axis.duration_s)


class TimeRuler(TimeStrip):
    """Ticks and times, with what was lost, and a small picture at the pointer."""

    hovered = pyqtSignal(float)
    """A preview of this place [s] is wanted."""

    def __init__(self, axis: TimeAxis, parent: QWidget | None = None) -> None:
        super().__init__(axis, parent)
        self._lost: Sequence[float] = ()
        self._in_out: tuple[float | None, float | None] = (None, None)
        self._key_s = 0.0
        self._hover_s: float | None = None
        self._preview = _Preview(self)
        self.setFixedHeight(_HEIGHT_PX)
        self.setAccessibleName("Time ruler")
        self.setToolTip("")

    def sizeHint(self) -> QSize:
        """Returns the fixed height."""
        return QSize(theme.grid(40), _HEIGHT_PX)

    def set_lost(self, lost: Sequence[float]) -> None:
        """Shows where frames are missing [s]."""
        self._lost = lost
        self.update()

    def set_key(self, key_s: float) -> None:
        """Shades what was kept from before the record key was pressed there [s]; 0 shades nothing."""
        if key_s != self._key_s:
            self._key_s = key_s
            self.update()

    def set_in_out(self, in_out: tuple[float | None, float | None]) -> None:
        """Shows the stretch that playing goes round in."""
        if in_out != self._in_out:
            self._in_out = in_out
            self.update()

    def show_preview(self, at_s: float, image: QImage) -> None:
        """Shows a small picture while the pointer is still there."""
        if self._hover_s is not None:
            word = f"  {BEFORE_KEY}" if at_s < self._key_s else ""
            self._preview.show_at(self, self.to_x(at_s), image, time_text(at_s, 0.1) + word)

    def mouseMoveEvent(self, a0: QMouseEvent | None) -> None:
        """Drags the cursor, or asks for a preview of where the pointer is."""
        super().mouseMoveEvent(a0)
        if a0 is None:
            return
        if a0.buttons() & Qt.MouseButton.LeftButton:
            self._leave()
        elif a0.position().x() >= LEFT_PX:
            self._hover_s = self.to_s(a0.position().x())
            self.hovered.emit(self._hover_s)

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Keeps the arrow that says the ruler can be dragged."""
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        super().enterEvent(event)

    def leaveEvent(self, a0: QEvent | None) -> None:
        """Hides the preview."""
        self._leave()
        super().leaveEvent(a0)

    def _leave(self) -> None:
        self._hover_s = None
        self._preview.hide()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws ticks, in and out, losses and the cursor with its handle."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        self._draw_preroll(painter)
        self._draw_in_out(painter)
        room = self.time_rect()
        step = tick_step(self._axis.span_s, room.width())
        first = math.ceil(self._axis.start_s / step - 1e-9)
        last = math.floor(self._axis.end_s / step + 1e-9)
        for index in range(first, last + 1):
            x = round(self.to_x(index * step)) + 0.5
            painter.setPen(t.color(Role.BORDER))
            painter.drawLine(QPointF(x, _HEIGHT_PX - 9), QPointF(x, _HEIGHT_PX - 1))
            painter.setPen(t.color(Role.MUTED))
            text = QRectF(x - 32, 3, 64, 16)
            align = Qt.AlignmentFlag.AlignHCenter
            if text.right() > self.width():
                text.moveRight(self.width() - 2)
                align = Qt.AlignmentFlag.AlignRight
            painter.drawText(text, align | Qt.AlignmentFlag.AlignVCenter, time_text(index * step, step))
        painter.fillRect(QRectF(room.left(), _HEIGHT_PX - 1, room.width(), 1), t.color(Role.BORDER))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.color(Role.WARNING))
        for at_s in self._lost:
            if self._axis.start_s <= at_s <= self._axis.end_s:
                painter.drawRect(QRectF(self.to_x(at_s) - 1, _HEIGHT_PX - 6, 2, 6))
        self._draw_overview(painter, room)
        self.draw_cursor(painter)
        if self._axis.start_s <= self._cursor_s <= self._axis.end_s:
            x = round(self.to_x(self._cursor_s)) + 0.5
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setBrush(t.color(Role.TEXT))
            painter.setPen(Qt.PenStyle.NoPen)
            handle = [(x - 6, 0), (x + 6, 0), (x + 6, 5), (x, 11), (x - 6, 5)]
            painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in handle]))
        painter.end()

    def _draw_preroll(self, painter: QPainter) -> None:
        if self._key_s <= self._axis.start_s:
            return
        t = theme.tokens()
        left, right = self.time_rect().left(), self.to_x(min(self._key_s, self._axis.end_s))
        shade = QRectF(left, 2, right - left, self.height() - 3)
        painter.fillRect(shade, t.color(Role.RAISED))
        painter.fillRect(shade, QBrush(t.color(Role.MUTED, 0.55), Qt.BrushStyle.BDiagPattern))
        if self._key_s <= self._axis.end_s:
            painter.fillRect(QRectF(right - 1, 2, 2, self.height() - 3), t.color(Role.RECORDING))

    def _draw_in_out(self, painter: QPainter) -> None:
        start, end = self._in_out
        if start is None and end is None:
            return
        accent = QColor(theme.FOCUS_BLUE[theme.tokens().name])
        left = self.to_x(self._axis.start_s if start is None else max(start, self._axis.start_s))
        right = self.to_x(self._axis.end_s if end is None else min(end, self._axis.end_s))
        if right > left:
            shade = QColor(accent)
            shade.setAlphaF(0.22)
            painter.fillRect(QRectF(left, 0, right - left, self.height()), shade)
        painter.setPen(QPen(accent, 2))
        for at_s in (start, end):
            if at_s is not None and self._axis.start_s <= at_s <= self._axis.end_s:
                x = self.to_x(at_s)
                painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))

    def _draw_overview(self, painter: QPainter, room: QRectF) -> None:
        """Under the ticks of a zoomed ruler: which part of the whole is shown."""
        if not self._axis.zoomed:
            return
        t = theme.tokens()
        left = room.left() + self._axis.start_s / self._axis.duration_s * room.width()
        width = max(self._axis.span_s / self._axis.duration_s * room.width(), 4)
        painter.fillRect(QRectF(room.left(), 0, room.width(), 2), t.color(Role.RAISED))
        painter.fillRect(QRectF(left, 0, width, 2), t.color(Role.MUTED))


class _Preview(QWidget):
    """The small picture over the ruler, with its time; it never takes the mouse."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.ToolTip | Qt.WindowType.FramelessWindowHint)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._picture = QLabel()
        self._time = QLabel()
        self._time.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._time.setFont(theme.font(FontSize.LABEL, tabular=True))
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 2)
        box.setSpacing(0)
        box.addWidget(self._picture)
        box.addWidget(self._time)

    def show_at(self, ruler: QWidget, x: float, image: QImage, text: str) -> None:
        """Shows a picture above a place of the ruler."""
        self._picture.setPixmap(QPixmap.fromImage(image))
        self._time.setText(text)
        self.adjustSize()
        corner = ruler.mapToGlobal(QPoint(round(x) - self.width() // 2, -self.height() - 4))
        screen = ruler.screen()
        if screen is not None:
            room = screen.availableGeometry()
            corner.setX(min(max(corner.x(), room.left()), room.right() - self.width()))
        self.move(corner)
        self.show()


def tick_step(span_s: float, width_px: float) -> float:
    """Returns the distance of labelled ticks [s] that leaves each label room."""
    wanted = span_s * _TICK_ROOM_PX / max(width_px, 1.0)
    return next((step for step in _STEPS_S if step >= wanted), _STEPS_S[-1])


def time_text(at_s: float, step_s: float = 1.0) -> str:
    """Returns a time as m:ss, with as many decimals as ticks `step_s` apart need."""
    decimals = 0 if step_s >= 1 else 1 if step_s >= 0.1 else 2 if step_s >= 0.01 else 3
    scale = 10**decimals
    units = round(max(at_s, 0.0) * scale)
    whole, part = divmod(units, scale)
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    head = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{head}.{part:0{decimals}d}" if decimals else head
