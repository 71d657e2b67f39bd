"""The last seconds of what was proposed, sent and asked for by a person, and the queue ahead. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from teleop_app.core.types import Array, ControlTick, PolicyChunk
from ui.viewmodels.chunk_preview import is_sound, place_of

PAST_S = 6.0
AHEAD_S = 2.0
_STEP_NS = 20_000_000
"""Ticks come faster than a screen can show them."""

_CAPACITY = int(PAST_S * 1e9 / _STEP_NS) + 1
_SLOWEST = 0.05
_LEAST_RAD = 1e-3


@dataclass(frozen=True, slots=True)
class JointTrace:
    """One value of the joint vector; times [s] from now, NaN where nothing is known.

    Attributes:
        at_s: Of the past, shape (k,), up to 0.
        proposed: By the policy, shape (k,).
        sent: To the followers, shape (k,).
        human: Asked for by a person with a leader, shape (k,).
        ahead_s: Of the queue, shape (m,), from 0.
        queue: What is left of the newest chunk, shape (m,).
    """

    at_s: Array
    proposed: Array
    sent: Array
    human: Array
    ahead_s: Array
    queue: Array


class ChunkTrace:
    """Rolling memory of fixed size; a tick that goes back in time begins anew.

    Args:
        joint_names: Of the joint vector, n of them.
    """

    def __init__(self, joint_names: Sequence[str]) -> None:
        self.joint_names = tuple(joint_names)
        self._values: Array = np.full((3, _CAPACITY, len(self.joint_names)), np.nan)
        self._at_ns = np.zeros(_CAPACITY, dtype=np.int64)
        self._count = 0
        self._newest: ControlTick | None = None
        self._chunk: PolicyChunk | None = None

    @property
    def started(self) -> bool:
        """Whether anything was heard yet."""
        return self._newest is not None

    def clear(self) -> None:
        """Forgets everything."""
        self._count = 0
        self._newest = self._chunk = None

    def add_tick(self, tick: ControlTick) -> None:
        """Takes a tick; those that come too fast only move the present."""
        length = len(self.joint_names)
        if len(tick.sent) != length:
            return
        if self._newest is not None and tick.tick_ns < self._newest.tick_ns:
            self.clear()
        self._newest = tick
        if self._count and tick.tick_ns - self._at_ns[(self._count - 1) % _CAPACITY] < _STEP_NS:
            return
        slot = self._count % _CAPACITY
        self._at_ns[slot] = tick.tick_ns
        human = tick.autonomy.human if tick.autonomy is not None else None
        for row, vector in enumerate((tick.policy, tick.sent, human)):
            known = vector is not None and len(vector) == length
            self._values[row, slot] = vector if known else np.nan
        self._count += 1

    def add_chunk(self, chunk: PolicyChunk) -> None:
        """Takes the newest chunk; one that does not fit the station is left out."""
        if is_sound(chunk, len(self.joint_names)):
            self._chunk = chunk

    def joint(self, column: int) -> JointTrace:
        """Returns the trace of one value of the vector."""
        order = self._order()
        now_ns = self._newest.tick_ns if self._newest is not None else 0
        at_s = (self._at_ns[order] - now_ns) / 1e9
        proposed, sent, human = self._values[:, order, column]
        return JointTrace(at_s, proposed, sent, human, *self._ahead(column))

    def busiest(self) -> int:
        """Returns the joint that moves most in the time shown, past or ahead; 0 when all stand still.

        Grippers count only when nothing else moves: their 0..1 is no angle.
        """
        order = self._order()
        travel = np.zeros(len(self.joint_names))
        if len(order):
            travel = np.ptp(self._values[1][order], axis=0)
        if self._chunk is not None:
            travel = np.maximum(travel, np.ptp(self._chunk.actions, axis=0))
        grippers = np.array([name.endswith("gripper") for name in self.joint_names], dtype=bool)
        arms = np.where(grippers | ~np.isfinite(travel), 0.0, travel)
        chosen = arms if arms.max(initial=0.0) > _LEAST_RAD else np.nan_to_num(travel)
        return int(np.argmax(chosen)) if len(chosen) else 0

    def _order(self) -> np.ndarray:
        """Slots in the order of time, not older than what is shown."""
        kept = min(self._count, _CAPACITY)
        order = np.arange(self._count - kept, self._count) % _CAPACITY
        if self._newest is None or not kept:
            return order
        return order[self._newest.tick_ns - self._at_ns[order] <= PAST_S * 1e9]

    def _ahead(self, column: int) -> tuple[Array, Array]:
        nothing = np.empty(0), np.empty(0)
        autonomy = self._newest.autonomy if self._newest is not None else None
        if self._chunk is None or autonomy is None:
            return nothing
        place = place_of(self._chunk, autonomy)
        steps = np.arange(len(self._chunk.actions), dtype=np.float64)
        left_s = (steps - place) * self._chunk.step_ns / 1e9 / max(autonomy.speed, _SLOWEST)
        shown = (left_s >= 0.0) & (left_s <= AHEAD_S)
        return left_s[shown], self._chunk.actions[shown, column]
