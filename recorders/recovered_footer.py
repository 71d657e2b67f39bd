"""The footer of a file whose own was lost, made from its messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from recorders.container import Container
from recorders.episode_figures import Figures, TakenTimes, named_topics, worst_of
from recorders.ledger import NEVER_ARRIVED
from recorders.losses import Loss, losses_in, lost_by_topic, numbered_topics, read_numbers
from recorders.reader import EpisodeReader
from recorders.schema import TOPIC_TICK, EpisodeFooter, EpisodeHeader, SegmentRef, topic_video


@dataclass(slots=True)
class Summary:
    """What a file, or the files of an episode up to one, amount to.

    Attributes:
        counts: Messages by topic.
        lost: Samples lost by topic and reason.
        ticks: Control ticks by actor, from the record key on.
        figures: How well in step.
        first_ns: First frame or tick, CLOCK_MONOTONIC [ns]; 0 when there is none.
        last_ns: Last one.
        losses: Where samples are missing.
    """

    counts: Counter[str] = field(default_factory=lambda: Counter[str]())
    lost: dict[str, Counter[str]] = field(default_factory=lambda: dict[str, Counter[str]]())
    ticks: Counter[str] = field(default_factory=lambda: Counter[str]())
    figures: Figures = field(default_factory=Figures)
    first_ns: int = 0
    last_ns: int = 0
    losses: tuple[Loss, ...] = ()

    def add(self, more: Summary) -> None:
        """Take in the file that follows."""
        self.counts += more.counts
        for topic, reasons in more.lost.items():
            self.lost.setdefault(topic, Counter()).update(reasons)
        self.ticks += more.ticks
        self.figures = worst_of(self.figures, more.figures)
        if more.last_ns:
            self.first_ns = self.first_ns or more.first_ns
            self.last_ns = more.last_ns
        self.losses += more.losses

    def add_loss(self, topic: str, reason: str, count: int) -> None:
        """Book a loss."""
        self.lost.setdefault(topic, Counter())[reason] += count

    def footer(
        self, reasons: tuple[str, ...], segments: tuple[SegmentRef, ...] = (), outcome: str = "unknown"
    ) -> EpisodeFooter:
        """What the end of the last file then says.

        Args:
            reasons: Sentences on what is lost besides samples that never arrived.
            segments: Earlier files.
            outcome: `success`, `failure` or `unknown`.
        """
        ticks = self.ticks.total()
        lost = {topic: reason.total() for topic, reason in self.lost.items() if reason.total()}
        return EpisodeFooter(
            duration_ns=self.last_ns - self.first_ns,
            outcome=outcome,
            counts=dict(self.counts),
            lost=lost,
            lost_reasons=(*reasons, *self._sentences()),
            actor_share={name: count / ticks for name, count in self.ticks.items()},
            late_p99_ms=self.figures.late_p99_ms,
            sync_p95_ms=self.figures.sync_p95_ms,
            recovered=True,
            truncated=True,
            lost_by_reason={topic: dict(reason) for topic, reason in self.lost.items() if reason.total()},
            sync=self.figures.sync,
            segments=segments,
        )

    def _sentences(self) -> list[str]:
        return [
            f"{count} samples of {topic}: {reason}."
            if reason != NEVER_ARRIVED
            else f"{count} samples of {topic} {reason}."
            for topic, reasons in self.lost.items()
            for reason, count in reasons.items()
        ]


def summary_of_footer(reader: EpisodeReader, footer: EpisodeFooter) -> Summary:
    """What a whole earlier file says of itself."""
    ticks = footer.counts.get(TOPIC_TICK, 0)
    first_ns, last_ns = edges(reader)
    return Summary(
        counts=Counter(footer.counts),
        lost={topic: Counter(reasons) for topic, reasons in footer.lost_by_reason.items()},
        ticks=Counter({name: round(share * ticks) for name, share in footer.actor_share.items()}),
        figures=Figures(footer.late_p99_ms, footer.sync_p95_ms, footer.sync),
        first_ns=first_ns,
        last_ns=last_ns,
    )


def summary_of_messages(reader: EpisodeReader, origin_ns: int = 0) -> Summary:
    """The same from the messages of a file that has no end.

    Args:
        reader: Of the file.
        origin_ns: First frame or tick of the episode, CLOCK_MONOTONIC [ns]; the file's own by default.

    Raises:
        EpisodeError: A chunk is damaged.
    """
    container, header = reader.container, reader.header
    offset_ns = header.anchor_utc_ns - header.anchor_monotonic_ns
    named = named_topics(header)
    numbers = read_numbers(container, {*numbered_topics(header), *named.values()})
    losses = losses_in(numbers, header, origin_ns and origin_ns + offset_ns)
    ticks = reader.ticks()
    times = {
        name: reader.to_monotonic(numbers[topic][1]) for name, topic in named.items() if topic in numbers
    }
    cameras = tuple(camera.name for camera in header.cameras)
    first_ns, last_ns = edges(reader)
    return Summary(
        counts=_counts(container),
        lost={topic: Counter({NEVER_ARRIVED: count}) for topic, count in lost_by_topic(losses).items()},
        ticks=Counter(ticks.actor[int(np.searchsorted(ticks.capture_ns, header.start_ns)) :]),
        figures=TakenTimes(cameras, times, ticks.capture_ns, ticks.lateness_ns).figures(),
        first_ns=first_ns,
        last_ns=last_ns,
        losses=losses,
    )


def edges(reader: EpisodeReader) -> tuple[int, int]:
    """Times of the first (from the record key on) and last frame or tick of a file, 0 when it has none."""
    container = reader.container
    firsts: list[int] = []
    lasts: list[int] = []
    for topic in leading_topics(reader.header):
        channel = container.channel(topic)
        places = [p for p in container.contents.chunks if channel is not None and channel.id in p.channels]
        if channel is not None and places:
            firsts.append(int(container.block(places[0], channel.id).log_utc_ns.min()))
            lasts.append(int(container.block(places[-1], channel.id).log_utc_ns.max()))
    if not firsts:
        return 0, 0
    first_ns, last_ns = reader.to_monotonic(np.array([min(firsts), max(lasts)])).tolist()
    key_ns = reader.header.start_ns
    return max(first_ns, key_ns), max(last_ns, key_ns)


def leading_topics(header: EpisodeHeader) -> list[str]:
    """Topics that an episode's length is measured by."""
    return [TOPIC_TICK, *(topic_video(camera.name) for camera in header.cameras)]


def _counts(container: Container) -> Counter[str]:
    counts: Counter[str] = Counter()
    for place in container.contents.chunks:
        index = container.index_of(place) if place.index_length else container.message_offsets(place)
        for channel, offsets in index.items():
            counts[container.contents.channels[channel].topic] += len(offsets)
    return counts
