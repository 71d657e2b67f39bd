"""Physics time in the corner of a simulated image, as black and white cells that survive H.264.

44 cells in two rows, bottom left, in a white frame: 4 fixed cells, 32 bits of microseconds, 8 bits of
CRC-8 (polynomial 0x07, start 0xFF). Measured through x264 at crf 23 to 35, at 320x240 and 640x480.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WRAP_US: Final = 1 << 32
"""The time is drawn modulo this: 71.6 minutes [us]."""

_COLUMNS: Final = 22
_SYNC: Final = 0b1010
_BLACK: Final = 16
_WHITE: Final = 235
_MIDDLE: Final = 126
_MARGIN: Final = 40
"""A cell whose mean is nearer than this to the middle is no cell of ours."""

_CELLS: Final = 2 * _COLUMNS


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for value in range(256):
        for _ in range(8):
            value = (value << 1) ^ 0x07 if value & 0x80 else value << 1
        table.append(value & 0xFF)
    return tuple(table)


_CRC: Final = _crc_table()


class _Layout(NamedTuple):
    """Where the code lies in an image of a size.

    Attributes:
        rows: Image rows of the code and its frame.
        columns: Image columns of the code and its frame.
        cell_of_pixel: Index of the cell under each of these pixels, `_CELLS` for the frame.
        cell_px: Edge of a cell.
        frame_px: Width of the frame.
    """

    rows: slice
    columns: slice
    cell_of_pixel: NDArray[np.uint8]
    cell_px: int
    frame_px: int


def draw_barcode(image: Image, time_us: int) -> None:
    """Draws a time into the bottom left corner, in place.

    Args:
        image: RGB or grey image, shape (height, width[, 3]), at least 160 x 40 px.
        time_us: Time [us], not negative; drawn modulo `WRAP_US`.

    Raises:
        ValueError: The image is too small, or the time is negative.
    """
    if time_us < 0:
        msg = f"time_us is {time_us}, it must not be negative"
        raise ValueError(msg)
    layout = _layout(image.shape[0], image.shape[1])
    word = time_us % WRAP_US
    code = (_SYNC << 40) | (word << 8) | _crc8(word)
    # 44 bits behind 4 idle ones; the shade after the last cell is the frame's.
    bits = np.unpackbits(np.frombuffer(code.to_bytes(6, "big"), dtype=np.uint8))
    shades = np.full(_CELLS + 1, _WHITE, dtype=np.uint8)
    shades[:_CELLS][bits[4:] == 0] = _BLACK
    pixels = shades[layout.cell_of_pixel]
    image[layout.rows, layout.columns] = pixels if image.ndim == 2 else pixels[..., None]


def read_barcode(image: Image) -> int | None:
    """Reads the time back.

    Args:
        image: RGB or grey image at the size it was drawn at, shape (height, width[, 3]).

    Returns:
        The time modulo `WRAP_US` [us], or None where there is no code or it does not check.
    """
    if image.ndim not in (2, 3) or not _fits(image.shape[0], image.shape[1]):
        return None
    layout = _layout(image.shape[0], image.shape[1])
    corner = image[layout.rows, layout.columns].astype(np.float32)
    grey = corner if corner.ndim == 2 else corner.mean(axis=2)
    frame, cell = layout.frame_px, layout.cell_px
    if grey[0].mean() < _MIDDLE + _MARGIN or grey[:, 0].mean() < _MIDDLE + _MARGIN:
        return None
    inside = grey[frame:-frame, frame:-frame].reshape(2, cell, _COLUMNS, cell)
    # The outermost pixels of a cell carry its neighbour's ringing.
    means = inside[:, 1:-1, :, 1:-1].mean(axis=(1, 3)).ravel() - _MIDDLE
    if np.abs(means).min() < _MARGIN:
        return None
    code = int.from_bytes(np.packbits(np.concatenate([np.zeros(4, dtype=bool), means > 0])).tobytes(), "big")
    word = (code >> 8) & (WRAP_US - 1)
    return word if code >> 40 == _SYNC and code & 0xFF == _crc8(word) else None


def barcode_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Where the code lies: left, top, width and height [px], to mask or crop it."""
    layout = _layout(height, width)
    return (
        layout.columns.start,
        layout.rows.start,
        layout.columns.stop - layout.columns.start,
        layout.rows.stop - layout.rows.start,
    )


def _crc8(word: int) -> int:
    crc = 0xFF
    for byte in word.to_bytes(4, "big"):
        crc = _CRC[crc ^ byte]
    return crc


def _cell_px(width: int) -> int:
    return max(6, width // 80)


def _fits(height: int, width: int) -> bool:
    cell = _cell_px(width)
    return width >= (_COLUMNS + 1) * cell and height >= 3 * cell


@lru_cache(maxsize=16)
def _layout(height: int, width: int) -> _Layout:
    if not _fits(height, width):
        msg = f"an image of {width}x{height} px is too small for the barcode"
        raise ValueError(msg)
    cell = _cell_px(width)
    frame = cell // 2
    cells = np.arange(_CELLS, dtype=np.uint8).reshape(2, _COLUMNS)
    inside = cells.repeat(cell, axis=0).repeat(cell, axis=1)
    cell_of_pixel = np.pad(inside, frame, constant_values=_CELLS)
    rows, columns = cell_of_pixel.shape
    return _Layout(slice(height - rows, height), slice(0, columns), cell_of_pixel, cell, frame)
