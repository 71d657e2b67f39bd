"""In place of the record button while no session is open."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme


class StartCard(QFrame):
    """Says what a session is, and leads to one."""

    sessionWanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        text = QLabel("No session is open. Episodes are kept in a session: who collects, and which task.")
        text.setWordWrap(True)
        button = QPushButton("Start a session on Home")
        button.setProperty("kind", "primary")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setMinimumHeight(theme.grid(5))
        button.clicked.connect(self.sessionWanted)
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(2), theme.grid(2), theme.grid(2))
        box.setSpacing(theme.grid(2))
        box.addStretch(1)
        box.addWidget(text)
        box.addWidget(button)
        box.addStretch(1)
