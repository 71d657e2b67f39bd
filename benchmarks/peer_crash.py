"""What SIGKILL in mid-episode leaves, side by side with LeRobot; with and without saved episodes.

Run: python -m benchmarks.peer_crash [--seconds 5] [--saved 0 3] [--runs 5] [--budget-minutes 40]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.command import parser, run
from benchmarks.comparison import Comparison
from benchmarks.figures import Figures
from benchmarks.pictures import make_bank
from benchmarks.sides import FPS, NICENESS, OURS, TITLES, Take, peer_settings
from benchmarks.subruns import Budget, Kept, SubRun, part, peers_python

_SIDES = (OURS, "png-av1", "stream-h264")
_KILLED = "signal 9"
_COMPARED = (
    "episodes readable",
    "rows readable of the saved episodes",
    "rows readable of the killed episode",
)


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, default=5.0, help="length of every episode")
    options.add_argument("--saved", type=int, nargs="+", default=[0, 3], help="episodes saved before")
    options.add_argument("--sides", nargs="+", choices=_SIDES, default=list(_SIDES))
    options.add_argument("--budget-minutes", type=float, default=40.0, help="what does not fit is left out")
    options.add_argument("--resume", type=Path, help="keep the parts in this file, and skip those in it")
    return run("peer_crash", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """The sides in turn; every run on an empty disk."""
    peers_python()
    budget, kept = Budget(arguments.budget_minutes), Kept(arguments.resume)
    bank = make_bank(folder / "bank.npy")
    for number in range(arguments.runs):
        for saved in arguments.saved:
            for side in arguments.sides:
                take = Take(side, (saved + 1) * arguments.seconds, 0, number)
                head = f"{_after(saved)}, {TITLES[side]}: "
                if not budget.allows(take.expected_s):
                    figures.missing.setdefault(f"{head}run {number + 1} and later", budget.reason)
                    continue
                found = _survivors(take, saved, arguments.seconds, kept, folder, bank)
                shutil.rmtree(folder / "dataset", ignore_errors=True)
                if found.result is None:
                    figures.missing[f"{head}run {number + 1}"] = found.reason
                else:
                    _add(figures, head, side, saved, arguments.seconds, found.result)
    for saved in arguments.saved:
        for side in arguments.sides:
            if side != OURS:
                _compare(figures, saved, side)
    return {
        "seconds": arguments.seconds,
        "saved before": arguments.saved,
        "runs": arguments.runs,
        "parts taken over from an earlier start": kept.taken_over,
    }


def _after(saved: int) -> str:
    return f"killed after {saved} saved episodes" if saved else "killed in the first episode"


def _survivors(take: Take, saved: int, seconds: float, kept: Kept, folder: Path, bank: Path) -> SubRun:
    settings = {"side": take.side, "saved": saved, "seconds": seconds}
    name = f"crash {take.number}"
    found = kept.get(name, settings)
    if found is not None:
        return found
    if take.side == OURS:
        places = {"folder": str(folder), "pictures": str(bank)}
        return kept.put(
            name, settings, part("benchmarks.own_crash", settings | places, take.timeout_s, niceness=NICENESS)
        )
    places = peer_settings(folder / "dataset", bank, take.side)
    killed = part(
        "benchmarks.lerobot.crash", settings | places, take.timeout_s, peers=True, niceness=NICENESS
    )
    if _KILLED not in killed.reason:
        return SubRun(None, killed.reason or "it ended by itself")
    return kept.put(name, settings, part("benchmarks.lerobot.survivors", places, take.timeout_s, peers=True))


def _add(figures: Figures, head: str, side: str, saved: int, seconds: float, result: dict[str, Any]) -> None:
    figures.add(f"{head}episodes readable", "", result["episodes"])
    figures.add(f"{head}rows recorded", "", round((saved + 1) * seconds * FPS))
    if side == OURS:
        killed = result["killed_rows"]
        if result["tail_ms"] is not None:
            figures.add(f"{head}end of the killed episode that is missing", "ms", result["tail_ms"])
        figures.add(f"{head}recovery", "s", result["recovery_s"])
        figures.add(f"{head}frames readable", "", result["frames"])
    else:
        killed = max(0, result["rows"] - round(saved * seconds * FPS))
        figures.add(f"{head}frames in videos that open", "", result["video_frames"])
        figures.add(f"{head}state rows in tables that open", "", result["state_rows"])
        figures.add(f"{head}loose pictures", "", result["pictures"])
        figures.note(f"{head}{result['why']}" if result["why"] else "")
    if saved:
        figures.add(f"{head}rows readable of the saved episodes", "", result["rows"] - killed)
    figures.add(f"{head}rows readable of the killed episode", "", killed)


def _compare(figures: Figures, saved: int, side: str) -> None:
    for name in _COMPARED if saved else (_COMPARED[0], _COMPARED[2]):
        ours, theirs = (f"{_after(saved)}, {TITLES[each]}: {name}" for each in (OURS, side))
        figures.comparisons.append(
            Comparison(f"{_after(saved)}: {name}", "", ours, theirs, TITLES[side], more_is_better=True)
        )


if __name__ == "__main__":
    sys.exit(main())
