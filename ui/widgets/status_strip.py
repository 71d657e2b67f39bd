"""The bottom strip: cells that stay muted until something is off."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from ui import theme
from ui.theme import FontSize
from ui.widgets.status_cells import Cell, Level

_MARKS = {Level.QUIET: "", Level.WARNING: "▲ ", Level.FAULT: "■ "}


class StatusStrip(QFrame):
    """Shows `Cell`s; a cell keeps its place as long as its name stays."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "bar")
        self.setFixedHeight(theme.STATUS_STRIP_HEIGHT_PX)
        self._labels: dict[str, QLabel] = {}
        self._cells: dict[str, Cell] = {}
        self._box = QHBoxLayout(self)
        self._box.setContentsMargins(theme.grid(1), 2, theme.grid(1), 2)
        self._box.setSpacing(theme.grid(0.5))
        self._box.addStretch(1)

    def cell(self, name: str) -> Cell | None:
        """Returns what a cell shows."""
        return self._cells.get(name)

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Shows these cells; touches only the widgets that change."""
        names = [cell.name for cell in cells]
        if names != list(self._cells):
            self._rebuild(names)
        for cell in cells:
            if self._cells.get(cell.name) != cell:
                self._show(cell)
        self._cells = {cell.name: cell for cell in cells}

    def _rebuild(self, names: list[str]) -> None:
        for label in self._labels.values():
            self._box.removeWidget(label)
            label.deleteLater()
        self._labels = {}
        self._cells = {}
        last = len(names) - 1
        for position, name in enumerate(names):
            label = QLabel()
            label.setFont(theme.font(FontSize.LABEL, tabular=True))
            label.setFixedHeight(theme.grid(2.5))
            # Where there is no room the end is cut, never the name.
            label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
            self._labels[name] = label
            # The link sits at the right end, away from the numbers.
            self._box.insertWidget(position + (1 if position == last else 0), label)

    def _show(self, cell: Cell) -> None:
        label = self._labels[cell.name]
        label.setText(_MARKS[cell.level] + cell.text)
        label.setToolTip(cell.remedy)
        label.setAccessibleDescription(cell.remedy)
        self._style(label, cell.level)

    @staticmethod
    def _style(label: QLabel, level: Level) -> None:
        t = theme.tokens()
        if level is Level.QUIET:
            style = f"color: {t.muted}; background: transparent;"
        else:
            fill = t.warning if level is Level.WARNING else t.fault
            style = f"color: {theme.text_on(fill)}; background: {fill}; font-weight: 600;"
        label.setStyleSheet(f"QLabel {{ {style} border-radius: 3px; padding: 0 8px; }}")

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        for name, label in self._labels.items():
            cell = self._cells.get(name)
            self._style(label, cell.level if cell is not None else Level.QUIET)
