"""Records episodes and stays in the last one, until it is killed."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from benchmarks.lerobot.dataset import FPS, create, item, main, paced
from benchmarks.pictures import Pictures
from teleop_app.station.frame_grid import FrameGrid


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Save `saved` episodes of `seconds`, record as long once more, and die as a power cut would have it."""
    pictures, cameras = Pictures(settings["pictures"]), settings["cameras"]
    dataset = create(settings["root"], settings["mode"], cameras, pictures)
    for number in range(settings["saved"] + 1):
        grid = FrameGrid(FPS, time.monotonic_ns(), slack=settings["slack"])
        first = grid.index
        for instant in paced(grid, first + round(settings["seconds"] * FPS)):
            dataset.add_frame(item(pictures, cameras, instant - first, float(instant - first)))
        if number < settings["saved"]:
            dataset.save_episode()
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


if __name__ == "__main__":
    main(work)
