"""Filters as chips that wrap: each opens a list to tick, says what it holds, and clears with its cross."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QPoint, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QLayout, QLayoutItem, QMenu, QSizePolicy, QToolButton, QWidget

from ui import theme


class FlowLayout(QLayout):
    """Widgets side by side, wrapping like words. Follows Qt's own flow layout example."""

    def __init__(self, parent: QWidget | None = None, gap: int = 4) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, a0: QLayoutItem | None) -> None:
        """Adds an item at the end."""
        if a0 is not None:
            self._items.append(a0)

    def count(self) -> int:
        """Returns the number of items."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        """Returns an item."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        """Removes an item."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def hasHeightForWidth(self) -> bool:
        """The height depends on the width."""
        return True

    def heightForWidth(self, a0: int) -> int:
        """Returns the height at a width."""
        return self._place(QRect(0, 0, a0, 0), test=True)

    def setGeometry(self, a0: QRect) -> None:
        """Places the items."""
        super().setGeometry(a0)
        self._place(a0, test=False)

    def sizeHint(self) -> QSize:
        """Returns the smallest size."""
        return self.minimumSize()

    def minimumSize(self) -> QSize:
        """Returns the size of the largest item."""
        size = QSize()
        for item in self._items:
            size = size.expandedTo(item.minimumSize())
        return size

    def _place(self, room: QRect, *, test: bool) -> int:
        x, y, row_height = room.x(), room.y(), 0
        for item in self._items:
            widget = item.widget()
            if widget is not None and widget.isHidden():
                continue
            size = item.sizeHint()
            if x > room.x() and x + size.width() > room.right() + 1:
                x, y, row_height = room.x(), y + row_height + self._gap, 0
            if not test:
                item.setGeometry(QRect(QPoint(x, y), size))
            x += size.width() + self._gap
            row_height = max(row_height, size.height())
        return y + row_height - room.y()


@dataclass(frozen=True, slots=True)
class Option:
    """An entry of a chip: the value it stands for and its words."""

    value: str
    text: str


class FilterChip(QToolButton):
    """One filter. Empty means no restriction.

    Args:
        title: What is filtered by, e.g. "Task".
        single: At most one entry may be ticked.
        parent: Owner.
    """

    changed = pyqtSignal()
    _theme = ""

    def __init__(self, title: str, *, single: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._single = single
        self._options: list[Option] = []
        self._values: list[str] = []
        self._menu = QMenu(self)
        self.setMenu(self._menu)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIconSize(QSize(14, 14))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._show()

    @property
    def values(self) -> tuple[str, ...]:
        """What is ticked."""
        return tuple(self._values)

    def set_options(self, options: Sequence[Option]) -> None:
        """Offers other entries; what is ticked stays where it still exists."""
        self._options = list(options)
        known = {option.value for option in options}
        self._values = [value for value in self._values if value in known]
        self._fill()
        self._show()

    def set_values(self, values: Sequence[str]) -> None:
        """Ticks other entries; emits nothing."""
        known = {option.value for option in self._options}
        self._values = [value for value in values if value in known]
        self._fill()
        self._show()

    def clear(self) -> None:
        """Takes the restriction away."""
        if self._values:
            self.set_values(())
            self.changed.emit()

    def _fill(self) -> None:
        self._menu.clear()
        group = QActionGroup(self._menu)
        group.setExclusionPolicy(
            QActionGroup.ExclusionPolicy.ExclusiveOptional
            if self._single
            else QActionGroup.ExclusionPolicy.None_
        )
        for option in self._options:
            action = QAction(option.text.replace("&", "&&"), self._menu)
            action.setCheckable(True)
            action.setChecked(option.value in self._values)
            action.setActionGroup(group)
            action.toggled.connect(lambda on, value=option.value: self._toggle(value, on))
            self._menu.addAction(action)
        if self._values:
            self._menu.addSeparator()
            clear = self._menu.addAction(f"Any {self._title.lower()}")
            if clear is not None:
                clear.triggered.connect(self.clear)
        if not self._options:
            empty = self._menu.addAction("Nothing to choose from yet")
            if empty is not None:
                empty.setEnabled(False)

    def _toggle(self, value: str, on: bool) -> None:
        kept = [each for each in self._values if each != value and not (self._single and on)]
        order = [option.value for option in self._options]
        values = sorted([*kept, value] if on else kept, key=order.index)
        if values != self._values:
            self._values = values
            self._fill()
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        words = [option.text for option in self._options if option.value in self._values]
        if not words:
            text = self._title
        elif len(words) <= 2:
            text = f"{self._title}: {', '.join(words)}"
        else:
            text = f"{self._title}: {len(words)}"
        self.setText(text if len(text) <= 34 else text[:33] + "…")
        self.setToolTip(", ".join(words))
        self.setAccessibleName(text)
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        self._theme = t.name
        on = bool(self._values)
        self.setIcon(theme.icon("check" if on else "chevron-down"))
        self.setStyleSheet(
            f"FilterChip {{ background: {t.raised if on else 'transparent'}; color: {t.text};"
            f" border: 1px solid {t.text if on else t.border}; border-radius: 13px;"
            " padding: 3px 10px 3px 6px; }"
            f"FilterChip:hover {{ background: {theme.blend(t.text, t.raised, 0.08)}; }}"
            f"FilterChip:focus {{ border: 1px solid {theme.FOCUS_BLUE[t.name]}; }}"
            "FilterChip::menu-indicator { image: none; width: 0; }"
        )

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme."""
        super().changeEvent(a0)
        # A style sheet set here changes the palette too: only another theme counts.
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange:
            if self._theme not in ("", theme.tokens().name):
                self.retheme()
