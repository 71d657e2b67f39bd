"""Recording by a whole station: time to durable, losses, lateness, latency, sync, processor and memory.

Run: python -m benchmarks.record [--seconds 10 120] [--runs 3] [--cameras synthetic|sim] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import episode_figures as episode
from benchmarks.command import parser, run
from benchmarks.figures import Figures
from benchmarks.rig import BenchStation, Take, bench_config, bench_station, remove_episode
from recorders.reader import EpisodeReader

DURABLE_MS = 100.0
SYNC_P99_MS = 5.0
_MEMORY_EVERY_S = 5.0
_MISSED = "its own count, from before the start to after the stop"


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, nargs="+", default=[10.0, 120.0], help="episode lengths")
    options.add_argument("--cameras", choices=("synthetic", "sim"), default="synthetic")
    return run("record", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Episodes of every length, the lengths in turn, all on one station."""
    with bench_station(folder, bench_config(arguments.cameras)) as station:
        realtime = bool(station.control().get("realtime"))
        cameras = station.client.call("cameras", "status")["cameras"]
        for _ in range(arguments.runs):
            for seconds in arguments.seconds:
                take = station.record(seconds, min(_MEMORY_EVERY_S, seconds / 2))
                _add(figures, station, take, f"{seconds:g} s: ", arguments.cameras)
                remove_episode(take.path)  # the next run shall not find a fuller disk
    return {
        "cameras": f"{len(cameras)} {arguments.cameras}",
        "size": f"{cameras[0]['width']}x{cameras[0]['height']}@{cameras[0]['fps']}",
        "seconds": arguments.seconds,
        "runs": arguments.runs,
        "SCHED_FIFO": "granted" if realtime else "refused",
    }


def _add(figures: Figures, station: BenchStation, take: Take, head: str, cameras: str) -> None:
    figures.add(f"{head}stop to durable, recorder", "ms", take.durable_ms, at_most=DURABLE_MS)
    figures.add(f"{head}stop to durable, caller", "ms", take.stop_ms, at_most=DURABLE_MS)
    with EpisodeReader(take.path) as reader:
        frames = episode.frame_loss(reader)
        figures.add(
            f"{head}first frame after the record key",
            "ms",
            episode.first_frame_ms(reader),
        )
        figures.add(f"{head}frames due of each camera", "", max(loss.due for loss in frames.values()))
        for name, loss in frames.items():
            figures.add(f"{head}frames lost, {name}", "", loss.lost, at_most=0)
        ticks = episode.tick_loss(reader)
        figures.add(f"{head}ticks due", "", ticks.due)
        figures.add(f"{head}ticks missing in the file", "", ticks.lost, at_most=0)
        figures.add(f"{head}ticks left out by control", "", take.missed_ticks, at_most=0, note=_MISSED)
        figures.add(f"{head}ticks driven by the hand", "%", episode.driven_percent(reader), at_least=95)
        figures.add_spread(f"{head}control lateness", "us", episode.lateness_us(reader))
        figures.notes += [f"{head}{incident}" for incident in episode.incidents(reader)]
        latency = episode.input_latency(reader)
        figures.add_spread(f"{head}input to sent, samples used", "ms", latency.used_ms)
        figures.add_spread(f"{head}input to sent, every sample", "ms", latency.every_ms)
        if cameras == "sim":
            _add_true_sync(figures, reader, head)
        else:
            _add_labels(figures, reader, head)
    figures.add(f"{head}file", "kB/s", take.size_bytes / take.seconds / 1e3)
    for name in station.processes:
        figures.add(f"{head}processor, {name}", "cores", take.cpu_s[name] / take.seconds)
    figures.add(f"{head}processor, all", "cores", sum(take.cpu_s.values()) / take.seconds)
    for name, size in take.pss_mb.items():
        figures.add(f"{head}peak PSS, {name}", "MB", size)


def _add_true_sync(figures: Figures, reader: EpisodeReader, head: str) -> None:
    found = [episode.true_sync(reader, camera.name) for camera in reader.header.cameras]
    for name, parts in (
        ("frame stamp", [each.stamp_ms for each in found]),
        ("frame and joints", [each.row_ms for each in found]),
    ):
        error = np.abs(np.concatenate(parts))
        figures.add_spread(
            f"{head}true sync error, {name}", "ms", error, {99: SYNC_P99_MS}, (50, 95, 99, 100)
        )
    unreadable = sum(each.unreadable for each in found)
    figures.add(f"{head}frames whose barcode cannot be read", "", unreadable, at_most=0)


def _add_labels(figures: Figures, reader: EpisodeReader, head: str) -> None:
    found = [episode.mislabelled_keyframes(reader, camera.name) for camera in reader.header.cameras]
    figures.add(f"{head}keyframes looked at", "", sum(count for _, count in found))
    wrong = sum(count for count, _ in found)
    figures.add(f"{head}keyframes that show another time than their stamp", "", wrong, at_most=0)


if __name__ == "__main__":
    sys.exit(main())
