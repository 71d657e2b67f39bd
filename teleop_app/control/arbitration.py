"""Which input source drives the robot: one at a time, people above scripts."""

from __future__ import annotations

from dataclasses import dataclass

from teleop_app.core.types import Actor, InputSample
from teleop_app.safety.input_guard import SourceGuard

_RANK = {Actor.SCRIPT: 1, Actor.POLICY: 1, Actor.HUMAN: 2}


@dataclass(slots=True)
class Source:
    """One input source.

    Attributes:
        name: Its name in samples.
        actor: Of its last sample.
        guard: Its checks.
        seen: Engage edges already arbitrated, by arm.
        sample: Its newest sample in order.
    """

    name: str
    actor: Actor
    guard: SourceGuard
    seen: dict[str, int]
    sample: InputSample | None = None

    def offer(self, sample: InputSample, now_ns: int) -> tuple[str, ...]:
        """Take a sample; returns the buttons newly pressed."""
        dropped = self.guard.dropped
        pressed = self.guard.offer(sample, now_ns)
        if self.guard.dropped == dropped:
            self.sample = sample
        return pressed

    @property
    def active(self) -> bool:
        """Whether it holds the engage control of an arm."""
        return any(arm.engaged for arm in self.guard.arms.values())

    def take_edge(self) -> bool:
        """Whether an arm was engaged since the last call."""
        now = {name: arm.engagement for name, arm in self.guard.arms.items()}
        edge = any(arm.engaged and now[name] != self.seen[name] for name, arm in self.guard.arms.items())
        self.seen = now
        return edge


@dataclass(frozen=True, slots=True)
class Decision:
    """Result of a tick's arbitration.

    Attributes:
        driver: The source that drives, None when none.
        preempted: The source that lost the robot at this tick.
        refused: Sources whose engage did not count, because another drives.
    """

    driver: Source | None
    preempted: Source | None
    refused: tuple[Source, ...]


class Arbiter:
    """Keeps the driver. A source drives from its engage edge until it lets go of every arm.

    A source of higher rank takes over at its own edge; one of the same rank only when the driver's input
    is held for want of samples. Whoever loses, or asks in vain, needs a new edge.
    """

    def __init__(self) -> None:
        self._driver: Source | None = None

    def decide(self, sources: dict[str, Source], *, driver_is_held: bool) -> Decision:
        """Arbitrate once a tick, after all samples of the tick were offered."""
        driver = self._driver if self._driver is not None and self._driver.active else None
        preempted: Source | None = None
        refused: list[Source] = []
        edges = [source for source in sources.values() if source.take_edge() and source is not driver]
        for source in sorted(edges, key=lambda item: (-_RANK.get(item.actor, 0), item.name)):
            if driver is None or _outranks(source, driver, held=driver_is_held):
                if driver is not None:
                    driver.guard.revoke()
                    preempted = driver
                driver, driver_is_held = source, False
            else:
                source.guard.revoke()
                refused.append(source)
        self._driver = driver
        return Decision(driver, preempted, tuple(refused))


def _outranks(source: Source, driver: Source, *, held: bool) -> bool:
    mine, theirs = _RANK.get(source.actor, 0), _RANK.get(driver.actor, 0)
    return mine > theirs or (held and mine == theirs)
