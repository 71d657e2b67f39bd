"""The catalog is deleted: rebuilt from the episodes, it says the same, but for what only it knew."""

from __future__ import annotations

import dataclasses
from typing import Any

from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.store import AUTHOR, Watch, store_problems
from sessions import Author, EpisodeRow, EpisodeState, open_catalog
from teleop_app.core.paths import DataDir

ONLY_IN_CATALOG = ("state", "index_in_session", "created_utc_ns", "station_id", "operator_id", "task_id")
"""Verdicts, the order of recording where starts are equal, and the catalog's own keys."""


def run(budget: Budget, report: RowReport) -> None:
    take = Take.of(0.6)
    for number in budget.tries(report):
        data = DataDir(budget.folder / f"store-{number}").create()
        watch = Watch(data)
        _fill(watch, take, budget)
        before = _rows(data)
        for file in data.root.glob("catalog.sqlite*"):
            file.unlink()
        _, problems = watch.after_fault()
        after = _rows(data)
        problems += [f"{uuid} has no row any more" for uuid in before.keys() - after.keys()]
        for uuid in before.keys() & after.keys():
            differing = {
                k: (before[uuid][k], after[uuid][k])
                for k in before[uuid]
                if before[uuid][k] != after[uuid][k]
            }
            problems += [f"{uuid}: {name} was {a!r}, is {b!r}" for name, (a, b) in differing.items()]
        report.problems += [f"store {number}: {problem}" for problem in problems]
        report.add(episodes=len(after))
        report.problems += store_problems(data)
    report.figures["known only to the catalog"] = ", ".join(ONLY_IN_CATALOG)


def _fill(watch: Watch, take: Take, budget: Budget) -> None:
    """Episodes as a day makes them: stored, cut short, recovered after a crash, in several files; judged."""
    watch.after_fault()
    with open_catalog(watch.data.root, Author.process("recorder")) as catalog:
        for number in range(4):
            segment_s = 0.2 if number == 3 else 600.0
            recorder = Recorder(watch.data, take, speed=0.0, segment_s=segment_s)
            writer = recorder.writer(take.new_header(number))
            recorder.feed(writer, budget.random.uniform(0.05, 0.5))
            finished = writer.finish("success", truncated="The disk was full." if number == 1 else "")
            recorder.row(catalog, finished)
            watch.acknowledged[finished.header.uuid] = finished.blake3
        catalog.set_verdict(next(iter(watch.acknowledged)), EpisodeState.DISCARDED, AUTHOR)
    recorder = Recorder(watch.data, take, speed=0.0, flush_s=0.0)
    writer = recorder.writer(take.new_header(9))
    recorder.feed(writer, 0.3)
    writer.abandon()
    watch.after_fault()


def _rows(data: DataDir) -> dict[str, dict[str, Any]]:
    with open_catalog(data.root, AUTHOR) as catalog:
        rows: list[EpisodeRow] = list(catalog.episodes(limit=1000).rows)
        found = {}
        for row in rows:
            plain = dataclasses.asdict(row)
            plain["streams"] = sorted(map(repr, catalog.streams(row.uuid)))
            found[row.uuid] = {k: v for k, v in plain.items() if k not in ONLY_IN_CATALOG}
    return found


ROW = Row(
    "lost-catalog",
    "the catalog is deleted",
    "rebuilt from the episodes and identical, but for verdicts and the catalog's own keys",
    count=20,
    sample=1,
    run=run,
)
