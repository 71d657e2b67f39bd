"""The files that are left of an episode, and what they amount to together."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from recorders.durability import FileDigest
from recorders.ledger import NEVER_ARRIVED
from recorders.losses import Loss, losses_between
from recorders.reader import EpisodeReader
from recorders.recovered_footer import Summary, edges, summary_of_footer, summary_of_messages
from recorders.rollout_watch import RolloutWatch
from recorders.schema import EpisodeFooter, SegmentRef
from recorders.segment_names import PART_OF_LONGER, segment_name
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError


class Part:
    """One file of an episode, open; a context manager.

    Args:
        path: The file.
        uuid: Of the episode.

    Raises:
        EpisodeError: It is no file of this episode, or holds nothing.

    Attributes:
        reader: Of this file alone.
        truncated: It has no end.
        footer: As it stands in the file; None when it is missing.
        origin_ns: When the episode began, CLOCK_MONOTONIC [ns]; 0: with this file.
    """

    def __init__(self, path: Path, uuid: str) -> None:
        self.path = path
        self.reader = EpisodeReader(path, open_truncated=True, alone=True)
        self.origin_ns = 0
        try:
            self._check(uuid)
        except EpisodeError:
            self.reader.close()
            raise
        self.truncated = self.reader.truncated
        self.footer = self.reader.footer

    def _check(self, uuid: str) -> None:
        contents = self.reader.container.contents
        name = self.path.name
        if self.reader.header.uuid != uuid:
            raise EpisodeError(f"{name} holds the episode {self.reader.header.uuid}")
        if not contents.chunks:
            raise EpisodeError(f"{name} holds no samples")
        if any(not place.channels <= contents.channels.keys() for place in contents.chunks):
            raise EpisodeError(f"{name} holds messages without a channel")

    @property
    def number(self) -> int:
        """Among the files of the episode, from 0."""
        return self.reader.header.segment

    @property
    def is_last(self) -> bool:
        """Whether the file was written as the last one of its episode, and its footer says so."""
        return self.footer is not None and self.footer.lost_reasons[:1] != (PART_OF_LONGER,)

    @property
    def was_cut(self) -> bool:
        """Whether its end was lost, now or in an earlier recovery that was interrupted."""
        return self.truncated or (self.footer is not None and self.footer.recovered)

    @property
    def damaged(self) -> bool:
        """Whether more follows what can be read than a torn chunk."""
        return self.reader.container.contents.damaged

    @cached_property
    def summary(self) -> Summary:
        """Of this file alone."""
        if not self.truncated and self.footer is not None and not self.is_last:
            return summary_of_footer(self.reader, self.footer)
        return summary_of_messages(self.reader, self.origin_ns)

    def ref(self, digest: FileDigest) -> SegmentRef:
        """As an earlier file."""
        first_ns, last_ns = edges(self.reader)
        name = segment_name(self.reader.header.uuid, self.number)
        return SegmentRef(name, digest.size_bytes, digest.blake3, first_ns, last_ns + 1)

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reader.close()


class Joint:
    """The files of one episode in order.

    Args:
        parts: At least one.
        told: Sentences on files that could not be read.

    Attributes:
        parts: In order.
        reasons: Sentences on what is lost, once `footer` was called; none when nothing is.
        losses: Stream by stream.
    """

    def __init__(self, parts: list[Part], told: list[str]) -> None:
        self.parts = sorted(parts, key=lambda part: part.number)
        self.reasons: tuple[str, ...] = tuple(told)
        self.losses: tuple[Loss, ...] = ()
        origin_ns = edges(self.parts[0].reader)[0]
        for part in self.parts:
            part.origin_ns = origin_ns

    def footer(self, refs: tuple[SegmentRef, ...]) -> EpisodeFooter:
        """What the end of the last file is to say; its own footer where that is still true.

        Args:
            refs: The earlier files.
        """
        last = self.parts[-1]
        if last.is_last and last.footer is not None and self._holds(last.footer):
            there = {(ref.name, ref.blake3) for ref in refs}
            gone = [ref for ref in last.footer.segments if (ref.name, ref.blake3) not in there]
            self.reasons += tuple(
                f"{ref.name}, a part of the episode, is missing or was altered." for ref in gone
            )
            return last.footer
        total = self._total()
        self.losses = total.losses
        self.reasons = (self._crash(total), *self._holes(), *self.reasons)
        watch = RolloutWatch(self.parts[0].reader.header)
        for part in self.parts:
            watch.see_episode(part.reader)
        footer = total.footer(self.reasons, refs, watch.outcome or "unknown")
        return dataclasses.replace(footer, rollout=watch.facts())

    def _holds(self, footer: EpisodeFooter) -> bool:
        """Whether all messages that a footer speaks of are there; a file that has its end holds its own."""
        if not self.parts[-1].truncated:
            return True
        counts = self._total().counts
        return dict(counts) == footer.counts

    def _total(self) -> Summary:
        total = Summary()
        for part in self.parts:
            total.add(part.summary)
        for before, after in pairwise(self.parts):
            if after.number != before.number + 1 or before.was_cut:
                between = losses_between(before.reader, after.reader, self.parts[0].origin_ns)
                total.losses += between
                for loss in between:
                    total.add_loss(loss.topic, NEVER_ARRIVED, loss.samples)
        return total

    def _holes(self) -> list[str]:
        """Sentences on parts that are not there and on chunks that cannot be read."""
        said: list[str] = []
        expected = 0
        for part in self.parts:
            said += [
                f"Part {number + 1} of the episode is missing." for number in range(expected, part.number)
            ]
            expected = part.number + 1
            if part.damaged:
                container = part.reader.container
                size = container.size - container.contents.whole_bytes
                said.append(
                    f"{part.path.name} is damaged at byte {container.contents.whole_bytes}: "
                    f"a copy with the {size} bytes from there on lies in damaged/."
                )
        return said

    def _crash(self, total: Summary) -> str:
        container = self.parts[-1].reader.container
        cut = container.size - container.contents.whole_bytes
        tail = "no unfinished chunk followed"
        if cut and not self.parts[-1].damaged:
            kept = container.contents.cut_messages
            tail = f"{cut} bytes of an unfinished chunk followed, {kept} messages of it are kept"
        seconds = (total.last_ns - total.first_ns) / NS_PER_S
        return (
            f"The recording was cut off by a crash after {seconds:.2f} s: "
            f"what was not yet on the disk then is lost; {tail}."
        )
