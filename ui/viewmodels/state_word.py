"""A state as people see it: word, icon and colour together."""

from __future__ import annotations

from enum import Enum

from ui.theme import Role


class StateWord(Enum):
    """Base of enumerations whose members are (word, Material Design icon name, colour role)."""

    @property
    def word(self) -> str:
        """What is written."""
        return self.value[0]

    @property
    def icon(self) -> str:
        """Material Design icon name."""
        return self.value[1]

    @property
    def role(self) -> Role:
        """Colour role."""
        return self.value[2]
