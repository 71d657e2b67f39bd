"""Rows that fold out of the policy's bar: nothing chosen yet, something is wrong, two compared blindly."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from ui import theme
from ui.theme import Role
from ui.viewmodels.autonomy_policy import PolicyChoice


def _button(text: str) -> QPushButton:
    button = QPushButton(text)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setStyleSheet("padding: 4px 12px;")
    return button


def _sentence() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


class EmptyRow(QFrame):
    """Says what a policy does here, and offers the one to try."""

    wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = _sentence()
        self.button = QPushButton("Try the built-in one")
        self.button.setProperty("kind", "primary")
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.clicked.connect(self.wanted)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(2))
        box.addWidget(self.text, 1)
        box.addWidget(self.button)
        self.set_usable(True)

    def set_usable(self, usable: bool) -> None:
        """Tells whether there is a built-in policy to try."""
        self.button.setVisible(usable)
        what = "A policy drives the robot here while you watch, take over and correct it."
        how = (
            "The built-in one knows the simulated tasks and errs now and then."
            if usable
            else "Put its file into the folder policies of the store; docs/policies.md says how."
        )
        self.text.setText(f"{what} {how}")


class FaultRow(QFrame):
    """A sentence on what is wrong, and Try again."""

    again = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._again = True
        self._icon = QLabel()
        self.text = _sentence()
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.button = _button("Try again")
        self.button.clicked.connect(self.again)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addWidget(self._icon)
        box.addWidget(self.text, 1)
        box.addWidget(self.button)
        self.hide()
        self.retheme()

    def set_sentence(self, sentence: str, *, again: bool) -> None:
        """Shows what is wrong, nothing for an empty sentence; `again`: trying again may help."""
        self.setVisible(bool(sentence))
        if sentence != self.text.text():
            self.text.setText(sentence)
        if again != self._again:
            self._again = again
            self.retheme()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        role = Role.FAULT if self._again else Role.WARNING
        self.button.setVisible(self._again)
        self._icon.setPixmap(theme.icon("alert", role).pixmap(QSize(18, 18)))
        self.text.setStyleSheet(f"color: {theme.accent_text(role)};")


class BlindRow(QFrame):
    """Two policies to choose; then only that it is hidden which one runs, and Reveal."""

    started = pyqtSignal(str, str)
    cancelled = pyqtSignal()
    revealed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hiding = False
        self._offered: tuple[PolicyChoice, ...] = ()
        self.text = _sentence()
        self.first, self.second = QComboBox(), QComboBox()
        self.first.setAccessibleName("One of the two policies")
        self.second.setAccessibleName("The other policy")
        self.start = _button("Compare blindly")
        self.cancel = _button("Cancel")
        self.reveal = _button("Reveal")
        self.start.clicked.connect(self._start)
        self.cancel.clicked.connect(self.cancelled)
        self.reveal.clicked.connect(self.revealed)
        for box in (self.first, self.second):
            box.currentIndexChanged.connect(self._check)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.grid(1))
        for widget in (self.first, self.second, self.start, self.cancel):
            row.addWidget(widget)
        row.addWidget(self.text, 1)
        row.addWidget(self.reveal)
        self._arrange()
        self.retheme()

    def offer(self, choices: Sequence[PolicyChoice]) -> None:
        """Offers policies to compare; those with a problem are left out."""
        self.hiding = False
        usable = tuple(choice for choice in choices if not choice.problem)
        if usable != self._offered:
            self._offered = usable
            for place, box in enumerate((self.first, self.second)):
                box.clear()
                for choice in usable:
                    box.addItem(choice.words, choice.name)
                box.setCurrentIndex(min(place, len(usable) - 1))
        self._arrange()
        self._check()

    def show_hidden(self, name: str) -> None:
        """Shows that it is hidden which policy runs, only that it is `Policy A` or `Policy B`."""
        self.hiding = True
        self.text.setText(f"{name} runs. Which of the two that is stays hidden; each rollout draws anew.")
        self._arrange()

    def _start(self) -> None:
        self.started.emit(str(self.first.currentData()), str(self.second.currentData()))

    def _check(self) -> None:
        same = self.first.currentData() == self.second.currentData()
        self.start.setEnabled(not same)
        if not self.hiding:
            self.text.setText("Choose two different ones." if same else "Each rollout draws one of them.")

    def _arrange(self) -> None:
        for widget in (self.first, self.second, self.start, self.cancel):
            widget.setVisible(not self.hiding)
        self.reveal.setVisible(self.hiding)

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self.text.setStyleSheet(f"color: {theme.accent_text(Role.MUTED)};")
