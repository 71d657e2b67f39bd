"""What an episode file says of its own times and losses, ready to be shown and copied."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from recorders.schema import EpisodeFooter, EpisodeHeader, SyncPair
from ui.theme import Role
from ui.viewmodels.trust import stream_name

CLOSE_MS = 5.0
FAR_MS = 20.0
"""95th percentiles: up to the first two streams fit together, beyond the second they do not."""

_SAMPLES_OF = re.compile(r"\bof (/[\w/.-]*\w)")
"""How the writer begins a sentence on the samples of a topic."""


class Fit(Enum):
    """How two streams fit together: a word and a colour."""

    CLOSE = ("close", Role.GOOD)
    APART = ("apart", Role.WARNING)
    FAR = ("far apart", Role.FAULT)

    @property
    def word(self) -> str:
        """For people."""
        return self.value[0]

    @property
    def role(self) -> Role:
        """Colour role."""
        return self.value[1]


def fit_of(spacing_ms: float) -> Fit:
    """Returns the word for a spacing [ms]."""
    return Fit.CLOSE if spacing_ms <= CLOSE_MS else Fit.APART if spacing_ms <= FAR_MS else Fit.FAR


@dataclass(frozen=True, slots=True)
class EpisodeReport:
    """The parts of the inspector that come from the file.

    Attributes:
        uuid: Of the episode.
        pairs: Spacing of every two streams, the widest first.
        headline: The worst pair and how many are close, in one line.
        fit: Of the worst pair, None when nothing was measured.
        losses: One line a stream that lost something, with the reasons.
        notes: Sentences on what was cut short or recovered.
        remarks: Sentences on the samples that `losses` does not have.
        latencies: One line a calibration in force.
        parts: One line an earlier file of a long episode.
    """

    uuid: str
    pairs: tuple[SyncPair, ...] = ()
    headline: str = ""
    fit: Fit | None = None
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    latencies: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Plain text for the clipboard; columns by tabs, so that a spreadsheet takes them."""
        lines = [f"Episode {self.uuid}", self.headline or "Synchronisation was not measured."]
        if self.pairs:
            lines += ["", "\t".join(("slower", "faster", "p50 ms", "p95 ms", "p99 ms", "max ms", "mean ms"))]
            lines += [pair_text(pair) for pair in self.pairs]
        for title, part in (
            ("Lost", self.losses),
            ("Notes", (*self.notes, *self.remarks)),
            ("Latencies in force", self.latencies),
            ("Earlier files", self.parts),
        ):
            if part:
                lines += ["", title, *part]
        return "\n".join(lines) + "\n"


def pair_text(pair: SyncPair) -> str:
    """Returns one pair as a line with tabs."""
    figures = (pair.p50_ms, pair.p95_ms, pair.p99_ms, pair.max_ms, pair.offset_ms)
    return "\t".join([stream_name(pair.slower), stream_name(pair.faster), *(f"{ms:.2f}" for ms in figures)])


def report_of(header: EpisodeHeader, footer: EpisodeFooter | None) -> EpisodeReport:
    """Returns the report of an episode.

    Args:
        header: Of the file.
        footer: Of the file, None when a crash cut it off.
    """
    if footer is None:
        return EpisodeReport(header.uuid, notes=("The file has no end: it was cut off by a crash.",))
    pairs = tuple(sorted(footer.sync, key=lambda pair: (-pair.p95_ms, -pair.max_ms)))
    return EpisodeReport(
        uuid=header.uuid,
        pairs=pairs,
        headline=_headline(pairs),
        fit=fit_of(pairs[0].p95_ms) if pairs else None,
        losses=_losses(footer),
        notes=_notes(footer),
        remarks=_remarks(footer),
        latencies=tuple(
            f"{stream_name(each.stream)}  {each.latency_ns / 1e6:.1f} ms "
            f"\N{PLUS-MINUS SIGN} {each.spread_ns / 1e6:.1f} ms  ({each.method}, {each.measured_utc[:10]})"
            for each in header.latencies
        ),
        parts=tuple(
            f"{number}  {part.name}  "
            f"{(part.end_ns - part.start_ns) / 1e9:.0f} s  {part.size_bytes / 1e6:.1f} MB"
            for number, part in enumerate(footer.segments, start=1)
        ),
    )


def _headline(pairs: tuple[SyncPair, ...]) -> str:
    if not pairs:
        return ""
    worst, close = pairs[0], sum(pair.p95_ms <= CLOSE_MS for pair in pairs)
    names = f"{stream_name(worst.slower)} and {stream_name(worst.faster)}"
    share = f"all {len(pairs)} pairs" if close == len(pairs) else f"{close} of {len(pairs)} pairs"
    if len(pairs) == 1:
        share = "the only pair" if close else "no pair"
    return f"Widest: {names}, p95 {worst.p95_ms:.1f} ms. Within {CLOSE_MS:g} ms: {share}."


def _losses(footer: EpisodeFooter) -> tuple[str, ...]:
    lines = []
    for topic, count in sorted(footer.lost.items(), key=lambda item: -item[1]):
        if count > 0:
            reasons = footer.lost_by_reason.get(topic, {})
            why = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items(), key=lambda r: -r[1]))
            lines.append(f"{stream_name(topic)}  {count}{f': {why}' if why else ''}")
    return tuple(lines)


def _notes(footer: EpisodeFooter) -> tuple[str, ...]:
    notes = []
    if footer.recovered:
        notes.append("It was recovered after a crash.")
    if footer.truncated:
        notes.append("It ends before the operator stopped it.")
    return (*notes, *(sentence for sentence in footer.lost_reasons if not _SAMPLES_OF.search(sentence)))


def _remarks(footer: EpisodeFooter) -> tuple[str, ...]:
    """Sentences on samples of a topic, but those whose figures `_losses` gives already."""
    told = {topic for topic, count in footer.lost.items() if count and footer.lost_by_reason.get(topic)}
    found = ((sentence, _SAMPLES_OF.search(sentence)) for sentence in footer.lost_reasons)
    return tuple(
        sentence.replace(match[1], stream_name(match[1]))
        for sentence, match in found
        if match is not None and match[1] not in told
    )
