"""The chunks that a policy proposed, indexed by its clock: what it asks for at a moment.

Nothing in a chunk is trusted. Actions are interpolated linearly from one to the next, the last one is held
for its step, and after that there is no proposal. Averaging of overlapping chunks weighs them as in "Learning
Fine-Grained Bimanual Manipulation with Low-Cost Hardware" (arXiv 2304.13705): exp(-m i), the oldest i = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array
from teleop_app.core.types import PolicyChunk

MAX_CHUNKS: Final = 8
MAX_STEPS: Final = 512
_STEP_NS: Final = (NS_PER_MS, 2 * NS_PER_S)
_AHEAD_NS: Final = 20 * NS_PER_MS
_LEAD_NS: Final = NS_PER_S
_LARGEST: Final = 1e4
_DECAY: Final = 0.1
_EXECUTIONS: Final = frozenset(each.value for each in Execution)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a policy asks for at one moment.

    Attributes:
        vector: Joint vector of the station, shape (n,); columns of other arms tell where they were.
        chunk: Number of the chunk it comes from; of several, the newest.
        index: Place in that chunk [steps], fractional between two actions.
        arms: Arms that it drives.
        uncertainty: Of that chunk [rad], NaN when not known.
    """

    vector: Array
    chunk: int
    index: float
    arms: tuple[str, ...]
    uncertainty: float


@dataclass(frozen=True, slots=True)
class _Queued:
    chunk: PolicyChunk
    start_ns: int

    def index(self, policy_ns: int) -> float:
        return (policy_ns - self.start_ns) / self.chunk.step_ns

    def at(self, index: float) -> Array:
        actions = self.chunk.actions
        step = min(int(index), len(actions) - 1)
        part = index - step
        if step + 1 == len(actions) or part <= 0.0:
            return actions[step].copy()
        return (1.0 - part) * actions[step] + part * actions[step + 1]


class ActionQueue:
    """Bounded; one thread.

    Args:
        arms: Of the station.
        size: Of a joint vector.
        stale_ms: A chunk whose observation is older than this is not executed.
    """

    def __init__(self, arms: Sequence[str], size: int, stale_ms: float) -> None:
        self._arms = frozenset(arms)
        self._size = size
        self._stale_ns = round(stale_ms * NS_PER_MS)
        self._queued: list[_Queued] = []
        self._after_ns = 0
        self._newest = (0, 0)

    @property
    def empty(self) -> bool:
        """Whether nothing is queued."""
        return not self._queued

    def offer(self, chunk: PolicyChunk, policy_ns: int, now_ns: int) -> bool:
        """Take a chunk; returns whether it is of use, False for one observed before the last `flush`.

        Args:
            chunk: From the policy process, unchecked.
            policy_ns: The policy's clock now.
            now_ns: Host clock now.

        Raises:
            PolicyError: It is malformed, out of order, too old, or all of its actions are past.
        """
        self._check_numbers(chunk)
        self._check_times(chunk, policy_ns, now_ns)
        self._newest = (chunk.chunk, chunk.observation_ns)
        if chunk.start_policy_ns < self._after_ns:
            return False
        one_by_one = chunk.execution == Execution.SYNC
        queued = _Queued(chunk, policy_ns if one_by_one else chunk.start_policy_ns)
        if queued.index(policy_ns) >= len(chunk.actions):
            late_s = (policy_ns - chunk.start_policy_ns) / NS_PER_S
            lasts_s = len(chunk.actions) * chunk.step_ns / NS_PER_S
            raise PolicyError(
                f"Chunk {chunk.chunk} of {chunk.policy!r} is of no use",
                why=f"it came {late_s:.2f} s after its observation and lasts only {lasts_s:.2f} s",
                next_step="Use a faster server, longer chunks, or the execution sync",
            )
        kept = (
            [] if one_by_one else [each for each in self._queued if self._is_alive(each, policy_ns, now_ns)]
        )
        self._queued = [*kept, queued][-MAX_CHUNKS:]
        return True

    def proposal(self, policy_ns: int, now_ns: int) -> Proposal | None:
        """What is asked for at `policy_ns`; None when no chunk says anything about it."""
        self._queued = [each for each in self._queued if self._is_alive(each, policy_ns, now_ns)]
        due = [each for each in self._queued if each.start_ns <= policy_ns]
        if not due:
            return None
        newest = due[-1]
        index = newest.index(policy_ns)
        vector = newest.at(index)
        if newest.chunk.execution == Execution.ENSEMBLE and len(due) > 1:
            alike = [each for each in due if each.chunk.arms == newest.chunk.arms]
            weights = np.exp(-_DECAY * np.arange(len(alike)))
            rows = np.array([each.at(each.index(policy_ns)) for each in alike])
            vector = weights @ rows / weights.sum()
        chunk = newest.chunk
        return Proposal(vector, chunk.chunk, index, chunk.arms, chunk.uncertainty)

    def drop(self, number: int) -> None:
        """Forget one chunk."""
        self._queued = [each for each in self._queued if each.chunk.chunk != number]

    def flush(self, policy_ns: int) -> None:
        """Forget every chunk, and take none that was observed before this moment of the policy's clock."""
        self._queued = []
        self._after_ns = policy_ns

    def _is_alive(self, each: _Queued, policy_ns: int, now_ns: int) -> bool:
        fresh = now_ns - each.chunk.observation_ns <= self._stale_ns
        return fresh and each.index(policy_ns) < len(each.chunk.actions)

    def _check_numbers(self, chunk: PolicyChunk) -> None:
        actions = chunk.actions
        if actions.ndim != 2 or actions.shape[1] != self._size or not 1 <= len(actions) <= MAX_STEPS:
            raise _refused(
                chunk, f"its actions have the shape {actions.shape}, not (1..{MAX_STEPS}, {self._size})"
            )
        if not (np.isfinite(actions).all() and (np.abs(actions) < _LARGEST).all()):
            raise _refused(chunk, "it holds a number that is not finite or far too large")
        unknown = set(chunk.arms) - self._arms
        if unknown or not chunk.arms or len(set(chunk.arms)) != len(chunk.arms):
            named = ", ".join(map(repr, chunk.arms)) or "none"
            raise _refused(
                chunk, f"the station has the arms {', '.join(sorted(self._arms))}, it names {named}"
            )
        if not _STEP_NS[0] <= chunk.step_ns <= _STEP_NS[1]:
            raise _refused(chunk, f"its actions follow each other every {chunk.step_ns / NS_PER_MS:g} ms")
        if chunk.execution not in _EXECUTIONS:
            raise _refused(chunk, f"there is no execution {chunk.execution!r}")
        if not (math.isnan(chunk.uncertainty) or 0.0 <= chunk.uncertainty < _LARGEST):
            raise _refused(chunk, f"its uncertainty is {chunk.uncertainty}")

    def _check_times(self, chunk: PolicyChunk, policy_ns: int, now_ns: int) -> None:
        number, observed_ns = self._newest
        if chunk.chunk < 1 or (chunk.chunk <= number and chunk.observation_ns <= observed_ns):
            raise _refused(chunk, f"chunk {number} was here before it")
        age_ns = now_ns - chunk.observation_ns
        if age_ns < -_AHEAD_NS or chunk.start_policy_ns > policy_ns + _LEAD_NS:
            raise _refused(chunk, "it claims to be of the future")
        if age_ns > self._stale_ns:
            raise _refused(
                chunk,
                f"its observation is {age_ns / NS_PER_MS:.0f} ms old "
                f"(limit {self._stale_ns / NS_PER_MS:.0f} ms)",
            )


def _refused(chunk: PolicyChunk, why: str) -> PolicyError:
    return PolicyError(f"Chunk {chunk.chunk} of {chunk.policy[:64]!r} was refused", why=why)
