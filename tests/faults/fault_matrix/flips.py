"""One byte of a stored episode is another one: `verify` must say so."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mcap.opcode import Opcode

from fault_matrix.mcap_model import record_starts
from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from recorders.mcap_layout import MAGIC, RECORD_HEAD
from recorders.segment_names import segment_paths
from recorders.verify import verify_file
from teleop_app.core.paths import DataDir

LONG_SEGMENT_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """A byte of a file, and what kind of record it is in."""

    path: Path
    offset: int
    kind: str


def places_by_kind(paths: list[Path]) -> dict[str, list[Place]]:
    """Ranges as (first, last) places: each record's head and body apart, and the magic at both ends."""
    found: dict[str, list[Place]] = {}
    for path in paths:
        content = path.read_bytes()
        parts = [("magic", 0, len(MAGIC)), ("end magic", len(content) - len(MAGIC), len(content))]
        for opcode, start, length in record_starts(content):
            name = Opcode(opcode).name.lower()
            parts.append((f"{name} head", start, start + RECORD_HEAD.size))
            parts.append((name, start + RECORD_HEAD.size, start + length))
        for kind, start, end in parts:
            if end > start:
                found.setdefault(kind, []).extend((Place(path, start, kind), Place(path, end - 1, kind)))
    return found


def run(budget: Budget, report: RowReport) -> None:
    take = Take.of(2.4)
    data = DataDir(budget.folder / "store").create()
    episodes = [_episode(data, take, 600.0, 0.5), _episode(data, take, LONG_SEGMENT_S, 2.4)]
    kinds = places_by_kind([file for path in episodes for file in files_of(path)])
    names = sorted(kinds)
    report.figures["kinds of record"] = ", ".join(names)
    report.figures["files"] = sum(len(files_of(path)) for path in episodes)
    missed: Counter[str] = Counter()
    for number in budget.tries(report):
        # Each kind in turn, so that the small ones are hit as often as the large.
        ranges = kinds[names[number % len(names)]]
        at = budget.random.randrange(len(ranges) // 2) * 2
        first, last = ranges[at], ranges[at + 1]
        place = Place(first.path, budget.random.randint(first.offset, last.offset), first.kind)
        if not _found(place, budget.random.randrange(1, 256), episodes):
            missed[place.kind] += 1
            report.problems.append(f"byte {place.offset} ({place.kind}) of {place.path.name} went unnoticed")
    for path in episodes:
        report.problems += [f"whole again, yet: {finding}" for finding in verify_file(path).findings]


def _episode(data: DataDir, take: Take, segment_s: float, seconds: float) -> Path:
    recorder = Recorder(data, take, speed=0.0, flush_s=0.0, segment_s=segment_s)
    writer = recorder.writer(take.new_header())
    recorder.feed(writer, seconds)
    return writer.finish("success").path


def files_of(path: Path) -> list[Path]:
    """All files of an episode, the named one last."""
    return [*segment_paths(path.parent, path.stem), path]


def _found(place: Place, flip: int, episodes: list[Path]) -> bool:
    """Flip the byte, ask `verify` about the episode, and flip it back."""
    descriptor = os.open(place.path, os.O_RDWR)
    try:
        before = os.pread(descriptor, 1, place.offset)
        os.pwrite(descriptor, bytes((before[0] ^ flip,)), place.offset)
        path = next(path for path in episodes if place.path in files_of(path))
        try:
            return not verify_file(path).ok
        finally:
            os.pwrite(descriptor, before, place.offset)
    finally:
        os.close(descriptor)


ROW = Row(
    "flips",
    "a single byte changes in a stored episode, in every kind of record, and of an episode of several files",
    "every flip is found by `verify` from the episode alone, without the catalog's digest",
    count=1000,
    sample=60,
    run=run,
)
