"""One clock for the whole station: CLOCK_MONOTONIC in nanoseconds, anchored to UTC once an episode."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """A source of monotonic time. The real one is shared by every process of the machine."""

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        ...

    def sleep_until(self, deadline_ns: int) -> None:
        """Block until the monotonic time `deadline_ns`; return at once if it has passed."""
        ...


class MonotonicClock:
    """CLOCK_MONOTONIC: never jumps with the wall clock, and is the same in all processes."""

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        return time.monotonic_ns()

    def sleep_until(self, deadline_ns: int) -> None:
        """Block until `deadline_ns` by one plain sleep (about 0.1 ms late; see control.cycle_timer)."""
        remaining_ns = deadline_ns - time.monotonic_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)


class FakeClock:
    """A clock that moves only when told to (tests)."""

    def __init__(self, start_ns: int = 1_000 * NS_PER_S) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The fake time [ns]."""
        return self._now_ns

    def sleep_until(self, deadline_ns: int) -> None:
        """Jump to `deadline_ns` if it lies ahead."""
        self._now_ns = max(self._now_ns, deadline_ns)

    def advance(self, seconds: float) -> int:
        """Move ahead by `seconds` and return the new time [ns]."""
        self._now_ns += round(seconds * NS_PER_S)
        return self._now_ns


@dataclass(frozen=True, slots=True)
class ClockAnchor:
    """One simultaneous reading of the monotonic clock and of UTC, kept with each episode.

    Attributes:
        monotonic_ns: CLOCK_MONOTONIC [ns].
        utc_ns: UTC since the Unix epoch [ns] at the same instant.
    """

    monotonic_ns: int
    utc_ns: int

    @classmethod
    def now(cls) -> ClockAnchor:
        """Read both clocks, the monotonic one on both sides of the wall clock (error under 1 us)."""
        before = time.monotonic_ns()
        utc_ns = time.time_ns()
        after = time.monotonic_ns()
        return cls(monotonic_ns=(before + after) // 2, utc_ns=utc_ns)

    def to_utc_ns(self, monotonic_ns: int) -> int:
        """UTC [ns] of a monotonic instant; a wall-clock jump after the anchor has no effect."""
        return monotonic_ns - self.monotonic_ns + self.utc_ns

    def to_monotonic_ns(self, utc_ns: int) -> int:
        """Inverse of `to_utc_ns`."""
        return utc_ns - self.utc_ns + self.monotonic_ns
