"""The input sources that control listens to, each with its guard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from teleop_app.control.arbitration import Source
from teleop_app.core.config import SafetySection
from teleop_app.core.types import Actor, InputSample
from teleop_app.safety.deadman import Deadman
from teleop_app.safety.input_guard import SourceGuard
from teleop_app.safety.outcome import Intervention

logger = logging.getLogger(__name__)
MAX_SOURCES = 32
ESTOP_BUTTON = "estop"


class Sources:
    """Every source that was heard of, up to `MAX_SOURCES`.

    Args:
        arms: Arm names in station order.
        safety: Section of the station file.
    """

    def __init__(self, arms: Sequence[str], safety: SafetySection) -> None:
        self._arms = tuple(arms)
        self._safety = safety
        self._deadman = Deadman(safety)
        self._refused: set[str] = set()
        self.by_name: dict[str, Source] = {}

    def __iter__(self) -> Iterator[Source]:
        """All sources."""
        return iter(self.by_name.values())

    def offer(
        self, sample: InputSample, now_ns: int, driver: Source | None, press: Callable[[str, str], None]
    ) -> list[Intervention]:
        """Take a sample; returns why arms of it were refused.

        Args:
            sample: Of any source.
            now_ns: When it is taken.
            driver: The source that drives; it is never forgotten.
            press: Called with each button newly pressed, and the source.
        """
        source = self._source(sample, driver)
        if source is None:
            return []
        source.actor = sample.actor
        for button in source.offer(sample, now_ns):
            press(button, sample.source)
        return [
            Intervention(guard.rejection.flag, arm, f"Arm '{arm}': {guard.rejection.text}")
            for arm, guard in source.guard.arms.items()
            if guard.rejection is not None and arm in sample.arms
        ]

    def revoke(self) -> None:
        """End every engagement of every source."""
        for source in self:
            source.guard.revoke()

    def estop_held_by(self) -> str:
        """Name of a source on which the e-stop is pressed, else empty."""
        return next((source.name for source in self if ESTOP_BUTTON in source.guard.buttons), "")

    def disabled(self, now_ns: int) -> str:
        """Why no person may move the robot, without a full stop; empty when they may."""
        device = self.by_name.get(self._deadman.source)
        return self._deadman.complaint(device.guard if device else None, now_ns)

    def _source(self, sample: InputSample, driver: Source | None) -> Source | None:
        if sample.actor not in (Actor.HUMAN, Actor.SCRIPT):
            self._refuse(sample.source, f"it claims to be {sample.actor.value!r}")
            return None
        known = self.by_name.get(sample.source)
        if known is not None:
            return known
        if len(self.by_name) >= MAX_SOURCES and not self._forget_idle(driver):
            self._refuse(sample.source, f"{MAX_SOURCES} others are in use")
            return None
        guard = SourceGuard(self._arms, self._safety)
        seen = dict.fromkeys(self._arms, 0)
        self.by_name[sample.source] = known = Source(sample.source, sample.actor, guard, seen)
        return known

    def _forget_idle(self, driver: Source | None) -> bool:
        """Make room for a new source: of those that hold nothing, the one silent for longest goes."""
        idle = [
            source
            for source in self
            if source is not driver and not source.active and not source.guard.buttons
        ]
        if not idle:
            return False
        del self.by_name[min(idle, key=lambda source: source.guard.capture_ns).name]
        return True

    def _refuse(self, name: str, why: str) -> None:
        if name not in self._refused and len(self._refused) < MAX_SOURCES:  # told once, not at every sample
            self._refused.add(name)
            logger.warning("input source %r is not taken: %s", name, why)
