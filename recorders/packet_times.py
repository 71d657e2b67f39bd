"""When a camera's frames were captured, from the message indexes alone: the chunks are not unfolded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recorders.container import Container
from recorders.packet_index import ToMonotonic
from recorders.schema import CameraHeader, IntArray, VideoTrack, topic_video
from recorders.tracks import concatenated, video_payload
from recorders.video import is_keyframe


def packet_times(
    container: Container, cameras: Sequence[CameraHeader], monotonic: ToMonotonic
) -> dict[str, VideoTrack] | None:
    """Tracks of cameras in which only the first frame is marked as a keyframe and only `capture_ns` is told.

    Returns:
        None where a camera begins with something else than a keyframe: its packets must be looked at.

    Raises:
        EpisodeError: The file is damaged.
    """
    channels = {camera.name: container.channel(topic_video(camera.name)) for camera in cameras}
    wanted = {channel.id for channel in channels.values() if channel is not None}
    times: dict[int, list[IntArray]] = {channel: [] for channel in wanted}
    for place in container.contents.chunks:
        if not place.channels.isdisjoint(wanted):
            for channel, found in container.message_times(place).items():
                if channel in wanted:
                    times[channel].append(found)
    tracks: dict[str, VideoTrack] = {}
    for camera in cameras:
        channel = channels[camera.name]
        if channel is None or not _begins_with_keyframe(container, channel.id):
            return None
        capture_ns = monotonic(concatenated(times[channel.id]))
        untold = np.zeros(len(capture_ns), np.int64)
        first = np.arange(len(capture_ns)) == 0
        tracks[camera.name] = VideoTrack(camera, capture_ns, untold, untold, first)
    return tracks


def _begins_with_keyframe(container: Container, channel: int) -> bool:
    place = next((place for place in container.contents.chunks if channel in place.channels), None)
    payload = None if place is None else next(container.block(place, channel).payloads(), None)
    return payload is not None and is_keyframe(video_payload(payload))
