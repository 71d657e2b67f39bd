"""A leader arm on Setup: engage it, or let its motors bring it to the arm that it leads."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.theme import Role

_WORDS = {
    "free": "free: moves by hand",
    "gravity": "its motors carry its weight",
    "follow": "its motors bring it to the arm",
    "aligned": "stands as the arm does and is held there",
    "lost": "not connected",
}
_DRIVEN = ("follow", "aligned")
_WARNING = (
    "The leader's own motors will move it to where the {arm} arm is, and hold it there. Let go of it, keep "
    "hands and cables clear of it, and have the emergency stop at hand."
)


class LeaderCard(QFrame):
    """One line an arm that it leads.

    Args:
        name: Of the leader.
        arms: That it leads.
        parent: Owner.
    """

    engaged = pyqtSignal(str, bool)
    """An arm, and whether its leader shall be engaged or let go."""
    followed = pyqtSignal(str, bool)
    """An arm, and whether its leader shall be driven to it or set free."""

    def __init__(self, name: str, arms: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "raised")
        self._name = name
        self._asked = ""
        self.arms = tuple(arms)
        self.states: dict[str, str] = {}
        self._said: dict[str, QLabel] = {}
        self.follow: dict[str, QPushButton] = {}
        self.engage: dict[str, QPushButton] = {}
        self.release: dict[str, QPushButton] = {}
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(theme.grid(1.5), theme.grid(1), theme.grid(1.5), theme.grid(1))
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.grid(1))
        grid.setColumnStretch(1, 1)
        self._box.addLayout(grid)
        for row, arm in enumerate(self.arms):
            self._add_arm(grid, row, arm)
        self._box.addWidget(self._build_question())
        self.hide()

    def _add_arm(self, grid: QGridLayout, row: int, arm: str) -> None:
        self._said[arm] = QLabel()
        self._said[arm].setProperty("kind", "muted")
        grid.addWidget(QLabel(f"Leads {arm}"), row, 0)
        grid.addWidget(self._said[arm], row, 1)
        engage, release = QPushButton("Engage"), QPushButton("Let go")
        engage.setToolTip("The arm follows this leader, once it stands like it.")
        engage.setAccessibleName(f"Engage {self._name} for the {arm} arm")
        engage.clicked.connect(lambda: self.engaged.emit(arm, True))
        release.setAccessibleName(f"Let go of the {arm} arm with {self._name}")
        release.clicked.connect(lambda: self.engaged.emit(arm, False))
        follow = QPushButton()
        follow.clicked.connect(lambda: self._on_follow(arm))
        self.engage[arm], self.release[arm], self.follow[arm] = engage, release, follow
        for column, button in enumerate((follow, engage, release), start=2):
            button.setStyleSheet("padding: 3px 10px;")
            grid.addWidget(button, row, column)

    def _build_question(self) -> QWidget:
        """Asked in the page, not in a window of its own: the emergency stop stays in reach."""
        self.question = QFrame()
        self._warning = QLabel()
        self._warning.setWordWrap(True)
        self.confirm = QPushButton("Move the leader")
        self.confirm.setProperty("kind", "primary")
        self.confirm.clicked.connect(self._on_confirm)
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self._close_question)
        row = QHBoxLayout(self.question)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._warning, 1)
        row.addWidget(self.cancel)
        row.addWidget(self.confirm)
        self.question.hide()
        return self.question

    def show_state(self, state: str) -> None:
        """Shows what the leader does.

        Args:
            state: One word, or one an arm: `left free, right follow`. Empty hides the card.
        """
        self.setVisible(bool(state))
        self.states = states_of(state, self.arms)
        for arm, word in self.states.items():
            driven = word in _DRIVEN
            self._said[arm].setText(_WORDS.get(word, word))
            text = "Set free" if driven else "Drive leader to arm"
            if text != self.follow[arm].text():
                self.follow[arm].setText(text)
                self.follow[arm].setAccessibleName(f"{text}: {self._name}, {arm}")
            self.follow[arm].setEnabled(word != "lost")
            self.engage[arm].setEnabled(word != "lost" and not driven)
        if self.states.get(self._asked, "lost") in (*_DRIVEN, "lost"):
            self._close_question()

    def _on_follow(self, arm: str) -> None:
        if self.states.get(arm) in _DRIVEN:
            self.followed.emit(arm, False)
            return
        self._asked = arm
        self._warning.setText(_WARNING.format(arm=arm))
        self._warning.setStyleSheet(f"color: {theme.accent_text(Role.WARNING)};")
        self.question.show()
        self.cancel.setFocus()

    def _on_confirm(self) -> None:
        arm = self._asked
        self._close_question()
        self.followed.emit(arm, True)

    def _close_question(self) -> None:
        self._asked = ""
        self.question.hide()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self._warning.setStyleSheet(f"color: {theme.accent_text(Role.WARNING)};")


def states_of(state: str, arms: Sequence[str]) -> dict[str, str]:
    """Returns the state of each arm's leader from the word of its process."""
    if not state:
        return {}
    given = dict(part.rsplit(" ", 1) for part in state.split(", ") if " " in part)
    return {arm: given.get(arm, state if not given else "lost") for arm in arms}
