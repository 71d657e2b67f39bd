"""The pictures of all cameras at the cursor: one large, the others beside or below it."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence

from PyQt6.QtCore import QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.player import Picture

HEADER_PX = 20
_GAP_PX = 4
_LARGE_SKEW_MS = 25.0
_ASPECT = 4 / 3


class PictureTile(QWidget):
    """One camera: name, frame number and skew over its picture."""

    clicked = pyqtSignal(str)

    def __init__(self, camera: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.camera = camera
        self._picture: Picture | None = None
        self._chosen = False
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(f"Camera {camera}")

    @property
    def picture(self) -> Picture | None:
        """What is shown."""
        return self._picture

    def set_picture(self, picture: Picture) -> None:
        """Shows another picture."""
        if picture != self._picture:
            same_image = self._picture is not None and self._picture.image is picture.image
            self._picture = picture
            self.update(
                QRect(0, 0, self.width(), HEADER_PX) if same_image and not picture.problem else self.rect()
            )

    def set_chosen(self, chosen: bool) -> None:
        """Marks the camera whose frames the arrow keys step through."""
        if chosen != self._chosen:
            self._chosen = chosen
            self.setToolTip("" if chosen else "Click to see it large; the arrow keys then step its frames")
            self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws header and picture."""
        painter = QPainter(self)
        t = theme.tokens()
        header = QRect(0, 0, self.width(), HEADER_PX)
        painter.fillRect(header, t.color(Role.RAISED if self._chosen else Role.PANEL))
        room = self.rect().adjusted(0, HEADER_PX, 0, 0)
        painter.fillRect(room, t.color(Role.WINDOW))
        painter.setFont(theme.font(FontSize.LABEL, bold=True))
        painter.setPen(t.color(Role.TEXT if self._chosen else Role.MUTED))
        inner = header.adjusted(theme.grid(1), 0, -theme.grid(1), 0)
        middle = Qt.AlignmentFlag.AlignVCenter
        picture = self._picture
        figures = self._figures(picture)
        painter.setFont(theme.font(FontSize.LABEL, tabular=True))
        width = painter.fontMetrics().horizontalAdvance(figures) if figures else 0
        fits = width < inner.width() * 0.72
        if figures and fits:
            off = picture is not None and abs(picture.skew_ms) > _LARGE_SKEW_MS
            ground = Role.RAISED if self._chosen else Role.PANEL
            painter.setPen(QColor(theme.accent_text(Role.WARNING, ground)) if off else t.color(Role.MUTED))
            painter.drawText(inner, middle | Qt.AlignmentFlag.AlignRight, figures)
            inner.setWidth(inner.width() - width - theme.grid(1))
        painter.setPen(t.color(Role.TEXT if self._chosen else Role.MUTED))
        painter.setFont(theme.font(FontSize.LABEL, bold=True))
        name = painter.fontMetrics().elidedText(self.camera, Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(inner, middle | Qt.AlignmentFlag.AlignLeft, name)
        self._draw_picture(painter, room)
        painter.end()

    def _figures(self, picture: Picture | None) -> str:
        if picture is None or picture.number < 0:
            return ""
        if self.width() < theme.grid(25):
            return f"{picture.skew_ms:+.0f} ms"
        return f"{picture.number + 1}/{picture.count}  {picture.skew_ms:+.1f} ms"

    def _draw_picture(self, painter: QPainter, room: QRect) -> None:
        t = theme.tokens()
        picture = self._picture
        if picture is not None and picture.image is not None:
            target = fitted(picture.image.size(), room)
            if target.size() != picture.image.size():
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(target, picture.image)
            return
        painter.setFont(theme.font())
        text = "Decoding"
        painter.setPen(t.color(Role.MUTED))
        if picture is not None and picture.problem:
            text = picture.problem
            painter.setPen(QColor(theme.accent_text(Role.FAULT, Role.WINDOW)))
        inner = room.adjusted(theme.grid(1), 0, -theme.grid(1), 0)
        painter.drawText(inner, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """A click asks for the large place."""
        if a0 is not None and a0.button() == Qt.MouseButton.LeftButton:
            self.clicked.emit(self.camera)


class PictureWall(QWidget):
    """Places the cameras so that the pictures are as large as the room allows."""

    chosen = pyqtSignal(str)
    """A camera was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tiles: list[PictureTile] = []
        self._large = ""
        self.setMinimumSize(theme.grid(30), theme.grid(22))

    @property
    def tiles(self) -> tuple[PictureTile, ...]:
        """The cameras in the order recorded."""
        return tuple(self._tiles)

    def set_cameras(self, cameras: Sequence[str]) -> None:
        """Shows other cameras."""
        if [tile.camera for tile in self._tiles] != list(cameras):
            for tile in self._tiles:
                tile.setParent(None)
                tile.deleteLater()
            self._tiles = [PictureTile(name, self) for name in cameras]
            for tile in self._tiles:
                tile.clicked.connect(self.chosen)
                tile.show()
        self._arrange()

    def set_large(self, camera: str) -> None:
        """Gives a camera the large place."""
        self._large = camera
        for tile in self._tiles:
            tile.set_chosen(tile.camera == camera)
        self._arrange()

    def set_pictures(self, pictures: Sequence[Picture]) -> None:
        """Shows what each camera saw."""
        for tile, picture in zip(self._tiles, pictures, strict=False):
            tile.set_picture(picture)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Places the cameras anew."""
        super().resizeEvent(a0)
        self._arrange()

    def _arrange(self) -> None:
        if not self._tiles:
            return
        large = next((tile for tile in self._tiles if tile.camera == self._large), self._tiles[0])
        small = [tile for tile in self._tiles if tile is not large]
        big, places = placed(self.size(), len(small))
        large.setGeometry(big)
        for tile, place in zip(small, places, strict=True):
            tile.setGeometry(place)


def fitted(size: QSize, room: QRect) -> QRect:
    """Returns the largest rectangle of a picture's shape in the middle of a room."""
    scaled = size.scaled(room.size(), Qt.AspectRatioMode.KeepAspectRatio)
    left = room.x() + (room.width() - scaled.width()) // 2
    return QRect(left, room.y() + (room.height() - scaled.height()) // 2, scaled.width(), scaled.height())


def placed(room: QSize, others: int) -> tuple[QRect, list[QRect]]:
    """Returns the places of one large and `others` small pictures: below, beside, or all in a row.

    Of the three the one with the most picture is chosen, the large one counting twice.
    """
    width, height = room.width(), room.height()
    if others == 0:
        return QRect(0, 0, width, height), []
    options = []
    small_height = max(min(height // 3, round((width / others) / _ASPECT) + HEADER_PX), HEADER_PX + 24)
    big = QRect(0, 0, width, height - small_height - _GAP_PX)
    options.append((big, _row(QRect(0, big.height() + _GAP_PX, width, small_height), others)))
    small_width = max(min(width // 3, round((height / others - HEADER_PX) * _ASPECT)), theme.grid(8))
    big = QRect(0, 0, width - small_width - _GAP_PX, height)
    options.append((big, _column(QRect(big.width() + _GAP_PX, 0, small_width, height), others)))
    row = _row(QRect(0, 0, width, height), others + 1)
    options.append((row[0], row[1:]))
    return max(options, key=lambda option: 2 * _seen(option[0]) + sum(map(_seen, option[1])))


def _seen(place: QRect) -> float:
    height = max(place.height() - HEADER_PX, 0)
    scale = min(place.width() / _ASPECT, height)
    return scale * scale * _ASPECT


def _row(room: QRect, count: int) -> list[QRect]:
    width = (room.width() - _GAP_PX * (count - 1)) / count
    return [
        QRect(round(room.x() + i * (width + _GAP_PX)), room.y(), round(width), room.height())
        for i in range(count)
    ]


def _column(room: QRect, count: int) -> list[QRect]:
    height = (room.height() - _GAP_PX * (count - 1)) / count
    return [
        QRect(room.x(), round(room.y() + i * (height + _GAP_PX)), room.width(), round(height))
        for i in range(count)
    ]
