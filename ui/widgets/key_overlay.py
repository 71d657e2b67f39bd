"""The `?` overlay: every key there is, read from the declared actions."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ui import theme
from ui.actions import ActionRegistry, ActionSpec, Scope
from ui.theme import FontSize, Role

# ruff: noqa: N802

_TITLE = "All keys"
_FAMILIES = {"page": "Go to a page"}


class KeyOverlay(QWidget):
    """Covers its host until a key or click."""

    def __init__(self, registry: ActionRegistry, host: QWidget) -> None:
        super().__init__(host)
        self._registry = registry
        self._host = host
        self._card: QFrame | None = None
        self._scroll = QScrollArea(self)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        host.installEventFilter(self)
        self.hide()

    def toggle(self) -> None:
        """Shows or hides it."""
        if self.isVisible():
            self.hide()
            return
        self._build()
        self.setGeometry(self._host.rect())
        self.show()
        self._center()
        self.raise_()
        self.setFocus()

    def _build(self) -> None:
        card = QFrame()
        card.setProperty("surface", "panel")
        box = QVBoxLayout(card)
        box.setContentsMargins(theme.grid(3), theme.grid(2), theme.grid(3), theme.grid(3))
        box.setSpacing(theme.grid(2))
        title = QLabel(_TITLE)
        title.setProperty("kind", "title")
        hint = QLabel("Any key closes this.")
        hint.setProperty("kind", "muted")
        head = QHBoxLayout()
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(hint)
        box.addLayout(head)
        columns = QHBoxLayout()
        columns.setSpacing(theme.grid(5))
        for scope in Scope:
            rows = self._rows(scope)
            if rows:
                columns.addLayout(self._column(scope, rows))
        box.addLayout(columns)
        self._card = card
        self._scroll.setWidget(card)  # deletes the one before
        card.show()
        card.adjustSize()

    def _rows(self, scope: Scope) -> list[tuple[str, str]]:
        """Returns keys and words; actions that differ only by a number share one row."""
        rows: list[tuple[str, str]] = []
        numbered: dict[str, list[ActionSpec]] = {}
        for spec in self._registry.specs:
            if spec.scope is not scope or not self._registry.key(spec.id):
                continue
            family, _, number = spec.id.rpartition(".")
            if number.isdigit():
                numbered.setdefault(family, []).append(spec)
            else:
                rows.append((self._registry.key_label(spec.id), spec.text))
        for family, group in numbered.items():
            first, last = (self._registry.key_label(s.id) for s in (group[0], group[-1]))
            text = _FAMILIES.get(family, "Choose the large view")
            rows.append((first if first == last else f"{first} … {last}", text))
        return rows

    @staticmethod
    def _column(scope: Scope, rows: list[tuple[str, str]]) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(theme.grid(1))
        head = QLabel(scope.value)
        head.setProperty("kind", "label")
        column.addWidget(head)
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.grid(2))
        grid.setVerticalSpacing(theme.grid(0.75))
        for row, (key, text) in enumerate(rows):
            grid.addWidget(KeyCap(key), row, 0, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(QLabel(text), row, 1)
        grid.setColumnStretch(1, 1)
        column.addLayout(grid)
        column.addStretch(1)
        return column

    def _center(self) -> None:
        """Puts the card in the middle; one that is larger than the window scrolls."""
        if self._card is None:
            return
        self._card.adjustSize()
        bar = theme.grid(1.5)
        wide, high = self._card.width() > self.width(), self._card.height() > self.height()
        width = min(self._card.width() + bar * high, self.width())
        height = min(self._card.height() + bar * wide, self.height())
        self._scroll.setGeometry((self.width() - width) // 2, (self.height() - height) // 2, width, height)

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Follows the size of its host."""
        if a0 is self._host and a1 is not None and a1.type() == QEvent.Type.Resize:
            self.setGeometry(self._host.rect())
            self._center()
        return False

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Dims what lies below."""
        painter = QPainter(self)
        color = theme.tokens().color(Role.WINDOW, 0.8)
        painter.fillRect(self.rect(), color)
        painter.end()

    def keyPressEvent(self, a0: QKeyEvent | None) -> None:
        """Closes."""
        self.hide()

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Closes."""
        self.hide()


class KeyCap(QLabel):
    """A key drawn as a key."""

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(key, parent)
        t = theme.tokens()
        self.setFont(theme.font(FontSize.LABEL, bold=True))
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setStyleSheet(
            f"QLabel {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.border};"
            f" border-bottom: 2px solid {t.border}; border-radius: 4px; padding: 1px 6px; }}"
        )
