"""The button that lets the scripted operator show the task."""

from __future__ import annotations

from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.widgets.driver_button import DriverButton

_TIP = (
    "The scripted operator moves both arms and does the task once. "
    "Record it if you like; engaging yourself takes over at once."
)


class DemonstrateButton(DriverButton):
    """Starts the scripted operator, and stops it while it works.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        self._running = False
        super().__init__(key, _TIP, parent)

    @property
    def running(self) -> bool:
        """Whether the next press stops the script."""
        return self._running

    def set_running(self, running: bool) -> None:
        """Shows whether the script works."""
        if running != self._running:
            self._running = running
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """Whether the next press stops or starts it."""
        if self._running:
            return "Stop the script", "Stop", "robot", theme.tokens().policy
        return "Let the script show it", "Script", "robot-outline", ""
