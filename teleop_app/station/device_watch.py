"""What every process of a real device keeps: whether it is there, when to try again, and its rate."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import TeleopError

logger = logging.getLogger(__name__)

RETRY_NS: Final = NS_PER_S
"""A device that is not there is looked for again so often."""


class DeviceWatch:
    """Whether a device is there.

    Attributes:
        there: It is open.
        fault: Why it is not, a sentence; empty while all is well.
        lost: How often it was lost since the start.
        errors: How many calls failed.
    """

    def __init__(self) -> None:
        self.there = False
        self.fault = ""
        self.lost = 0
        self.errors = 0
        self._was_there = False
        self._retry_ns = 0
        self._seen_ns: deque[int] = deque(maxlen=4096)
        self._capture_ns = 0

    def due(self, now_ns: int) -> bool:
        """Whether it is time to try to open the device."""
        return not self.there and now_ns >= self._retry_ns

    def opened(self) -> bool:
        """It is open; whether it had been lost before."""
        again = self._was_there
        self.there = self._was_there = True
        self.fault = ""
        return again

    def failed(self, error: TeleopError, now_ns: int) -> bool:
        """It could not be opened, or is lost; whether it was there until now."""
        was, self.there = self.there, False
        self.lost += was
        self.errors += 1
        if error.sentence != self.fault:
            logger.warning("%s", error.sentence)
        self.fault = error.sentence
        self._retry_ns = now_ns + RETRY_NS
        return was

    def saw(self, now_ns: int, capture_ns: int) -> None:
        """A reading came."""
        self._seen_ns.append(now_ns)
        self._capture_ns = capture_ns

    def metrics(self, now_ns: int) -> dict[str, float]:
        """`rate_hz` of the last second, `age_ms` of the last reading, `lost`, `errors`."""
        while self._seen_ns and self._seen_ns[0] <= now_ns - NS_PER_S:
            self._seen_ns.popleft()
        found = {
            "rate_hz": float(len(self._seen_ns)),
            "lost": float(self.lost),
            "errors": float(self.errors),
        }
        if self._capture_ns:
            found["age_ms"] = (now_ns - self._capture_ns) / NS_PER_MS
        return found
