"""Speed of the LeRobot export in multiples of real time, and of writing episodes, three cameras.

Run: python -m benchmarks.export [--episodes 4] [--seconds 30] [--runs 3] [--markdown]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.command import parser, positive, run
from benchmarks.episodes import make_episodes
from benchmarks.figures import Figures
from recorders.exporters.lerobot import export_lerobot
from teleop_app.core.errors import ExportError

WIDTH, HEIGHT = 640, 480


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--episodes", type=positive, default=4, help="episodes of an export")
    options.add_argument("--seconds", type=float, default=30.0, help="length of each")
    return run("export", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Whole episodes, whose video goes over as it is, and episodes with a gap, whose video cannot."""
    for gap, name in ((False, "remux"), (True, "re-encode")):
        store = folder / name
        store.mkdir()
        made = make_episodes(
            store, arguments.episodes, arguments.seconds, width=WIDTH, height=HEIGHT, gap=gap
        )
        if not gap:
            for episode in made:
                figures.add("write one episode", "x real time", arguments.seconds / episode.write_s)
        for number in range(arguments.runs):
            out = folder / f"{name}-{number}"
            _add(figures, [episode.path for episode in made], out, name)
            shutil.rmtree(out)
    return {
        "episodes": arguments.episodes,
        "seconds": arguments.seconds,
        "cameras": f"3 of {WIDTH}x{HEIGHT}@30",
        "runs": arguments.runs,
    }


def _add(figures: Figures, paths: list[Path], out: Path, name: str) -> None:
    spent, began = time.process_time(), time.perf_counter()
    report = export_lerobot(paths, out)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    remuxed = {camera.remuxed for episode in report.episodes for camera in episode.cameras}
    if remuxed != {name == "remux"}:
        raise ExportError(f"The export did not {name} every video, so its speed says nothing")
    figures.add(f"{name}: speed", "x real time", report.seconds / wall_s)
    figures.add(f"{name}: processor", "s per recorded minute", cpu_s / report.seconds * 60.0)
    figures.add(f"{name}: written", "MB/s", report.bytes_written / wall_s / 1e6)


if __name__ == "__main__":
    sys.exit(main())
