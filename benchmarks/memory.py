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
from benchmarks.figures import Figures
from benchmarks.rig import BenchStation, bench_config, bench_station
from teleop_app.core.errors import StationError

EARLY_S = 60.0
_EVERY_S = 2.0
_GOAL_NOTE = "straight line from the early reading on"


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__.splitlines()[0], runs=1)
    options.add_argument("--minutes", type=float, default=10.0, help="length of the episode")
    return run("memory", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One station and one episode a run."""
    seconds = 60.0 * arguments.minutes
    early_s = min(EARLY_S, seconds / 2)
    for number in range(arguments.runs):
        with bench_station(folder / str(number), bench_config()) as station:
            sampler = _Sampler(station)
            with sampler:
                take = station.record(seconds)
            _add(figures, sampler.readings(seconds), early_s, seconds)
            figures.add("file", "MB", take.path.stat().st_size / 1e6)
            take.path.unlink()
    return {"minutes": arguments.minutes, "early_s": early_s, "runs": arguments.runs}


Readings = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""By process: times since the start [s], PSS and RSS [MB], each of shape (k,)."""


class _Sampler:
    """Looks at the memory of all processes now and then, in a thread, while the block runs."""

    def __init__(self, station: BenchStation) -> None:
        self._station = station
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory")
        self._taken: list[tuple[float, dict[str, tuple[float, float]]]] = []

    def _run(self) -> None:
        while not self._done.wait(_EVERY_S):
            self._taken.append((time.monotonic(), self._station.memory_mb()))

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def readings(self, seconds: float) -> Readings:
        """Those of the last `seconds` before the recording ended.

        Raises:
            StationError: There are too few of them to say anything.
        """
        end = self._taken[-1][0] if self._taken else 0.0
        kept = [(at - end + seconds, sizes) for at, sizes in self._taken if at >= end - seconds]
        if len(kept) < 4:
            raise StationError("The memory of the station was read too rarely", next_step="Record for longer")
        times = np.array([at for at, _ in kept])
        return {
            name: (
                times,
                np.array([sizes[name][0] for _, sizes in kept]),
                np.array([sizes[name][1] for _, sizes in kept]),
            )
            for name in kept[0][1]
        }


def _add(figures: Figures, readings: Readings, early_s: float, seconds: float) -> None:
    early, late = _spoken(early_s), _spoken(seconds)
    for name, (times, pss, rss) in readings.items():
        at = int(np.searchsorted(times, early_s))
        figures.add(f"{name}: RSS at {early}", "MB", rss[at])
        figures.add(f"{name}: RSS at {late}", "MB", rss[-1])
        figures.add(f"{name}: PSS at {early}", "MB", pss[at])
        figures.add(f"{name}: PSS at {late}", "MB", pss[-1])
        slope = np.polyfit(times[at:], pss[at:], 1)[0] * 3600.0 if len(times) - at > 2 else np.nan
        if np.isfinite(slope):
            figures.add(f"{name}: PSS slope", "MB/h", slope, note=_GOAL_NOTE)


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"


if __name__ == "__main__":
    sys.exit(main())
