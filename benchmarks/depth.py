"""Ways to pack depth images losslessly: bytes, and processor time to pack and to unpack.

Run: python -m benchmarks.depth [--images 12] [--runs 5] [--markdown]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mujoco
import numpy as np
import zstandard
from numpy.typing import NDArray

from benchmarks.command import parser, positive, run
from benchmarks.figures import Figures
from devices.cameras.depth import MILLIMETRE_M, DepthImage, pack_png, to_counts
from devices.sim.model import load_model
from devices.sim.renderer import CellRenderer

WIDTH, HEIGHT = 640, 480
NOISE = 0.0015
"""Standard deviation of a stereo camera's depth at 1 m [m]; it grows with the square of the distance."""
EDGE_M = 0.05
"""A step in depth of this size between neighbours hides a pixel from one of the two lenses."""

Packing = tuple[Callable[[DepthImage], bytes], Callable[[bytes], object]]


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=5)
    options.add_argument("--images", type=positive, default=12, help="different views")
    return run("depth", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Views of the simulated cell from above and from a wrist, as drawn and as a stereo camera sees them."""
    clean = _views(arguments.images)
    rng = np.random.default_rng(1)
    scenes = {"drawn": [_counts(view) for view in clean], "stereo": [_seen(view, rng) for view in clean]}
    for _ in range(arguments.runs):
        for scene, images in scenes.items():
            for name, (pack, unpack) in _packings().items():
                packed, pack_ms = _timed(pack, images)
                _, unpack_ms = _timed(unpack, packed)
                title = f"{scene}: {name}"
                figures.add(f"{title}: size", "kB", sum(map(len, packed)) / len(packed) / 1e3)
                figures.add(f"{title}: pack", "ms", pack_ms)
                figures.add(f"{title}: unpack", "ms", unpack_ms)
    return {"images": arguments.images, "size": f"{WIDTH}x{HEIGHT}", "runs": arguments.runs}


def _packings() -> dict[str, Packing]:
    fast, usual = zstandard.ZstdCompressor(level=1), zstandard.ZstdCompressor()
    open_zstd = zstandard.ZstdDecompressor().decompress
    return {
        "PNG as recorded": (pack_png, _open_png),
        "PNG level 1": (_png(1), _open_png),
        "PNG level 3": (_png(3), _open_png),
        "PNG level 6": (_png(6), _open_png),
        "raw, zstd 1": (lambda image: fast.compress(image.tobytes()), open_zstd),
        "raw, zstd 3": (lambda image: usual.compress(image.tobytes()), open_zstd),
    }


def _png(level: int) -> Callable[[DepthImage], bytes]:
    options = [cv2.IMWRITE_PNG_COMPRESSION, level]
    return lambda image: cv2.imencode(".png", image, options)[1].tobytes()


def _open_png(payload: bytes) -> object:
    return cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_UNCHANGED)


def _timed(function: Callable[[Any], Any], items: list[Any]) -> tuple[list[Any], float]:
    """All results, and processor time an item [ms]."""
    function(items[0])
    began = time.process_time()
    results = [function(item) for item in items]
    return results, (time.process_time() - began) / len(items) * 1e3


def _views(count: int) -> list[NDArray[np.float32]]:
    model = load_model("primitive")
    data = mujoco.MjData(model)
    renderer = CellRenderer(model, WIDTH, HEIGHT)
    views = []
    for number in range(count):
        for side in ("left", "right"):
            for joint in ("waist", "shoulder", "elbow"):
                data.joint(f"{side}/{joint}").qpos[0] = np.sin(number + len(joint)) * 0.6
        view = np.empty((HEIGHT, WIDTH), np.float32)
        renderer.pose_scene(data.qpos)
        renderer.render_posed("left_wrist" if number % 2 else "overhead", None, view)
        views.append(view)
    renderer.close()
    return views


def _counts(metres: NDArray[np.float32]) -> DepthImage:
    image = np.empty(metres.shape, np.uint16)
    to_counts(metres, MILLIMETRE_M, image)
    return image


def _seen(metres: NDArray[np.float32], rng: np.random.Generator) -> DepthImage:
    noise = rng.normal(size=metres.shape).astype(np.float32) * NOISE * metres * metres
    image = _counts(metres + noise)
    steps = np.abs(cv2.Sobel(np.where(np.isfinite(metres), metres, 0.0), cv2.CV_32F, 1, 0)) > EDGE_M
    image[cv2.dilate(steps.astype(np.uint8), np.ones((3, 3))) > 0] = 0
    return image


if __name__ == "__main__":
    sys.exit(main())
