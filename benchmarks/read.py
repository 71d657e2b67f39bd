"""Reading an episode: opening it, its tracks, frames in order and at random, three cameras.

Run: python -m benchmarks.read [--seconds 60] [--runs 5] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, positive, run
from benchmarks.episodes import make_episodes
from benchmarks.figures import Figures
from benchmarks.rig import CAMERAS
from recorders.reader import EpisodeReader
from recorders.schema import JOINT_KINDS

WIDTH, HEIGHT = 640, 480


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=float, default=60.0, help="length of the episode")
    options.add_argument("--jumps", type=positive, default=100, help="random frames a camera")
    return run("read", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One episode, opened anew in each run; its file is in the page cache."""
    episode = make_episodes(folder, 1, arguments.seconds, width=WIDTH, height=HEIGHT)[0]
    for number in range(arguments.runs):
        _run(figures, episode.path, arguments.jumps, seed=number)
    return {
        "seconds": arguments.seconds,
        "cameras": f"3 of {WIDTH}x{HEIGHT}@30",
        "file": f"{episode.path.stat().st_size / 1e6:.1f} MB",
        "jumps": arguments.jumps,
        "runs": arguments.runs,
    }


def _run(figures: Figures, path: Path, jumps: int, seed: int) -> None:
    with _timed() as open_ms:
        reader = EpisodeReader(path)
    figures.add("open", "ms", open_ms())
    with reader:
        with _timed() as index_ms:
            counts = [len(reader.video(camera).seq) for camera in CAMERAS]
        figures.add("index of three cameras", "ms", index_ms())
        with _timed() as tracks_ms:
            for kind in JOINT_KINDS:
                reader.joints(kind)
            reader.ticks()
        figures.add("joint and tick tracks", "ms", tracks_ms())
        frames = min(counts)
        spent = time.process_time()
        with _timed() as order_ms:
            for index in range(frames):
                for camera in CAMERAS:
                    reader.frame(camera, index)
        figures.add("frames in order", "frames/s", 3 * frames / order_ms() * 1e3)
        figures.add(
            "frames in order, processor", "ms/frame", (time.process_time() - spent) * 1e3 / 3 / frames
        )
    with EpisodeReader(path) as reader:
        for camera in CAMERAS:
            reader.video(camera)
        wanted = np.random.default_rng(seed).integers(0, frames, jumps).tolist()
        each_ms: list[float] = []
        for index in wanted:
            for camera in CAMERAS:
                with _timed() as jump_ms:
                    reader.frame(camera, index)
                each_ms.append(jump_ms())
        figures.add("random frames", "frames/s", 1e3 / float(np.mean(each_ms)))
        figures.add_spread("random frame", "ms", each_ms)


class _timed:  # noqa: N801 - reads like a function
    """Times its block; the value it gives tells how long that took [ms]."""

    def __enter__(self) -> Callable[[], float]:
        self._began = time.perf_counter()
        return lambda: self._took_ms

    def __exit__(self, *_: object) -> None:
        self._took_ms = (time.perf_counter() - self._began) * 1e3


if __name__ == "__main__":
    sys.exit(main())
