"""What an episode's footer tells of a policy that was in use."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TakeoverFacts:
    """A person took the robot over from a policy.

    Attributes:
        number: As control counts them over the station's life.
        start_ns: First tick of it, from the record key on, CLOCK_MONOTONIC [ns].
        end_ns: Last one.
        source: Input that did it, empty when that was not recorded.
        phase: What it began with: `recover` or `correct`.
        reason: Why, a short key; empty when nobody said so.
        outcome: `resumed` (the policy went on), `finished` (people, or the episode's end, ended it),
            `aborted` (the robot was stopped), or empty.
    """

    number: int
    start_ns: int
    end_ns: int
    source: str = ""
    phase: str = ""
    reason: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """How a policy was used in an episode, from the record key on.

    Attributes:
        policy: Whose chunks were most; empty when none came and nobody named it.
        version: Likewise.
        label: Of a blind comparison, else empty.
        execution: How most chunks were asked for.
        modes: Authority modes that were in force, in order of appearance.
        actor_s: Who drove for how long [s].
        phase_s: How long each phase lasted [s].
        takeovers: In order.
        help_calls: Times that the policy asked for help.
        chunks: Answers taken.
        refused: Answers refused.
        latency_p50_ms: From request to answer; 0 without an answer.
        latency_p99_ms: Likewise.
    """

    policy: str
    version: str
    label: str = ""
    execution: str = ""
    modes: tuple[str, ...] = ()
    actor_s: dict[str, float] = field(default_factory=dict)
    phase_s: dict[str, float] = field(default_factory=dict)
    takeovers: tuple[TakeoverFacts, ...] = ()
    help_calls: int = 0
    chunks: int = 0
    refused: int = 0
    latency_p50_ms: float = 0.0
    latency_p99_ms: float = 0.0
