"""The record button with its key and the clock."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from teleop_app.core.types import RecorderState
from ui import theme
from ui.theme import FontSize
from ui.widgets.labels import clock_text

_WORDS = {
    RecorderState.IDLE: "Record",
    RecorderState.COUNTDOWN: "Cancel",
    RecorderState.RECORDING: "Stop",
    RecorderState.FINALISING: "Writing",
    RecorderState.REVIEW: "Record",
    RecorderState.FAULT: "Record",
}


class RecordPanel(QFrame):
    """Starts and stops; the clock counts up while recording and down before it."""

    pressed = pyqtSignal()

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self._key = key
        self._state = RecorderState.IDLE
        self.clock = QLabel("0:00.0")
        self.clock.setFont(theme.font(FontSize.FIGURE, bold=True, tabular=True))
        self.clock.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.button = QPushButton()
        self.button.setFixedHeight(theme.grid(7))
        self.button.setMinimumWidth(theme.grid(20))
        self.button.setIconSize(QSize(24, 24))
        self.button.setFont(theme.font(16, bold=True))
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.clicked.connect(self.pressed)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(2))
        row.addWidget(self.button)
        row.addWidget(self.clock, 1)
        self.note = QLabel()
        self.note.setProperty("kind", "muted")
        self.note.setWordWrap(True)
        self.figures = QLabel()
        self.figures.setFont(theme.font(tabular=True))
        self.figures.setProperty("kind", "muted")
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(2), theme.grid(2), theme.grid(2), theme.grid(1.5))
        box.setSpacing(theme.grid(1))
        box.addLayout(row)
        box.addWidget(self.figures)
        box.addStretch(1)
        box.addWidget(self.note)
        self.retheme()

    def set_state(self, state: RecorderState, elapsed_s: float, countdown_s: float) -> None:
        """Shows the flow's state and its clock."""
        counting = state is RecorderState.COUNTDOWN
        text = f"-{countdown_s:.1f}" if counting else clock_text(elapsed_s, tenths=True)
        if state in (RecorderState.IDLE, RecorderState.FAULT):
            text = "0:00.0"
        if text != self.clock.text():
            self.clock.setText(text)
        if state is not self._state:
            self._state = state
            self.retheme()

    def set_note(self, note: str) -> None:
        """Shows a line under the button."""
        if note != self.note.text():
            self.note.setText(note)

    def set_figures(self, figures: str) -> None:
        """Shows frames and size of the episode."""
        if figures != self.figures.text():
            self.figures.setText(figures)

    def set_key(self, key: str) -> None:
        """Shows another key."""
        self._key = key
        self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        state = self._state
        self.button.setEnabled(state is not RecorderState.FINALISING)
        self.button.setText(f" {_WORDS[state]}   {self._key}")
        if state is RecorderState.RECORDING:
            fill, ink, icon = t.recording, theme.text_on(t.recording), "stop"
        elif state is RecorderState.FINALISING:
            fill, ink, icon = t.raised, t.muted, "content-save-outline"
        else:
            fill, ink, icon = t.raised, t.text, "record-circle-outline"
        mark = theme.readable(t.recording, t.raised) if icon == "record-circle-outline" else ink
        self.button.setIcon(theme.icon_in(icon, mark))
        edge = t.recording if state is not RecorderState.FINALISING else t.border
        self.button.setStyleSheet(
            f"QPushButton {{ background: {fill}; color: {ink}; border: 2px solid {edge};"
            f" border-radius: 6px; padding: 0 12px; }}"
            f"QPushButton:hover {{ background: {theme.blend(ink, fill, 0.1)}; }}"
        )
        self.clock.setStyleSheet(f"color: {t.text if state is RecorderState.RECORDING else t.muted};")
