"""How well policies did: figures of each version over its trials, and the comparison of two versions.

`Catalog.trials` gives the trials; what is here only counts. Rates are of trials whose outcome somebody has
told; every rate has its Wilson 95 % interval.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sessions.proportions import Interval, newcombe, wilson
from sessions.rows import RolloutRow
from sessions.states import EpisodeState, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFilter:
    """Which trials to count; an empty filter means all that were not discarded.

    Times are those of the start: from inclusive, before exclusive [UTC ns].
    """

    session_ids: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    started_from_ns: int | None = None
    started_before_ns: int | None = None
    states: tuple[EpisodeState, ...] = (EpisodeState.SAVED, EpisodeState.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An episode in which a policy might act."""

    uuid: str
    session_id: str
    task: str
    started_utc_ns: int
    outcome: Outcome
    state: EpisodeState
    rollout: RolloutRow


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """What a version of a policy did.

    Attributes:
        policy: Its name.
        version: Of its checkpoint.
        episodes: Trials.
        judged: Of which somebody or something told the outcome.
        successes: Of the judged ones, however much a person helped.
        unaided: Successes without a takeover and without a person driving along.
        success: Interval of successes among the judged.
        unaided_success: Interval of unaided successes among the judged.
        interventions: Takeovers.
        help_calls: Times that the policy asked for help.
        autonomy_s: The policy drove alone.
        blend_s: The policy and a person drove together.
        human_s: A person drove alone.
        reasons: Takeovers by reason; empty for those without one.
        latency_p50_ms: Median of the trials' medians, None without an answer.
        latency_p99_ms: Largest of the trials' 99th percentiles.
        chunks: Answers taken.
        refused: Answers refused.
    """

    policy: str
    version: str
    episodes: int
    judged: int
    successes: int
    unaided: int
    success: Interval
    unaided_success: Interval
    interventions: int
    help_calls: int
    autonomy_s: float
    blend_s: float
    human_s: float
    reasons: Mapping[str, int] = field(default_factory=dict)
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    chunks: int = 0
    refused: int = 0

    @property
    def success_rate(self) -> float | None:
        """Successes among the judged trials, None without any."""
        return self.successes / self.judged if self.judged else None

    @property
    def unaided_rate(self) -> float | None:
        """Unaided successes among the judged trials, None without any."""
        return self.unaided / self.judged if self.judged else None

    @property
    def interventions_per_episode(self) -> float:
        """Takeovers a trial."""
        return self.interventions / self.episodes if self.episodes else 0.0

    @property
    def interventions_per_minute(self) -> float | None:
        """Takeovers a minute of autonomy, None where the policy never drove."""
        return self.interventions / (self.autonomy_s / 60) if self.autonomy_s else None

    @property
    def autonomy_share(self) -> float | None:
        """Of the time in which anybody drove, how much the policy did alone; None when nobody did."""
        driven_s = self.autonomy_s + self.blend_s + self.human_s
        return self.autonomy_s / driven_s if driven_s else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Success rates of two versions: the second minus the first, with its 95 % interval."""

    first: VersionSummary
    second: VersionSummary
    difference: float | None
    interval: Interval
    unaided_difference: float | None
    unaided_interval: Interval

    @property
    def distinguishable(self) -> bool:
        """Whether the interval of the difference lies to one side of zero."""
        return self.interval.low > 0 or self.interval.high < 0


def summarise(trials: Iterable[Trial]) -> tuple[VersionSummary, ...]:
    """Figures of each version, in order of appearance."""
    groups: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.rollout.policy, trial.rollout.version), []).append(trial)
    return tuple(_summary(*key, group) for key, group in groups.items())


def compare(first: VersionSummary, second: VersionSummary) -> Comparison:
    """How much better the second version succeeds than the first."""
    return Comparison(
        first,
        second,
        _minus(second.success_rate, first.success_rate),
        newcombe((second.successes, second.judged), (first.successes, first.judged)),
        _minus(second.unaided_rate, first.unaided_rate),
        newcombe((second.unaided, second.judged), (first.unaided, first.judged)),
    )


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _summary(policy: str, version: str, trials: list[Trial]) -> VersionSummary:
    rollouts = [trial.rollout for trial in trials]
    judged = [trial for trial in trials if trial.outcome is not Outcome.UNKNOWN]
    successes = [trial for trial in judged if trial.outcome is Outcome.SUCCESS]
    unaided = sum(_is_unaided(trial.rollout) for trial in successes)
    medians = [rollout.latency_p50_ms for rollout in rollouts if rollout.latency_p50_ms is not None]
    tails = [rollout.latency_p99_ms for rollout in rollouts if rollout.latency_p99_ms is not None]
    reasons = Counter(takeover.reason for rollout in rollouts for takeover in rollout.takeovers)
    return VersionSummary(
        policy=policy,
        version=version,
        episodes=len(trials),
        judged=len(judged),
        successes=len(successes),
        unaided=unaided,
        success=wilson(len(successes), len(judged)),
        unaided_success=wilson(unaided, len(judged)),
        interventions=reasons.total(),
        help_calls=sum(rollout.help_calls for rollout in rollouts),
        autonomy_s=_driven(rollouts, "policy"),
        blend_s=_driven(rollouts, "blend"),
        human_s=_driven(rollouts, "human"),
        reasons=dict(reasons.most_common()),
        latency_p50_ms=statistics.median(medians) if medians else None,
        latency_p99_ms=max(tails) if tails else None,
        chunks=sum(rollout.chunks for rollout in rollouts),
        refused=sum(rollout.refused for rollout in rollouts),
    )


def _is_unaided(rollout: RolloutRow) -> bool:
    return not rollout.takeovers and _driven([rollout], "blend") == 0.0


def _driven(rollouts: Iterable[RolloutRow], actor: str) -> float:
    return sum(rollout.actor_s.get(actor, 0.0) for rollout in rollouts)
