"""Pre-flight as a list: each check with icon, word, sentence and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from teleop_app.station.checks import Check, Level
from ui import theme
from ui.theme import Role
from ui.viewmodels.setup_preflight import PreflightModel

LOOKS: dict[Level, tuple[str, Role, str]] = {
    Level.OK: ("check-circle-outline", Role.GOOD, "Good"),
    Level.WARNING: ("alert-outline", Role.WARNING, "Warning"),
    Level.FAILURE: ("close-octagon-outline", Role.FAULT, "Problem"),
}
_ICON_PX = 20


class Checklist(QWidget):
    """The verdict on top, the station's checks, then the machine's."""

    def __init__(self, model: PreflightModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        title = QLabel("Pre-flight")
        title.setProperty("kind", "title")
        self._icon = QLabel()
        self._verdict = QLabel()
        self._verdict.setProperty("kind", "state")
        self.again = QPushButton("Check again")
        self.again.clicked.connect(model.run)
        top = QFrame()
        top.setProperty("surface", "panel")
        row = QHBoxLayout(top)
        row.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        row.setSpacing(theme.grid(1.5))
        row.addWidget(self._icon)
        row.addWidget(self._verdict, 1)
        row.addWidget(self.again)
        self._lists = QVBoxLayout()
        self._lists.setSpacing(theme.grid(1))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        box.addWidget(title)
        box.addWidget(top)
        box.addLayout(self._lists)
        box.addStretch(1)
        model.changed.connect(self.refresh)
        self.refresh()

    @property
    def verdict(self) -> str:
        """The whole in one sentence."""
        return self._verdict.text()

    def showEvent(self, a0: QShowEvent | None) -> None:  # noqa: N802
        """Shows what was found meanwhile."""
        super().showEvent(a0)
        self.refresh()

    def refresh(self) -> None:
        """Shows the checks as they are; while nobody looks, only the verdict."""
        icon, role, _ = LOOKS[self._model.level]
        if self._model.running and self._model.level is not Level.FAILURE:
            icon, role = "timer-sand", Role.MUTED
        color = theme.tokens().muted if role is Role.MUTED else theme.accent_text(role)
        self._icon.setPixmap(theme.icon_in(icon, color).pixmap(QSize(28, 28)))
        self._verdict.setText(self._model.verdict)
        self._verdict.setStyleSheet(f"color: {color};" if role is not Role.MUTED else "")
        self.again.setEnabled(not self._model.running)
        self.again.setText("Checking" if self._model.running else "Check again")
        if not self.isVisible():
            return
        while self._lists.count():
            item = self._lists.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        for caption, checks in (
            ("Station", self._model.station_checks),
            ("This machine", self._model.machine_checks),
        ):
            head = QLabel(caption)
            head.setFont(theme.font(bold=True))
            self._lists.addWidget(head)
            self._lists.addWidget(_card(checks))


def _card(checks: Sequence[Check]) -> QFrame:
    card = QFrame()
    card.setProperty("surface", "panel")
    grid = QGridLayout(card)
    grid.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
    grid.setHorizontalSpacing(theme.grid(1.5))
    grid.setVerticalSpacing(theme.grid(1))
    grid.setColumnMinimumWidth(1, theme.grid(8))
    grid.setColumnMinimumWidth(2, theme.grid(18))
    grid.setColumnStretch(3, 1)
    top = Qt.AlignmentFlag.AlignTop
    if not checks:
        waiting = QLabel("Nothing found yet.")
        waiting.setProperty("kind", "muted")
        grid.addWidget(waiting, 0, 0, 1, 4)
    for line, check in enumerate(checks):
        icon, role, word = LOOKS[check.level]
        color = theme.accent_text(role)
        picture = QLabel()
        picture.setPixmap(theme.icon_in(icon, color).pixmap(QSize(_ICON_PX, _ICON_PX)))
        state = QLabel(word)
        state.setStyleSheet(f"color: {color};")
        name = QLabel(check.name)
        text = QLabel(check.text)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        cell = QVBoxLayout()
        cell.setSpacing(0)
        cell.addWidget(text)
        if check.remedy:
            remedy = QLabel(f"{check.remedy}.")
            remedy.setTextFormat(Qt.TextFormat.PlainText)
            remedy.setWordWrap(True)
            remedy.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            remedy.setProperty("kind", "muted")
            cell.addWidget(remedy)
        grid.addWidget(picture, line, 0, top)
        grid.addWidget(state, line, 1, top)
        grid.addWidget(name, line, 2, top)
        grid.addLayout(cell, line, 3)
    return card
