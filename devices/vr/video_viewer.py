"""What one page gets of the cameras' video: fresh pictures or none, never a queue that grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.types import VideoPacket

WAIT_NS: Final = 150 * NS_PER_MS
"""A packet that waited so long is dropped, with all behind it up to the next keyframe."""
LATE_NS: Final = 200 * NS_PER_MS
"""Nothing more is sent while a packet is so long unacknowledged: network and kernel would only queue it."""
MOST_IN_FLIGHT: Final = 48
_FRESH_NS: Final = 40 * NS_PER_MS
_LONGEST: Final = 64


@dataclass(slots=True)
class _Lane:
    """One camera's packets for this page.

    Attributes:
        waiting: When each was offered, and the packet.
        following: The page has all that the next packet refers to.
        newest_ns: Time of the newest packet; a page that joins may be offered one twice.
    """

    waiting: deque[tuple[int, VideoPacket]] = field(default_factory=lambda: deque[tuple[int, VideoPacket]]())
    following: bool = False
    newest_ns: int = 0

    def offer(self, packet: VideoPacket, now_ns: int) -> int:
        """Take a packet; how many were dropped for it, itself included."""
        if packet.capture_ns <= self.newest_ns:
            return 0
        self.newest_ns = packet.capture_ns
        dropped = 0
        waited_ns = now_ns - self.waiting[0][0] if self.waiting else 0
        if packet.keyframe:
            if waited_ns > _FRESH_NS:  # the keyframe makes up for whatever is still waiting
                dropped = self.clear()
            self.following = True
        elif waited_ns > WAIT_NS or len(self.waiting) >= _LONGEST:
            dropped = self.clear()
        if not self.following:
            return dropped + 1
        self.waiting.append((now_ns, packet))
        return dropped

    def clear(self) -> int:
        """Drop what is waiting, and what would need it; how many."""
        dropped = len(self.waiting)
        self.waiting.clear()
        self.following = False
        return dropped


class VideoViewer:
    """Decides what is sent to one page, and when. One thread."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._shown: frozenset[str] | None = None
        self._in_flight: deque[tuple[int, int]] = deque()
        self._number = 0
        self.sent = 0
        self.dropped = 0

    def shows(self, camera: str) -> bool:
        """Whether the page shows that camera."""
        return self._shown is None or camera in self._shown

    def show(self, cameras: frozenset[str] | None) -> None:
        """The page shows these cameras from now on; None: all."""
        self._shown = cameras
        for camera in [name for name in self._lanes if not self.shows(name)]:
            del self._lanes[camera]

    def start(self, packets: Iterable[VideoPacket], now_ns: int) -> None:
        """Give a page what was sent since a camera's last keyframe, so that it need not wait for the next."""
        for packet in packets:
            if self.shows(packet.camera) and (packet.keyframe or packet.camera in self._lanes):
                self.offer(packet, now_ns)

    def offer(self, packet: VideoPacket, now_ns: int) -> None:
        """A camera has a new packet."""
        if self.shows(packet.camera):
            self.dropped += self._lanes.setdefault(packet.camera, _Lane()).offer(packet, now_ns)

    def take(self, now_ns: int) -> tuple[VideoPacket, int] | None:
        """The packet to send now and its number; None when there is none, or the page is behind."""
        late = self._in_flight and now_ns - self._in_flight[0][1] > LATE_NS
        if late or len(self._in_flight) >= MOST_IN_FLIGHT:
            return None
        for lane in self._lanes.values():
            if lane.waiting and now_ns - lane.waiting[0][0] > WAIT_NS:
                self.dropped += self._stale(lane, now_ns)
        ready = [lane for lane in self._lanes.values() if lane.waiting]
        if not ready:
            return None
        lane = min(ready, key=lambda each: each.waiting[0][1].capture_ns)
        packet = lane.waiting.popleft()[1]
        self._number += 1
        self.sent += 1
        self._in_flight.append((self._number, now_ns))
        return packet, self._number

    def acknowledge(self, number: int) -> None:
        """The page has every packet up to this number."""
        while self._in_flight and self._in_flight[0][0] <= number:
            self._in_flight.popleft()

    def _stale(self, lane: _Lane, now_ns: int) -> int:
        """Drop up to the last keyframe that is waiting, if that one is fresh, else everything."""
        places = [
            place
            for place, (offered_ns, packet) in enumerate(lane.waiting)
            if packet.keyframe and now_ns - offered_ns <= WAIT_NS
        ]
        if not places:
            return lane.clear()
        for _ in range(places[-1]):
            lane.waiting.popleft()
        return places[-1]
