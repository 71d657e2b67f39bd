"""Checks what cameras, sensors and policies gave besides video: shapes, numbers, depth images that unpack."""

from __future__ import annotations

from collections.abc import Callable

from recorders.reader import EpisodeReader
from recorders.schema import ATTACHMENT_PREVIEW
from teleop_app.core.errors import EpisodeError, UnreadableError

_SAMPLED = 30
"""Of so many depth images one is unpacked when not all are."""


def sensor_findings(reader: EpisodeReader, *, full: bool) -> list[str]:
    """Sentences on what is wrong; none when all is in order.

    Args:
        reader: The open episode.
        full: Unpack every depth image.
    """
    header = reader.header
    found: list[str] = []
    for camera in header.cameras:
        found += _tried(f"times of camera {camera.name}", lambda name=camera.name: reader.frame_stamps(name))
        if camera.depth_unit_m:
            found += _depth(reader, camera.name, full)
    found += _tried("autonomy", reader.autonomy) + _tried("chunks", reader.chunks)
    for stream in header.streams:
        found += _tried(f"stream {stream.name}", lambda name=stream.name: reader.stream(name))
    for sound in header.audio:
        found += _tried(f"microphone {sound.name}", lambda name=sound.name: reader.audio(name))
    for sensor in header.force_sensors:
        found += _tried(f"force {sensor}", lambda name=sensor: reader.force(name))
    return found + _tried("preview", lambda: _check_preview(reader))


def _depth(reader: EpisodeReader, camera: str, full: bool) -> list[str]:
    broken: list[int] = []
    try:
        count = len(reader.depth_track(camera).seq)
    except EpisodeError as error:
        return [f"depth of camera {camera}: {error.sentence}"]
    for index in range(0, count, 1 if full else _SAMPLED):
        try:
            reader.depth(camera, index)
        except UnreadableError:
            raise
        except EpisodeError:
            broken.append(index)
    if not broken:
        return []
    return [f"{len(broken)} depth images of camera {camera} cannot be unpacked, the first is {broken[0]}."]


def _check_preview(reader: EpisodeReader) -> None:
    if ATTACHMENT_PREVIEW in reader.container.contents.attachments:
        content = reader.container.attachment(ATTACHMENT_PREVIEW)
        if not content.startswith(b"\xff\xd8"):
            raise EpisodeError("It is no JPEG")


def _tried(what: str, read: Callable[[], object]) -> list[str]:
    try:
        read()
    except UnreadableError:
        raise
    except EpisodeError as error:
        return [f"{what}: {error.sentence}"]
    return []
