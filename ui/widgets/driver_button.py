"""A button that lets somebody drive and stops them again, in their colour while they do."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QPushButton, QWidget

from ui import theme


class DriverButton(QPushButton):
    """Kept by the base: key, compact form and colours. A subclass says what it shows.

    Args:
        key: Of the same action.
        tip: What it does.
        parent: Owner.
    """

    def __init__(self, key: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key
        self._compact = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setIconSize(QSize(18, 18))
        self.setToolTip(tip)
        self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """What stands on it now: words, the words to share a line, icon, and the driver's colour or ""."""
        raise NotImplementedError

    def set_compact(self, compact: bool) -> None:
        """Says it in a word, to share a line."""
        self._compact = compact
        self.retheme()

    def set_key(self, key: str) -> None:
        """Shows another key."""
        self._key = key
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        words, short, icon, color = self.shown()
        self.setAccessibleName(words)
        said = f"{short}  " if self._compact else f"{words}   "
        self.setText(f" {said}{self._key}".rstrip())
        ink = theme.readable(color, t.panel) if color else t.text
        self.setIcon(theme.icon_in(icon, ink))
        pale = theme.blend(t.muted, t.panel, 0.65)
        self.setStyleSheet(
            f"QPushButton {{ background: transparent; color: {ink}; border: 1px solid {color or t.border};"
            f" border-radius: 4px; padding: 5px {4 if self._compact else 12}px; }}"
            f"QPushButton:disabled {{ color: {pale}; border-color: {t.border}; }}"
            f"QPushButton:hover {{ background: {t.raised}; }}"
        )
