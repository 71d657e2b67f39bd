"""Stop to durable in a store that already holds many episodes, side by side with LeRobot.

Run: python -m benchmarks.peer_history [--episodes 500] [--peer-episodes 25] [--runs 5] [--budget-minutes 40]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.command import parser, positive, run
from benchmarks.comparison import Comparison
from benchmarks.figures import Figures
from benchmarks.pictures import make_bank
from benchmarks.record_figures import DURABLE_MS
from benchmarks.sides import NICENESS, OURS, TITLES, Take, kept_part, peer_settings
from benchmarks.subruns import Budget, Kept, peers_python

_MODES = ("stream-h264", "png-av1")
_MAKING_S = 0.15
"""Of one small episode and its row in the catalog."""


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, default=3.0, help="length of every recording")
    options.add_argument("--episodes", type=positive, default=500, help="in our store before")
    options.add_argument(
        "--peer-episodes", type=positive, default=25, help="recorded by the peer, one by one"
    )
    options.add_argument("--budget-minutes", type=float, default=40.0, help="what does not fit is left out")
    options.add_argument("--resume", type=Path, help="keep the parts in this file, and skip those in it")
    return run("peer_history", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Our store empty and full; the peer's first and last episodes. Runs are stops."""
    peers_python()
    budget, kept = Budget(arguments.budget_minutes), Kept(arguments.resume)
    bank = make_bank(folder / "bank.npy")
    for held in (0, arguments.episodes):
        _ours(figures, held, arguments, kept, folder, bank)
    for mode in _MODES:
        take = Take(mode, arguments.seconds * arguments.peer_episodes, 0, 0)
        if budget.allows(take.expected_s):
            _theirs(figures, take, arguments, kept, folder, bank)
        else:
            figures.missing[TITLES[mode]] = budget.reason
        figures.comparisons.append(
            Comparison(
                f"stop to durable: ours with {arguments.episodes} episodes in the store, theirs with "
                f"{arguments.peer_episodes - 1}",
                "ms",
                _name(OURS, arguments.episodes),
                _name(mode, arguments.peer_episodes - arguments.runs),
                TITLES[mode],
                at_most=DURABLE_MS,
            )
        )
    return {
        "seconds": arguments.seconds,
        "episodes": arguments.episodes,
        "peer's episodes": arguments.peer_episodes,
        "runs": f"{arguments.runs} stops",
        "parts taken over from an earlier start": kept.taken_over,
    }


def _name(side: str, held: int) -> str:
    return f"{TITLES[side]}, from {held} episodes on: stop to durable"


def _ours(
    figures: Figures, held: int, arguments: argparse.Namespace, kept: Kept, folder: Path, bank: Path
) -> None:
    settings = {"seconds": arguments.seconds, "episodes": held, "stops": arguments.runs}
    places = {"folder": str(folder), "pictures": str(bank)}
    patience_s = 200.0 + 4 * (arguments.runs * (arguments.seconds + 4.0) + held * _MAKING_S)
    found = kept_part(
        kept,
        "history ours",
        "benchmarks.own_history",
        settings,
        places,
        timeout_s=patience_s,
        niceness=NICENESS,
    )
    if found.result is None:
        figures.missing[_name(OURS, held)] = found.reason
        return
    for stop_ms, durable_ms in zip(found.result["stop_ms"], found.result["durable_ms"], strict=True):
        figures.add(_name(OURS, held), "ms", stop_ms, at_most=DURABLE_MS)
        figures.add(f"{_name(OURS, held)}, recorder", "ms", durable_ms)


def _theirs(
    figures: Figures, take: Take, arguments: argparse.Namespace, kept: Kept, folder: Path, bank: Path
) -> None:
    settings = {"seconds": arguments.seconds, "episodes": arguments.peer_episodes, "mode": take.side}
    found = kept_part(
        kept,
        "history",
        "benchmarks.lerobot.record",
        settings,
        peer_settings(folder / "dataset", bank, take.side),
        timeout_s=take.timeout_s,
        peers=True,
        niceness=NICENESS,
    )
    shutil.rmtree(folder / "dataset", ignore_errors=True)
    if found.result is None:
        figures.missing[TITLES[take.side]] = found.reason
        return
    saves_ms = [episode["save_s"] * 1e3 for episode in found.result["episodes"]]
    for first in (0, arguments.peer_episodes - arguments.runs):
        for save_ms in saves_ms[first : first + arguments.runs]:
            figures.add(_name(take.side, first), "ms", save_ms)


if __name__ == "__main__":
    sys.exit(main())
