"""What a recording received, lost and refused, by topic; becomes the episode's footer."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
NEVER_ARRIVED = "never arrived"
"""Why a sample is missing that left a gap in its source's numbers."""
OTHER = "other topics"
"""Where refusals on topics with impossible names, and those beyond all measure, are booked."""
MAX_GAP = 1_000_000
"""More missing numbers than this are no loss: the source counts anew. 17 minutes at 1 kHz."""
_MAX_REASONS = 1000
_MAX_TOPIC = 200


class Ledger:
    """Counts per topic. Sequence gaps are losses; what was refused keeps its reason.

    Attributes:
        counts: Messages written.
        lost: Samples that were due and are not there, whatever the reason.
        repeated: Readings that a tick brought a second time and that were written once.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.repeated: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._told: Counter[tuple[str, str]] = Counter()
        self._explained: Counter[tuple[str, str]] = Counter()
        self._notes: list[str] = []
        self._next_seq: dict[str, int] = {}
        self._counters: dict[str, tuple[int, int, int]] = {}
        self._first_ns: dict[str, int] = {}
        self._last_ns: dict[str, int] = {}

    def sequence(self, topic: str, seq: int, step: int = 1, source: str = "") -> int:
        """Note that number `seq` arrived; returns how many were skipped before it.

        Args:
            topic: Where the loss is booked.
            seq: Number of the (first) sample.
            step: How many samples it carries.
            source: Tells apart several counters on one topic.
        """
        key = f"{topic}\n{source}"
        expected = self._next_seq.get(key, seq)
        self._next_seq[key] = seq + step
        missing = max(0, seq - expected)
        if missing > MAX_GAP:
            self._restarted(topic)
            return 0
        if missing:
            self.lost[topic] += missing
        return missing

    def _restarted(self, topic: str) -> None:
        self.note(f"The source of {topic} was restarted during the recording.")

    def continued(
        self, topic: str, seq: int, at_ns: int, period_ns: int = 0, step: int = 1, until_ns: int | None = None
    ) -> int:
        """As `sequence`, for a source that may start anew at any number; returns a number that goes on.

        Args:
            topic: Where the loss is booked.
            seq: As the source counts.
            at_ns: Time of the (first) sample.
            period_ns: From sample to sample, tells how many a restart cost; 0: from message to message.
            step: How many samples the message carries.
            until_ns: Time of the last of them.
        """
        next_seq, offset, last_ns = self._counters.get(topic, (seq, 0, at_ns))
        missing = seq - next_seq
        if not 0 <= missing <= MAX_GAP and at_ns > last_ns:
            period_ns = period_ns or self._mean_period_ns(topic) or at_ns - last_ns
            missing = max(0, round((at_ns - last_ns) / period_ns) - 1)
            offset += next_seq + missing - seq
            self._restarted(topic)
        if not 0 <= missing <= MAX_GAP:
            return seq + offset  # old or doubled: its time tells, and it is refused
        self._counters[topic] = (seq + step, offset, at_ns if until_ns is None else until_ns)
        if missing:
            self.lost[topic] += missing
        return seq + offset

    def _mean_period_ns(self, topic: str) -> int:
        """Mean time between the messages written on a topic whose order is watched, 0 before the second."""
        intervals = self.counts[topic] - 1
        return (self._last_ns[topic] - self._first_ns[topic]) // intervals if intervals > 0 else 0

    def is_later(self, topic: str, capture_ns: int) -> bool:
        """Whether `capture_ns` is after all that was noted on this topic; notes it if so."""
        last_ns = self._last_ns.get(topic)
        if last_ns is not None and capture_ns <= last_ns:
            return False
        if last_ns is None:
            self._first_ns[topic] = capture_ns
        self._last_ns[topic] = capture_ns
        return True

    def spans(self) -> dict[str, tuple[int, int]]:
        """First and last time of each topic whose order is watched."""
        return {topic: (first_ns, self._last_ns[topic]) for topic, first_ns in self._first_ns.items()}

    def refuse(self, topic: str, reason: str, count: int = 1) -> None:
        """Book samples that were not recorded; `reason` completes `refused because ...`."""
        if (topic, reason) not in self._refused:
            topic = topic if self._has_room(topic) else OTHER
        self._refused[topic, reason] += count
        self.lost[topic] += count

    def _has_room(self, topic: str) -> bool:
        return len(self._refused) < _MAX_REASONS and len(topic) <= _MAX_TOPIC and topic.isprintable()

    def lose(self, topic: str, count: int, sentence: str) -> None:
        """Book a loss known from outside, such as a process that died, with its sentence."""
        self._told[topic, sentence] += count
        self.lost[topic] += count
        self.note(sentence)

    def explain(self, topic: str, reason: str, count: int) -> None:
        """Say why numbers are missing, as the end of `missing because ...`; never more than are missing."""
        if (topic, reason) in self._explained or len(self._explained) < _MAX_REASONS:
            self._explained[topic, reason] += count

    def note(self, sentence: str) -> None:
        """Keep a sentence about the recording."""
        if sentence not in self._notes:
            self._notes.append(sentence)

    def lost_by_reason(self) -> dict[str, dict[str, int]]:
        """Samples lost, by topic and reason; each topic's sum is that of `lost`."""
        found: dict[str, dict[str, int]] = {}
        for booked in (self._refused, self._told):
            for (topic, reason), count in sorted(booked.items()):
                found.setdefault(topic, {})[reason] = count
        for (topic, reason), missing in self._gaps().items():
            reasons = found.setdefault(topic, {})
            reasons[reason] = reasons.get(reason, 0) + missing
        return found

    def _gaps(self) -> dict[tuple[str, str], int]:
        """Numbers that are missing, by topic and by what is known about why."""
        gaps: dict[tuple[str, str], int] = {}
        left = self._never_arrived()
        for (topic, reason), count in sorted(self._explained.items()):
            known = min(count, left.get(topic, 0))
            if known:
                gaps[topic, reason] = known
                left[topic] -= known
        return gaps | {(topic, NEVER_ARRIVED): count for topic, count in left.items() if count}

    def _never_arrived(self) -> dict[str, int]:
        missing = self.lost.copy()
        for booked in (self._refused, self._told):
            for (topic, _), count in booked.items():
                missing[topic] -= count
        return {topic: count for topic, count in sorted(missing.items()) if count > 0}

    def reasons(self) -> tuple[str, ...]:
        """Sentences on everything that was lost or refused."""
        refused = [
            f"{_samples(count)} of {topic} refused because {reason}."
            for (topic, reason), count in sorted(self._refused.items())
        ]
        skipped = [
            f"{_samples(count)} of {topic} "
            + (f"{NEVER_ARRIVED}." if reason == NEVER_ARRIVED else f"missing because {reason}.")
            for (topic, reason), count in self._gaps().items()
        ]
        repeated = [
            f"{_samples(count)} of {topic} came twice and {'are' if count > 1 else 'is'} kept once."
            for topic, count in sorted(self.repeated.items())
        ]
        return (*self._notes, *skipped, *refused, *repeated)


def _samples(count: int) -> str:
    return f"{count} sample{'s' if count > 1 else ''}"


def nearest_spacing_ns(times_ns: IntArray, among_ns: IntArray) -> IntArray:
    """Distance from each of `times_ns`, shape (k,), to the nearest of sorted `among_ns`, shape (m > 0,)."""
    right = np.clip(np.searchsorted(among_ns, times_ns), 1, max(1, len(among_ns) - 1))
    left = right - 1
    right = np.minimum(right, len(among_ns) - 1)
    return np.minimum(np.abs(times_ns - among_ns[left]), np.abs(among_ns[right] - times_ns))
