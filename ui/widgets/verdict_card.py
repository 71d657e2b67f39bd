"""The card after a stop: what the episode is like, and Save, Redo or Discard."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.actions import ActionRegistry
from ui.theme import FontSize
from ui.viewmodels.collect import CollectView
from ui.widgets.labels import ElidedLabel

_SHOWN_REASONS = 3


class VerdictCard(QFrame):
    """Three buttons with their keys, the reasons, and the countdown to the automatic save."""

    saved = pyqtSignal()
    redone = pyqtSignal()
    discarded = pyqtSignal()
    keepWaiting = pyqtSignal()

    def __init__(self, actions: ActionRegistry, autosave_s: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        self._autosave_s = max(autosave_s, 0.1)
        self.title = QLabel()
        self.title.setFont(theme.font(FontSize.STATE, bold=True))
        self.summary = QLabel()
        self.summary.setProperty("kind", "muted")
        self.reasons = [ElidedLabel() for _ in range(_SHOWN_REASONS)]
        self.save = self._button("Save", actions.key_label("save"), primary=True)
        self.redo = self._button("Redo", actions.key_label("redo"))
        self.discard = self._button("Discard", actions.key_label("discard"))
        self.save.clicked.connect(self.saved)
        self.redo.clicked.connect(self.redone)
        self.discard.clicked.connect(self.discarded)
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.countdown = QLabel()
        self.countdown.setProperty("kind", "label")
        box = QVBoxLayout(self)
        box.setContentsMargins(theme.grid(1.5), theme.grid(1.5), theme.grid(1.5), theme.grid(1.5))
        box.setSpacing(theme.grid(0.75))
        box.addWidget(self.title)
        box.addWidget(self.summary)
        for line in self.reasons:
            box.addWidget(line)
        box.addStretch(1)
        row = QHBoxLayout()
        row.setSpacing(theme.grid(1))
        row.addWidget(self.save, 4)
        row.addWidget(self.redo, 3)
        row.addWidget(self.discard, 3)
        box.addLayout(row)
        box.addWidget(self.bar)
        box.addWidget(self.countdown)

    @staticmethod
    def _button(text: str, key: str, *, primary: bool = False) -> QPushButton:
        button = QPushButton(f"{text}  {key}")
        button.setStyleSheet("padding: 0 4px;")
        if primary:
            button.setProperty("kind", "primary")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setMinimumHeight(theme.grid(5))
        return button

    def show_view(self, view: CollectView) -> None:
        """Shows the reviewed episode."""
        title = {True: "Solved", False: "Not solved", None: "Keep this episode?"}[view.succeeded]
        _set(self.title, title)
        _set(self.summary, view.summary)
        shown = list(view.reasons) or ["Nothing looks wrong with it."]
        if len(shown) > _SHOWN_REASONS:
            more = len(shown) - _SHOWN_REASONS + 1
            shown[_SHOWN_REASONS - 1 :] = [f"and {more} more"]
        for line, reason in zip(self.reasons, [*shown, *[""] * _SHOWN_REASONS], strict=False):
            line.setText(f"\N{BULLET}  {reason}" if reason else "")
        self.setToolTip("\n".join(view.reasons))
        if view.countdown_s >= 0:
            self.bar.setValue(round(1000 * min(view.countdown_s / self._autosave_s, 1.0)))
            _set(self.countdown, f"Saved by itself in {view.countdown_s:.0f} s. Any key stops that.")
        else:
            self.bar.setValue(0)
            _set(self.countdown, "Waiting for you. It is safe on disk either way.")


def _set(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
