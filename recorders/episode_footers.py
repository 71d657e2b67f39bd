"""What the ends of an episode's files say: its length, its losses, who drove, how well it was in step."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping

from recorders.episode_figures import Figures, SampleTimes, worst_of
from recorders.ledger import Ledger
from recorders.rollout_watch import RolloutWatch
from recorders.schema import EpisodeFooter, EpisodeHeader, SegmentRef
from recorders.segment_names import PART_OF_LONGER
from recorders.segments import SegmentFooter
from teleop_app.core.types import ControlTick

Losses = dict[str, dict[str, int]]
"""Samples by topic and reason."""


class EpisodeFooters:
    """Sees the samples of one episode that are written, and makes its footers.

    Args:
        header: Of the episode.
        ledger: Of the episode.

    Attributes:
        capture_ns: By topic, capture times of the samples written; whoever writes them adds them.
        ticks: Control ticks seen.
        rollout: What a policy did; whoever writes chunks and events shows them to it.
        duration_ns: First to last frame or tick, from the record key on.
    """

    def __init__(self, header: EpisodeHeader, ledger: Ledger) -> None:
        self.capture_ns: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self.ticks = 0
        self.rollout = RolloutWatch(header)
        self._header = header
        self._ledger = ledger
        self._times = SampleTimes(header, self.capture_ns)
        self._actors: Counter[str] = Counter()
        self._first_ns = self._last_ns = 0
        self._earlier = Figures()
        self._told_lost: Losses = {}
        self._told_actors: Counter[str] = Counter()
        self._lost_at_turn: Losses = {}

    @property
    def duration_ns(self) -> int:
        """First to last frame or tick, from the record key on."""
        return self._last_ns - self._first_ns

    def see_tick(self, tick: ControlTick) -> None:
        """A tick that was written."""
        self.ticks += 1
        self._times.ticks.append(tick.tick_ns)
        self._times.lateness.append(tick.tick_ns - tick.due_ns)
        if tick.tick_ns >= self._header.start_ns:
            self._actors[tick.actor.value] += 1
        self.rollout.see_tick(tick.tick_ns, tick.actor.value, tick.autonomy)
        self.extend(tick.tick_ns)

    def extend(self, at_ns: int) -> None:
        """The time of a frame or tick that was written."""
        at_ns = max(at_ns, self._header.start_ns)
        if self._first_ns == 0:
            self._first_ns = self._last_ns = at_ns
        self._first_ns = min(self._first_ns, at_ns)
        self._last_ns = max(self._last_ns, at_ns)

    def rewrite_header(self, header: EpisodeHeader) -> None:
        """The header names more streams from now on."""
        self._header = self._times.header = header

    def turn(self, topic: str) -> None:
        """What a topic lost up to here belongs to the file before."""
        self._lost_at_turn[topic] = self._ledger.lost_by_reason().get(topic, {})

    def of_episode(
        self,
        counts: Mapping[str, int],
        outcome: str,
        segments: tuple[SegmentRef, ...],
        *,
        truncated: bool,
        recovered: bool,
    ) -> EpisodeFooter:
        """The footer of the last file, which is that of the whole episode.

        Args:
            counts: Messages in all files by topic.
            outcome: `success`, `failure` or `unknown`.
            segments: The earlier files.
            truncated: The episode ended early.
            recovered: Written by recovery.
        """
        figures = worst_of(self._earlier, self._times.take().figures())
        return EpisodeFooter(
            duration_ns=self.duration_ns,
            outcome=outcome,
            counts=dict(counts),
            lost={topic: count for topic, count in self._ledger.lost.items() if count},
            lost_reasons=self._ledger.reasons(),
            actor_share=_shares(self._actors),
            late_p99_ms=figures.late_p99_ms,
            sync_p95_ms=figures.sync_p95_ms,
            recovered=recovered,
            truncated=truncated,
            lost_by_reason=self._ledger.lost_by_reason(),
            sync=figures.sync,
            segments=segments,
            rollout=self.rollout.facts(),
        )

    def of_segment(self) -> SegmentFooter:
        """What makes the footer of an earlier file: its messages, and what was lost since the one before."""
        times = self._times.take()
        told, self._told_lost = self._told_lost, self._ledger.lost_by_reason() | self._lost_at_turn
        self._lost_at_turn = {}
        lost = _since(told, self._told_lost)
        actors = self._actors - self._told_actors
        self._told_actors = self._actors.copy()

        def footer(counts: Counter[str], duration_ns: int) -> EpisodeFooter:
            figures = times.figures()
            self._earlier = worst_of(self._earlier, figures)
            return EpisodeFooter(
                duration_ns=duration_ns,
                outcome="unknown",
                counts=dict(counts),
                lost={topic: sum(reasons.values()) for topic, reasons in lost.items()},
                lost_reasons=(PART_OF_LONGER,),
                actor_share=_shares(actors),
                late_p99_ms=figures.late_p99_ms,
                sync_p95_ms=figures.sync_p95_ms,
                lost_by_reason=lost,
                sync=figures.sync,
            )

        return footer


def _shares(actors: Counter[str]) -> dict[str, float]:
    return {name: count / actors.total() for name, count in actors.items()}


def _since(before: Losses, now: Losses) -> Losses:
    """What the counts of losses by topic and reason have grown by."""
    grown: Losses = {}
    for topic, reasons in now.items():
        for reason, count in reasons.items():
            more = count - before.get(topic, {}).get(reason, 0)
            if more > 0:
                grown.setdefault(topic, {})[reason] = more
    return grown
