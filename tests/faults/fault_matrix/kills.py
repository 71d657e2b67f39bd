"""SIGKILL of a process that records and acknowledges episodes, at random instants."""

from __future__ import annotations

import time
from pathlib import Path

from fault_matrix.forked import Forked
from fault_matrix.recording import CLOSING, Progress, Recorder, Take
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.store import Watch
from recorders.reader import EpisodeReader
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import StoreRecovery

KILLS_A_STORE = 20
MAX_LOST_S = 1.0
MAX_MISALIGNED_FRAMES = 2


def run(budget: Budget, report: RowReport) -> None:
    take, progress = Take.of(1.2), Progress()
    lost_s: list[float] = []
    misaligned: list[float] = []
    recovery_ms: list[float] = []
    watch = None
    for number in budget.tries(report):
        if watch is None or number % KILLS_A_STORE == 0:
            watch = Watch(DataDir(budget.folder / f"kills-{number}").create(), recovery_ms=recovery_ms)
        recorder = Recorder(watch.data, take, progress=progress)
        progress.clear()
        seed = budget.random.randrange(1 << 30)
        child = Forked(lambda channel, r=recorder, s=seed: r.for_ever(channel, s, 0.05, 1.0))
        said = watch.hear(_kill(child, progress, budget))
        report.add(acknowledged=sum("ack" in item for item in said))
        report.problems += [item["crashed"] for item in said if "crashed" in item]
        outcome, problems = watch.after_fault()
        report.problems += [f"kill {number}: {problem}" for problem in problems]
        report.add(recovered=sum(item.header is not None for item in outcome.recovered))
        for path in _cut_off(outcome):
            seconds, frames = measure(path, progress.last_ns())
            lost_s.append(seconds)
            misaligned.append(frames)
    report.problems += [f"{s:.2f} s of a stream were lost." for s in lost_s if s > MAX_LOST_S]
    report.problems += [f"Cameras end {n:.1f} frames apart." for n in misaligned if n > MAX_MISALIGNED_FRAMES]
    report.spread("lost per stream [s]", lost_s)
    report.spread("misaligned [frames]", misaligned)
    report.spread("recovery [ms]", recovery_ms)


def _kill(child: Forked, progress: Progress, budget: Budget) -> list[str]:
    """At any instant, and every other time while an episode is closed and published."""
    lines = child.lines(20.0)  # the first episode is open
    if budget.random.random() < 0.5:
        time.sleep(budget.random.uniform(0.0, 1.2))
    else:
        deadline = time.monotonic() + 5.0
        while progress.phase() != CLOSING and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(budget.random.uniform(0.0, 0.02))
    child.kill()
    return lines + child.end()


def _cut_off(outcome: StoreRecovery) -> list[Path]:
    return [
        item.path
        for item in outcome.recovered
        if item.header is not None and item.footer is not None and item.footer.truncated
    ]


def measure(path: Path, written_ns: list[int]) -> tuple[float, float]:
    """Seconds that the worst stream lost, and frames of the slowest camera between the ends of all.

    Args:
        path: A recovered episode.
        written_ns: Time of the last sample given to the writer, by camera and then of the control ticks.
    """
    with EpisodeReader(path) as reader:
        tracks = [reader.video(camera.name) for camera in reader.header.cameras]
        ends = [int(t.capture_ns[-1]) if len(t.capture_ns) else 0 for t in tracks]
        fps = min(track.camera.fps for track in tracks)
        ticks = reader.ticks().capture_ns
        ends.append(int(ticks[-1]) if len(ticks) else 0)
        last_ns = [end for end in ends[:-1] if end]
        start_ns = reader.header.anchor_monotonic_ns
    lost = [w - max(end, start_ns) for w, end in zip(written_ns, ends, strict=True) if w]
    spread_s = (max(last_ns) - min(last_ns)) / 1e9 if last_ns else 0.0
    return max([0, *lost]) / 1e9, spread_s * fps


ROW = Row(
    "kills",
    "SIGKILL of a recording process at random instants, half of them while an episode is closed",
    "no acknowledged episode lost, <= 1 s lost a stream, cameras <= 2 frames apart, recovery idempotent",
    count=1000,
    sample=6,
    run=run,
)
