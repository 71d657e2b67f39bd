"""Draws the cells of the table of episodes that are more than a text."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF
from PyQt6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from sessions import EpisodeRow, EpisodeState
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.episodes import EpisodesModel
from ui.viewmodels.episodes_art import EpisodeArt
from ui.widgets.episode_columns import WIDTHS, Column, cell_text, outcome_word, verdict_look
from ui.widgets.episode_table_model import EpisodeTableModel

ROW_PX = 56
THUMB = QSize(64, 48)


class EpisodeDelegate(QStyledItemDelegate):
    """Draws the cells that are more than a text."""

    def __init__(
        self, model: EpisodeTableModel, episodes: EpisodesModel, art: EpisodeArt, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._episodes = episodes
        self._art = art
        self._hovered: tuple[str, float] | None = None

    def set_hovered(self, hovered: tuple[str, float] | None) -> None:
        """Shows another moment of the episode whose picture the pointer is on: UUID and place, 0..1."""
        self._hovered = hovered

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draws one cell."""
        row = self._model.row(index.row())
        if painter is None or row is None:
            return
        t = theme.tokens()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setClipRect(option.rect)
        focus = theme.blend(theme.FOCUS_BLUE[t.name], t.panel, 0.28)
        ground = QColor(focus) if chosen else t.color(Role.PANEL)
        painter.fillRect(option.rect, ground)
        painter.fillRect(
            QRect(option.rect.left(), option.rect.bottom(), option.rect.width(), 1), t.color(Role.BORDER, 0.6)
        )
        faded = row.state is EpisodeState.DISCARDED or row.missing
        ink = t.color(Role.MUTED if faded and not chosen else Role.TEXT)
        muted = t.color(Role.TEXT if chosen else Role.MUTED)
        room = cell_room(option.rect)
        if index.column() == Column.EPISODE:
            self._draw_episode(painter, room, row, ink, muted)
        elif index.column() == Column.VERDICT:
            _draw_verdict(painter, room, row, ink, muted, ground.name())
        elif index.column() == Column.MOTION:
            self._draw_spark(painter, room, row, muted)
        else:
            painter.setFont(theme.font(FontSize.BASE, tabular=True))
            painter.setPen(_figure_color(row, index.column(), ink, ground.name()))
            align = index.data(Qt.ItemDataRole.TextAlignmentRole)
            text = painter.fontMetrics().elidedText(
                cell_text(row, index.column()), Qt.TextElideMode.ElideRight, room.width()
            )
            painter.drawText(room, int(align), text)
        painter.restore()

    def _draw_episode(
        self, painter: QPainter, room: QRect, row: EpisodeRow, ink: QColor, muted: QColor
    ) -> None:
        place = thumb_place(room)
        image, share = self._hover_picture(row)
        if image is None:
            image = self._art.image(row)
        t = theme.tokens()
        if image is not None and not image.isNull():
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            size = image.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
            spot = QRect(0, 0, size.width(), size.height())
            spot.moveCenter(place.center())
            painter.setOpacity(0.45 if row.state is EpisodeState.DISCARDED else 1.0)
            painter.drawImage(spot, image)
            painter.setOpacity(1.0)
            if share is not None:
                line = QRect(place.left(), place.bottom() - 2, place.width(), 3)
                painter.fillRect(line, t.color(Role.WINDOW, 0.7))
                line.setWidth(round(share * line.width()))
                painter.fillRect(line, t.color(Role.TEXT))
        else:
            painter.fillRect(place, t.color(Role.RAISED))
            if image is not None:
                theme.icon("image-off-outline", Role.MUTED).paint(painter, place.adjusted(20, 12, -20, -12))
        text = room.adjusted(THUMB.width() + theme.grid(1), 0, 0, 0)
        painter.setFont(theme.font(FontSize.BASE))
        painter.setPen(ink)
        metrics = painter.fontMetrics()
        upper = QRect(text.left(), text.center().y() - 19, text.width(), 20)
        title = row.instruction or row.task
        painter.drawText(
            upper,
            Qt.AlignmentFlag.AlignVCenter,
            metrics.elidedText(title, Qt.TextElideMode.ElideRight, upper.width()),
        )
        painter.setFont(theme.font(FontSize.LABEL))
        painter.setPen(muted)
        lower = upper.translated(0, 19)
        detail = f"{row.task}  ·  {row.operator}"
        painter.drawText(
            lower,
            Qt.AlignmentFlag.AlignVCenter,
            painter.fontMetrics().elidedText(detail, Qt.TextElideMode.ElideRight, lower.width()),
        )

    def _hover_picture(self, row: EpisodeRow) -> tuple[QImage | None, float | None]:
        """The moment under the pointer and where it is, once its strip is there."""
        if self._hovered is None or self._hovered[0] != row.uuid or row.missing:
            return None, None
        strip = self._art.strip(row, self._episodes.path_of(row))
        return (None, None) if strip is None else (strip.tile(self._hovered[1]), self._hovered[1])

    def _draw_spark(self, painter: QPainter, room: QRect, row: EpisodeRow, ink: QColor) -> None:
        spark = self._art.spark(row, self._episodes.path_of(row)) if not row.missing else None
        if spark is None or not len(spark):
            return
        box = QRectF(room.adjusted(0, 14, 0, -14))
        step = box.width() / (len(spark) - 1)
        points = [
            QPointF(box.left() + i * step, box.bottom() - float(v) * box.height())
            for i, v in enumerate(spark.tolist())
        ]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(ink, 1.2))
        painter.drawPolyline(QPolygonF(points))

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Returns the row's height and the column's first width."""
        return QSize(WIDTHS[index.column()], ROW_PX)


def cell_room(cell: QRect) -> QRect:
    """Returns the part of a cell that is drawn in."""
    return cell.adjusted(theme.grid(1), 0, -theme.grid(1), 0)


def thumb_place(room: QRect) -> QRect:
    """Returns where the picture of an episode lies in the room of its cell."""
    return QRect(room.left(), room.center().y() - THUMB.height() // 2, THUMB.width(), THUMB.height())


def _draw_verdict(
    painter: QPainter, room: QRect, row: EpisodeRow, ink: QColor, muted: QColor, ground: str
) -> None:
    icon, role, word = verdict_look(row)
    color = theme.readable(theme.tokens().hex(role), ground) if role is not Role.TEXT else ink.name()
    upper = QRect(room.left(), room.center().y() - 19, room.width(), 20)
    theme.icon_in(icon, color).paint(painter, QRect(upper.left(), upper.top() + 2, 16, 16))
    words = upper.adjusted(20, 0, 0, 0)
    painter.setFont(theme.font(FontSize.BASE))
    painter.setPen(QColor(color))
    painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, word)
    painter.setFont(theme.font(FontSize.LABEL))
    painter.setPen(muted)
    painter.drawText(words.translated(0, 19), Qt.AlignmentFlag.AlignVCenter, outcome_word(row.outcome))


def _figure_color(row: EpisodeRow, column: int, ink: QColor, ground: str) -> QColor:
    bad = (column == Column.LOST and row.dropped_frames > 0) or (
        column == Column.SYNC and (row.sync_p95_s or 0.0) > 0.020
    )
    return QColor(theme.readable(theme.tokens().warning, ground)) if bad else ink
