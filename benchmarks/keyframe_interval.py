"""What the distance between keyframes costs: bytes against the time to show a frame anywhere in the video.

Run: python -m benchmarks.keyframe_interval [--seconds 10] [--jumps 200] [--runs 3] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, positive, run
from benchmarks.figures import Figures
from benchmarks.pictures import Pictures, make_bank
from recorders.video import H264Decoder, H264Encoder, is_keyframe

INTERVALS = (5, 10, 15, 30, 60)
SIZES = ((640, 480), (1280, 720))
FPS = 30


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=3)
    options.add_argument("--seconds", type=positive, default=10, help="length of the video")
    options.add_argument("--jumps", type=positive, default=200, help="random frames of each setting")
    return run("keyframe interval", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """One camera, one thread; each jump decodes from the keyframe before and converts one picture."""
    for width, height in SIZES:
        pictures = Pictures(make_bank(folder / f"{height}.npy", width, height))
        for interval in INTERVALS:
            packets = _packets(pictures, interval, arguments.seconds * FPS)
            name = f"{width}x{height}, keyframe every {interval}"
            figures.add(f"{name}: size", "kB/frame", sum(map(len, packets)) / len(packets) / 1e3)
            for seed in range(arguments.runs):
                wall_ms, cpu_ms = _jumps(packets, (width, height), arguments.jumps, seed)
                figures.add_spread(f"{name}: random frame", "ms", wall_ms, percentiles=(50, 99))
                figures.add_spread(f"{name}: random frame, processor", "ms", cpu_ms, percentiles=(50, 99))
    return {"seconds": arguments.seconds, "jumps": arguments.jumps, "runs": arguments.runs}


def _packets(pictures: Pictures, interval: int, frames: int) -> list[bytes]:
    height, width, _ = pictures.shape
    encoder = H264Encoder(width, height, FPS, keyframe_frames=interval)
    packets = [encoder.encode(pictures.plain(0, index)) for index in range(frames)]
    encoder.close()
    return packets


def _jumps(
    packets: list[bytes], size: tuple[int, int], count: int, seed: int
) -> tuple[list[float], list[float]]:
    keyframes = [index for index, payload in enumerate(packets) if is_keyframe(payload)]
    wanted = np.random.default_rng(seed).integers(0, len(packets), count).tolist()
    wall_ms, cpu_ms = [], []
    for index in wanted:
        first = keyframes[int(np.searchsorted(keyframes, index, side="right")) - 1]
        began, spent = time.perf_counter(), time.process_time()
        decoder = H264Decoder(*size)
        for payload in packets[first:index]:
            decoder.decode_frame(payload)
        decoder.decode(packets[index])
        wall_ms.append((time.perf_counter() - began) * 1e3)
        cpu_ms.append((time.process_time() - spent) * 1e3)
    return wall_ms, cpu_ms


if __name__ == "__main__":
    sys.exit(main())
