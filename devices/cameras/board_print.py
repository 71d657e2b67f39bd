"""Prints a calibration board at true scale: as a PDF page, or as a PNG that says its resolution."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from devices.cameras.charuco import Board
from devices.cameras.source import Image
from teleop_app.core.errors import ConfigError, StorageError

_PX_PER_SQUARE: Final = 240
"""A multiple of 10 and of 8: with the usual marker of 0.7 squares each of its 7 modules is 24 px."""
_MARGIN_M: Final = 0.010
_RULER_M: Final = 0.100
_POINTS_PER_M: Final = 72.0 / 0.0254
_PAPERS_M: Final = {"A4": (0.297, 0.210), "A3": (0.420, 0.297), "A2": (0.594, 0.420), "A1": (0.841, 0.594)}


def check_sentence(board: Board) -> str:
    """What to measure on the print before it is used."""
    side = f"{board.square_m * 1e3:g} mm"
    return (
        f"Print at 100 % (no 'fit to page'), then measure: a square must be {side} wide, the line 100 mm "
        "long. If not, give the measured width with --square-mm. Glue it onto something flat."
    )


def save_board(board: Board, path: Path) -> str:
    """Write a board as `.pdf` or `.png`; how large it comes out, as a sentence.

    Raises:
        ConfigError: Another kind of file, or a board larger than A1.
        StorageError: It cannot be written.
    """
    width_m, height_m = board.columns * board.square_m, board.rows * board.square_m
    picture = board.picture(_PX_PER_SQUARE)
    if path.suffix.lower() == ".pdf":
        paper, content = _pdf(board, picture)
        size = f"on {paper} paper, landscape"
    elif path.suffix.lower() == ".png":
        content = _png(picture, round(_PX_PER_SQUARE / board.square_m))
        size = "at the resolution that the file says"
    else:
        raise ConfigError(f"A board cannot be written as {path.name}", next_step="Choose a .pdf or .png file")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(
            f"The board cannot be written to {path}", why=error.strerror or str(error)
        ) from error
    return f"The board is {width_m * 1e3:.0f} mm x {height_m * 1e3:.0f} mm, {size}."


def _png(picture: Image, px_per_m: int) -> bytes:
    """With a pHYs chunk, after which programs print it at true scale."""
    _, encoded = cv2.imencode(".png", picture)
    content = encoded.tobytes()
    body = b"pHYs" + struct.pack(">IIB", px_per_m, px_per_m, 1)
    chunk = struct.pack(">I", 9) + body + struct.pack(">I", zlib.crc32(body))
    head = 8 + 25  # signature and IHDR
    return content[:head] + chunk + content[head:]


def _pdf(board: Board, picture: Image) -> tuple[str, bytes]:
    """The smallest paper that takes it, and the page (PDF 1.4)."""
    wide, high = board.columns * board.square_m, board.rows * board.square_m
    room = 2 * _MARGIN_M
    fits = [name for name, size in _PAPERS_M.items() if wide + room <= size[0] and high + room <= size[1]]
    if not fits:
        raise ConfigError(
            f"A board of {wide * 1e3:.0f} mm x {high * 1e3:.0f} mm does not fit A1 paper",
            next_step="Choose fewer or smaller squares",
        )
    paper = fits[0]
    page = [side * _POINTS_PER_M for side in _PAPERS_M[paper]]
    across, up = wide * _POINTS_PER_M, high * _POINTS_PER_M
    left, bottom = (page[0] - across) / 2, (page[1] - up) / 2 + 4.0
    bits = np.packbits(picture > 127, axis=1).tobytes()
    image = zlib.compress(bits, 9)
    line = _RULER_M * _POINTS_PER_M
    # Text right under the board, in the margin; the line beside it.
    draw = (
        f"q {across:.4f} 0 0 {up:.4f} {left:.4f} {bottom:.4f} cm /Im0 Do Q\n"
        f"0.6 w {left:.3f} {bottom - 9:.3f} m {left + line:.3f} {bottom - 9:.3f} l S\n"
        f"{left:.3f} {bottom - 12:.3f} m {left:.3f} {bottom - 6:.3f} l S\n"
        f"{left + line:.3f} {bottom - 12:.3f} m {left + line:.3f} {bottom - 6:.3f} l S\n"
        f"BT /F1 7 Tf {left + line + 8:.3f} {bottom - 11:.3f} Td "
        f"(100 mm. ChArUco {board.columns} x {board.rows}, squares {board.square_m * 1e3:g} mm: "
        "measure one. Print at 100 %.) Tj ET\n"
    ).encode("latin-1")
    media = f"[0 0 {page[0]:.4f} {page[1]:.4f}]"
    resources = "<< /XObject << /Im0 5 0 R >> /Font << /F1 6 0 R >> >>"
    size = f"/Width {picture.shape[1]} /Height {picture.shape[0]}"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox {media} /Contents 4 0 R /Resources {resources} >>".encode(),
        f"<< /Length {len(draw)} >>\nstream\n".encode() + draw + b"\nendstream",
        f"<< /Type /XObject /Subtype /Image {size} /ColorSpace /DeviceGray /BitsPerComponent 1 "
        f"/Filter /FlateDecode /Length {len(image)} >>\nstream\n".encode()
        + image
        + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = f"{len(objects) + 1}"
    tail = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return paper, content + f"{tail}startxref\n{len(content)}\n%%EOF\n".encode()
