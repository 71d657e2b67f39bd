"""A camera's rows encoded again, for episodes whose packets cannot go over as they are."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from recorders.exporters.grid import CameraGrid
from recorders.exporters.source import EpisodeSource
from recorders.picture_chain import PictureChain
from recorders.schema import CameraHeader, VideoTrack
from recorders.video import H264Decoder, H264Encoder, Image, is_keyframe
from teleop_app.core.errors import EpisodeError, ExportError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """One row of the new stream.

    Attributes:
        payload: Access unit.
        keyframe: It is an IDR.
        image: What it shows, RGB.
        repeated: It shows the frame before, because the row's own is lost or damaged.
    """

    payload: bytes
    keyframe: bool
    image: Image
    repeated: bool


def reencode(source: EpisodeSource, track: VideoTrack, grid: CameraGrid) -> Iterator[EncodedRow]:
    """Decode the packets and encode one frame for every row, repeating the frame before at gaps.

    The recording encoder's own settings are used, as its name tells them: its parameter sets then come out
    the same, and the result can share an mp4 with remuxed episodes.

    Raises:
        ExportError: Nothing can be decoded at the first row.
    """
    encoder = encoder_like(track.camera)
    try:
        shown: Image | None = None
        row = 0
        for number, image in _decoded(source, track, int(grid.packet[0]), int(grid.packet[-1])):
            shown = shown if image is None else image
            if shown is None:
                raise ExportError(
                    f"The first frames of camera '{grid.name}' of episode {source.header.uuid} are damaged",
                    next_step="Leave the episode or the camera out",
                )
            while row < len(grid.packet) and grid.packet[row] == number:
                payload = encoder.encode(shown)
                repeated = image is None or bool(grid.repeated[row])
                yield EncodedRow(payload, is_keyframe(payload), shown, repeated)
                row += 1
    finally:
        encoder.close()


def _decoded(
    source: EpisodeSource, track: VideoTrack, first: int, last: int
) -> Iterator[tuple[int, Image | None]]:
    """(packet number, RGB) of packets first..last, None where damaged; after damage until a keyframe."""
    start = first
    while start > 0 and not track.keyframe[start]:
        start -= 1
    decoder = H264Decoder(track.camera.width, track.camera.height)
    chain = PictureChain()
    intact = True
    for number, _, keyframe, payload in source.packets(track.camera.name, start, last + 1):
        if keyframe and not intact:
            decoder, intact = H264Decoder(track.camera.width, track.camera.height), True
        missing = int(track.seq[number] - track.seq[number - 1]) - 1 if number > start else 0
        intact = chain.accepts(payload, missing) and intact
        image: Image | None = None
        if intact:
            try:
                frame = decoder.decode_frame(payload)
                image = decoder.to_rgb(frame) if number >= first else None
            except EpisodeError as error:
                log.warning("Camera %s, packet %d: %s", track.camera.name, number, error)
                intact = False
        if number >= first:
            yield number, image


def encoder_like(camera: CameraHeader) -> H264Encoder:
    """An encoder with the settings that `camera.encoder` names; the usual ones where it names none."""
    found = re.fullmatch(r"libx264 (\w+) crf (\d+) gop (\d+)", camera.encoder)
    if found is None:
        return H264Encoder(camera.width, camera.height, camera.fps)
    preset, crf, gop = found.groups()
    return H264Encoder(camera.width, camera.height, camera.fps, preset, int(crf), int(gop))
