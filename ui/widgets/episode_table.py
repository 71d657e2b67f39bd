"""The table of episodes: picture and words, motion, figures, verdict."""

from __future__ import annotations

# ruff: noqa: N802
from datetime import datetime
from typing import Any

from PyQt6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSettings,
    QSize,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from sessions import EpisodeRow, EpisodeState, Outcome
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.episodes import Change, EpisodesModel
from ui.viewmodels.episodes_art import EpisodeArt

ROW_PX = 56
_THUMB = QSize(64, 48)
_HEADER_KEY = "episodes/columns"


class Column:
    """Places of the columns."""

    EPISODE, VERDICT, MOTION, WHEN, DURATION, LOST, SYNC, SIZE, WHO = range(9)


_TITLES = ("Episode", "Verdict", "Motion", "When", "Length", "Lost", "Sync p95", "Size", "Who")
_TIPS = (
    "Picture, instruction and task",
    "What was decided, and whether the task was achieved",
    "Joint speed over the episode",
    "When it was recorded",
    "Length [min:s]",
    "Frames lost over all cameras",
    "95th percentile of the time between each frame and its nearest control sample [ms]; amber above 20",
    "File size",
    "Who drove",
)
_WIDTHS = (216, 104, 96, 104, 72, 56, 76, 80, 128)
_FIRST = (Column.EPISODE, Column.VERDICT, Column.SYNC, Column.LOST)
"""What is seen first from the left until the columns are moved."""
_RIGHT = {Column.DURATION, Column.LOST, Column.SYNC, Column.SIZE}


class EpisodeTableModel(QAbstractTableModel):
    """Rows of an `EpisodesModel`, with inserts and removals one by one so that nothing jumps."""

    def __init__(self, model: EpisodesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: list[EpisodeRow] = list(model.rows)
        model.rowsReset.connect(self._reset)
        model.rowsUpdated.connect(self._update)

    def row(self, place: int) -> EpisodeRow | None:
        """Returns the episode of a row."""
        return self._rows[place] if 0 <= place < len(self._rows) else None

    def place_of(self, uuid: str) -> int:
        """Returns the row of an episode, -1 when it is not there."""
        return next((i for i, row in enumerate(self._rows) if row.uuid == uuid), -1)

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Returns how many are loaded."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Returns the number of columns."""
        return 0 if parent.isValid() else len(_TITLES)

    def canFetchMore(self, parent: QModelIndex) -> bool:
        """Whether the catalog has more."""
        return not parent.isValid() and self._model.has_more

    def fetchMore(self, parent: QModelIndex) -> None:
        """Loads the next page."""
        self._model.load_more()

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Returns titles and their tooltips."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in _RIGHT else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Returns texts; the delegate draws the picture, the sparkline and the verdict itself."""
        row = self.row(index.row())
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return cell_text(row, index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if index.column() in _RIGHT else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tip(row, index.column())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[index.column()]}: {cell_text(row, index.column())}"
        return None

    def _reset(self) -> None:
        self.beginResetModel()
        self._rows = list(self._model.rows)
        self.endResetModel()

    def _update(self, rows: list[EpisodeRow], change: Change) -> None:
        for first, last in reversed(_runs(change.removed)):
            self.beginRemoveRows(QModelIndex(), first, last)
            del self._rows[first : last + 1]
            self.endRemoveRows()
        for first, last in _runs(change.inserted):
            self.beginInsertRows(QModelIndex(), first, last)
            self._rows[first:first] = rows[first : last + 1]
            self.endInsertRows()
        for place in change.changed:
            self._rows[place] = rows[place]
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(_TITLES) - 1))

    def touch(self, uuid: str) -> None:
        """Paints an episode's row anew."""
        place = self.place_of(uuid)
        if place >= 0:
            self.dataChanged.emit(self.index(place, Column.EPISODE), self.index(place, Column.MOTION))


def _runs(places: tuple[int, ...]) -> list[tuple[int, int]]:
    """Returns consecutive places as (first, last)."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs


class EpisodeDelegate(QStyledItemDelegate):
    """Draws the cells that are more than a text."""

    def __init__(
        self, model: EpisodeTableModel, episodes: EpisodesModel, art: EpisodeArt, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._episodes = episodes
        self._art = art

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
        room = option.rect.adjusted(theme.grid(1), 0, -theme.grid(1), 0)
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
        place = QRect(room.left(), room.center().y() - _THUMB.height() // 2, _THUMB.width(), _THUMB.height())
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
        else:
            painter.fillRect(place, t.color(Role.RAISED))
            if image is not None:
                theme.icon("image-off-outline", Role.MUTED).paint(painter, place.adjusted(20, 12, -20, -12))
        text = room.adjusted(_THUMB.width() + theme.grid(1), 0, 0, 0)
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
        return QSize(_WIDTHS[index.column()], ROW_PX)


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


def verdict_look(row: EpisodeRow) -> tuple[str, Role, str]:
    """Returns icon, colour and word of an episode's verdict."""
    if row.missing:
        return "file-question-outline", Role.FAULT, "No file"
    return {
        EpisodeState.SAVED: ("check-circle-outline", Role.GOOD, "Saved"),
        EpisodeState.PENDING: ("clock-outline", Role.WARNING, "Open"),
        EpisodeState.DISCARDED: ("trash-can-outline", Role.MUTED, "Discarded"),
    }[row.state]


def outcome_word(outcome: Outcome) -> str:
    """Returns the word for whether the task was achieved."""
    return {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.UNKNOWN: "not judged"}[outcome]


def _figure_color(row: EpisodeRow, column: int, ink: QColor, ground: str) -> QColor:
    bad = (column == Column.LOST and row.dropped_frames > 0) or (
        column == Column.SYNC and (row.sync_p95_s or 0.0) > 0.020
    )
    return QColor(theme.readable(theme.tokens().warning, ground)) if bad else ink


def cell_text(row: EpisodeRow, column: int) -> str:
    """Returns the text of a cell."""
    match column:
        case Column.EPISODE:
            return row.instruction or row.task
        case Column.VERDICT:
            return f"{verdict_look(row)[2]}, {outcome_word(row.outcome)}"
        case Column.DURATION:
            return length_text(row.duration_ns)
        case Column.LOST:
            return str(row.dropped_frames)
        case Column.SYNC:
            return "" if row.sync_p95_s is None else f"{row.sync_p95_s * 1e3:.1f} ms"
        case Column.SIZE:
            return size_text(row.size_bytes)
        case Column.WHEN:
            return when_text(row.started_utc_ns)
        case Column.WHO:
            return row.operator
        case _:
            return ""


def _tip(row: EpisodeRow, column: int) -> str:
    if column == Column.EPISODE:
        return f"{row.instruction or row.task}\n{row.uuid}"
    if column == Column.VERDICT:
        reasons = [text for text in (row.verdict_reason, row.recovery_loss) if text]
        if row.missing:
            reasons.append(f"The file {row.path} is not there. Put it back, or run `teleop recover`.")
        return "\n".join(reasons)
    return ""


def length_text(duration_ns: int) -> str:
    """Returns a length as m:ss.t."""
    tenths = round(duration_ns / 1e8)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def size_text(size_bytes: int) -> str:
    """Returns a file size in MB or GB, three figures."""
    megabytes = size_bytes / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.2f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 100 else f"{megabytes:.1f} MB"


def when_text(utc_ns: int) -> str:
    """Returns a time in the local zone: the clock alone today, with the date else."""
    at = datetime.fromtimestamp(utc_ns / 1e9)
    now = datetime.now()
    if at.date() == now.date():
        return at.strftime("today %H:%M")
    return at.strftime("%d %b %H:%M") if at.year == now.year else at.strftime("%d %b %Y")


class EpisodeTable(QTableView):
    """The table with its delegate; remembers columns, keeps the selection over updates.

    Args:
        episodes: What to list.
        art: Pictures and sparklines.
        settings: Where column widths, order and which are shown are kept.
        parent: Owner.
    """

    currentChosen = pyqtSignal(object)
    """The `EpisodeRow` to show, or None."""

    def __init__(
        self,
        episodes: EpisodesModel,
        art: EpisodeArt,
        settings: QSettings | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._episodes = episodes
        self._settings = settings
        self._chosen = ""
        self.table = EpisodeTableModel(episodes, self)
        self.setModel(self.table)
        self.setItemDelegate(EpisodeDelegate(self.table, episodes, art, self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setAccessibleName("Episodes")
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        rows = self.verticalHeader()
        if rows is not None:
            rows.hide()
            rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            rows.setDefaultSectionSize(ROW_PX)
        self._set_up_header()
        art.arrived.connect(self.table.touch)
        selection = self.selectionModel()
        if selection is not None:
            selection.currentRowChanged.connect(self._on_current)
        self.table.modelReset.connect(self._after_reset)

    def _set_up_header(self) -> None:
        header = self.horizontalHeader()
        if header is None:
            return
        header.setSectionsMovable(True)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(theme.grid(5))
        for column, width in enumerate(_WIDTHS):
            self.setColumnWidth(column, width)
        for place, column in enumerate(_FIRST):
            header.moveSection(header.visualIndex(column), place)
        stored = self._settings.value(_HEADER_KEY) if self._settings is not None else None
        if isinstance(stored, QByteArray):
            header.restoreState(stored)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._choose_columns)
        header.sectionResized.connect(self._remember_columns)
        header.sectionMoved.connect(self._remember_columns)

    def _choose_columns(self) -> None:
        header = self.horizontalHeader()
        if header is None:
            return
        menu = QMenu(self)
        for column, title in enumerate(_TITLES):
            action = menu.addAction(title)
            if action is None:
                continue
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(column))
            action.setEnabled(column != Column.EPISODE)
            action.toggled.connect(lambda shown, c=column: self._show_column(c, shown))
        menu.exec(self.cursor().pos())
        menu.deleteLater()

    def _show_column(self, column: int, shown: bool) -> None:
        self.setColumnHidden(column, not shown)
        self._remember_columns()

    def _remember_columns(self) -> None:
        header = self.horizontalHeader()
        if self._settings is not None and header is not None:
            self._settings.setValue(_HEADER_KEY, header.saveState())

    @property
    def chosen(self) -> EpisodeRow | None:
        """The current episode."""
        return self.table.row(self.currentIndex().row())

    @property
    def selected(self) -> list[EpisodeRow]:
        """All selected episodes, newest first."""
        selection = self.selectionModel()
        places = sorted(index.row() for index in selection.selectedRows()) if selection is not None else []
        return [row for place in places if (row := self.table.row(place)) is not None]

    def next_after(self, uuid: str) -> EpisodeRow | None:
        """Returns the episode below one."""
        place = self.table.place_of(uuid)
        return self.table.row(place + 1) if place >= 0 else None

    def choose(self, place: int) -> None:
        """Makes a row current and selects it alone."""
        if 0 <= place < self.table.rowCount():
            self.selectRow(place)
            index = self.table.index(place, 0)
            self.scrollTo(index, QAbstractItemView.ScrollHint.EnsureVisible)

    def choose_uuid(self, uuid: str) -> bool:
        """Makes an episode current; returns whether it is in the list."""
        place = self.table.place_of(uuid)
        self.choose(place)
        return place >= 0

    def go(self, by: int) -> None:
        """Goes to an episode further down or up."""
        self.choose(min(max(self.currentIndex().row() + by, 0), self.table.rowCount() - 1))

    def _on_current(self, current: QModelIndex) -> None:
        row = self.table.row(current.row())
        self._chosen = row.uuid if row is not None else ""
        self.currentChosen.emit(row)

    def _after_reset(self) -> None:
        """Another filter: the episode shown stays shown if it is still in the list."""
        if self._chosen and self.choose_uuid(self._chosen):
            return
        selection = self.selectionModel()
        if self.table.rowCount():
            self.choose(0)
        elif selection is not None:
            selection.select(QItemSelection(), QItemSelectionModel.SelectionFlag.Clear)
            self._on_current(QModelIndex())
