"""Pulses in the hand: each kind has a pattern of its own (`web/haptics.js` plays the same ones)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from teleop_app.core.clock import NS_PER_MS

PATTERNS: Final[dict[str, tuple[tuple[float, int, int], ...]]] = {
    "clutch": ((0.4, 40, 0),),
    "aligned": ((0.4, 40, 60), (0.4, 40, 0)),
    "limit": ((0.6, 90, 0),),
    "record": ((0.5, 70, 80), (0.8, 140, 0)),
    "stale": ((0.8, 160, 90), (0.8, 160, 0)),
    "help": ((0.7, 60, 60), (0.7, 60, 60), (1.0, 200, 0)),
    "estop": ((1.0, 250, 80), (1.0, 250, 80), (1.0, 250, 0)),
}
"""By kind: strength 0 .. 1, length and pause after it [ms]."""


class PulseQueue:
    """Plays patterns one pulse after the other, in the thread that polls."""

    def __init__(self) -> None:
        self._due: deque[tuple[int, float, int, tuple[str, ...]]] = deque()

    def play(self, kind: str, hands: Sequence[str], now_ns: int) -> None:
        """Begin a pattern, in place of what was still to come."""
        self._due.clear()
        due_ns = now_ns
        for strength, length_ms, pause_ms in PATTERNS.get(kind, PATTERNS["clutch"]):
            self._due.append((due_ns, strength, length_ms, tuple(hands)))
            due_ns += (length_ms + pause_ms) * NS_PER_MS

    def take(self, now_ns: int) -> tuple[float, int, tuple[str, ...]] | None:
        """The pulse that is due: strength, length [ms], hands; None when there is none."""
        if not self._due or self._due[0][0] > now_ns:
            return None
        return self._due.popleft()[1:]
