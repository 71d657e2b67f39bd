"""What the recorder says of an episode, told apart: good news, a plain fact, or a concern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ui.theme import Role


class Mood(Enum):
    """How a remark is marked: icon and colour role."""

    GOOD = ("check", Role.GOOD)
    NEUTRAL = ("circle-medium", Role.MUTED)
    CONCERN = ("alert", Role.WARNING)

    @property
    def icon(self) -> str:
        """Material Design icon name."""
        return self.value[0]

    @property
    def role(self) -> Role:
        """Colour role of the icon."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Remark:
    """One line on the verdict card."""

    text: str
    mood: Mood


_GOOD = frozenset({"Task done.", "No frames lost."})
_NEUTRAL = frozenset({"Nobody said whether it worked."})
_LENGTH = "Length "


def remarks(sentences: Iterable[str]) -> tuple[Remark, ...]:
    """Returns the recorder's sentences as remarks, concerns first; the length is left to the summary.

    Whatever is not known to be harmless is a concern.
    """
    lines = [Remark(text, _mood(text)) for text in sentences if not text.startswith(_LENGTH)]
    order = (Mood.CONCERN, Mood.GOOD, Mood.NEUTRAL)
    return tuple(sorted(lines, key=lambda line: order.index(line.mood)))


def _mood(text: str) -> Mood:
    if text in _GOOD:
        return Mood.GOOD
    return Mood.NEUTRAL if text in _NEUTRAL else Mood.CONCERN
