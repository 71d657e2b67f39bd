"""Power cuts while episodes are recorded and acknowledged, and the control without syncs that must lose."""

from __future__ import annotations

import time
from pathlib import Path

from fault_matrix.forked import Forked
from fault_matrix.loop_disk import LoopDisk, why_not
from fault_matrix.recording import Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.store import Watch
from recorders.durability import SYSTEM, SystemCalls
from teleop_app.core.paths import DataDir

CUTS_A_DISK = 20
CONTROL_CUTS = 5


class NoSync(SystemCalls):
    """A program that forgets to sync."""

    def datasync(self, descriptor: int) -> None:
        del descriptor

    def sync(self, descriptor: int) -> None:
        del descriptor

    def sync_folder(self, folder: Path) -> None:
        del folder


def run(budget: Budget, report: RowReport) -> None:
    report.skipped = why_not()
    if report.skipped:
        return
    take = Take.of(0.8, ("overhead",))
    recovery_ms: list[float] = []
    disk: LoopDisk | None = None
    watch: Watch | None = None
    try:
        for number in budget.tries(report):
            if disk is None or watch is None or number % CUTS_A_DISK == 0:
                if disk is not None:
                    disk.remove()
                disk = LoopDisk(budget.folder / f"disk-{number}")
                watch = Watch(DataDir(disk.root / "store").create(), recovery_ms=recovery_ms)
                _settle(watch)
            before = len(watch.acknowledged)
            _cut(disk, watch, take, SYSTEM, budget)
            report.add(acknowledged=len(watch.acknowledged) - before)
            _, problems = watch.after_fault()
            report.problems += [f"cut {number}: {problem}" for problem in problems]
    except OSError as error:
        if disk is None:
            report.skipped = str(error)
            return
        raise
    finally:
        if disk is not None:
            disk.remove()
    report.spread("recovery [ms]", recovery_ms)
    _control(budget, report, take)


def _settle(watch: Watch) -> None:
    """A store that was in use before: what makes it is not what is tested."""
    watch.after_fault()


def _cut(disk: LoopDisk, watch: Watch, take: Take, calls: SystemCalls, budget: Budget) -> None:
    recorder = Recorder(watch.data, take, calls=calls, sync_s=0.2, speed=0.0 if calls is not SYSTEM else 1.0)
    seed = budget.random.randrange(1 << 30)
    child = Forked(lambda channel: recorder.for_ever(channel, seed, 0.02, 0.6))
    lines = child.lines(20.0)
    time.sleep(budget.random.uniform(0.02, 1.5))
    disk.cut_power()
    # What is acknowledged from here on lies on a disk without power: the writer must not get that far.
    child.kill()
    watch.hear(lines + child.end())
    disk.unmount()
    disk.mount()


def _control(budget: Budget, report: RowReport, take: Take) -> None:
    """The same without a single sync of an episode; it must lose, else the row proves nothing."""
    acknowledged = lost = 0
    for number in range(min(CONTROL_CUTS, budget.count)):
        with LoopDisk(budget.folder / f"control-{number}") as disk:
            watch = Watch(DataDir(disk.root / "store").create())
            _settle(watch)
            _cut(disk, watch, take, NoSync(), budget)
            watch.after_fault()
            acknowledged += len(watch.acknowledged)
            lost += len(watch.lost())
    report.figures["control without syncs"] = f"{lost} of {acknowledged} acknowledged episodes lost"
    if not lost:
        report.problems.append("The control without syncs lost nothing: the harness does not bite.")


ROW = Row(
    "power-cuts",
    "the disk loses power (ext4 on a loop device, shut down without flushing its journal) while recording",
    "no acknowledged episode lost, recovery idempotent; the control without syncs must lose",
    count=200,
    sample=3,
    run=run,
)
