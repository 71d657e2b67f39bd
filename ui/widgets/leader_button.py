"""The button that engages the leader arms, and lets go of them."""

from __future__ import annotations

from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.widgets.driver_button import DriverButton

_TIP = (
    "Asks control to follow the leader of the selected arm. The arm goes slowly to the leader's "
    "posture first; the bars above show which joint is how far off."
)


class LeaderButton(DriverButton):
    """In the colour of a person while a leader drives.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        self._driving = ""
        super().__init__(key, _TIP, parent)

    @property
    def driving(self) -> str:
        """The leader that the next press lets go of, empty when it engages one."""
        return self._driving

    def set_driving(self, leader: str) -> None:
        """Shows which leader drives, empty for none."""
        if leader != self._driving:
            self._driving = leader
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """Whom the next press lets go of, or that it engages."""
        if self._driving:
            return f"Release {self._driving}", "Release", "link-variant-off", theme.tokens().human
        return "Engage the leader", "Leader", "link-variant", ""
