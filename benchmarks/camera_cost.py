"""Processor time of one camera frame, part by part: drawing, barcode, ring, H.264.

Run: python benchmarks/camera_cost.py
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from devices.cameras.source import CameraFormat
from devices.cameras.synthetic import SyntheticFrameSource
from devices.sim.barcode import draw_barcode
from devices.sim.cell import Cell
from devices.sim.renderer import CellRenderer
from recorders.video import H264Encoder
from teleop_app.core.ring import RingWriter

CAMERAS = ("overhead", "left_wrist", "right_wrist")
ROUNDS = 30


def cost_ms(call: Callable[[int], object]) -> float:
    """Median processor time of a call over all threads of the process [ms]."""
    costs = []
    for number in range(ROUNDS):
        started = time.process_time()
        call(number)
        costs.append((time.process_time() - started) * 1e3)
    return float(np.median(costs))


def shared_parts(image: np.ndarray, folder: Path) -> tuple[float, float, float]:
    """Barcode, ring and encoding of images like this one [ms]."""
    height, width = image.shape[:2]
    ring = RingWriter(folder / f"{width}x{height}", image.nbytes, 4)
    encoder = H264Encoder(width, height, 30)
    frames = [np.roll(image, 2 * shift, axis=1).copy() for shift in range(ROUNDS)]
    parts = (
        cost_ms(lambda number: draw_barcode(frames[number], number)),
        cost_ms(lambda number: ring.write(frames[number].data, number, number)),
        cost_ms(lambda number: encoder.encode(frames[number])),
    )
    ring.close()
    encoder.close()
    return parts


def drawings(width: int, height: int) -> dict[str, tuple[float, np.ndarray]]:
    """Cost of drawing a frame [ms] and an example of it, by source."""
    image = np.empty((height, width, 3), np.uint8)
    source = SyntheticFrameSource()
    source.open({"a": CameraFormat(width, height, 30, "")})
    source.latch(1)
    found = {"synthetic": (cost_ms(lambda _: source.grab("a", image)), image.copy())}
    for look in ("primitive", "viperx"):
        cell = Cell(look)
        with CellRenderer(cell.model, width, height) as renderer:
            for camera in CAMERAS:
                renderer.render(cell.qpos, camera)
            drawn = cost_ms(lambda _, renderer=renderer, cell=cell: draw_all(renderer, cell, image)) / 3
            found[f"{look}, {renderer.device.split(' ')[0]}"] = (drawn, image.copy())
    return found


def draw_all(renderer: CellRenderer, cell: Cell, image: np.ndarray) -> None:
    """One instant of the standard cameras."""
    renderer.pose_scene(cell.qpos)
    for camera in CAMERAS:
        renderer.render_posed(camera, image)


def main() -> None:
    print(f"{'source':20} {'size':>8} {'draw':>7} {'barcode':>8} {'ring':>6} {'encode':>7} {'sum':>6}  [ms]")
    folder = Path(tempfile.mkdtemp())
    for width, height in ((320, 240), (640, 480)):
        for name, (drawn, example) in drawings(width, height).items():
            barcode, ring, encode = shared_parts(example, folder)
            total = drawn + barcode + ring + encode
            print(
                f"{name:20} {f'{width}x{height}':>8} {drawn:7.2f} {barcode:8.2f} {ring:6.2f} {encode:7.2f}"
                f" {total:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
