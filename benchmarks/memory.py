"""Memory of every process during one long episode, in real time.

Run: python -m benchmarks.memory [--minutes 10] [--runs 1] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, run
from benchmarks.figures import Figures, NotMeasuredError
from benchmarks.rig import BenchStation, Memory, bench_config, bench_station, remove_episode
from teleop_app.core.errors import StationError

EARLY_S = 60.0
_EVERY_S = 2.0
_FEWEST = 4
_SLOPE_SPAN_S = 120.0
"""Over less than this a slope says more about the allocator than about growth."""


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=1)
    options.add_argument("--minutes", type=float, default=10.0, help="length of the episode")
    return run("memory", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One station and one episode a run."""
    seconds = 60.0 * arguments.minutes
    early_s = min(EARLY_S, seconds / 2)
    for number in range(arguments.runs):
        with bench_station(folder / str(number), bench_config()) as station:
            sampler = Sampler(station)
            with sampler:
                take = station.record(seconds)
            _add(figures, sampler.readings(take.ended_s - take.seconds, take.ended_s), early_s, seconds)
            figures.add("file", "MB", take.size_bytes / 1e6)
            remove_episode(take.path)
    return {"minutes": arguments.minutes, "runs": arguments.runs}


class Sampler:
    """Looks at the memory of all processes now and then, in a thread, while the block runs."""

    def __init__(self, station: BenchStation) -> None:
        self._station = station
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory")
        self._taken: list[tuple[float, dict[str, Memory]]] = []
        self._error: StationError | None = None

    def _run(self) -> None:
        try:
            while not self._done.wait(_EVERY_S):
                self._taken.append((time.monotonic(), self._station.memory_mb()))
        except StationError as error:
            self._error = error

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def readings(self, began_s: float, ended_s: float) -> list[tuple[float, dict[str, Memory]]]:
        """Those taken between two instants, with the time since the first of these.

        Raises:
            StationError: A process died.
            NotMeasuredError: There are too few of them to say anything.
        """
        if self._error is not None:
            raise self._error
        kept = [(at - began_s, sizes) for at, sizes in self._taken if began_s <= at <= ended_s]
        if len(kept) < _FEWEST:
            raise NotMeasuredError(
                "The memory of the station was read too rarely", next_step="Record for longer"
            )
        return kept


def _add(
    figures: Figures, readings: list[tuple[float, dict[str, Memory]]], early_s: float, seconds: float
) -> None:
    times = np.array([at for at, _ in readings])
    first = min(int(np.searchsorted(times, early_s)), len(times) - 1)
    for name in readings[0][1]:
        resident = [sizes[name].rss_mb for _, sizes in readings]
        figures.add(f"{name}: resident at {_spoken(early_s)}", "MB", resident[first])
        figures.add(f"{name}: resident at {_spoken(seconds)}", "MB", resident[-1])
        span_s = times[-1] - times[first]
        if span_s < _SLOPE_SPAN_S:
            figures.missing[f"{name}: private memory, slope"] = f"{span_s:.0f} s are too short for it"
            continue
        private = [sizes[name].uss_mb for _, sizes in readings[first:]]
        slope = float(np.polyfit(times[first:], private, 1)[0]) * 3600.0
        note = f"straight line from {_spoken(early_s)} on"
        figures.add(f"{name}: private memory, slope", "MB/h", slope, note=note)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


if __name__ == "__main__":
    sys.exit(main())
