"""Buttons that give, take, rewind, record a rollout and label it, each with its key."""

from __future__ import annotations

from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.widgets.driver_button import DriverButton


class PolicyButton(DriverButton):
    """Gives the robot to the policy, or pauses it while it drives.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        self._driving = False
        self._ready = False
        super().__init__(key, "", parent)

    def set_policy(self, driving: bool, ready: bool, why_not: str) -> None:
        """Shows what the next press does."""
        tip = "The arms hold until it goes on." if driving else why_not or "It drives, and you watch."
        if tip != self.toolTip():
            self.setToolTip(tip)
        if (driving, ready) != (self._driving, self._ready):
            self._driving, self._ready = driving, ready
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """What the next press does."""
        if self._driving:
            return "Pause the policy", "Pause", "pause", theme.tokens().policy
        color = theme.tokens().policy if self._ready else ""
        return "Give to the policy", "Give to policy", "robot", color


class SeizeButton(DriverButton):
    """Takes the robot over by the keys, or lets go of it.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        self._held = False
        super().__init__(key, "Engages the selected arm: from then on you drive it.", parent)

    def set_held(self, held: bool) -> None:
        """Shows whether the keys hold an arm."""
        if held != self._held:
            self._held = held
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """What the next press does."""
        if self._held:
            return "Let go of the arm", "Let go", "hand-back-right-off-outline", theme.tokens().human
        return "Take over", "Take over", "hand-back-right-outline", theme.tokens().human


class RolloutButton(DriverButton):
    """Starts recording and policy together, and ends both.

    Args:
        key: Of the same action.
        parent: Owner.
    """

    def __init__(self, key: str, parent: QWidget | None = None) -> None:
        self._running = False
        super().__init__(key, "Records, and gives the robot to the policy once it records.", parent)

    def set_running(self, running: bool) -> None:
        """Shows whether a rollout runs or is about to."""
        if running != self._running:
            self._running = running
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """What the next press does."""
        if self._running:
            return "End the rollout", "End", "stop-circle-outline", theme.tokens().recording
        return "Start a rollout", "Rollout", "play-circle-outline", ""


class ActionButton(DriverButton):
    """A button that always does the same, in colour while it is wanted.

    Args:
        words: What it does.
        short: The same in a word or two.
        icon: Material Design icon name.
        key: Of the same action.
        tip: What it does, as a sentence.
        color: Attribute of the theme's tokens, used while it is wanted.
        parent: Owner.
    """

    def __init__(
        self,
        words: str,
        short: str,
        icon: str,
        key: str,
        tip: str,
        color: str = "human",
        parent: QWidget | None = None,
    ) -> None:
        self._words = words
        self._short = short
        self._icon = icon
        self._color = color
        self._wanted = False
        super().__init__(key, tip, parent)

    @property
    def wanted(self) -> bool:
        """Whether it is in colour."""
        return self._wanted

    def set_wanted(self, wanted: bool) -> None:
        """Shows it in colour, or like any other."""
        if wanted != self._wanted:
            self._wanted = wanted
            self.retheme()

    def shown(self) -> tuple[str, str, str, str]:
        """Its words and icon."""
        tokens = theme.tokens()
        return self._words, self._short, self._icon, getattr(tokens, self._color) if self._wanted else ""
