"""The buttons `engage` and `engage:<arm>` of pedals and the like, as the clutch of leader arms."""

from __future__ import annotations

from typing import Final

from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.types import InputSample

BUTTON: Final = "engage"
_SILENT_NS: Final = 500 * NS_PER_MS


class PedalClutch:
    """Follows what other sources hold down. A source that falls silent has let go."""

    def __init__(self) -> None:
        self._down: dict[str, tuple[frozenset[str], int]] = {}

    def see(self, sample: InputSample, now_ns: int) -> list[tuple[bool, str]]:
        """What changed: pressed or let go, and the arm (empty: every one)."""
        held = frozenset(each for each in sample.buttons if each.partition(":")[0] == BUTTON)
        before, _ = self._down.get(sample.source, (frozenset(), 0))
        if held:
            self._down[sample.source] = held, now_ns
        else:
            self._down.pop(sample.source, None)
        return _edges(before, held)

    def expire(self, now_ns: int) -> list[tuple[bool, str]]:
        """What counts as let go, because its source has fallen silent."""
        silent = [source for source, (_, seen_ns) in self._down.items() if now_ns - seen_ns > _SILENT_NS]
        return [edge for source in silent for edge in _edges(self._down.pop(source)[0], frozenset())]


def _edges(before: frozenset[str], after: frozenset[str]) -> list[tuple[bool, str]]:
    released = [(False, button.partition(":")[2]) for button in sorted(before - after)]
    return released + [(True, button.partition(":")[2]) for button in sorted(after - before)]
