"""The button that engages the leader arms, and lets go of them."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QPushButton, QWidget

from ui import theme


class LeaderButton(QPushButton):
    """In the colour of a person while a leader drives.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key
        self._driving = ""
        self._compact = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setIconSize(QSize(18, 18))
        self.setToolTip(
            "Asks control to follow the leader of the selected arm. The arm goes slowly to the leader's "
            "posture first; the bars above show which joint is how far off."
        )
        self.retheme()

    @property
    def driving(self) -> str:
        """The leader that the next press lets go of, empty when it engages one."""
        return self._driving

    def set_driving(self, leader: str) -> None:
        """Shows which leader drives, empty for none."""
        if leader != self._driving:
            self._driving = leader
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
        words = f"Release {self._driving}" if self._driving else "Engage the leader"
        self.setAccessibleName(words)
        if self._compact:
            words = "Release" if self._driving else "Leader"
        self.setText(f" {words}   {self._key}".rstrip())
        ink = theme.readable(t.human, t.panel) if self._driving else t.text
        edge = t.human if self._driving else t.border
        self.setIcon(theme.icon_in("link-variant-off" if self._driving else "link-variant", ink))
        self.setStyleSheet(
            f"QPushButton {{ background: transparent; color: {ink}; border: 1px solid {edge};"
            f" border-radius: 4px; padding: 5px 12px; }}"
            f"QPushButton:hover {{ background: {t.raised}; }}"
        )
