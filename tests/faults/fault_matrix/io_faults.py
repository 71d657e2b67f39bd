"""Every k-th I/O call fails, while an episode is recorded and stored, and while a store is recovered."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_matrix import io_shim
from fault_matrix.io_shim import Fault
from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.store import Watch
from teleop_app.core.paths import DataDir

CODES = (errno.EIO, errno.ENOSPC)
TOLD_WITHIN_S = 1.0
MARGIN = 5
"""Calls of a background thread make their number vary."""


class Worker:
    """A process with the failing calls loaded."""

    def __init__(self, library: Path) -> None:
        script = Path(__file__).with_name("io_worker.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_PRELOAD": str(library)},
        )
        assert self._process.stdout is not None and self._process.stdin is not None
        self._out, self._in = self._process.stdout, self._process.stdin
        if self._out.readline() != "ready\n":
            raise OSError("the process with the failing calls did not start")

    def ask(self, operation: str, data: DataDir, fault: Fault) -> dict[str, Any]:
        """Do it while the fault happens; everything that it said, in one map, and its exit status."""
        request = {"operation": operation, "store": str(data.root), **_plain(fault)}
        self._in.write(json.dumps(request) + "\n")
        self._in.flush()
        answer = json.loads(self._out.readline())
        said: dict[str, Any] = {"lines": answer["lines"], "status": answer["status"]}
        for line in answer["lines"]:
            said.update(json.loads(line))
        return said

    def close(self) -> None:
        self._in.close()
        self._process.wait(30)
        self._out.close()


def _plain(fault: Fault) -> dict[str, object]:
    return {"k": fault.k, "code": fault.code, "sticky": fault.sticky, "reads": fault.reads}


@dataclass(frozen=True, slots=True)
class Template:
    """A store that is copied for each fault: one stored episode, one without its row, one cut off.

    Attributes:
        data: Lies apart.
        acknowledged: As in `Watch`.
        left_open: UUID of the episode that was cut off.
    """

    data: DataDir
    acknowledged: dict[str, str]
    left_open: str

    def copy(self, folder: Path) -> Watch:
        shutil.copytree(self.data.root, folder)
        return Watch(DataDir(folder), dict(self.acknowledged))


def _template(folder: Path, take: Take, *, crashed: bool) -> Template:
    data = DataDir(folder).create()
    recorder, watch = Recorder(data, take, speed=0.0, flush_s=0.0), Watch(data)
    watch.after_fault()
    for _ in range(2 if crashed else 1):
        writer = recorder.writer(take.new_header())
        recorder.feed(writer, 0.1)
        finished = writer.finish("success")
        watch.acknowledged[finished.header.uuid] = finished.blake3
        if len(watch.acknowledged) == 1:
            watch.after_fault()
    left_open = ""
    if crashed:
        writer = recorder.writer(take.new_header())
        recorder.feed(writer, 0.2)
        writer.abandon()
        left_open = writer.header.uuid
        with writer.path.open("r+b") as file:
            file.truncate(writer.path.stat().st_size - 50)
    return Template(data, watch.acknowledged, left_open)


def _faults(calls: int, budget: Budget, *, reads: bool) -> Iterator[Fault]:
    """Every call, each with every error, once and from then on; a sample of them when there is no time."""
    every = [
        Fault(k, code, sticky, reads)
        for k in range(1, calls + MARGIN)
        for code in CODES
        for sticky in (False, True)
    ]
    if budget.count and budget.count < len(every):
        every = sorted(budget.random.sample(every, budget.count), key=lambda fault: fault.k)
    yield from every


def run(budget: Budget, report: RowReport) -> None:
    report.skipped = io_shim.why_not()
    if report.skipped:
        return
    take = Take.of(0.4, ("overhead",))
    worker = Worker(io_shim.built(budget.folder))
    told_s: list[float] = []
    try:
        for operation, reads in (("record", False), ("recover", False), ("recover", True)):
            name = f"{operation}{' with reads' if reads else ''}"
            template = _template(budget.folder / name, take, crashed=operation == "recover")
            clean = template.copy(budget.folder / f"{name}-clean")
            calls = int(worker.ask(operation, clean.data, Fault(0, 0, False, reads))["calls"])
            report.figures[f"calls to {name}"] = calls
            faults = list(_faults(calls, budget, reads=reads))
            for number in budget.tries(report, len(faults)):
                folder = budget.folder / f"{name}-{number}"
                _try(
                    worker,
                    operation,
                    template.copy(folder),
                    faults[number],
                    template.left_open,
                    report,
                    told_s,
                )
                shutil.rmtree(folder)
    finally:
        worker.close()
    report.spread("operator told after [s]", told_s)


def _try(
    worker: Worker,
    operation: str,
    watch: Watch,
    fault: Fault,
    left_open: str,
    report: RowReport,
    told_s: list[float],
) -> None:
    said = worker.ask(operation, watch.data, fault)
    where = f"{operation}, {said.get('what', '?')}, {errno.errorcode[fault.code]}" + " on" * fault.sticky
    watch.hear(said["lines"])
    happened = bool(said.get("failed_ns"))
    report.add(happened=int(happened), told=int("told" in said))
    problems = [f"not a sentence: {said['crashed']}\n{said['trace']}"] if "crashed" in said else []
    if said["status"] and "crashed" not in said:
        problems.append(f"the process ended with status {said['status']}")
    if "told" in said and happened:
        seconds = (said["at_ns"] - said["failed_ns"]) / 1e9
        told_s.append(seconds)
        if seconds > TOLD_WITHIN_S:
            problems.append(f"told only after {seconds:.1f} s")
    if "stored" in said:
        watch.acknowledged[said["stored"]] = said["blake3"]
    silent = happened and "told" not in said and not said.get("problems")
    report.add(**{"without effect": int(silent)})
    if silent and operation == "record" and "ack" not in said:
        problems.append("silent: neither acknowledged nor told")
    outcome, found = watch.after_fault()
    problems += found
    problems += _left_open_problems(watch, left_open, outcome)
    report.problems += [f"{where}: {problem}" for problem in problems]


def _left_open_problems(watch: Watch, left_open: str, outcome: Any) -> list[str]:
    """What a crash left is an episode after the disk works again, whatever failed during recovery."""
    if left_open and not (watch.data.episodes / f"{left_open}.mcap").exists():
        return [f"The episode that was open is gone: {outcome.sentences()}"]
    return []


ROW = Row(
    "io-errors",
    "every k-th I/O call fails (EIO, ENOSPC; once, and from then on) while recording, storing, recovering",
    "zero silent, told <= 1 s, no acknowledged episode lost, what was open is recovered when the disk works",
    count=0,
    sample=8,
    run=run,
)
