"""True sync error of free-running cameras with latencies of their own, before and after calibration.

Run: python -m benchmarks.sync_error [--seconds 20] [--runs 3] [--latencies 20 35 55] [--markdown]

The cameras are emulated: own clock with drift, latency, jitter (docs/time.md). Their frames carry the
time of their exposure as a barcode, so the error of each stamp in the file is known. Beside it stands
what a recorder gets on the same frames that gives each row the picture that arrived last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, run
from benchmarks.figures import Figures
from benchmarks.rig import bench_config, bench_station
from benchmarks.true_time import TrueTimes, rows, true_times
from recorders.reader import EpisodeReader
from teleop_app.core.config import CameraSection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.station.latency_calibration import LatencyCalibration
from teleop_app.station.latency_codes import LatencyResult

SYNC_P95_MS = 5.0
LATENCIES_MS = (20.0, 35.0, 55.0)
_PERCENTILES = (50, 95, 99, 100)


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, default=20.0, help="episode length")
    options.add_argument("--calibrate-seconds", type=float, default=6.0, help="for each camera")
    options.add_argument("--latencies", type=float, nargs="+", default=list(LATENCIES_MS), help="[ms]")
    return run("sync_error", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Each run: a station that knows no latency, its calibration, and a station that knows them."""
    for number in range(arguments.runs):
        config = free_running_config(arguments.latencies)
        before, results = uncalibrated(
            folder / f"{number}-before", config, arguments.seconds, arguments.calibrate_seconds
        )
        config.latencies = [result.section for result in results]
        after, sync = calibrated(folder / f"{number}-after", config, arguments.seconds)
        for camera, result in zip(config.cameras, results, strict=True):
            error_ms = abs(result.latency_ms - camera.emulated_latency_ms)
            figures.add(f"latency measured minus true, {camera.emulated_latency_ms:g} ms", "ms", error_ms)
        _add(figures, "uncalibrated: ", before)
        _add(figures, "calibrated: ", after, {95: SYNC_P95_MS})
        arrival = np.concatenate(
            [each.arrival_ms - result.latency_ms for each, result in zip(after, results, strict=True)]
        )
        head = "calibrated, had the cameras no clocks: arrival less latency"
        figures.add_spread(head, "ms", np.abs(arrival), None, _PERCENTILES)
        figures.add("sync report, largest p95 of two cameras", "ms", sync)
        stamp, latest = _together(after, "stamp"), _together(after, "latest")
        figures.add(
            "latest picture at the row: p50 as multiple of the stamp's", "", _p50(latest) / _p50(stamp)
        )
    return {
        "cameras": f"{len(arguments.latencies)} synthetic, free-running, own clocks, jitter a tenth of it",
        "latencies_ms": arguments.latencies,
        "seconds": arguments.seconds,
        "runs": arguments.runs,
    }


def free_running_config(latencies_ms: list[float]) -> StationConfig:
    """The station of the benchmarks with emulated free-running cameras."""
    config = bench_config()
    size = {"width": 640, "height": 480, "fps": 30}
    config.cameras = [
        CameraSection.model_validate(
            {"name": f"camera_{number}", "driver": "synthetic", "emulated_latency_ms": latency_ms} | size
        )
        for number, latency_ms in enumerate(latencies_ms)
    ]
    return config


def uncalibrated(
    folder: Path, config: StationConfig, seconds: float, calibrate_s: float
) -> tuple[list[TrueTimes], list[LatencyResult]]:
    """The true times of an episode, and the latencies measured on the same station.

    Raises:
        TeleopError: The station does not start, or a latency cannot be measured.
    """
    with bench_station(folder, config) as station:
        calibration = LatencyCalibration(station.client)
        found = [calibration.camera(camera.name, calibrate_s) for camera in config.cameras]
        take = station.record(seconds)
        times = _times_of(take.path)[0]
    results = [result for result in found if result is not None]
    if len(results) != len(config.cameras):
        raise StationError("The calibration was cancelled")
    return times, results


def calibrated(folder: Path, config: StationConfig, seconds: float) -> tuple[list[TrueTimes], float]:
    """The true times of an episode, and the largest p95 of two cameras in its sync report [ms]."""
    with bench_station(folder, config) as station:
        return _times_of(station.record(seconds).path)


def _times_of(path: Path) -> tuple[list[TrueTimes], float]:
    with EpisodeReader(path) as reader:
        names = {camera.name for camera in reader.header.cameras}
        times = [true_times(reader, camera.name) for camera in reader.header.cameras]
        pairs = reader.footer.sync if reader.footer else ()
        spacing = [pair.p95_ms for pair in pairs if {pair.slower, pair.faster} <= names]
    return times, max(spacing, default=float("nan"))


def _add(figures: Figures, head: str, times: list[TrueTimes], goals: dict[int, float] | None = None) -> None:
    stamp = _together(times, "stamp")
    figures.add_spread(f"{head}stamp against barcode", "ms", np.abs(stamp), goals, _PERCENTILES)
    row = _together(times, "row")
    figures.add_spread(f"{head}row and its nearest picture", "ms", np.abs(row), None, _PERCENTILES)
    latest = _together(times, "latest")
    figures.add_spread(f"{head}row and the latest picture", "ms", np.abs(latest), None, _PERCENTILES)
    unreadable = sum(each.unreadable for each in times)
    figures.add(f"{head}frames whose barcode cannot be read", "", unreadable, at_most=0)


def _together(times: list[TrueTimes], what: str) -> np.ndarray:
    at = rows(times)
    of = {
        "stamp": lambda each: each.stamp_ms,
        "row": lambda each: each.row_ms(at),
        "latest": lambda each: each.latest_ms(at),
    }
    return np.concatenate([of[what](each) for each in times])


def _p50(errors: np.ndarray) -> float:
    return float(np.percentile(np.abs(errors), 50))


if __name__ == "__main__":
    sys.exit(main())
