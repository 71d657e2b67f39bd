"""Samples on their way into an episode: bounded, and undecoded until they are written.

Between recordings the feed keeps the last seconds, so that a recording can begin before its key. A
message that nobody wants is never decoded: that is what makes an armed recorder cheap.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from teleop_app.core.bus import Endpoints, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import PolicyChunk, VideoPacket

TOPICS: Final = (
    "tick",
    "chunk",
    "input",
    "world",
    "event",
    "video/",
    "depth/",
    "batch/",
    "clock/",
)
"""What is recorded, and wanted only while a session is open."""
INTRODUCTIONS: Final = ("force", "audio/")
"""What is recorded too, and heard all the time: only a first message tells what there is."""
QUEUE: Final = 6000
"""Messages a process's queue to the recorder takes while the recorder stands still: 25 s of cameras."""
MAX_MESSAGES: Final = 30_000
MAX_BYTES: Final = 256 << 20
_VIDEO = b"video/"
_CHUNK = b"chunk"

Message = tuple[list[bytes], int]
"""Parts as they came, and when they arrived, CLOCK_MONOTONIC [ns]."""


class SampleFeed:
    """Collects what the processes of a station publish for the recorder.

    Args:
        endpoints: Of the station.
        processes: Publishers known from the start; `connect` adds more.
        span_ns: How much is kept while nothing is recorded.
        introduce: Called with the first message of each topic, and with the first one after a `forget`.
        max_messages: Room.
        max_bytes: Room.

    Attributes:
        span_ns: See above.
        recording: Whether everything is kept, in order, for `take`; else only the last `span_ns`.
        floor_ns: Nothing captured before this belongs to a next episode.
        dropped: Messages that found no room, by topic.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        processes: Iterable[str],
        span_ns: int,
        introduce: Callable[[Any], None],
        max_messages: int = MAX_MESSAGES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._endpoints = endpoints
        self._processes: set[str] = set()
        self._subscriber = Subscriber([], INTRODUCTIONS, queue=QUEUE)
        self.span_ns = span_ns
        self._introduce = introduce
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._last_chunk: list[bytes] | None = None
        self._introduced: set[bytes] = set()
        self._wanted = False
        self.recording = False
        self.floor_ns = 0
        self.dropped: Counter[str] = Counter()
        for process in processes:
            self.connect(process)

    def connect(self, process: str) -> bool:
        """Listen to one more process; whether it is a new one."""
        if process in self._processes:
            return False
        self._processes.add(process)
        self._subscriber.connect(self._endpoints.publish(process))
        return True

    def want(self, wanted: bool) -> None:
        """Whether samples are to be kept at all; what is kept is forgotten when not."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        change = self._subscriber.socket.subscribe if wanted else self._subscriber.socket.unsubscribe
        for topic in TOPICS:
            change(topic.encode())

    def forget(self, floor_ns: int) -> None:
        """Drop what waits: what was captured before `floor_ns` belongs to no next episode."""
        self._waiting.clear()
        self._last_chunk = None
        self._bytes = 0
        self._introduced.clear()
        self.floor_ns = max(self.floor_ns, floor_ns)

    def collect(self, now_ns: int) -> None:
        """Take in what has arrived. Never blocks."""
        for parts in self._subscriber.drain_encoded(QUEUE):
            self._add(parts, now_ns)
        if not self.recording:
            oldest_ns = now_ns - (self.span_ns if self._wanted else 0)
            while self._waiting and (self._waiting[0][1] <= oldest_ns or self._is_full()):
                parts = self._waiting.popleft()[0]
                self._bytes -= len(parts[-1])
                if parts[0] == _CHUNK:
                    self._last_chunk = parts

    def _add(self, parts: list[bytes], now_ns: int) -> None:
        if parts[0] not in self._introduced:
            self._introduced.add(parts[0])
            item = self._subscriber.read(parts)
            if item is None:
                return
            self._introduce(item[1])
        if self.recording and self._is_full():
            self.dropped[parts[0].decode(errors="replace")] += 1
            return
        self._waiting.append((parts, now_ns))
        self._bytes += len(parts[-1])

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_messages or self._bytes >= self._max_bytes

    def take(self, limit: int) -> Iterator[tuple[Any, int]]:
        """Messages that wait, oldest first, each with its time of arrival."""
        for _ in range(min(limit, len(self._waiting))):
            parts, arrived_ns = self._waiting.popleft()
            self._bytes -= len(parts[-1])
            item = self._subscriber.read(parts)
            if item is not None:
                yield item[1], arrived_ns

    def packets(self) -> list[VideoPacket]:
        """The video among what waits, which goes on waiting."""
        waiting = [parts for parts, _ in self._waiting if parts[0].startswith(_VIDEO)]
        items = [self._subscriber.read(parts) for parts in waiting]
        return [item[1] for item in items if item is not None and isinstance(item[1], VideoPacket)]

    def chunk_in_force(self) -> PolicyChunk | None:
        """The newest of a policy's chunks that lie too far back to wait: its actions may still be due."""
        item = None if self._last_chunk is None else self._subscriber.read(self._last_chunk)
        return item[1] if item is not None and isinstance(item[1], PolicyChunk) else None

    def available_ns(self, now_ns: int) -> int:
        """How far back a recording that starts now could reach."""
        if not self._wanted or self.recording or not self._waiting:
            return 0
        return max(0, now_ns - max(self.floor_ns, self._waiting[0][1]))

    def taken_until_ns(self, now_ns: int) -> int:
        """What arrived before this was taken: the arrival of the oldest message that waits, else now."""
        return self._waiting[0][1] if self._waiting else now_ns

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    @property
    def fill(self) -> float:
        """How full the feed is, 0..1."""
        return min(1.0, max(len(self._waiting) / self._max_messages, self._bytes / self._max_bytes))

    @property
    def malformed(self) -> int:
        """Messages that could not be decoded."""
        return self._subscriber.malformed

    def close(self) -> None:
        """Release the socket."""
        self._subscriber.close()


def keyframe_span_ns(keyframe_frames: int, slowest_fps: int) -> int:
    """How long a camera may go without a keyframe, and a little more."""
    return (keyframe_frames + 2) * NS_PER_S // max(1, slowest_fps)
