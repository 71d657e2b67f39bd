"""Writes what a policy proposed and who had the say: the autonomy part of control ticks, and whole chunks."""

from __future__ import annotations

import math

import numpy as np

from recorders import message_bodies, messages
from recorders.message_sink import IMPOSSIBLE_TIME, NOT_FINITE, WRONG_SHAPE, MessageSink
from recorders.schema import TOPIC_AUTONOMY, TOPIC_CHUNK, EpisodeHeader
from teleop_app.core.types import AutonomyTick, PolicyChunk

MAX_STEPS = 10_000
"""Actions of a chunk that is written."""
_MAX_TEXT = 200
_MAX_ARMS = 64
_INT64 = 1 << 63
IMPOSSIBLE_NUMBER = "it held a number that is out of bounds"


class AutonomyWriter:
    """Autonomy ticks and chunks of one episode."""

    def __init__(self, sink: MessageSink, header: EpisodeHeader) -> None:
        self._sink = sink
        self._ledger = sink.ledger
        self._joints = len(header.joint_names)

    def add_tick(self, autonomy: AutonomyTick, tick_ns: int, seq: int) -> bool:
        """The autonomy part of a control tick that was written; False when it is refused.

        Args:
            autonomy: The part.
            tick_ns: Time of the tick.
            seq: Number of the tick, as it is written.
        """
        reason = self._tick_fault(autonomy)
        if reason:
            self._ledger.refuse(TOPIC_AUTONOMY, reason)
            return False
        if not self._sink.in_order(TOPIC_AUTONOMY, tick_ns):
            return False
        payload = self._sink.stamp(tick_ns) + message_bodies.autonomy_body(autonomy)
        return self._sink.put(TOPIC_AUTONOMY, messages.AUTONOMY_TICK, tick_ns, payload, tick_ns, seq)

    def _tick_fault(self, autonomy: AutonomyTick) -> str:
        if not all(math.isfinite(value) for value in (autonomy.alpha, autonomy.index, autonomy.speed)):
            return NOT_FINITE
        if not (
            0 <= autonomy.takeover < _INT64
            and 0 <= autonomy.chunk < _INT64
            and -_INT64 <= autonomy.policy_ns < _INT64
        ):
            return IMPOSSIBLE_NUMBER
        human = autonomy.human
        if human is None:
            return ""
        if human.shape != (self._joints,) or human.dtype != np.float64:
            return WRONG_SHAPE
        return NOT_FINITE if np.isinf(human).any() else ""  # NaN: nothing is asked of that joint

    def add_chunk(self, chunk: PolicyChunk) -> bool:
        """A chunk, whole, at the time of its answer; False when it is refused."""
        reason = self._chunk_fault(chunk)
        if 0 <= chunk.chunk < _INT64:
            self._ledger.sequence(TOPIC_CHUNK, chunk.chunk)
        if reason:
            self._ledger.refuse(TOPIC_CHUNK, reason)
            return False
        made_ns = chunk.made_ns
        if not self._sink.in_order(TOPIC_CHUNK, made_ns):
            return False
        body = message_bodies.chunk_body(chunk, self._sink.offset_ns)
        payload = self._sink.stamp(made_ns) + body
        return self._sink.put(TOPIC_CHUNK, messages.POLICY_CHUNK, made_ns, payload, made_ns, chunk.chunk)

    def _chunk_fault(self, chunk: PolicyChunk) -> str:
        actions = chunk.actions
        if actions.ndim != 2 or actions.shape[1] != self._joints or actions.dtype != np.float64:
            return WRONG_SHAPE
        if not 0 < len(actions) <= MAX_STEPS:
            return f"it had {len(actions)} actions, not 1 to {MAX_STEPS}"
        if not np.isfinite(actions).all() or math.isinf(chunk.uncertainty) or math.isinf(chunk.novelty):
            return NOT_FINITE
        counted = (chunk.chunk, chunk.latency_ns, chunk.server_ns, chunk.delay_steps, chunk.frozen_steps)
        if not all(0 <= value < _INT64 for value in counted) or not 0 < chunk.step_ns < _INT64:
            return IMPOSSIBLE_NUMBER
        if not -_INT64 <= chunk.start_policy_ns < _INT64:
            return IMPOSSIBLE_NUMBER
        if not 0 <= chunk.observation_ns <= chunk.made_ns:
            return IMPOSSIBLE_TIME
        texts = (chunk.policy, chunk.version, chunk.execution, *chunk.arms)
        if len(chunk.arms) > _MAX_ARMS or any(len(text) > _MAX_TEXT for text in texts):
            return f"a name in it was longer than {_MAX_TEXT} characters"
        return ""
