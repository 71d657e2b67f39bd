"""Records episodes paced in real time; what each cost, and what was lost on the way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lerobot.dataset import FPS, create, item, main, paced, processor_s
from benchmarks.pictures import Pictures
from teleop_app.station.frame_grid import FrameGrid

FIRST = 1
"""Number of the first row; the barcode shows it in frame periods, so 0 would be no sign of life."""


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Record `episodes` of `seconds` into `root`."""
    pictures, cameras = Pictures(settings["pictures"]), settings["cameras"]
    dataset = create(settings["root"], settings["mode"], cameras, pictures)
    began_s = processor_s()
    episodes = [
        _episode(dataset, pictures, cameras, settings["seconds"], settings["slack"])
        for _ in range(settings["episodes"])
    ]
    started, spent = time.perf_counter(), processor_s()
    dataset.finalize()
    return {
        "episodes": episodes,
        "finalize_s": time.perf_counter() - started,
        "finalize_cpu_s": processor_s() - spent,
        "startup_cpu_s": began_s,
        **_bytes(Path(settings["root"])),
    }


def _episode(
    dataset: Any, pictures: Pictures, cameras: list[str], seconds: float, slack: float
) -> dict[str, Any]:
    add_s: list[float] = []
    due = round(seconds * FPS)
    spent, started_ns = processor_s(), time.monotonic_ns()
    grid = FrameGrid(FPS, started_ns, slack=slack)
    first = grid.index
    for instant in paced(grid, first + due):
        number = FIRST + instant - first
        row = item(pictures, cameras, number, float(number))
        began = time.perf_counter()
        dataset.add_frame(row)
        add_s.append(time.perf_counter() - began)
    loop_s, loop_cpu_s = (time.monotonic_ns() - started_ns) / 1e9, processor_s() - spent
    encoder = dataset._streaming_encoder  # noqa: SLF001 - it tells the drops to the log only
    dropped = dict(encoder._dropped_frames) if encoder else {}  # noqa: SLF001
    spent, began = processor_s(), time.perf_counter()
    dataset.save_episode()
    return {
        "due": due,
        "rows": len(add_s),
        "skipped": due - len(add_s),
        "dropped": sum(dropped.values()),
        "loop_s": loop_s,
        "loop_cpu_s": loop_cpu_s,
        "save_s": time.perf_counter() - began,
        "save_cpu_s": processor_s() - spent,
        "add_ms": [float(np.percentile(add_s, each)) * 1e3 for each in (50, 99, 100)],
    }


def _bytes(root: Path) -> dict[str, int]:
    files = {path: path.stat().st_size for path in root.rglob("*") if path.is_file()}
    video = sum(size for path, size in files.items() if path.suffix == ".mp4")
    return {"bytes": sum(files.values()), "video_bytes": video}


if __name__ == "__main__":
    main(work)
