"""Reads back what a policy proposed and who had the say."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from recorders import wire
from recorders.message_blocks import Block
from recorders.schema import Array, AutonomyTrack, IntArray
from recorders.track_builders import ToMonotonic
from recorders.tracks import concatenated, doubles, ragged, signed, text
from recorders.wire_columns import columns_of
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import PolicyChunk

_COUNTERS = {"takeover": 4, "chunk": 6, "policy_ns": 8}
_NUMBERS = {"alpha": 5, "index": 7, "speed": 9}


class AutonomyBuilder:
    """Autonomy parts of control ticks."""

    def __init__(self, joints: int) -> None:
        self._joints = joints
        self._times: list[IntArray] = []
        self._modes: list[str] = []
        self._phases: list[str] = []
        self._counters: dict[str, list[IntArray]] = {name: [] for name in _COUNTERS}
        self._numbers: dict[str, list[Array]] = {name: [np.zeros(0)] for name in _NUMBERS}
        self._human: list[Array] = [np.zeros((0, joints))]

    def add(self, block: Block) -> None:
        """Append messages."""
        self._times.append(block.log_utc_ns)
        if not self._add_columns(block):
            self._add_slowly(block)

    def _add_columns(self, block: Block) -> bool:
        found = columns_of(block)
        if found is None:
            return False
        numbers = {name: found.doubles(number) for name, number in _NUMBERS.items()}
        human = found.doubles(10)
        if human is None or any(each is None or (each[1] > 1).any() for each in numbers.values()):
            return False
        for name, each in numbers.items():
            if each is not None:
                self._numbers[name].append(np.nan_to_num(ragged(*each, 1)[:, 0]))
        for name, number in _COUNTERS.items():
            self._counters[name].append(found[number].value)
        self._modes += found.texts(2)
        self._phases += found.texts(3)
        self._human.append(ragged(*human, self._joints))
        return True

    def _add_slowly(self, block: Block) -> None:
        rows = [dict(wire.fields(payload)) for payload in block.payloads()]
        self._modes += [text(row.get(2)) for row in rows]
        self._phases += [text(row.get(3)) for row in rows]
        for name, number in _COUNTERS.items():
            self._counters[name].append(np.array([signed(row.get(number)) for row in rows], np.int64))
        for name, number in _NUMBERS.items():
            values = [doubles(row.get(number)) for row in rows]
            self._numbers[name].append(np.array([float(each[0]) if len(each) else 0.0 for each in values]))
        people = [doubles(row.get(10)) for row in rows]
        counts = np.array([len(each) for each in people], np.int64)
        self._human.append(ragged(np.concatenate([np.zeros(0), *people]), counts, self._joints))

    def track(self, monotonic: ToMonotonic) -> AutonomyTrack:
        """What was added."""
        return AutonomyTrack(
            capture_ns=monotonic(concatenated(self._times)),
            mode=tuple(self._modes),
            phase=tuple(self._phases),
            takeover=concatenated(self._counters["takeover"]),
            alpha=np.concatenate(self._numbers["alpha"]),
            chunk=concatenated(self._counters["chunk"]),
            index=np.concatenate(self._numbers["index"]),
            policy_ns=concatenated(self._counters["policy_ns"]),
            speed=np.concatenate(self._numbers["speed"]),
            human=np.concatenate(self._human),
        )


def policy_chunks(blocks: Iterable[Block], joints: int, monotonic: ToMonotonic) -> tuple[PolicyChunk, ...]:
    """Chunks in order of their answers, times in CLOCK_MONOTONIC [ns].

    Args:
        blocks: Messages of the topic.
        joints: Length of the episode's joint vector.
        monotonic: From UTC.

    Raises:
        EpisodeError: A chunk's actions have another shape than it says, or than the joint vector.
    """
    return tuple(
        _chunk(payload, made_ns, joints, monotonic)
        for block in blocks
        for payload, made_ns in zip(block.payloads(), monotonic(block.log_utc_ns).tolist(), strict=True)
    )


def _chunk(payload: bytes, made_ns: int, joints: int, monotonic: ToMonotonic) -> PolicyChunk:
    fields = list(wire.fields(payload))
    values = dict(fields)
    numbers = {number: signed(values.get(number)) for number in (4, 5, 6, 7, 8, 11, 12, 13, 14)}
    actions = doubles(values.get(9))
    if numbers[8] < 1 or len(actions) != numbers[8] * joints:
        raise EpisodeError(f"A chunk has {len(actions)} numbers, not {numbers[8]} actions of {joints} joints")
    return PolicyChunk(
        policy=text(values.get(2)),
        version=text(values.get(3)),
        chunk=numbers[4],
        observation_ns=int(monotonic(np.array([numbers[5]], np.int64))[0]),
        made_ns=made_ns,
        start_policy_ns=numbers[6],
        step_ns=numbers[7],
        actions=actions.reshape(numbers[8], joints),
        arms=tuple(text(raw) for number, raw in fields if number == 10),
        latency_ns=numbers[11],
        server_ns=numbers[12],
        delay_steps=numbers[13],
        frozen_steps=numbers[14],
        execution=text(values.get(15)),
        uncertainty=_number(values.get(16)),
        novelty=_number(values.get(17)),
    )


def _number(raw: int | bytes | None) -> float:
    found = doubles(raw)
    return float(found[0]) if len(found) else float("nan")
