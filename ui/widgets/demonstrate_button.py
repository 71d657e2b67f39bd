"""The button that lets the scripted operator show the task."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QPushButton, QWidget

from ui import theme


class DemonstrateButton(QPushButton):
    """Starts the scripted operator, and stops it while it works."""

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key
        self._running = False
        self._compact = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setIconSize(QSize(18, 18))
        self.setToolTip(
            "The scripted operator moves both arms and does the task once. "
            "Record it if you like; engaging yourself takes over at once."
        )
        self.retheme()

    @property
    def running(self) -> bool:
        """Whether the next press stops the script."""
        return self._running

    def set_running(self, running: bool) -> None:
        """Shows whether the script works."""
        if running != self._running:
            self._running = running
            self.retheme()

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
        words = "Stop the script" if self._running else "Let the script show it"
        self.setAccessibleName(words)
        if self._compact:
            words = "Stop" if self._running else "Script"
        self.setText(f" {words}   {self._key}")
        ink = theme.readable(t.policy, t.panel) if self._running else t.text
        edge = t.policy if self._running else t.border
        self.setIcon(theme.icon_in("robot" if self._running else "robot-outline", ink))
        self.setStyleSheet(
            f"QPushButton {{ background: transparent; color: {ink}; border: 1px solid {edge};"
            f" border-radius: 4px; padding: 5px 12px; }}"
            f"QPushButton:hover {{ background: {t.raised}; }}"
        )
