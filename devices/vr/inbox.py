"""From the server's thread to the one that polls: frames and what happened to them, in order."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from devices.vr.protocol import XrFrame

_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame of the client that drives.

    Attributes:
        frame: The frame.
        connection: That sent it.
        receive_ns: When it arrived.
    """

    frame: XrFrame
    connection: int
    receive_ns: int


@dataclass(frozen=True, slots=True)
class LetGo:
    """Whoever drove does so no longer."""


@dataclass(frozen=True, slots=True)
class StopPressed:
    """Somebody pressed the emergency stop on a page."""


Item = Arrived | LetGo | StopPressed


class Inbox:
    """A bounded queue; when it overflows, the oldest frames go. Any thread."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, item: Item) -> None:
        """Add something; what is not a frame is never dropped."""
        with self._lock:
            self._items.append(item)
            if len(self._items) > _LONGEST:
                oldest = next((each for each in self._items if isinstance(each, Arrived)), None)
                if oldest is not None:
                    self._items.remove(oldest)
                    self.dropped += 1
        self._ready.set()

    def end(self) -> None:
        """Nobody drives any more: frames that wait are not acted on, a stop that was pressed is."""
        with self._lock:
            kept = [item for item in self._items if isinstance(item, StopPressed)]
            self._items = deque([*kept, LetGo()])
        self._ready.set()

    def take(self) -> Item | None:
        """The oldest, None when there is none."""
        with self._lock:
            if self._items:
                return self._items.popleft()
            self._ready.clear()
            return None

    def wait(self, timeout_s: float) -> None:
        """Return as soon as something is there, at the latest after `timeout_s`."""
        self._ready.wait(timeout_s)
