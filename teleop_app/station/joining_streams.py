"""Numeric streams that an episode did not begin with: their samples wait until they say what they measure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import StreamBatch, StreamSetup

PATIENCE_NS: Final = 3 * NS_PER_S
"""Streams introduce themselves about once a second, on another connection than their samples."""
MAX_WAITING: Final = 2000
"""Batches; a station sends some 25 a second of each stream."""
WATCHED_ONLY: Final = frozenset({"mapping"})
"""Kinds that are published for as long as somebody looks, and are no part of an episode."""


def is_recorded(setup: StreamSetup) -> bool:
    """Whether a stream belongs into episodes."""
    return setup.kind not in WATCHED_ONLY


class JoiningStreams:
    """Keeps the first samples of streams that are not known yet.

    Args:
        known: Names of the streams that the episode begins with.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = set(known)
        self._watched: set[str] = set()
        self._waiting: deque[tuple[StreamBatch, int]] = deque()

    def take(self, batch: StreamBatch, now_ns: int) -> list[StreamBatch]:
        """What is to be written now that `batch` has come: itself, unless it has to wait."""
        if batch.stream in self._known:
            return [batch]
        if batch.stream in self._watched:
            return []
        self._waiting.append((batch, now_ns))
        return [self._waiting.popleft()[0]] if len(self._waiting) > MAX_WAITING else []

    def introduce(self, setup: StreamSetup) -> list[StreamBatch] | None:
        """A stream says what it is.

        Returns:
            None when the episode has it already or it is only watched, else what waited for it, in order.
        """
        name = setup.name
        if name in self._known:
            return None
        mine = [batch for batch, _ in self._waiting if batch.stream == name]
        if mine:
            self._waiting = deque(item for item in self._waiting if item[0].stream != name)
        if not is_recorded(setup):
            self._watched.add(name)
            return None
        self._known.add(name)
        self._watched.discard(name)
        return mine

    def overdue(self, now_ns: int) -> list[StreamBatch]:
        """What has waited in vain, to be booked as lost."""
        found: list[StreamBatch] = []
        while self._waiting and now_ns - self._waiting[0][1] > PATIENCE_NS:
            found.append(self._waiting.popleft()[0])
        return found

    def rest(self) -> list[StreamBatch]:
        """All that waits when the episode ends, to be booked as lost."""
        found = [batch for batch, _ in self._waiting]
        self._waiting.clear()
        return found
