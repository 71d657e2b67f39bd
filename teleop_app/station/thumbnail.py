"""The small picture of an episode in lists."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from recorders.video import H264Decoder
from sessions.rows import Thumbnail
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import EpisodeError
from teleop_app.core.types import VideoPacket

WIDTH_PX = 192
_JPEG_QUALITY = 80


def thumbnail_camera(names: Sequence[str]) -> str | None:
    """The camera that shows the whole scene: one called overhead or front, else the first."""
    for word in ("overhead", "front", "scene"):
        for name in names:
            if word in name:
                return name
    return names[0] if names else None


def make_thumbnail(rgb: NDArray[np.uint8]) -> Thumbnail | None:
    """A JPEG of at most `WIDTH_PX` width, None when it cannot be made.

    Args:
        rgb: Shape (height, width, 3).
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, WIDTH_PX / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(np.ascontiguousarray(rgb[:, :, ::-1]), size, interpolation=cv2.INTER_AREA)
    done, image = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Thumbnail("image/jpeg", size[0], size[1], image.tobytes()) if done else None


class LiveThumbnail:
    """Keeps a picture from the second half of a recording, at the cost of a few decoded keyframes.

    It decodes the first keyframe, and then the first one after 1, 2, 4, 8, ... seconds, so that there is
    always one when the recording stops and nothing is left to do then.
    """

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._due_ns = 0
        self.picture: Thumbnail | None = None

    def see(self, packet: VideoPacket) -> None:
        """Look at a packet of the camera in question."""
        if not packet.keyframe or packet.capture_ns < self._due_ns:
            return
        if self._first_ns is None:
            self._first_ns = packet.capture_ns
        age_ns = packet.capture_ns - self._first_ns
        self._due_ns = self._first_ns + max(NS_PER_S, 2 * age_ns)
        try:
            self.picture = make_thumbnail(H264Decoder(packet.width, packet.height).decode(packet.payload))
        except EpisodeError:
            return
