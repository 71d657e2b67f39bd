"""The strip of small pictures in an episode file, for the pointer over lists and time lines."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QRect
from PyQt6.QtGui import QImage

from recorders.reader import EpisodeReader
from teleop_app.core.errors import TeleopError
from teleop_app.station.thumbnail import thumbnail_camera

log = logging.getLogger(__name__)

MOST_TILES = 1000
_FIT = 0.02
"""How far the width may be from a whole number of tiles, as a share of a tile."""


@dataclass(frozen=True, slots=True)
class PreviewStrip:
    """Equal pictures side by side, evenly spread over the episode.

    Attributes:
        image: The strip, never null.
        count: Pictures in it, at least 1.
        camera: Which camera they show.
    """

    image: QImage
    count: int
    camera: str

    def tile(self, share: float) -> QImage:
        """Returns the picture of a place in the episode, `share` in 0..1."""
        index = min(max(int(share * self.count), 0), self.count - 1)
        left = index * self.image.width() // self.count
        right = (index + 1) * self.image.width() // self.count
        return self.image.copy(QRect(left, 0, right - left, self.image.height()))


def strip_of(reader: EpisodeReader) -> PreviewStrip | None:
    """Returns the strip of an open episode; None when it has none, or one that does not fit its cameras."""
    try:
        jpeg = reader.preview
    except TeleopError as error:
        log.info("no preview strip: %s", error)
        return None
    if jpeg is None:
        return None
    image = QImage.fromData(jpeg, "JPEG")
    sizes = {camera.name: (camera.width, camera.height) for camera in reader.header.cameras}
    chosen = thumbnail_camera(list(sizes))
    if image.isNull() or chosen is None:
        return None
    width, height = sizes[chosen]
    tile_width = image.height() * width / height
    count = round(image.width() / tile_width)
    if not 1 <= count <= MOST_TILES or abs(image.width() / count - tile_width) > max(1.0, _FIT * tile_width):
        return None
    return PreviewStrip(image, count, chosen)


def read_strip(path: Path) -> PreviewStrip | None:
    """Returns the strip of an episode file; None when it has none or cannot be read."""
    try:
        with EpisodeReader(path) as reader:
            return strip_of(reader)
    except TeleopError as error:
        log.info("no preview strip: %s", error)
        return None
