"""The big state of the right column: word, icon and colour, and a line that explains it."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ui import theme
from ui.theme import FontSize
from ui.viewmodels.collect_view import Chip

_FILLED = (Chip.RECORDING, Chip.HOLD, Chip.FAULT, Chip.ESTOP, Chip.OFFLINE)
"""States that ask for a look; the others only tint."""


class StateChip(QFrame):
    """Keeps its size whatever it says, so that nothing below it jumps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chip = Chip.STANDBY
        self._driver: str | None = None
        self._icon = QLabel()
        self._icon.setFixedSize(28, 28)
        self._word = QLabel()
        self._word.setFont(theme.font(FontSize.STATE, bold=True))
        self._line = QLabel()
        self._line.setWordWrap(True)
        self._line.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._line.setTextFormat(Qt.TextFormat.PlainText)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self._icon)
        row.addWidget(self._word, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(2), theme.grid(1))
        box.setSpacing(theme.grid(0.5))
        box.addLayout(row)
        box.addWidget(self._line, 1)
        self.set_compact(False)
        self.retheme()

    def set_compact(self, compact: bool) -> None:
        """Takes a line less on a low screen."""
        self.setFixedHeight(theme.grid(10 if compact else 13))

    @property
    def chip(self) -> Chip:
        """The state shown."""
        return self._chip

    @property
    def explanation(self) -> str:
        """The line shown."""
        return self._line.text()

    def set_state(self, chip: Chip, explanation: str) -> None:
        """Shows a state and its line."""
        if explanation != self._line.text():
            self._line.setText(explanation)
            self._line.setToolTip(explanation)
        if chip is not self._chip:
            self._chip = chip
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        color = t.hex(self._chip.role)
        if self._chip in _FILLED:
            ground, ink, soft = color, theme.text_on(color), theme.text_on(color)
        else:
            ground = theme.blend(color, t.panel, 0.16)
            ink, soft = theme.readable(color, ground), t.text
        self._word.setText(self._chip.word)
        self._icon.setPixmap(theme.icon_in(self._chip.icon, ink).pixmap(QSize(26, 26)))
        self.setAccessibleName(f"State: {self._chip.word}")
        self.setStyleSheet(
            f"StateChip {{ background: {ground}; border: 1px solid {color}; border-radius: 6px; }}"
            f"StateChip QLabel {{ background: transparent; color: {soft}; }}"
        )
        self._word.setStyleSheet(f"color: {ink};")
