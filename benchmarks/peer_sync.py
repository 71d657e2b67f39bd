"""True sync error with cameras that run freely and deliver 20, 35 and 55 ms late, side by side with LeRobot.

Run: python -m benchmarks.peer_sync [--seconds 20] [--latency-ms 20 35 55] [--runs 5] [--budget-minutes 20]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, run
from benchmarks.comparison import Comparison
from benchmarks.figures import Figures
from benchmarks.pictures import make_bank
from benchmarks.rig import CAMERAS
from benchmarks.sides import NICENESS, OURS, TITLES, Take, kept_part, peer_settings
from benchmarks.subruns import Budget, Kept, SubRun, peers_python

MODE = "stream-h264"
P95_MS = 5.0
_STATED = "stated time of a picture against the truth"
_ROW = "picture and state of a row"
_KEYS = {OURS: {"stamp": _STATED, "row": _ROW}, MODE: {"row": _STATED, "state": _ROW}}
"""What their programs call them: our rows have the state of their own time, theirs that of the same pass."""


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, default=20.0, help="length of each recording")
    options.add_argument("--latency-ms", type=float, nargs=len(CAMERAS), default=[20.0, 35.0, 55.0])
    options.add_argument("--budget-minutes", type=float, default=20.0, help="what does not fit is left out")
    options.add_argument("--resume", type=Path, help="keep the parts in this file, and skip those in it")
    return run("peer_sync", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """The same emulated cameras on both sides, in turn."""
    peers_python()
    budget, kept = Budget(arguments.budget_minutes), Kept(arguments.resume)
    bank = make_bank(folder / "bank.npy")
    asked = {
        "seconds": arguments.seconds,
        "latency_ms": dict(zip(CAMERAS, arguments.latency_ms, strict=True)),
    }
    for number in range(arguments.runs):
        for side in (OURS, MODE):
            take = Take(side, arguments.seconds, 0, number)
            if budget.allows(take.expected_s):
                _add(figures, take, _recorded(take, asked, kept, folder, bank))
            else:
                figures.missing.setdefault(f"{TITLES[side]}: run {number + 1} and later", budget.reason)
    for name in (_STATED, _ROW):
        for label in ("p50", "p95", "p99"):
            ours, theirs = (f"{TITLES[side]}: {name} {label}" for side in (OURS, MODE))
            goal = P95_MS if name == _STATED and label == "p95" else None
            figures.comparisons.append(
                Comparison(f"{name} {label}", "ms", ours, theirs, TITLES[MODE], at_most=goal)
            )
    return {
        "seconds": arguments.seconds,
        "latencies [ms]": arguments.latency_ms,
        "runs": arguments.runs,
        "parts taken over from an earlier start": kept.taken_over,
    }


def _recorded(take: Take, asked: dict[str, Any], kept: Kept, folder: Path, bank: Path) -> SubRun:
    if take.side == OURS:
        module, settings = "benchmarks.own_sync", asked
        places: dict[str, Any] = {"folder": str(folder), "pictures": str(bank)}
    else:
        module, settings = "benchmarks.lerobot.sync", asked | {"mode": MODE}
        places = peer_settings(folder / "dataset", bank, MODE)
    found = kept_part(
        kept,
        f"sync {take.number}",
        module,
        settings,
        places,
        timeout_s=take.timeout_s,
        peers=take.side != OURS,
        niceness=NICENESS,
    )
    shutil.rmtree(folder / "dataset", ignore_errors=True)
    return found


def _add(figures: Figures, take: Take, found: SubRun) -> None:
    if found.result is None:
        figures.missing[f"{TITLES[take.side]}: run {take.number + 1}"] = found.reason
        return
    for key, name in _KEYS[take.side].items():
        apart_ms = np.array(found.result["error_ms"][key])
        head = f"{TITLES[take.side]}: {name}"
        goals = {95: P95_MS} if take.side == OURS and name == _STATED else None
        figures.add_spread(head, "ms", np.abs(apart_ms), goals, (50, 95, 99, 100))
        figures.add(f"{head}, mean (positive: the picture is older)", "ms", float(np.mean(apart_ms)))


if __name__ == "__main__":
    sys.exit(main())
