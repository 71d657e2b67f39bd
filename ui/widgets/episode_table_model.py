"""The rows of the table of episodes for Qt."""

from __future__ import annotations

# ruff: noqa: N802
from typing import Any

from PyQt6.QtCore import QAbstractTableModel, QModelIndex, Qt
from PyQt6.QtWidgets import QWidget

from sessions import EpisodeRow
from ui.viewmodels.episodes import Change, EpisodesModel
from ui.widgets.episode_columns import RIGHT, TIPS, TITLES, Column, cell_text, cell_tip


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
        return 0 if parent.isValid() else len(TITLES)

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
            return TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return TIPS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in RIGHT else Qt.AlignmentFlag.AlignLeft
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
            side = Qt.AlignmentFlag.AlignRight if index.column() in RIGHT else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return cell_tip(row, index.column())
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{TITLES[index.column()]}: {cell_text(row, index.column())}"
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
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(TITLES) - 1))

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
