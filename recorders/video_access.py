"""A camera's packets in an episode file: where each lies, and exact access to any frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recorders.container import ChunkPlace, Container
from recorders.schema import CameraHeader, VideoTrack
from recorders.tracks import concatenated, unwrapped, video_payload
from recorders.video import H264Decoder, Image, is_keyframe
from teleop_app.core.errors import EpisodeError

_CACHED_FRAMES = 32
IntArray = NDArray[np.int64]


class PacketIndex:
    """All packets of one camera; the bytes stay in the file.

    Args:
        container: The open file.
        topic: The camera's video topic.
        camera: Its header.
        monotonic: Converts UTC to the host's monotonic time [ns].

    Raises:
        EpisodeError: The file is damaged.
    """

    def __init__(
        self,
        container: Container,
        topic: str,
        camera: CameraHeader,
        monotonic: Callable[[IntArray], IntArray],
    ) -> None:
        self._container = container
        self.camera = camera
        self._places: list[tuple[ChunkPlace, int, int]] = []
        capture, ready, seq, keyframes = [], [], [], []
        channel = container.channel(topic)
        for place in container.contents.chunks:
            if channel is None or channel.id not in place.channels:
                continue
            block = container.block(place, channel.id)
            capture.append(block.log_utc_ns)
            ready.append(block.publish_utc_ns)
            seq.append(block.seq)
            keyframes.extend(is_keyframe(video_payload(payload)) for payload in block.payloads())
            self._places.extend(
                (place, start, length)
                for start, length in zip(block.starts.tolist(), block.lengths.tolist(), strict=True)
            )
        self.track = VideoTrack(
            camera=camera,
            capture_ns=monotonic(concatenated(capture)),
            receive_ns=monotonic(concatenated(ready)),
            seq=unwrapped(concatenated(seq)),
            keyframe=np.array(keyframes, np.bool_),
        )

    def __len__(self) -> int:
        return len(self._places)

    def packet(self, index: int) -> bytes:
        """Access unit number `index`.

        Raises:
            EpisodeError: There is none, or its chunk is damaged.
        """
        if not 0 <= index < len(self._places):
            raise EpisodeError(
                f"There is no frame {index} of camera {self.camera.name}",
                why=f"it has {len(self._places)} frames",
            )
        place, start, length = self._places[index]
        return video_payload(self._container.chunk(place)[start : start + length].tobytes())

    def keyframe_before(self, index: int) -> int:
        """The last keyframe at or before `index`.

        Raises:
            EpisodeError: There is none.
        """
        found = np.flatnonzero(self.track.keyframe[: index + 1])
        if not len(found):
            raise EpisodeError(f"Frame {index} of camera {self.camera.name} has no keyframe before it")
        return int(found[-1])


class FrameAccess:
    """Frames by number. Keeps the decoder where it stands and the last few images."""

    def __init__(self, packets: PacketIndex) -> None:
        self._packets = packets
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._decoder: H264Decoder | None = None
        self._next = 0

    def frame(self, index: int) -> Image:
        """Frame `index`, RGB of shape (height, width, 3).

        Raises:
            EpisodeError: There is no such frame, or it cannot be decoded.
        """
        if index in self._images:
            self._images.move_to_end(index)
            return self._images[index]
        if not 0 <= index < len(self._packets):
            self._packets.packet(index)  # raises the sentence
        keyframe = self._packets.keyframe_before(index)
        if self._decoder is None or not keyframe <= self._next <= index:
            camera = self._packets.camera
            self._decoder = H264Decoder(camera.width, camera.height)
            self._next = keyframe
        decoder = self._decoder
        try:
            while self._next < index:
                decoder.decode_frame(self._packets.packet(self._next))
                self._next += 1
            image = decoder.decode(self._packets.packet(index))
        except EpisodeError:
            self._decoder = None
            raise
        self._next = index + 1
        image.flags.writeable = False
        self._images[index] = image
        if len(self._images) > _CACHED_FRAMES:
            self._images.popitem(last=False)
        return image
