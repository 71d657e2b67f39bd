"""The last 20 seconds of a policy at work in bins: who drove, how sure it was, how late. No widgets."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from teleop_app.core.types import (
    Actor,
    AutonomyPhase,
    AutonomyTick,
    ControlTick,
    PolicyChunk,
    PolicyStatus,
)

SPAN_S = 20.0
BIN_S = 0.05
BINS = int(SPAN_S / BIN_S)
ACTORS = tuple(Actor)
PHASES = (None, *AutonomyPhase)
HELP_AT = 1.0
"""Score from which on a policy asks for help."""

_MOST_CHUNKS = 512
_HELP_APART_NS = 1_000_000_000
_DRIVING = (AutonomyPhase.POLICY, AutonomyPhase.BLEND)


@dataclass(frozen=True, slots=True)
class Answer:
    """A chunk as it arrived: when, how long it took [ms], and for how long its actions last [ms]."""

    at_ns: int
    latency_ms: float
    lasts_ms: float

    @property
    def late(self) -> bool:
        """Whether the robot would have waited for it, had nothing been left of the chunk before."""
        return self.latency_ms > self.lasts_ms


class SupervisionHistory:
    """Rolling bins that end now; the newest tick says what time it is.

    Attributes:
        actor: Place in `ACTORS`, shape (BINS,).
        phase: Place in `PHASES`, shape (BINS,).
        doubt: Score that asks for help at 1, the highest of a bin, NaN unknown, shape (BINS,).
        uncertainty: Spread of sampled chunks [rad], likewise.
        starved: Ticks at which the policy should drive and had nothing to propose, shape (BINS,).
        help: Calls for help, shape (BINS,).
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._last_bin: int | None = None
        self._now_ns = 0
        self._answers: deque[Answer] = deque(maxlen=_MOST_CHUNKS)
        self._asking = False
        self._starving = False
        self._before: AutonomyPhase | None = None
        self._called_ns = -_HELP_APART_NS
        self.actor = np.zeros(BINS, dtype=np.int8)
        self.phase = np.zeros(BINS, dtype=np.int8)
        self.doubt = np.full(BINS, np.nan)
        self.uncertainty = np.full(BINS, np.nan)
        self.starved = np.zeros(BINS, dtype=np.int64)
        self.help = np.zeros(BINS, dtype=np.int64)

    @property
    def started(self) -> bool:
        """Whether anything was heard yet."""
        return self._last_bin is not None

    @property
    def now_ns(self) -> int:
        """Time of the newest tick."""
        return self._now_ns

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Chunks of the span, oldest first."""
        return tuple(answer for answer in self._answers if self._now_ns - answer.at_ns <= SPAN_S * 1e9)

    def add_tick(self, tick: ControlTick) -> None:
        """Notes who drove, and whether the policy had something to propose."""
        if tick.tick_ns < self._now_ns - SPAN_S * 1e9:
            self.clear()  # the station has started anew, with another clock
        index = self._slot(tick.tick_ns)
        self._now_ns = max(self._now_ns, tick.tick_ns)
        if index is None:
            return
        self.actor[index] = ACTORS.index(tick.actor)
        autonomy = tick.autonomy
        self.phase[index] = 0 if autonomy is None else PHASES.index(autonomy.phase)
        if self._starves(autonomy, tick.policy is None):
            self.starved[index] += 1

    def _starves(self, autonomy: AutonomyTick | None, nothing: bool) -> bool:
        """Whether the policy lacks a proposal while it should drive.

        It also holds while it waits for a person. Then there was a proposal when the hold began.
        """
        phase = autonomy.phase if autonomy is not None else None
        began = self._before in _DRIVING or self._starving
        self._starving = phase is AutonomyPhase.HOLD and nothing and began
        self._before = phase
        return self._starving

    def add_chunk(self, chunk: PolicyChunk) -> None:
        """Notes how long an answer took, and for how long it lasts."""
        lasts_ns = len(chunk.actions) * chunk.step_ns
        if chunk.latency_ns >= 0 and lasts_ns > 0:
            self._answers.append(Answer(chunk.made_ns, chunk.latency_ns / 1e6, lasts_ns / 1e6))

    def add_status(self, status: PolicyStatus) -> None:
        """Notes how sure the policy is; a score that reaches 1 is a call for help."""
        index = self._slot(status.capture_ns)
        if index is None:
            return
        self.doubt[index] = np.fmax(self.doubt[index], status.help)
        self.uncertainty[index] = np.fmax(self.uncertainty[index], status.uncertainty)
        asks = math.isfinite(status.help) and status.help >= HELP_AT
        if asks and not self._asking:
            self.add_help(status.capture_ns)
        self._asking = asks

    def add_help(self, time_ns: int) -> None:
        """Notes a call for help; one told twice within a second counts once."""
        index = self._slot(time_ns)
        if index is not None and abs(time_ns - self._called_ns) >= _HELP_APART_NS:
            self.help[index] += 1
            self._called_ns = time_ns

    def _slot(self, time_ns: int) -> int | None:
        """Rolls on to the bin of a time and returns its index; None when it is too old."""
        number = int(time_ns / 1e9 / BIN_S)
        if self._last_bin is None:
            self._last_bin = number
        ahead = number - self._last_bin
        if ahead > 0:
            self._roll(min(ahead, BINS))
            self._last_bin = number
            ahead = 0
        index = BINS - 1 + ahead
        return index if index >= 0 else None

    def _roll(self, bins: int) -> None:
        for values, empty in (
            (self.actor, 0),
            (self.phase, 0),
            (self.doubt, np.nan),
            (self.uncertainty, np.nan),
            (self.starved, 0),
            (self.help, 0),
        ):
            values[:-bins] = values[bins:]
            values[-bins:] = empty
