"""Exact access to any frame: decoders that stay where they are, several cameras decoded side by side."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from recorders.packet_index import PacketIndex
from recorders.video import H264Decoder, Image
from teleop_app.core.errors import EpisodeError

CACHED_FRAMES = 32
_MAX_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive packets to decode.

    Attributes:
        first: Number of the first one; a keyframe when `fresh`.
        packets: Access units.
        wanted: Numbers whose pictures are asked for.
        fresh: Start a new decoder; else the present one stands just before `first`.
    """

    first: int
    packets: list[bytes]
    wanted: frozenset[int]
    fresh: bool


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """What one camera has to decode for a request. It holds the packets: carrying it out reads no file."""

    runs: tuple[_Run, ...]
    cached: Mapping[int, Image]


class FrameAccess:
    """Frames of one camera by number. Keeps the decoder where it stands and the last few images.

    `plan` and `carry_out` split a request, so that one thread reads the file while others decode; every plan
    is carried out before the next one is made. `frame` and `frames` do both.

    Args:
        packets: The camera's packets.
        size: Width and height [px] to scale to while the colours are converted; None: as recorded.
        cached: Images kept.
    """

    def __init__(
        self, packets: PacketIndex, *, size: tuple[int, int] | None = None, cached: int = CACHED_FRAMES
    ) -> None:
        self._packets = packets
        self._size = size
        self._limit = cached
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._decoder: H264Decoder | None = None
        self._next = 0

    def frame(self, index: int) -> Image:
        """Frame `index`, RGB of shape (height, width, 3); read-only.

        Raises:
            EpisodeError: There is no such frame, or it cannot be decoded.
        """
        return self.frames((index,))[0]

    def frames(self, indices: Sequence[int]) -> list[Image]:
        """Several frames in the order asked for; decoded in one pass forward, whatever that order is.

        Raises:
            EpisodeError: As `frame`.
        """
        images = self.carry_out(self.plan(indices))
        return [images[index] for index in indices]

    def plan(self, indices: Iterable[int]) -> DecodePlan:
        """Read what is needed to decode these frames.

        Raises:
            EpisodeError: There is no such frame, or the file is damaged.
        """
        cached: dict[int, Image] = {}
        position = self._next if self._decoder is not None else None
        spans: list[tuple[int, list[int], bool]] = []
        for index in sorted(set(indices)):
            if index in self._images:
                self._images.move_to_end(index)
                cached[index] = self._images[index]
                continue
            if not 0 <= index < len(self._packets):
                self._packets.packet(index)  # raises the sentence
            keyframe = self._packets.keyframe_before(index)
            if position is None or not keyframe <= position <= index:
                spans.append((keyframe, [index], True))
            elif spans:
                spans[-1][1].append(index)
            else:
                spans.append((position, [index], False))
            position = index + 1
        runs = tuple(
            _Run(first, self._packets.packets(first, wanted[-1] + 1), frozenset(wanted), fresh)
            for first, wanted, fresh in spans
        )
        return DecodePlan(runs, cached)

    def carry_out(self, plan: DecodePlan) -> dict[int, Image]:
        """The images of a plan by frame number. Any thread, one at a time; reads no file.

        Raises:
            EpisodeError: A frame cannot be decoded.
        """
        found = dict(plan.cached)
        try:
            for run in plan.runs:
                self._decode(run, found)
        except EpisodeError:
            self._decoder = None
            raise
        return found

    def _decode(self, run: _Run, found: dict[int, Image]) -> None:
        if run.fresh or self._decoder is None:
            camera = self._packets.camera
            self._decoder = H264Decoder(camera.width, camera.height)
        for number, payload in enumerate(run.packets, run.first):
            frame = self._decoder.decode_frame(payload)
            if number in run.wanted:
                image = self._decoder.to_rgb(frame, self._size)
                image.flags.writeable = False
                found[number] = image
                self._keep(number, image)
        self._next = run.first + len(run.packets)

    def _keep(self, number: int, image: Image) -> None:
        self._images[number] = image
        while len(self._images) > self._limit:
            self._images.popitem(last=False)


def decode_together(requests: Sequence[tuple[FrameAccess, Sequence[int]]]) -> list[dict[int, Image]]:
    """Frames of several cameras, decoded side by side: FFmpeg works outside Python's lock.

    Args:
        requests: A camera and its frame numbers; no camera twice.

    Returns:
        Images by frame number, one dictionary a request.

    Raises:
        EpisodeError: As `FrameAccess.frame`, for the first request that fails; the others are done.
    """
    plans = [access.plan(indices) for access, indices in requests]
    busy = [number for number, plan in enumerate(plans) if plan.runs]
    if len(busy) < 2:
        return [access.carry_out(plan) for (access, _), plan in zip(requests, plans, strict=True)]
    pool = _Pool.get()
    work = {number: pool.submit(requests[number][0].carry_out, plans[number]) for number in busy}
    for future in work.values():
        future.exception()  # waits: no decoder is left running when an error is raised
    return [
        work[number].result() if number in work else dict(plan.cached) for number, plan in enumerate(plans)
    ]


class _Pool:
    """The decoding threads of this process, made at first use; a forked child makes its own."""

    _threads: ThreadPoolExecutor | None = None

    @classmethod
    def get(cls) -> ThreadPoolExecutor:
        if cls._threads is None:
            cls._threads = ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1), "decode")
        return cls._threads

    @classmethod
    def forget(cls) -> None:
        cls._threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Pool.forget)
