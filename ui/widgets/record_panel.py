"""The record button with its key, the clock, what lies before the key, and the meter of trust."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from teleop_app.core.types import RecorderState
from ui import theme
from ui.theme import FontSize, Role
from ui.widgets.labels import clock_text
from ui.widgets.trust_meter import TrustMeter

_WORDS = {
    RecorderState.IDLE: "Record",
    RecorderState.COUNTDOWN: "Cancel",
    RecorderState.RECORDING: "Stop",
    RecorderState.FINALISING: "Writing",
    RecorderState.REVIEW: "Record",
    RecorderState.FAULT: "Record",
}


_BEFORE = (RecorderState.IDLE, RecorderState.COUNTDOWN, RecorderState.REVIEW)
_ARC_PX = 12


class PrerollArc(QWidget):
    """A ring that fills while the seconds before the record key gather."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._share = 0.0
        self.setFixedSize(_ARC_PX, _ARC_PX)

    def set_share(self, share: float) -> None:
        """Shows another fill, 0..1."""
        if share != self._share:
            self._share = share
            self.update()

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Draws the ring, clockwise from the top."""
        t = theme.tokens()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(1.5, 1.5, _ARC_PX - 3, _ARC_PX - 3)
        painter.setPen(QPen(t.color(Role.BORDER), 2))
        painter.drawEllipse(ring)
        painter.setPen(QPen(t.color(Role.MUTED), 2))
        painter.drawArc(ring, 90 * 16, -round(self._share * 360 * 16))
        painter.end()


class RecordPanel(QFrame):
    """Starts and stops; the clock counts up while recording and down before it.

    Args:
        key: Label of the key that records.
        preroll_s: Seconds before the key that are kept when there is time to gather them.
        parent: Owner.
    """

    pressed = pyqtSignal()

    def __init__(self, key: str, preroll_s: float = 0.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._preroll_s = preroll_s
        self.setProperty("surface", "panel")
        self._key = key
        self._state = RecorderState.IDLE
        self.clock = QLabel("0:00.0")
        self.clock.setFont(theme.font(FontSize.FIGURE, bold=True, tabular=True))
        self.clock.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.button = QPushButton()
        self.button.setMinimumWidth(theme.grid(20))
        self.button.setIconSize(QSize(24, 24))
        self.button.setFont(theme.font(16, bold=True))
        self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button.clicked.connect(self.pressed)
        self._arc = PrerollArc()
        self.preroll = QLabel()
        self.preroll.setFont(theme.font(FontSize.LABEL, tabular=True))
        self.preroll.setProperty("kind", "label")
        before = QHBoxLayout()
        before.setSpacing(theme.grid(0.5))
        before.addStretch(1)
        before.addWidget(self._arc)
        before.addWidget(self.preroll)
        times = QVBoxLayout()
        times.setSpacing(0)
        times.addWidget(self.clock, 1)
        times.addLayout(before)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self.button)
        row.addLayout(times, 1)
        self.note = QLabel()
        self.note.setProperty("kind", "muted")
        self.note.setWordWrap(True)
        self.figures = QLabel()
        self.figures.setFont(theme.font(tabular=True))
        self.figures.setProperty("kind", "muted")
        box = QVBoxLayout(self)
        self.trust = TrustMeter()
        box.addLayout(row)
        box.addWidget(self.figures)
        box.addWidget(self.trust)
        box.addStretch(1)
        box.addWidget(self.note)
        self._box = box
        self.set_compact(False)
        self.retheme()

    def set_compact(self, compact: bool) -> None:
        """Takes less height on a low screen."""
        self.trust.set_compact(compact)
        self.button.setFixedHeight(theme.grid(5 if compact else 7))
        edge = theme.grid(1 if compact else 2)
        self._box.setContentsMargins(theme.grid(2), edge, theme.grid(2), theme.grid(1 if compact else 1.5))
        self._box.setSpacing(theme.grid(0.5 if compact else 1))

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

    def set_preroll(self, seconds: float, state: RecorderState) -> None:
        """Shows what a recording started now would keep from before the key; nothing while one runs."""
        shown = self._preroll_s > 0 and state in _BEFORE
        self._arc.setVisible(shown)
        self.preroll.setText(f"+{seconds:.0f} s before" if shown else "")
        self._arc.set_share(min(seconds / self._preroll_s, 1.0) if shown else 0.0)
        tip = f"The last {seconds:.1f} s before {self._key} are kept too." if shown else ""
        for widget in (self._arc, self.preroll):
            widget.setToolTip(tip)

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
        self.trust.retheme()
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
