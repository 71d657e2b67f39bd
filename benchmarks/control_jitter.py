"""Lateness of the 200 Hz control loop with and without SCHED_FIFO, while a station records.

Run: python -m benchmarks.control_jitter [--seconds 30] [--runs 3] [--load 0 2] [--markdown]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import episode_figures as episode
from benchmarks.command import parser, run
from benchmarks.figures import Figures
from benchmarks.rig import bench_config, bench_station
from benchmarks.subruns import renice
from recorders.reader import EpisodeReader

_PRIORITIES = {"normal scheduling": 0, "SCHED_FIFO": 40}


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=30.0, help="length of each recording")
    options.add_argument("--load", type=int, nargs="+", default=[0, 2], help="busy processes beside it")
    return run("control_jitter", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Both kinds of scheduling in turn, each on a station of its own."""
    for number in range(arguments.runs):
        for scheduling, priority in _PRIORITIES.items():
            if scheduling in figures.missing:
                continue
            place = folder / f"{number}-{priority}"
            with bench_station(place, bench_config(priority=priority)) as station:
                if priority and not station.control().get("realtime"):
                    figures.missing[scheduling] = "this user may not use it"
                    continue
                for load in arguments.load:
                    with busy(load):
                        take = station.record(arguments.seconds)
                    head = f"{scheduling}, {load} busy processes: "
                    with EpisodeReader(take.path) as reader:
                        figures.add_spread(f"{head}lateness", "us", episode.lateness_us(reader))
                        figures.notes += [f"{head}{incident}" for incident in episode.incidents(reader)]
                        ticks = episode.tick_loss(reader)
                    figures.add(f"{head}ticks due", "", ticks.due)
                    figures.add(f"{head}ticks missing", "", ticks.lost, at_most=0 if priority else None)
                    cores = take.cpu_s["control"] / take.seconds
                    figures.add(f"{head}processor, control", "cores", cores)
    return {"seconds": arguments.seconds, "busy processes": arguments.load, "runs": arguments.runs}


@contextmanager
def busy(count: int, niceness: int = 0) -> Iterator[None]:
    """That many processes that only compute, for the length of the block.

    Args:
        count: How many.
        niceness: Asked for; without the right to it they run at 0.
    """
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    for process in processes:
        renice(process.pid, niceness)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
