"""Exact access to any frame: decoders that stay where they are, several cameras decoded side by side."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from recorders.decoding_threads import in_decoding_thread
from recorders.packet_index import PacketIndex
from recorders.video import H264Decoder, Image
from teleop_app.core.errors import EpisodeError

CACHED_FRAMES = 32
_REMEMBERED_JOBS = 2
Images = dict[int, Image]


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
class _Plan:
    """What a request takes: pictures at hand, those that an earlier request brings, and packets to decode."""

    ready: Images
    coming: dict[int, Future[Images]] = field(default_factory=dict)
    runs: tuple[_Run, ...] = ()


class FrameAccess:
    """Frames of one camera by number. Keeps the decoder where it stands and the last few images.

    Ask from one thread. `request` reads the packets there and then, and decodes in other threads; requests
    are carried out in the order in which they are made.

    Args:
        packets: The camera's packets.
        size: Width and height [px] to scale to while the colours are converted; None: as recorded.
        cached: Images kept.

    Attributes:
        size: Width and height of the images [px].
    """

    def __init__(
        self, packets: PacketIndex, *, size: tuple[int, int] | None = None, cached: int = CACHED_FRAMES
    ) -> None:
        self.packets = packets
        self.size = size or (packets.camera.width, packets.camera.height)
        self._limit = cached
        self._images: OrderedDict[int, Image] = OrderedDict()
        self._lock = threading.Lock()  # of the images kept
        self._jobs: deque[tuple[frozenset[int], Future[Images]]] = deque(maxlen=_REMEMBERED_JOBS)
        self._decoder: H264Decoder | None = None
        self._next: int | None = None  # where the decoder stands once all requests are carried out

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
        images = self._carry_out(self._plan(indices), self._last_job())
        return [images[index] for index in indices]

    def request(self, indices: Iterable[int]) -> Future[Images]:
        """Have frames decoded by another thread; the future gives them by number.

        Raises:
            EpisodeError: There is no such frame, or the file is damaged. What cannot be decoded is raised by
                the future.
        """
        plan = self._plan(indices)
        previous = self._last_job()
        if not plan.runs and not plan.coming:
            done: Future[Images] = Future()
            done.set_result(plan.ready)
            return done
        job = in_decoding_thread(lambda: self._carry_out(plan, previous))
        self._jobs.append((frozenset(i for run in plan.runs for i in run.wanted), job))
        return job

    def _last_job(self) -> Future[Images] | None:
        return self._jobs[-1][1] if self._jobs else None

    def _plan(self, indices: Iterable[int]) -> _Plan:
        plan = _Plan({})
        spans: list[tuple[int, list[int], bool]] = []
        position = self._next
        for index in sorted(set(indices)):
            if self._at_hand(index, plan):
                continue
            if not 0 <= index < len(self.packets):
                self.packets.packet(index)  # raises the sentence
            keyframe = self.packets.keyframe_before(index)
            if position is None or not keyframe <= position <= index:
                spans.append((keyframe, [index], True))
            elif spans:
                spans[-1][1].append(index)
            else:
                spans.append((position, [index], False))
            position = index + 1
        runs = tuple(
            _Run(first, self.packets.packets(first, wanted[-1] + 1), frozenset(wanted), fresh)
            for first, wanted, fresh in spans
        )
        self._next = position
        return _Plan(plan.ready, plan.coming, runs)

    def _at_hand(self, index: int, plan: _Plan) -> bool:
        with self._lock:
            image = self._images.get(index)
            if image is not None:
                self._images.move_to_end(index)
                plan.ready[index] = image
                return True
        for wanted, job in self._jobs:
            if index in wanted and not (job.done() and job.exception()):
                plan.coming[index] = job
                return True
        return False

    def _carry_out(self, plan: _Plan, previous: Future[Images] | None) -> Images:
        if previous is not None:
            wait([previous])  # begun before this one, so it never waits for this thread
        found = dict(plan.ready)
        try:
            for run in plan.runs:
                self._decode(run, found)
        except Exception:
            self._decoder = self._next = None
            raise
        for index, job in plan.coming.items():
            found[index] = job.result()[index]
        return found

    def _decode(self, run: _Run, found: Images) -> None:
        if run.fresh:
            self._decoder = self._restarted()
        elif self._decoder is None:
            raise EpisodeError(f"A frame before frame {run.first} of {self.packets.camera.name} is damaged")
        for number, payload in enumerate(run.packets, run.first):
            frame = self._decoder.decode_frame(payload)
            if number in run.wanted:
                image = self._decoder.to_rgb(frame, self.size)
                image.flags.writeable = False
                found[number] = image
                self._keep(number, image)

    def _restarted(self) -> H264Decoder:
        if self._decoder is None:
            return H264Decoder(self.packets.camera.width, self.packets.camera.height)
        self._decoder.restart()
        return self._decoder

    def _keep(self, number: int, image: Image) -> None:
        with self._lock:
            self._images[number] = image
            while len(self._images) > self._limit:
                self._images.popitem(last=False)
