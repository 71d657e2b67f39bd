"""The card after a stop: what the episode is like, and Save, Redo or Discard."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ui import theme
from ui.actions import ActionRegistry
from ui.theme import FontSize
from ui.viewmodels.collect_view import CollectView
from ui.viewmodels.verdict_remarks import Mood, Remark
from ui.widgets.labels import ElidedLabel

_LINES_WITHOUT_SCROLLING = 6
_LINE_PX = 20
"""Of text, with the gap to the next."""

_ICON_PX = 16
_NOTHING_SAID = (Remark("Nothing looks wrong with it.", Mood.GOOD),)


class VerdictCard(QFrame):
    """Three buttons with their keys, the remarks, and the countdown to the automatic save.

    Args:
        actions: For the keys on the buttons.
        autosave_s: Length of a full countdown.
        parent: Owner.
    """

    saved = pyqtSignal()
    redone = pyqtSignal()
    discarded = pyqtSignal()

    def __init__(self, actions: ActionRegistry, autosave_s: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        self._autosave_s = max(autosave_s, 0.1)
        self._shown: tuple[Remark, ...] = ()
        self.title = QLabel()
        self.title.setFont(theme.font(FontSize.STATE, bold=True))
        self.summary = ElidedLabel()
        self.summary.setFont(theme.font(tabular=True))
        self.summary.setProperty("kind", "muted")
        self.reasons: list[QLabel] = []
        self._lines = QWidget()
        self._lines.setObjectName("remarks")
        self._lines.setStyleSheet("#remarks { background: transparent; }")
        self._lines_box = QVBoxLayout(self._lines)
        self._lines_box.setContentsMargins(0, 0, 0, 0)
        self._lines_box.setSpacing(theme.grid(0.25))
        self._lines_box.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.area = QScrollArea()
        self.area.setWidget(self._lines)
        self.area.setWidgetResizable(True)
        if (viewport := self.area.viewport()) is not None:
            viewport.setAutoFillBackground(False)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setMinimumHeight(_LINE_PX)
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
        box.addWidget(self.area, 1)
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
        if view.summary != self.summary.text():
            self.summary.setText(view.summary)
        self._show_remarks(view.remarks or _NOTHING_SAID)
        if view.countdown_s >= 0:
            self.bar.setValue(round(1000 * min(view.countdown_s / self._autosave_s, 1.0)))
            _set(self.countdown, f"Saved by itself in {view.countdown_s:.0f} s. Any key stops that.")
        else:
            self.bar.setValue(0)
            _set(self.countdown, "Waiting for you. It is safe on disk either way.")

    def wanted_height(self, width: int) -> int:
        """Returns the height at which up to six lines of remarks are seen without scrolling."""
        box = self.layout()
        if box is None:
            return self.height()
        around = box.minimumSize().height() - self.area.minimumHeight()
        margins = box.contentsMargins()
        whole = self._lines_box.heightForWidth(width - margins.left() - margins.right())
        return around + min(max(whole + 2, _LINE_PX), _LINES_WITHOUT_SCROLLING * _LINE_PX)

    def _show_remarks(self, shown: tuple[Remark, ...]) -> None:
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._lines_box.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.reasons = []
        for remark in shown:
            line, text = _line(remark)
            self.reasons.append(text)
            self._lines_box.addWidget(line)
            line.show()  # now, or the layout would not count it yet

    def changeEvent(self, a0: QEvent | None) -> None:
        """Follows a change of theme."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange and hasattr(self, "_shown"):
            shown, self._shown = self._shown, ()
            self._show_remarks(shown)


def _line(remark: Remark) -> tuple[QWidget, QLabel]:
    icon = QLabel()
    icon.setFixedSize(_ICON_PX, _ICON_PX + 2)
    color = theme.accent_text(remark.mood.role, theme.Role.RAISED)
    icon.setPixmap(theme.icon_in(remark.mood.icon, color).pixmap(QSize(_ICON_PX, _ICON_PX)))
    icon.setAccessibleName(remark.mood.name.lower())
    text = QLabel(remark.text)
    text.setWordWrap(True)
    text.setTextFormat(Qt.TextFormat.PlainText)
    if remark.mood is not Mood.CONCERN:
        text.setProperty("kind", "muted")
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.grid(0.75))
    row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
    row.addWidget(text, 1)
    return line, text


def _set(label: QLabel, text: str) -> None:
    if label.text() != text:
        label.setText(text)
