"""Who drives, as large as the column allows: word, icon and colour, the reason, and what to press."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ui import theme
from ui.theme import Role
from ui.viewmodels.autonomy_state import Who, WhoView

_WORD_PX = 34
_ICON_PX = 36
_FILLED = frozenset({Who.POLICY, Who.YOU, Who.HELP, Who.HOLD, Who.FAULT, Who.ESTOP, Who.OFFLINE})
"""Seen from the corner of the eye; the others only tint."""


class WhoPanel(QFrame):
    """Keeps its size whatever it says, so that nothing below it jumps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = WhoView()
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON_PX + 4, _ICON_PX + 4)
        self._word = QLabel()
        self._word.setFont(theme.font(_WORD_PX, bold=True))
        self._reason = QLabel()
        self._press = QLabel()
        self._press.setFont(theme.font(bold=True))
        for label in (self._reason, self._press):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self._icon)
        row.addWidget(self._word, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(0.75), theme.grid(2), theme.grid(0.75))
        box.setSpacing(theme.grid(0.25))
        box.addLayout(row)
        box.addWidget(self._reason, 1)
        box.addWidget(self._press)
        self.setFixedHeight(theme.grid(15))
        self.retheme()

    @property
    def who(self) -> Who:
        """Who drives."""
        return self._view.who

    @property
    def text(self) -> str:
        """Everything that is said, in one line."""
        return " ".join(part for part in (self._view.who.word, self._view.reason, self._view.press) if part)

    def set_view(self, view: WhoView) -> None:
        """Shows who drives."""
        if view == self._view:
            return
        before, self._view = self._view, view
        self._reason.setText(view.reason)
        self._reason.setToolTip(view.reason)
        self._press.setText(view.press)
        if view.who is not before.who:
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        who = self._view.who
        color = t.hex(who.role)
        if who in _FILLED:
            ground, ink, soft = color, theme.text_on(color), theme.text_on(color)
        else:
            ground = theme.blend(color, t.panel, 0.16)
            ink, soft = theme.readable(color, ground), t.text
        edges = f"border: 1px solid {color};"
        if who is Who.BOTH:
            ground, ink = theme.blend(t.hex(Role.POLICY), t.panel, 0.16), t.text
            edges = (
                f"border: 1px solid {t.border}; border-left: 10px solid {t.policy};"
                f" border-right: 10px solid {t.human};"
            )
        self._word.setText(who.word)
        self._icon.setPixmap(theme.icon_in(who.icon, ink).pixmap(QSize(_ICON_PX, _ICON_PX)))
        self.setAccessibleName(f"Who drives: {who.word}")
        self.setStyleSheet(
            f"WhoPanel {{ background: {ground}; {edges} border-radius: {0 if who is Who.BOTH else 6}px; }}"
            f"WhoPanel QLabel {{ background: transparent; color: {soft}; }}"
        )
        self._word.setStyleSheet(f"color: {ink};")
