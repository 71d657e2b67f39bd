"""What the operator waits for: key to recording, stop to stored, stop to the next start; an idle recorder.

Run: python -m benchmarks.operator_latency [--runs 10] [--seconds 3] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.command import parser, run
from benchmarks.figures import Figures
from benchmarks.rig import BenchStation, bench_config, bench_station
from recorders.reader import EpisodeReader
from teleop_app.core.clock import NS_PER_MS

WAIT_MS = 100.0
IDLE_CORES = 0.05
_IDLE_S = 5.0


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=10)
    options.add_argument("--seconds", type=float, default=3.0, help="length of each episode")
    return run("operator_latency", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Episodes one after the other on a station that has just started."""
    config = bench_config()
    config.recording.autosave_s = 0.0
    with bench_station(folder, config) as station:
        for number in range(arguments.runs):
            _episode(station, arguments.seconds, figures, "first " if number == 0 else "")
        figures.add("recorder, armed", "cores", _cores(station), at_most=IDLE_CORES)
        station.client.call("recorder", "close_session", timeout_s=10.0)
        figures.add("recorder, no session", "cores", _cores(station))
        station.check()
    return {"runs": arguments.runs, "seconds": arguments.seconds, "preroll_s": config.recording.preroll_s}


def _episode(station: BenchStation, seconds: float, figures: Figures, head: str) -> None:
    call = station.client.call
    pressed_ns = time.monotonic_ns()
    call("recorder", "record", timeout_s=10.0)
    figures.add(f"{head}key to recording", "ms", _since_ms(pressed_ns), at_most=WAIT_MS)
    time.sleep(seconds)
    stopped_ns = time.monotonic_ns()
    answer = call("recorder", "stop", timeout_s=60.0)
    figures.add(f"{head}stop to stored", "ms", _since_ms(stopped_ns), at_most=WAIT_MS)
    figures.add(f"{head}of that the file", "ms", float(answer["stop_to_durable_ms"]))
    call("recorder", "record", timeout_s=10.0)
    figures.add(f"{head}stop to the next recording", "ms", _since_ms(stopped_ns), at_most=2 * WAIT_MS)
    time.sleep(0.2)
    call("recorder", "stop", timeout_s=60.0)
    time.sleep(0.3)
    with EpisodeReader(Path(answer["path"])) as reader:
        key_ns = reader.header.start_ns
        figures.add(f"{head}key acted on", "ms", (key_ns - pressed_ns) / NS_PER_MS)
        kept = [key_ns - int(reader.video(camera.name).capture_ns[0]) for camera in reader.header.cameras]
        figures.add(f"{head}kept before the key", "ms", min(kept) / NS_PER_MS)


def _cores(station: BenchStation) -> float:
    time.sleep(1.0)
    before, began = station.cpu_s()["recorder"], time.monotonic()
    time.sleep(_IDLE_S)
    return (station.cpu_s()["recorder"] - before) / (time.monotonic() - began)


def _since_ms(at_ns: int) -> float:
    return (time.monotonic_ns() - at_ns) / NS_PER_MS


if __name__ == "__main__":
    sys.exit(main())
