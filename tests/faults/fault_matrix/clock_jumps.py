"""The wall clock of a real station jumps by an hour, forth and back, while it records."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import numpy as np

from fault_matrix import io_shim
from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.station_setup import CAMERAS, record, started, station_store, stop
from fault_matrix.store import Watch
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file

SOURCE = Path(__file__).with_name("clock_shim.c")
HOUR_S = 3600
LONGEST_GAP_S = 1.0


def run(budget: Budget, report: RowReport) -> None:
    report.skipped = io_shim.why_not()
    if report.skipped:
        return
    offset = budget.folder / "offset"
    offset.write_bytes(struct.pack("<q", 0))
    environment = {
        "LD_PRELOAD": str(io_shim.built(budget.folder, SOURCE)),
        "TELEOP_FAULT_CLOCK": str(offset),
    }
    data = station_store(budget.folder / "store")
    watch = Watch(data)
    with started(data, environment) as station:
        for number in budget.tries(report):
            began_ns = time.monotonic_ns()
            jumps = [HOUR_S, -HOUR_S] if number % 2 == 0 else [-HOUR_S, HOUR_S]
            record(station, 0.7)
            for jump in jumps:
                _set(offset, jump)
                station.watch(0.7)
            _set(offset, 0)
            station.watch(0.5)
            path = Path(stop(station)["path"])
            watch.acknowledged[path.stem] = digest_file(path).blake3
            elapsed_s = (time.monotonic_ns() - began_ns) / 1e9
            report.problems += [f"episode {number}: {p}" for p in _time_problems(path, elapsed_s, report)]
    _, problems = watch.after_fault()
    report.problems += problems


def _set(offset: Path, seconds: int) -> None:
    with offset.open("r+b", buffering=0) as file:
        file.write(struct.pack("<q", seconds))


def _time_problems(path: Path, elapsed_s: float, report: RowReport) -> list[str]:
    with EpisodeReader(path) as reader:
        streams = {name: reader.video(name).capture_ns for name in CAMERAS}
        streams["control"] = reader.ticks().capture_ns
        events_ns = [event.capture_ns for event in reader.events()]
        started_s = reader.header.started_utc_ns / 1e9
        footer = reader.footer
    problems = []
    for name, times in streams.items():
        steps = np.diff(times) / 1e9
        if len(steps) < 20 or steps.min() <= 0 or steps.max() > LONGEST_GAP_S:
            problems.append(f"{name} has {len(times)} samples, steps up to {steps.max(initial=0):.2f} s")
        if times[-1] > time.monotonic_ns() or (times[-1] - times[0]) / 1e9 > elapsed_s:
            problems.append(f"{name} lasts longer than the recording did")
    if events_ns and max(events_ns) > time.monotonic_ns():
        problems.append("an event lies in the future")
    if abs(started_s - time.time()) > 600:
        problems.append("the start in UTC is not the one before the jumps")
    if footer is None or not 0 < footer.duration_ns / 1e9 < elapsed_s:
        problems.append("the duration follows the wall clock")
    report.add(samples=sum(len(times) for times in streams.values()))
    return problems


ROW = Row(
    "clock-jumps",
    "the wall clock of a station jumps by an hour, forth and back, while it records",
    "no effect on any timestamp of the episode",
    count=20,
    sample=0,
    run=run,
)
