"""Processor time that the episode writer takes for each kind of sample, and for a whole station's second.

Run: python -m benchmarks.write_cost [--seconds 20] [--runs 5] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.command import parser, positive, run
from benchmarks.figures import Figures
from devices.sim.model import model_xml
from recorders.schema import ATTACHMENT_ROBOT
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples
from recorders.writer import Attachment, EpisodeWriter
from teleop_app.core.types import (
    AudioBlock,
    ControlTick,
    DepthPacket,
    ForceBatch,
    Sample,
    StreamBatch,
    VideoPacket,
)

KINDS = {
    "control tick": ControlTick,
    "video packet": VideoPacket,
    "depth image": DepthPacket,
    "stream batch": StreamBatch,
    "sound block": AudioBlock,
    "force batch": ForceBatch,
}


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--seconds", type=positive, default=20, help="of each episode")
    return run("write cost", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Two episodes a run: a plain station's with the robot in it, and one with every kind of stream."""
    for number in range(arguments.runs):
        for name, full, robot in (
            ("plain", False, False),
            ("robot", False, True),
            ("every stream", True, True),
        ):
            spent, counts, total_s = _write(folder / f"{name}{number}", arguments.seconds, full, robot)
            figures.add(f"{name}: whole", "cores", total_s / arguments.seconds)
            for kind, seconds in spent.items():
                figures.add(f"{name}: {kind}", "us", seconds / counts[kind] * 1e6)
    return {"seconds": arguments.seconds, "cameras": "3 at 30 frames/s, 320x240", "control_rate_hz": 200}


def _write(
    folder: Path, seconds: int, full: bool, robot: bool
) -> tuple[dict[str, float], dict[str, int], float]:
    """Processor seconds by kind, samples by kind, and processor seconds of all, threads and disk included."""
    folder.mkdir()
    header = synthetic_header()
    header = full_header(header) if full else header
    model = Attachment(ATTACHMENT_ROBOT, "application/xml", model_xml("primitive").encode())
    samples = list(synthetic_samples(header, seconds, header.anchor_monotonic_ns))
    spent: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    began = time.process_time()
    writer = EpisodeWriter(
        folder / "open.mcap",
        header,
        destination=folder / "done.mcap",
        attachments=(model,) if robot else (),
        flush_s=3600.0,
    )
    for sample in samples:
        kind = _kind(sample)
        start = time.thread_time()
        feed(writer, sample)
        spent[kind] += time.thread_time() - start
        counts[kind] += 1
    writer.finish()
    return spent, counts, time.process_time() - began


def _kind(sample: Sample) -> str:
    return next((name for name, kind in KINDS.items() if isinstance(sample, kind)), "other")


if __name__ == "__main__":
    sys.exit(main())
