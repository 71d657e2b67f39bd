"""One view of the mosaic: a camera picture or the 3-D view under a thin header."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.bridge import CameraFrame
from ui.theme import FontSize, Role
from ui.widgets.chunk_overlay import OverlayLine, draw_overlay

HEADER_PX = 20
_EDGE_PX = 2
_NOTE_MEANS = "Only what is drawn here is reduced, so that the recording gets the processor."
_DRIVER_ROLES = {
    "human": Role.HUMAN,
    "script": Role.POLICY,
    "policy": Role.POLICY,
    "blend": Role.POLICY,
}
_DASH = [6.0, 6.0]


class Tile(QWidget):
    """A header with number, name and badge over a content that subclasses fill in.

    Args:
        name: Shown in the header.
        parent: Owner.
    """

    clicked = pyqtSignal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._number = 0
        self._badge = ""
        self._badge_role = Role.WARNING
        self._note = ""
        self._driver: str | None = None
        self._large = False
        self.setAccessibleName(f"View {name}")

    def set_name(self, name: str) -> None:
        """Shows another name in the header."""
        self.name = name
        self.setAccessibleName(f"View {name}")
        self.update()

    @property
    def badge(self) -> str:
        """What is off with this view, empty when nothing is."""
        return self._badge

    def set_number(self, number: int) -> None:
        """Shows the digit that brings this view to the large place."""
        if number != self._number:
            self._number = number
            self.update()

    def set_badge(self, badge: str, role: Role = Role.WARNING) -> None:
        """Shows what is off, such as a low rate; empty shows nothing."""
        if (badge, role) != (self._badge, self._badge_role):
            self._badge, self._badge_role = badge, role
            self.update()

    @property
    def note(self) -> str:
        """What is said quietly of the picture shown, empty for nothing."""
        return self._note

    def set_note(self, note: str) -> None:
        """Says quietly how the picture shown differs from the one recorded."""
        if note != self._note:
            self._note = note
            self._explain()
            self.update()

    def set_driver(self, driver: str | None) -> None:
        """Colours the frame by who drives.

        Args:
            driver: An `Actor`; a person and a policy together get a frame of both colours in turn. None, and
                an actor without a colour, for nobody.
        """
        if driver != self._driver:
            self._driver = driver
            self.update()

    def set_large(self, large: bool) -> None:
        """Tells that this view has the large place."""
        self._large = large
        self._explain()

    def _explain(self) -> None:
        click = "" if self._large else f"Click or press {self._number} to see it large"
        self.setToolTip("\n".join(part for part in (self._note and _NOTE_MEANS, click) if part))

    def content_rect(self) -> QRect:
        """Returns where the content goes."""
        return self.rect().adjusted(_EDGE_PX, HEADER_PX, -_EDGE_PX, -_EDGE_PX)

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws frame and header, then the content."""
        painter = QPainter(self)
        t = theme.tokens()
        painter.fillRect(self.rect(), t.color(Role.PANEL))
        painter.setFont(theme.font(FontSize.LABEL, bold=True))
        header = QRect(theme.grid(1), 1, self.width() - theme.grid(2), HEADER_PX - 1)
        badge_width = 0
        if self._badge:
            badge_width = painter.fontMetrics().horizontalAdvance(self._badge) + theme.grid(2)
            spot = QRectF(self.width() - badge_width - 4, 3, badge_width, HEADER_PX - 5)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.color(self._badge_role))
            painter.drawRoundedRect(spot, 3, 3)
            painter.setPen(theme.text_color_on(t.hex(self._badge_role)))
            painter.drawText(spot, Qt.AlignmentFlag.AlignCenter, self._badge)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(t.color(Role.MUTED))
        text = f"{self._number}  {self.name}" if self._number else self.name
        header.setRight(header.right() - badge_width)
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, header.width())
        painter.drawText(header, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, shown)
        if self._note:
            header.setLeft(header.left() + painter.fontMetrics().horizontalAdvance(shown) + theme.grid(1))
            painter.setFont(theme.font(FontSize.LABEL, tabular=True))
            note = painter.fontMetrics().elidedText(self._note, Qt.TextElideMode.ElideRight, header.width())
            painter.drawText(header, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, note)
        self._paint_content(painter)
        role = _DRIVER_ROLES.get(self._driver or "")
        painter.setPen(QPen(t.color(role or Role.BORDER), _EDGE_PX if role else 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inset = 1 if role else 0
        frame = self.rect().adjusted(inset, inset, -1, -1)
        painter.drawRect(frame)
        if self._driver == "blend":
            pen = QPen(t.color(Role.HUMAN), _EDGE_PX, Qt.PenStyle.CustomDashLine, Qt.PenCapStyle.FlatCap)
            pen.setDashPattern(_DASH)
            painter.setPen(pen)
            painter.drawRect(frame)
        painter.end()

    def _paint_content(self, painter: QPainter) -> None:
        """Draws the content; a widget inside needs nothing here."""

    def mouseReleaseEvent(self, a0: QMouseEvent | None) -> None:
        """A click asks for the large place."""
        if a0 is not None and a0.button() == Qt.MouseButton.LeftButton and self.rect().contains(a0.pos()):
            self.clicked.emit()


class CameraTile(Tile):
    """A camera's newest picture, letterboxed."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._frame: CameraFrame | None = None
        self._overlay: tuple[OverlayLine, ...] = ()

    @property
    def frame(self) -> CameraFrame | None:
        """The picture shown."""
        return self._frame

    def set_name(self, name: str) -> None:
        """Becomes the tile of another camera, of which there is no picture yet."""
        super().set_name(name)
        self._frame = None
        self._overlay = ()

    def set_frame(self, frame: CameraFrame) -> None:
        """Shows a picture; it is kept until the next one, so its memory stays valid."""
        self._frame = frame
        self.update(self.content_rect())

    @property
    def overlay(self) -> tuple[OverlayLine, ...]:
        """The ways drawn over the picture."""
        return self._overlay

    def set_overlay(self, lines: tuple[OverlayLine, ...]) -> None:
        """Draws the predicted ways of the tools over the picture; none of them for nothing."""
        if lines or self._overlay:
            self._overlay = lines
            self.update(self.content_rect())

    def _paint_content(self, painter: QPainter) -> None:
        room = self.content_rect()
        painter.fillRect(room, theme.tokens().color(Role.WINDOW))
        if self._frame is None:
            painter.setPen(theme.tokens().color(Role.MUTED))
            painter.setFont(theme.font())
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, "No picture yet")
            return
        image = self._frame.image
        target = letterbox(image.size(), room)
        if target.width() >= image.width() and self._large:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(target, image)
        if self._overlay:
            draw_overlay(painter, target, self._overlay)

    def snapshot(self) -> QImage | None:
        """Returns a copy of the picture shown, None before the first."""
        return None if self._frame is None else self._frame.image.copy()


class WidgetTile(Tile):
    """A view that is a widget of its own, such as the 3-D view.

    While small it lets clicks through, so that a click swaps it to the large place like a camera.
    """

    def __init__(self, name: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.content = content
        content.setParent(self)

    def set_large(self, large: bool) -> None:
        """Gives the mouse to the content only in the large place."""
        super().set_large(large)
        self.content.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, not large)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Fits the content."""
        super().resizeEvent(a0)
        self.content.setGeometry(self.content_rect())


def letterbox(size: QSize, room: QRect) -> QRect:
    """Returns the largest rectangle of a picture's shape in the middle of a room."""
    fitted = size.scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
    return QRect(
        room.x() + (room.width() - fitted.width()) // 2,
        room.y() + (room.height() - fitted.height()) // 2,
        fitted.width(),
        fitted.height(),
    )
