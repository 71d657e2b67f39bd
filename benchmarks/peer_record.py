"""Recording side by side with LeRobot: losses, control thread, time to durable, processor, memory, quality.

Run: python -m benchmarks.peer_record [--seconds 10 60 300] [--runs 5] [--load 0 4] [--budget-minutes 150]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.command import parser, run
from benchmarks.control_jitter import busy
from benchmarks.figures import Figures
from benchmarks.pictures import Pictures, make_bank
from benchmarks.record_figures import add_ours, add_station, add_theirs, compare
from benchmarks.sides import NICENESS, OURS, OWN, TITLES, Take, kept_part, peer_settings, takes
from benchmarks.subruns import Budget, Kept, SubRun, part, peers_python

_GRADED = 20
_ROWS = 600


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, nargs="+", default=[10.0, 60.0, 300.0])
    options.add_argument("--load", type=int, nargs="+", default=[0, 4], help="busy processes beside it")
    options.add_argument("--sides", nargs="+", choices=tuple(TITLES), default=list(TITLES))
    options.add_argument("--budget-minutes", type=float, default=150.0, help="what does not fit is left out")
    options.add_argument("--resume", type=Path, help="keep the parts in this file, and skip those in it")
    return run("peer_record", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """All recordings, the short ones first, as long as the time suffices."""
    peers_python()
    budget, kept = Budget(arguments.budget_minutes), Kept(arguments.resume)
    bank = make_bank(folder / "bank.npy")
    bank_mb = Pictures(bank).size_mb
    done: list[Take] = []
    for take in takes(arguments.sides, arguments.seconds, arguments.load, arguments.runs):
        if not budget.allows(take.expected_s):
            figures.missing.setdefault(f"{take.head}run {take.number + 1} and later", budget.reason)
            continue
        with busy(take.load, NICENESS):
            recorded = _recorded(take, kept, folder, bank)
        if recorded.result is None:
            figures.missing[f"{take.head}run {take.number + 1}"] = recorded.reason
        elif take.side == OURS:
            add_ours(figures, take.head, recorded.result, bank_mb)
        elif take.side in OWN:
            add_station(figures, take.head, recorded.result, bank_mb)
        else:
            _add_peer(figures, take, recorded, kept, folder, bank)
        shutil.rmtree(folder / "dataset", ignore_errors=True)
        done.append(take)
    curve = part("benchmarks.rate_curve", {"pictures": str(bank), "frames": 240}, 300.0)
    compare(figures, done, (curve.result or {}).get("points", []))
    return {
        "cameras": "3 of 640x480@30, textured pictures from a file",
        "seconds": arguments.seconds,
        "busy processes": arguments.load,
        "runs": f"{arguments.runs}, fewer of long recordings and beside busy processes",
        "niceness": f"{NICENESS} on both sides",
        "parts taken over from an earlier start": kept.taken_over,
    }


def _recorded(take: Take, kept: Kept, folder: Path, bank: Path) -> SubRun:
    name = f"{take.side} {take.load} {take.number}"
    if take.side in OWN:
        settings: dict[str, Any] = {"seconds": take.seconds, "graded": _GRADED, "load": take.load}
        settings["whole"] = take.side != OURS
        places: dict[str, Any] = {"folder": str(folder), "pictures": str(bank)}
        return kept_part(kept, name, "benchmarks.own_record", settings, places, timeout_s=take.timeout_s)
    settings = {"seconds": take.seconds, "episodes": 1, "load": take.load, "mode": take.side}
    places = peer_settings(folder / "dataset", bank, take.side)
    return kept_part(
        kept,
        name,
        "benchmarks.lerobot.record",
        settings,
        places,
        timeout_s=take.timeout_s,
        peers=True,
        niceness=NICENESS,
    )


def _add_peer(figures: Figures, take: Take, recorded: SubRun, kept: Kept, folder: Path, bank: Path) -> None:
    """A recording of the peer, looked at by the peer's own loader."""
    settings = {"seconds": take.seconds, "load": take.load, "mode": take.side}
    settings |= {"rows": _ROWS, "graded": _GRADED}
    places = peer_settings(folder / "dataset", bank, take.side)
    name = f"check {take.side} {take.load} {take.number}"
    checked = kept_part(
        kept, name, "benchmarks.lerobot.check", settings, places, timeout_s=take.timeout_s, peers=True
    )
    if checked.result is None:
        figures.missing[f"{take.head}rows, run {take.number + 1}"] = checked.reason
    assert recorded.result is not None
    add_theirs(figures, take, recorded.result, checked.result, recorded.peak_mb - Pictures(bank).size_mb)


if __name__ == "__main__":
    sys.exit(main())
