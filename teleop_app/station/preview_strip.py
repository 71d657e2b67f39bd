"""Small pictures evenly spread over an episode, side by side in one JPEG, made while it is recorded."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recorders.video import H264Decoder
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import VideoPacket

HEIGHT_PX = 72
MAX_TILES = 40
FIRST_SPACING_NS = 500_000_000
_JPEG_QUALITY = 75

Image = NDArray[np.uint8]


class PreviewStrip:
    """Keeps a tile of one camera every so often; when there are too many, every other one goes.

    So the tiles stay evenly spread and few, however long the episode gets, and a doubled spacing halves
    what the strip costs. Only keyframes are decoded.

    Args:
        max_tiles: Even.
    """

    def __init__(self, max_tiles: int = MAX_TILES) -> None:
        self._max_tiles = max_tiles
        self._spacing_ns = FIRST_SPACING_NS
        self._due_ns = 0
        self._tiles: list[tuple[int, Image]] = []

    def see(self, packet: VideoPacket) -> None:
        """Look at a packet of the camera in question."""
        if not packet.keyframe or packet.capture_ns < self._due_ns:
            return
        try:
            decoder = H264Decoder(packet.width, packet.height)
            size = (max(1, round(packet.width * HEIGHT_PX / packet.height)), HEIGHT_PX)
            tile = decoder.to_rgb(decoder.decode_frame(packet.payload), size)
        except EpisodeError:
            return
        self._tiles.append((packet.capture_ns, tile))
        if len(self._tiles) > self._max_tiles:
            self._tiles = self._tiles[::2]
            self._spacing_ns *= 2
        # Places are counted from the first tile, not from the last one: late keyframes must not add up.
        first_ns = self._tiles[0][0]
        place = round((packet.capture_ns - first_ns) / self._spacing_ns)
        self._due_ns = first_ns + (place + 1) * self._spacing_ns - self._spacing_ns // 8

    @property
    def times_ns(self) -> list[int]:
        """Capture times of the tiles."""
        return [time_ns for time_ns, _ in self._tiles]

    def jpeg(self) -> bytes:
        """The tiles side by side, equally large; empty when there is none."""
        if not self._tiles:
            return b""
        strip = np.concatenate([tile for _, tile in self._tiles], axis=1)
        bgr = np.ascontiguousarray(strip[:, :, ::-1])
        done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return encoded.tobytes() if done else b""
