"""A LeRobot dataset for the pictures of the benchmarks, made and filled through its public interface."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

import numpy as np

from benchmarks.pictures import Pictures
from teleop_app.station.frame_grid import FrameGrid

NAME = "local/benchmark"
FPS = 30
JOINTS = 14
THREADS_PER_CAMERA = 4
"""Of its image writer: the default of lerobot-record."""
MODES: dict[str, dict[str, Any]] = {
    "png-av1": {"streaming_encoding": False, "vcodec": "libsvtav1"},
    "stream-av1": {"streaming_encoding": True, "vcodec": "libsvtav1"},
    "stream-h264": {"streaming_encoding": True, "vcodec": "h264"},
}


def create(root: Path | str, mode: str, cameras: list[str], pictures: Pictures, **others: Any) -> Any:
    """A new dataset, with the settings of lerobot-record and `others`."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    names = [f"joint_{number}" for number in range(JOINTS)]
    features: dict[str, Any] = {
        key: {"dtype": "float32", "shape": (JOINTS,), "names": names}
        for key in ("observation.state", "action")
    }
    for camera in cameras:
        features[image_key(camera)] = {
            "dtype": "video",
            "shape": pictures.shape,
            "names": ["height", "width", "channels"],
        }
    settings = MODES[mode] | others
    threads = 0 if settings["streaming_encoding"] else THREADS_PER_CAMERA * len(cameras)
    return LeRobotDataset.create(
        NAME, FPS, features, root=Path(root), robot_type="benchmark", image_writer_threads=threads, **settings
    )


def image_key(camera: str) -> str:
    """Of a camera's pictures in an item."""
    return f"observation.images.{camera}"


def item(pictures: Pictures, cameras: list[str], instant: int, state: float) -> dict[str, Any]:
    """What one pass of a recording loop hands over; every picture is an array of its own.

    Args:
        pictures: Where the pictures come from.
        cameras: Names.
        instant: Which pictures; its time is drawn into them as a barcode.
        state: First value of state and action.
    """
    found: dict[str, Any] = {"task": "benchmark"}
    for number, camera in enumerate(cameras):
        image = np.empty(pictures.shape, np.uint8)
        pictures.draw(number, instant, instant * 1_000_000 // FPS, image)
        found[image_key(camera)] = image
    joints = np.sin(np.arange(JOINTS, dtype=np.float32) + instant / 50).astype(np.float32)
    joints[0] = state
    return found | {"observation.state": joints, "action": joints.copy()}


def paced(grid: FrameGrid, end: int) -> Iterator[int]:
    """Instants at the times of the grid, up to and without `end`; what is too late is left out."""
    while grid.index < end:
        wait_s = (grid.due_ns - time.monotonic_ns()) / 1e9
        if wait_s > 0:
            time.sleep(wait_s)
        taken = grid.take(time.monotonic_ns())
        if taken is not None and taken[0] < end:
            yield taken[0]


def processor_s() -> float:
    """Of this process, its threads, and its children that have ended [s]."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def main(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Run a program of this package."""
    logging.disable(logging.WARNING)
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
