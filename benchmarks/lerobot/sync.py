"""How far apart in time pictures and states of a row really are, when cameras deliver late."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.lerobot.check import pixels
from benchmarks.lerobot.dataset import FPS, JOINTS, NAME, create, image_key, main, paced
from benchmarks.pictures import Pictures
from devices.cameras.free_running import EmulatedCamera
from devices.sim.barcode import read_barcode
from teleop_app.station.frame_grid import FrameGrid

_WARM_UP_NS = 1_000_000_000


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Record as its loop does: on each pass the newest picture of every camera, and the state of now.

    `latency_ms` is by camera. The barcode holds the true time of a picture, the first joint the state's.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    pictures, cameras = Pictures(settings["pictures"]), settings["cameras"]
    dataset = create(settings["root"], settings["mode"], cameras, pictures)
    _record(dataset, pictures, cameras, settings)
    dataset.save_episode()
    dataset.finalize()
    return _errors(LeRobotDataset(NAME, root=settings["root"]), cameras)


def _record(dataset: Any, pictures: Pictures, cameras: list[str], settings: dict[str, Any]) -> None:
    base_ns = time.monotonic_ns()
    late = settings["latency_ms"]
    sources = {name: EmulatedCamera(name, FPS, late[name], base_ns) for name in cameras}
    shown = dict.fromkeys(cameras, base_ns)
    grid = FrameGrid(FPS, base_ns + _WARM_UP_NS, slack=settings["slack"])
    for instant in paced(grid, grid.index + round(settings["seconds"] * FPS)):
        row: dict[str, Any] = {"task": "benchmark"}
        for number, name in enumerate(cameras):
            shown[name] = _newest(sources[name], shown[name])
            image = np.empty(pictures.shape, np.uint8)
            pictures.draw(number, instant, (shown[name] - base_ns) // 1000, image)
            row[image_key(name)] = image
        state = np.zeros(JOINTS, np.float32)
        state[0] = (time.monotonic_ns() - base_ns) / 1e9
        dataset.add_frame(row | {"observation.state": state, "action": state.copy()})


def _newest(camera: EmulatedCamera, before_ns: int) -> int:
    """True time of the newest frame that has arrived; the one before when none has."""
    camera.run_until(time.monotonic_ns())
    while (waiting := camera.first()) is not None:
        before_ns = waiting[0]
        camera.take()
    return before_ns


def _errors(dataset: Any, cameras: list[str]) -> dict[str, Any]:
    rows = [dataset[index] for index in range(len(dataset))]
    began_s = float(rows[0]["observation.state"][0])
    found: dict[str, list[float]] = {"state": [], "row": []}
    for row in rows:
        for name in cameras:
            code = read_barcode(pixels(row[image_key(name)]))
            if code is not None:
                found["state"].append(float(row["observation.state"][0]) * 1e3 - code / 1e3)
                found["row"].append((began_s + float(row["timestamp"])) * 1e3 - code / 1e3)
    return {"rows": len(rows), "error_ms": found}


if __name__ == "__main__":
    main(work)
