"""How old may a sample be: inputs and follower feedback."""

from __future__ import annotations

from enum import Enum

from teleop_app.core.config import SafetySection

NS_PER_MS = 1e6
MAX_AHEAD_NS = 20_000_000
"""A stamp this far in the future is a broken clock: such a stream would never grow stale."""


class Freshness(Enum):
    """Age of an input. HOLD: the arm comes to rest. LOST: the clutch is released."""

    FRESH = 0
    HOLD = 1
    LOST = 2


class InputWatchdog:
    """Judges the age of the newest good sample."""

    def __init__(self, safety: SafetySection) -> None:
        self.hold_ns = round(safety.stale_hold_ms * NS_PER_MS)
        self.release_ns = round(safety.stale_release_ms * NS_PER_MS)

    def judge(self, capture_ns: int, now_ns: int) -> Freshness:
        """Freshness at `now_ns` of a sample captured at `capture_ns`."""
        age_ns = now_ns - capture_ns
        if age_ns < -MAX_AHEAD_NS or age_ns > self.release_ns:
            return Freshness.LOST
        return Freshness.HOLD if age_ns > self.hold_ns else Freshness.FRESH


class FollowerWatchdog:
    """Judges the age of a follower's feedback."""

    def __init__(self, safety: SafetySection) -> None:
        self._stale_ns = round(safety.follower_stale_ms * NS_PER_MS)

    def complaint(self, name: str, capture_ns: int | None, now_ns: int) -> str:
        """A sentence if the feedback of follower `name` is absent or too old, else empty."""
        if capture_ns is None:
            return f"Follower '{name}' has not reported its position."
        age_ns = now_ns - capture_ns
        if -MAX_AHEAD_NS <= age_ns <= self._stale_ns:
            return ""
        limit_ms = self._stale_ns / NS_PER_MS
        return f"Follower '{name}' last reported {age_ns / NS_PER_MS:.0f} ms ago (limit {limit_ms:.0f} ms)."
