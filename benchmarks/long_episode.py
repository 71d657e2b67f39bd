"""Finishing very long episodes: time to durable and memory of the writer, fed faster than real time.

Run: python -m benchmarks.long_episode [--seconds 10 300 3600] [--segment-s 600] [--runs 3] [--markdown]
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.command import parser, run
from benchmarks.episodes import encoded_cameras
from benchmarks.figures import Figures
from benchmarks.rig import CAMERAS, remove_episode
from recorders.schema import EpisodeHeader
from recorders.synthetic import feed, synthetic_header, synthetic_tick
from recorders.writer import EpisodeWriter
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import ControlTick, VideoPacket

DURABLE_MS = 100.0
_LOOP_S = 10
_SETTLE_S = 2.0
"""Before the end, so that what was written comes to rest as it does in real time."""
_LOOKS = 20


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=float, nargs="+", default=[10.0, 300.0, 3600.0])
    options.add_argument("--segment-s", type=float, default=600.0, help="length of a file")
    return run("long_episode", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """The lengths in turn; video of ten seconds is repeated, ticks are all different."""
    header = synthetic_header(CAMERAS, 640, 480)
    loop = encoded_cameras(header, _LOOP_S)
    for _ in range(arguments.runs):
        for seconds in arguments.seconds:
            _write(figures, folder, header, loop, seconds, arguments.segment_s)
    return {
        "seconds": arguments.seconds,
        "seconds a file": arguments.segment_s,
        "cameras": "3 of 640x480@30",
        "runs": arguments.runs,
    }


def _write(
    figures: Figures,
    folder: Path,
    header: EpisodeHeader,
    loop: list[VideoPacket],
    seconds: float,
    segment_s: float,
) -> None:
    header = dataclasses.replace(header, uuid=str(uuid.uuid4()))
    destination = folder / f"{header.uuid}.mcap"
    opened = folder / "open"
    opened.mkdir(exist_ok=True)
    writer = EpisodeWriter(opened / destination.name, header, destination=destination, segment_s=segment_s)
    process, private_mb = psutil.Process(), []
    every_ns = round(seconds * NS_PER_S / _LOOKS)
    look_ns = header.anchor_monotonic_ns + every_ns
    began = time.perf_counter()
    for at_ns, sample in samples(header, loop, seconds):
        feed(writer, sample)
        if at_ns >= look_ns:
            look_ns += every_ns
            private_mb.append(process.memory_full_info().uss / 1e6)
    took_s = time.perf_counter() - began
    time.sleep(_SETTLE_S)
    finished = writer.finish("unknown")
    head = f"{seconds:g} s: "
    figures.add(f"{head}stop to durable", "ms", finished.finish_ms, at_most=DURABLE_MS)
    figures.add(f"{head}files", "", 1 + len(finished.footer.segments))
    figures.add(f"{head}written", "x real time", seconds / took_s)
    figures.add(f"{head}private memory, second half against first", "MB", _growth(private_mb))
    figures.add(f"{head}private memory, largest", "MB", max(private_mb))
    remove_episode(destination)


def _growth(private_mb: list[float]) -> float:
    half = len(private_mb) // 2
    return float(np.median(private_mb[half:]) - np.median(private_mb[:half]))


def samples(
    header: EpisodeHeader, loop: list[VideoPacket], seconds: float
) -> Iterator[tuple[int, ControlTick | VideoPacket]]:
    """Ticks and packets with the time of each, in order; the packets are those of `loop` over and over."""
    ticks = (
        (tick.tick_ns, 1, index, tick)
        for index in range(round(seconds * header.control_rate_hz))
        for tick in (synthetic_tick(header, index, header.anchor_monotonic_ns),)
    )
    for at_ns, _, _, sample in heapq.merge(ticks, _packets(header, loop, seconds), key=lambda item: item[:3]):
        yield at_ns, sample


def _packets(
    header: EpisodeHeader, loop: list[VideoPacket], seconds: float
) -> Iterator[tuple[int, int, int, VideoPacket]]:
    frames = len(loop) // len(header.cameras)
    for turn, packets in enumerate(repeat(loop, int(np.ceil(seconds / _LOOP_S)))):
        shift_ns = turn * _LOOP_S * NS_PER_S
        for number, packet in enumerate(packets):
            at_ns = packet.capture_ns + shift_ns
            if at_ns >= header.anchor_monotonic_ns + seconds * NS_PER_S:
                return
            moved = dataclasses.replace(
                packet,
                seq=packet.seq + turn * frames,
                capture_ns=at_ns,
                encoded_ns=packet.encoded_ns + shift_ns,
            )
            yield at_ns, 0, number, moved


if __name__ == "__main__":
    sys.exit(main())
