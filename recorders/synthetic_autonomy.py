"""Episodes made of arithmetic in which a policy drives and a person takes over."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from recorders.schema import EpisodeHeader
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.writer import EpisodeWriter, FinishedEpisode
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlTick,
    Event,
    PolicyChunk,
    Sample,
)

Phases = Sequence[tuple[AutonomyPhase, float]]
"""What goes on, and for how long [s]; the last one until the end."""
PHASES: Phases = (
    (AutonomyPhase.POLICY, 0.8),
    (AutonomyPhase.RECOVER, 0.3),
    (AutonomyPhase.CORRECT, 0.3),
    (AutonomyPhase.RETURN, 0.1),
    (AutonomyPhase.POLICY, 0.5),
)
POLICY, VERSION = "reach", "checkpoint-3"
FIRST_TAKEOVER = 7
STEP_NS = 50_000_000
STEPS = 8
CHUNK_EVERY_NS = 200_000_000
LATENCY_NS = 60_000_000
_ACTORS = {
    AutonomyPhase.POLICY: Actor.POLICY,
    AutonomyPhase.RECOVER: Actor.HUMAN,
    AutonomyPhase.CORRECT: Actor.HUMAN,
    AutonomyPhase.DEMONSTRATE: Actor.HUMAN,
    AutonomyPhase.BLEND: Actor.BLEND,
}
_TAKEN_OVER = (AutonomyPhase.RECOVER, AutonomyPhase.CORRECT, AutonomyPhase.BLEND)


def synthetic_chunk(header: EpisodeHeader, number: int, start_ns: int) -> PolicyChunk:
    """Chunk `number`, from 1; the policy's clock counts from the start."""
    due_ns = (number - 1) * CHUNK_EVERY_NS
    at = (due_ns + STEP_NS * np.arange(STEPS)) / NS_PER_S
    actions = np.sin(at[:, None] * 4 + np.arange(len(header.joint_names)))
    return PolicyChunk(
        policy=POLICY,
        version=VERSION,
        chunk=number,
        observation_ns=start_ns + due_ns - LATENCY_NS,
        made_ns=start_ns + due_ns,
        start_policy_ns=due_ns,
        step_ns=STEP_NS,
        actions=actions,
        arms=header.arms,
        latency_ns=LATENCY_NS + number * 1_000_000,
        server_ns=LATENCY_NS // 2,
        delay_steps=2,
        frozen_steps=1,
        execution="rtc",
        uncertainty=0.01 * number,
    )


def synthetic_rollout(
    header: EpisodeHeader, seconds: float, start_ns: int, phases: Phases = PHASES
) -> Iterator[Sample]:
    """The samples of an episode with a policy in use; see `synthetic_samples`.

    The human's leader asks for 0.5 rad of every joint while a person drives.
    """
    bounds = np.cumsum([round(duration * NS_PER_S) for _, duration in phases])
    takeover, last = FIRST_TAKEOVER - 1, AutonomyPhase.POLICY
    chunk: PolicyChunk | None = None
    for sample in synthetic_samples(header, seconds, start_ns):
        if not isinstance(sample, ControlTick):
            yield sample
            continue
        since_ns = sample.tick_ns - start_ns
        number = since_ns // CHUNK_EVERY_NS + 1
        if chunk is None or number > chunk.chunk:
            chunk = synthetic_chunk(header, number, start_ns)
            yield chunk
        place = min(int(np.searchsorted(bounds, since_ns, side="right")), len(phases) - 1)
        phase = phases[place][0]
        began = phase in _TAKEN_OVER and last not in _TAKEN_OVER
        if began:
            takeover += 1
            fields: dict[str, object] = {"takeover": takeover, "source": "leader", "phase": phase.value}
            yield Event("autonomy.takeover", sample.tick_ns, "control", "Taken over.", fields)
        elif last in _TAKEN_OVER and phase not in _TAKEN_OVER:
            fields = {"takeover": takeover, "seconds": 0.6, "outcome": "resumed"}
            yield Event("autonomy.returned", sample.tick_ns, "control", "Given back.", fields)
        last = phase
        yield rollout_tick(sample, phase, takeover if phase in _TAKEN_OVER else 0, chunk, since_ns)


def rollout_tick(
    tick: ControlTick, phase: AutonomyPhase, takeover: int, chunk: PolicyChunk, policy_ns: int
) -> ControlTick:
    """A tick with the policy's part in it."""
    index = (policy_ns - chunk.start_policy_ns) / chunk.step_ns
    human = np.full(len(tick.commanded), 0.5) if phase in _TAKEN_OVER else None
    proposal = chunk.actions[min(int(index), len(chunk.actions) - 1)]
    manual = phase is AutonomyPhase.DEMONSTRATE
    part = AutonomyTick(
        mode=AuthorityMode.MANUAL if manual else AuthorityMode.SUPERVISED,
        phase=phase,
        takeover=takeover,
        alpha={AutonomyPhase.POLICY: 1.0, AutonomyPhase.BLEND: 0.25}.get(phase, 0.0),
        chunk=chunk.chunk,
        index=index,
        policy_ns=policy_ns,
        speed=0.5,
        human=human,
    )
    return dataclasses.replace(
        tick,
        actor=_ACTORS.get(phase, Actor.NONE),
        source="leader" if takeover else "",
        policy=proposal,
        autonomy=part,
    )


def write_rollout(
    folder: Path,
    phases: Phases = PHASES,
    header: EpisodeHeader | None = None,
    *,
    outcome: str = "success",
) -> FinishedEpisode:
    """A finished episode with a policy in use, as long as its phases.

    Raises:
        StorageError: As the writer.
    """
    header = header or synthetic_header(width=64, height=48)
    seconds = sum(duration for _, duration in phases)
    writer = EpisodeWriter(
        folder / f".{header.uuid}.mcap", header, destination=folder / f"{header.uuid}.mcap", flush_s=0.02
    )
    for sample in synthetic_rollout(header, seconds, header.anchor_monotonic_ns, phases):
        feed(writer, sample)
    return writer.finish(outcome)
