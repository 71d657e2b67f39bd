"""The e-stop of the top bar: always there, always the same place, and it says that it is software."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QPushButton, QWidget

from ui import theme
from ui.theme import Role

_TOOLTIP = (
    "Stops all arms and latches. This is software above the robot's own safety, not a rated "
    "emergency stop: use the robot's red button when a person is in danger."
)


class EstopButton(QPushButton):
    """Stops with one click or key; once latched it becomes the reset, which never moves anything."""

    pressedDown = pyqtSignal()
    resetRequested = pyqtSignal()

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._key = key
        self._latched = False
        self.setFixedHeight(theme.TOP_BAR_HEIGHT_PX - 4)
        self.setMinimumWidth(theme.grid(21))
        self.setIconSize(QSize(22, 22))
        self.setFont(theme.font(theme.FontSize.BASE + 2, bold=True))
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.pressed.connect(self._press)
        self.clicked.connect(self._click)
        self.retheme()

    @property
    def latched(self) -> bool:
        """Whether the stop is in force."""
        return self._latched

    def set_latched(self, latched: bool) -> None:
        """Shows the stop as in force or not."""
        if latched != self._latched:
            self._latched = latched
            self.retheme()

    def set_key(self, key: str) -> None:
        """Shows another key."""
        self._key = key
        self.retheme()

    def _press(self) -> None:
        # On the way down: a stop must not wait for the release of the mouse button.
        self._pressed_latched = self._latched
        if not self._latched:
            self.pressedDown.emit()

    def _click(self) -> None:
        if self._latched and self._pressed_latched:
            self.resetRequested.emit()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        t = theme.tokens()
        if self._latched:
            self.setText("Reset e-stop")
            self.setToolTip("The e-stop is latched. Reset it, then engage anew; resetting moves nothing.")
            fill, ink, edge = t.panel, theme.readable(t.fault, t.panel), t.fault
            self.setIcon(theme.icon("lock-reset", Role.FAULT))
        else:
            self.setText(f"E-STOP   {self._key}")
            self.setToolTip(_TOOLTIP)
            fill = "#C62A2F"
            ink, edge = "#FFFFFF", "#C62A2F"
            self.setIcon(theme.white_icon("octagon"))
        self.setAccessibleName("Reset emergency stop" if self._latched else "Emergency stop")
        self.setStyleSheet(
            f"QPushButton {{ background: {fill}; color: {ink}; border: 2px solid {edge};"
            f" border-radius: 6px; padding: 0 16px; }}"
            f"QPushButton:hover {{ background: {theme.blend('#FFFFFF', fill, 0.08)}; }}"
            f"QPushButton:pressed {{ background: {theme.blend('#000000', fill, 0.2)}; }}"
        )
