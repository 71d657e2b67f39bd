"""Textured pictures for both sides of a comparison, made before the measurement begins.

Needs nothing but NumPy, so that the peers' environment can use it too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.sim.barcode import draw_barcode

Image = NDArray[np.uint8]
FRAMES = 120
_OCTAVES = ((8, 70.0), (24, 50.0), (80, 30.0), (240, 14.0), (560, 10.0))
"""Cells across the texture and their height [levels]."""
_NOISE = 3
_LIGHTEST = 230.0
_PHASE = 37


def make_bank(path: Path, width: int = 640, height: int = 480, frames: int = FRAMES) -> Path:
    """Write a loop of pictures: a camera that pans over a texture, two things that move, sensor noise.

    Args:
        path: Becomes a `.npy` file of shape (frames, height, width, 3), uint8.
        width: [px].
        height: [px].
        frames: In the loop; they are played forwards and backwards.
    """
    random = np.random.default_rng(20)
    texture = _texture(random, 2 * width, 2 * height)
    noise = random.integers(-_NOISE, _NOISE + 1, (height, width, 3), np.int16)
    bank = np.lib.format.open_memmap(path, "w+", np.uint8, (frames, height, width, 3))
    for index in range(frames):
        x = round((0.5 + 0.45 * np.sin(index * 0.021)) * width)
        y = round((0.5 + 0.45 * np.cos(index * 0.017)) * height)
        picture = texture[y : y + height, x : x + width].copy()
        _draw_things(picture, index)
        shift = tuple(random.integers(0, (height, width)))
        bank[index] = np.clip(picture + np.roll(noise, shift, (0, 1)), 0, 255)
    bank.flush()
    return path


def _texture(random: np.random.Generator, width: int, height: int) -> NDArray[np.int16]:
    total = np.zeros((height, width, 3), np.float32)
    for cells, level in _OCTAVES:
        grid = random.random((max(2, height * cells // width), cells, 3), np.float32)
        total += level * _stretched(_stretched(grid, height, 0), width, 1)
    total -= total.min()
    return (total * (_LIGHTEST / total.max())).astype(np.int16)


def _stretched(grid: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation along an axis to `length` values."""
    at = np.linspace(0.0, grid.shape[axis] - 1.0, length, dtype=np.float32)
    low = np.minimum(at.astype(int), grid.shape[axis] - 2)
    weight = (at - low).reshape([-1 if each == axis else 1 for each in range(3)])
    return np.take(grid, low, axis) * (1 - weight) + np.take(grid, low + 1, axis) * weight


def _draw_things(picture: NDArray[np.int16], index: int) -> None:
    height, width = picture.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    centre = width * (0.5 + 0.4 * np.sin(index * 0.05))
    picture[(columns - centre) ** 2 + (rows - height / 2) ** 2 < (height / 8) ** 2] = (220, 30, 30)
    left = index * 3 % width
    picture[height // 5 : height // 3, left : left + width // 8] = (40, 200, 20)


class Pictures:
    """Plays a bank; the pictures of several cameras are the same loop at different places.

    Args:
        path: A file of `make_bank`; it is mapped, not read.
    """

    def __init__(self, path: Path | str) -> None:
        self._bank: Image = np.load(path, mmap_mode="r")
        self.size_mb = self._bank.nbytes / 1e6
        self._bank.reshape(-1)[::4096].max()  # every page now, so that none is fetched while time is taken

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture: (height, width, 3)."""
        return self._bank.shape[1:]

    def plain(self, camera: int, instant: int) -> Image:
        """What camera number `camera` sees at an instant, without a barcode; read only."""
        last = len(self._bank) - 1
        at = (instant + camera * _PHASE) % (2 * last)
        return self._bank[at if at <= last else 2 * last - at]

    def draw(self, camera: int, instant: int, time_us: int, out: Image) -> None:
        """The same with the time as a barcode, into `out`."""
        np.copyto(out, self.plain(camera, instant))
        draw_barcode(out, time_us)
