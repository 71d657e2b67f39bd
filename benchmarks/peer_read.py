"""Reading side by side with LeRobot: items of three pictures, state and action, with each side's loader.

Run: python -m benchmarks.peer_read [--seconds 15] [--items 300] [--runs 5] [--budget-minutes 40]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from benchmarks.command import parser, positive, run
from benchmarks.comparison import Comparison
from benchmarks.episodes import make_episodes
from benchmarks.figures import Figures
from benchmarks.own_read import PACKAGES_VARIABLE
from benchmarks.pictures import make_bank
from benchmarks.sides import FPS, TITLES, kept_part, peer_settings
from benchmarks.subruns import Budget, Kept, SubRun, part, peers_python

EPISODES = 2
OURS = "ours, EpisodeDataset"
MORE = {"random": 3.0, "sequential": 5.0}
"""Goals: times more items a second than the peer's best way, by order."""
_READERS = {
    "AV1, torchcodec": ("stream-av1", "torchcodec"),
    "h264, torchcodec": ("stream-h264", "torchcodec"),
    "AV1, pyav": ("stream-av1", "pyav"),
    "h264, pyav": ("stream-h264", "pyav"),
}
_KINDS = {False: "", True: ", two workers"}
_SLOWEST = 5.0
"""Items a second below which a reading is given up."""


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, default=15.0, help=f"length of each of {EPISODES} episodes")
    options.add_argument("--items", type=positive, default=300, help="in each order")
    options.add_argument("--budget-minutes", type=float, default=40.0, help="what does not fit is left out")
    options.add_argument("--resume", type=Path, help="keep the parts in this file, and skip those in it")
    return run("peer_read", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """The same pictures on both sides, made once; then all readers in turn, from the page cache."""
    peers_python()
    budget, kept = Budget(arguments.budget_minutes), Kept(arguments.resume)
    bank = make_bank(folder / "bank.npy")
    store = folder / "store"
    store.mkdir()
    make_episodes(store, EPISODES, arguments.seconds, bank=bank)
    datasets = {
        mode: _dataset(mode, arguments, folder, bank, figures) for mode in ("stream-av1", "stream-h264")
    }
    expected_s = 30.0 + 4 * arguments.items / 25.0
    for number in range(arguments.runs):
        asked = {"items": arguments.items, "seconds": arguments.seconds, "seed": number}
        readers = [OURS, *(name for name, (mode, _) in _READERS.items() if datasets[mode])]
        for name in readers:
            if not budget.allows(expected_s):
                figures.missing.setdefault(f"{name}: run {number + 1} and later", budget.reason)
            elif name == OURS:
                _read_ours(figures, kept, asked, store)
            else:
                mode, _ = _READERS[name]
                _read_theirs(figures, kept, name, asked, peer_settings(datasets[mode] or folder, bank, mode))
    measured = {figure.name.partition(":")[0] for figure in figures.done()}
    for name in _READERS:
        if "torchcodec" in name or f"LeRobot, {name}" in measured:
            _compare(figures, name)
    return {
        "episodes": f"{EPISODES} of {arguments.seconds:g} s, 3 cameras of 640x480@{FPS}",
        "items": arguments.items,
        "runs": arguments.runs,
        "loader": "torch's DataLoader, 2 workers, batches of 8",
        "parts taken over from an earlier start": kept.taken_over,
    }


def _dataset(
    mode: str, arguments: argparse.Namespace, folder: Path, bank: Path, figures: Figures
) -> Path | None:
    root = folder / mode
    settings = {"seconds": arguments.seconds, "episodes": EPISODES, **peer_settings(root, bank, mode)}
    made = part("benchmarks.lerobot.make", settings, 120.0 + 20.0 * arguments.seconds, peers=True)
    if made.result is not None:
        return root
    figures.missing[f"dataset of {TITLES[mode]}"] = made.reason
    shutil.rmtree(root, ignore_errors=True)
    return None


def _read_ours(figures: Figures, kept: Kept, asked: dict[str, Any], store: Path) -> None:
    for loader in (False, True):
        settings, places = asked | {"loader": loader}, {"store": str(store)}
        extra = {PACKAGES_VARIABLE: sysconfig.get_path("purelib")} if loader else {}
        read = _part(kept, OURS, "benchmarks.own_read", settings, places, peers=loader, extra=extra)
        _add(figures, f"{OURS}{_KINDS[loader]}", read, asked["seed"])


def _read_theirs(
    figures: Figures, kept: Kept, name: str, asked: dict[str, Any], places: dict[str, Any]
) -> None:
    mode, backend = _READERS[name]
    for loader in (False, True):
        settings = asked | {"mode": mode, "backend": backend, "loader": loader}
        read = _part(kept, name, "benchmarks.lerobot.read", settings, places, peers=True)
        _add(figures, f"LeRobot, {name}{_KINDS[loader]}", read, asked["seed"])


def _part(
    kept: Kept, name: str, module: str, settings: dict[str, Any], places: dict[str, Any], **options: Any
) -> SubRun:
    timeout_s = 60.0 + 6 * settings["items"] / _SLOWEST
    return kept_part(kept, name, module, settings, places, timeout_s=timeout_s, **options)


def _add(figures: Figures, name: str, read: SubRun, number: int) -> None:
    if read.result is None:
        figures.missing[f"{name}: run {number + 1}"] = read.reason
        return
    for order, rate in read.result.items():
        figures.add(f"{name}: {order}", "items/s", rate["items_per_s"])
        figures.add(f"{name}: {order}, processor", "ms/item", rate["cpu_ms"])


def _compare(figures: Figures, name: str) -> None:
    for order, goal in MORE.items():
        for kind, form, times in (("", "", goal), ("", ", as floats", None), (_KINDS[True], "", None)):
            figures.comparisons.append(
                Comparison(
                    f"read{kind}: {order}{form}",
                    "items/s",
                    f"{OURS}{kind}: {order}{form}",
                    f"LeRobot, {name}{kind}: {order}",
                    f"LeRobot, {name}",
                    times=times,
                    more_is_better=True,
                )
            )


if __name__ == "__main__":
    sys.exit(main())
