"""How far the times in an episode are from the truth, when cameras run freely and deliver late."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.path_rig import path_config, recording_path
from devices.sim.barcode import WRAP_US, read_barcode
from recorders.aligned import AlignedFrames
from recorders.reader import EpisodeReader
from teleop_app.core.config import LatencySection, StationConfig

_WARM_UP_S = 5.0
"""For the fit of the cameras' clocks, which a station has from its start."""


def late_cameras(latency_ms: dict[str, float]) -> StationConfig:
    """The recording path with cameras that run freely, and the same latencies as calibrated."""
    config = path_config()
    for camera in config.cameras:
        camera.driver = "synthetic"
        camera.emulated_latency_ms = latency_ms[camera.name]
    config.latencies = [
        LatencySection(stream=name, latency_ms=late, method="given") for name, late in latency_ms.items()
    ]
    return config


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Record `seconds` with cameras of `latency_ms`; the barcode in a picture holds its true time."""
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as name:
        config = late_cameras(settings["latency_ms"])
        with recording_path(Path(name), Path(settings["pictures"]), config) as path:
            time.sleep(_WARM_UP_S)
            take = path.record(settings["seconds"])
        return errors(take.path)


def errors(path: Path) -> dict[str, Any]:
    """Signed distances [ms] from the truth: `stamp` of each frame, `row` of each picture in a row."""
    found: dict[str, list[float]] = {"stamp": [], "row": []}
    with EpisodeReader(path) as reader:
        rows = AlignedFrames(reader)
        shown: dict[str, np.ndarray] = {}
        for camera in reader.header.cameras:
            stamps_us = reader.video(camera.name).capture_ns / 1e3
            codes = [read_barcode(image) for image in reader.frames(camera.name)]
            shown[camera.name] = np.array([np.nan if code is None else code for code in codes])
            found["stamp"] += _apart_ms(stamps_us, shown[camera.name])
        for name, there in rows.cameras.items():
            has = ~there.missing
            found["row"] += _apart_ms(rows.time_ns[has] / 1e3, shown[name][there.packet[has]])
    return {"rows": len(rows), "error_ms": found}


def _apart_ms(stated_us: np.ndarray, shown_us: np.ndarray) -> list[float]:
    """Stated minus true time, where the barcode is legible; it wraps round."""
    legible = ~np.isnan(shown_us)
    apart_us = (stated_us[legible] - shown_us[legible] + WRAP_US / 2) % WRAP_US - WRAP_US / 2
    return (apart_us / 1e3).tolist()


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
