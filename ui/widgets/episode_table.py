"""The table of episodes: picture and words, motion, figures, verdict."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import (
    QByteArray,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSettings,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView, QWidget

from sessions import EpisodeRow
from ui import theme
from ui.viewmodels.episodes import EpisodesModel
from ui.viewmodels.episodes_art import EpisodeArt
from ui.widgets.episode_columns import FIRST, TITLES, WIDTHS, Column
from ui.widgets.episode_delegate import ROW_PX, EpisodeDelegate, cell_room, thumb_place
from ui.widgets.episode_table_model import EpisodeTableModel

_HEADER_KEY = "episodes/columns"


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
        self._cells = EpisodeDelegate(self.table, episodes, art, self)
        self.setItemDelegate(self._cells)
        self._hovered = QPersistentModelIndex()
        self.setMouseTracking(True)
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
        for column, width in enumerate(WIDTHS):
            self.setColumnWidth(column, width)
        for place, column in enumerate(FIRST):
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
        for column, title in enumerate(TITLES):
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

    def mouseMoveEvent(self, e: QMouseEvent | None) -> None:
        """Shows the moment of the episode that lies under the pointer on its picture."""
        super().mouseMoveEvent(e)
        if e is not None:
            self._hover(self.indexAt(e.position().toPoint()), e.position().x())

    def leaveEvent(self, a0: QEvent | None) -> None:
        """Shows the usual picture again."""
        super().leaveEvent(a0)
        self._hover(QModelIndex(), 0.0)

    def _hover(self, index: QModelIndex, x: float) -> None:
        row = self.table.row(index.row()) if index.column() == Column.EPISODE else None
        place = thumb_place(cell_room(self.visualRect(index)))
        share = (x - place.left()) / place.width()
        on_picture = row is not None and 0.0 <= share < 1.0
        before = self._hovered
        self._hovered = QPersistentModelIndex(index if on_picture else QModelIndex())
        self._cells.set_hovered((row.uuid, share) if row is not None and on_picture else None)
        for each in (before, self._hovered):
            if each.isValid():
                self.update(QModelIndex(each))

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
