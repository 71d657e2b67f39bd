"""The top bar: which station, who, what, for how long, and the e-stop at the right end."""

from __future__ import annotations

from PyQt6.QtWidgets import QFrame, QHBoxLayout, QWidget

from ui import theme
from ui.widgets.estop_button import EstopButton
from ui.widgets.labels import Captioned, clock_text

NONE = "\u2013"


class TopBar(QFrame):
    """Four captioned values and the e-stop."""

    def __init__(self, estop_key: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "bar")
        self.setFixedHeight(theme.TOP_BAR_HEIGHT_PX)
        self.station = Captioned("Station", NONE)
        self.operator = Captioned("Operator", NONE)
        self.task = Captioned("Task", NONE)
        self.session = Captioned("Session", NONE)
        self.estop = EstopButton(estop_key)
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(2), 2, 2, 2)
        box.setSpacing(theme.grid(4))
        for part in (self.station, self.operator, self.task, self.session):
            part.setMaximumWidth(theme.grid(36))
            box.addWidget(part)
        self.session.setMinimumWidth(theme.grid(8))
        box.addStretch(1)
        box.addWidget(self.estop)

    def set_session_seconds(self, seconds: float | None) -> None:
        """Shows how long the session has lasted, None when there is none."""
        self.session.set_value(NONE if seconds is None else clock_text(seconds))

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self.estop.retheme()
