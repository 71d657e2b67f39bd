"""Sees ticks, chunks and events of an episode, and tells what a policy did in it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from recorders.rollout import RolloutFacts, TakeoverFacts
from recorders.schema import TOPIC_AUTONOMY, TOPIC_CHUNK, EpisodeHeader
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.types import AutonomyTick, PolicyChunk

if TYPE_CHECKING:
    from recorders.reader import EpisodeReader

EVENT_OUTCOME: Final = "episode.outcome"
"""Somebody said whether the task was achieved: `outcome`."""
EVENT_TAKEOVER: Final = "episode.takeover"
"""Somebody labelled a takeover: `takeover`, `reason`, `outcome`; what is empty stays."""
EVENT_POLICY: Final = "episode.policy"
"""What the policy process told of itself: `policy`, `version`, `label`, `execution`."""
_MAX_TAKEOVERS = 10_000
_MAX_TEXT = 200


@dataclass(slots=True)
class _Takeover:
    first_ns: int = 0
    last_ns: int = 0
    source: str = ""
    phase: str = ""
    reason: str = ""
    outcome: str = ""


class RolloutWatch:
    """Grows with the episode; costs a few microseconds a tick.

    Args:
        header: Of the episode.

    Attributes:
        outcome: What somebody said of the episode last, empty when nobody did.
    """

    def __init__(self, header: EpisodeHeader) -> None:
        self.outcome = ""
        self._start_ns = header.start_ns
        self._period_s = 1.0 / header.control_rate_hz
        self._actors: Counter[str] = Counter()
        self._phases: Counter[str] = Counter()
        self._modes: dict[str, None] = {}
        self._takeovers: dict[int, _Takeover] = {}
        self._current = self._latest = 0
        self._policies: Counter[tuple[str, str]] = Counter()
        self._executions: Counter[str] = Counter()
        self._latencies_ns: array[int] = array("q")
        self._told = dict.fromkeys(("policy", "version", "label", "execution"), "")
        self._help_calls = self._refused = 0
        self._seen = False

    def see_tick(self, tick_ns: int, actor: str, autonomy: AutonomyTick | None) -> None:
        """A control tick.

        Args:
            tick_ns: Its time.
            actor: Who drove.
            autonomy: Of the policy in use, if there was one.
        """
        if autonomy is None:
            self._see(tick_ns, actor, "", "", 0)
        else:
            self._see(tick_ns, actor, autonomy.mode, autonomy.phase, autonomy.takeover)

    def _see(self, tick_ns: int, actor: str, mode: str, phase: str, takeover: int) -> None:
        if tick_ns < self._start_ns:
            return
        self._actors[actor] += 1
        self._current = takeover
        if not mode:
            return
        self._seen = True
        self._phases[phase] += 1
        self._modes[mode] = None
        if takeover and (found := self._takeover(takeover)) is not None:
            found.first_ns = found.first_ns or tick_ns
            found.last_ns = max(found.last_ns, tick_ns)
            found.phase = found.phase or phase

    def _takeover(self, number: int) -> _Takeover | None:
        if number not in self._takeovers and len(self._takeovers) >= _MAX_TAKEOVERS:
            return None
        self._latest = number
        return self._takeovers.setdefault(number, _Takeover())

    def has_takeover(self, number: int) -> bool:
        """Whether a tick or event of this takeover was seen."""
        found = self._takeovers.get(number)
        return found is not None and found.first_ns > 0

    def see_chunk(self, chunk: PolicyChunk) -> None:
        """A chunk that was written; one from before the record key counts for its policy's name only."""
        self._seen = True
        if chunk.made_ns < self._start_ns:
            self._told |= {"policy": chunk.policy, "version": chunk.version, "execution": chunk.execution}
            return
        self._policies[chunk.policy, chunk.version] += 1
        self._executions[chunk.execution] += 1
        self._latencies_ns.append(chunk.latency_ns)

    def see_event(self, kind: str, capture_ns: int, fields: Mapping[str, object]) -> None:
        """An event; those that are not about a policy are passed over."""
        if kind == EVENT_POLICY:
            for name in self._told:
                self._told[name] = _text(fields.get(name)) or self._told[name]
            self._seen = True
        elif kind == EVENT_OUTCOME:
            self.outcome = _text(fields.get("outcome"))
        elif kind == EVENT_TAKEOVER or kind.startswith("autonomy."):
            self._see_autonomy(kind, capture_ns, fields)
        elif kind == "policy.refused" and capture_ns >= self._start_ns:
            self._refused += 1

    def _see_autonomy(self, kind: str, capture_ns: int, fields: Mapping[str, object]) -> None:
        if kind == "autonomy.help" and capture_ns >= self._start_ns:
            self._help_calls += 1
            return
        number = fields.get("takeover")
        if not isinstance(number, int) or isinstance(number, bool):
            return
        found = self._takeover(number or self._latest) if number or self._latest else None
        if found is None:
            return
        if kind == "autonomy.takeover":
            found.source, found.phase = _text(fields.get("source")), _text(fields.get("phase"))
            if capture_ns >= self._start_ns:
                found.first_ns = min(found.first_ns or capture_ns, capture_ns)
                found.last_ns = max(found.last_ns, capture_ns)
        elif kind == "autonomy.returned":
            found.outcome = _text(fields.get("outcome"))
        elif kind in ("autonomy.reason", EVENT_TAKEOVER):
            found.reason = _text(fields.get("reason")) or found.reason
            found.outcome = _text(fields.get("outcome")) or found.outcome

    def facts(self) -> RolloutFacts | None:
        """What there was so far; None while no policy was in use."""
        if not self._seen:
            return None
        policy, version, label, execution = self._told.values()
        if self._policies:
            policy, version = self._policies.most_common(1)[0][0]
            execution = self._executions.most_common(1)[0][0]
        milliseconds = np.array(self._latencies_ns, np.float64) / NS_PER_MS
        p50, p99 = np.percentile(milliseconds, (50, 99)).tolist() if len(milliseconds) else (0.0, 0.0)
        return RolloutFacts(
            policy=policy,
            version=version,
            label=label,
            execution=execution,
            modes=tuple(self._modes),
            actor_s=self._seconds(self._actors),
            phase_s=self._seconds(self._phases),
            takeovers=tuple(
                self._fact(number, takeover)
                for number, takeover in sorted(self._takeovers.items(), key=lambda item: item[1].first_ns)
                if takeover.first_ns
            ),
            help_calls=self._help_calls,
            chunks=len(self._latencies_ns),
            refused=self._refused,
            latency_p50_ms=round(p50, 3),
            latency_p99_ms=round(p99, 3),
        )

    def _seconds(self, ticks: Counter[str]) -> dict[str, float]:
        return {str(name): round(count * self._period_s, 6) for name, count in ticks.items()}

    def _fact(self, number: int, takeover: _Takeover) -> TakeoverFacts:
        """One that the last tick still belongs to ended with the episode, when nobody said otherwise."""
        return TakeoverFacts(
            number=number,
            start_ns=takeover.first_ns,
            end_ns=takeover.last_ns,
            source=takeover.source,
            phase=takeover.phase,
            reason=takeover.reason,
            outcome=takeover.outcome or ("finished" if number == self._current else ""),
        )

    def see_episode(self, reader: EpisodeReader) -> None:
        """Everything in a file, after what came before it.

        Raises:
            EpisodeError: The file is damaged.
        """
        happened = [(event.capture_ns, event) for event in reader.events()]
        if reader.container.channel(TOPIC_AUTONOMY) is None and reader.container.channel(TOPIC_CHUNK) is None:
            for at_ns, event in happened:
                self.see_event(event.kind, at_ns, event.fields)
            return
        ticks, autonomy = reader.ticks(), reader.autonomy()
        for chunk in reader.chunks():
            self.see_chunk(chunk)
        place = dict(zip(autonomy.capture_ns.tolist(), range(len(autonomy.capture_ns)), strict=True))
        at = 0
        for tick_ns, actor in zip(ticks.capture_ns.tolist(), ticks.actor, strict=True):
            while at < len(happened) and happened[at][0] <= tick_ns:
                self.see_event(happened[at][1].kind, happened[at][0], happened[at][1].fields)
                at += 1
            row = place.get(tick_ns)
            if row is None:
                self._see(tick_ns, actor, "", "", 0)
            else:
                takeover = int(autonomy.takeover[row])
                self._see(tick_ns, actor, autonomy.mode[row], autonomy.phase[row], takeover)
        for at_ns, event in happened[at:]:
            self.see_event(event.kind, at_ns, event.fields)


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""
