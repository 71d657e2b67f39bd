"""Where an episode's video starts: with a keyframe, of the same instant for all cameras if possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from teleop_app.core.types import VideoPacket


class VideoGate(Protocol):
    """Decides which packets at the beginning of a recording are written.

    Attributes:
        open: All that comes is written from now on.
    """

    open: bool

    def take(self, packet: VideoPacket, now_ns: int) -> list[VideoPacket]:
        """Packets to write now, in order, after `packet` arrived."""
        ...

    def release(self, now_ns: int) -> list[VideoPacket]:
        """Packets to write now although nothing arrived."""
        ...


class VideoStart:
    """Holds packets back until all cameras can start with a keyframe of the same grid index.

    Args:
        cameras: Names; of one frame rate, else they cannot be aligned and each starts by itself.
        deadline_ns: From then on each camera starts with its own first keyframe.
        aligned: Whether the cameras share a grid.
    """

    def __init__(self, cameras: Sequence[str], deadline_ns: int, *, aligned: bool = True) -> None:
        self._held: dict[str, list[VideoPacket]] = {name: [] for name in cameras}
        self._deadline_ns = deadline_ns
        self._aligned = aligned
        self.open = not cameras

    def take(self, packet: VideoPacket, now_ns: int) -> list[VideoPacket]:
        """Packets to write now, in order, after `packet` arrived."""
        if self.open:
            return [packet]
        held = self._held.setdefault(packet.camera, [])
        if held or packet.keyframe:
            held.append(packet)
        return self.release(now_ns)

    def release(self, now_ns: int) -> list[VideoPacket]:
        """Packets to write now, because every camera can start or the time is up."""
        if self.open:
            return []
        common: set[int] | None = None
        for packets in self._held.values():
            seqs = {packet.seq for packet in packets if packet.keyframe}
            common = seqs if common is None else common & seqs
        if self._aligned and common:
            start_seq = min(common)
            chosen = [p for packets in self._held.values() for p in packets if p.seq >= start_seq]
        elif now_ns >= self._deadline_ns or (not self._aligned and all(self._held.values())):
            chosen = [p for packets in self._held.values() for p in packets]
        else:
            return []
        self.open = True
        self._held.clear()
        return sorted(chosen, key=lambda packet: packet.capture_ns)


class PrerollStart:
    """Lets each camera start with a keyframe that was chosen among those kept before the key.

    Args:
        cameras: Names.
        starts: Time of the first frame by camera; one without starts with its next keyframe.
    """

    def __init__(self, cameras: Sequence[str], starts: dict[str, int]) -> None:
        self._starts = dict(starts)
        self._shut = set(cameras)
        self.open = not self._shut

    def take(self, packet: VideoPacket, now_ns: int) -> list[VideoPacket]:
        """The packet itself, once its camera has started."""
        del now_ns
        if packet.camera in self._shut:
            if not packet.keyframe or packet.capture_ns < self._starts.get(packet.camera, 0):
                return []
            self._shut.discard(packet.camera)
            self.open = not self._shut
        return [packet]

    def release(self, now_ns: int) -> list[VideoPacket]:
        """Nothing is held back."""
        del now_ns
        return []


def preroll_starts(
    packets: Sequence[VideoPacket], cameras: Sequence[str], wanted_ns: int, floor_ns: int, *, aligned: bool
) -> dict[str, int]:
    """When the video of each camera starts: with the last common keyframe at or before `wanted_ns`.

    Where the cameras share none there, the first common one after it; where they share none at all, or
    no grid, each its own. A camera without a keyframe is left out.

    Args:
        packets: Kept before the key, in the order of arrival.
        cameras: Names.
        wanted_ns: Where the pre-roll should begin.
        floor_ns: Nothing captured before is used.
        aligned: Whether the cameras share a grid.
    """
    keys: dict[str, dict[int, int]] = {name: {} for name in cameras}
    for packet in packets:
        if packet.keyframe and packet.capture_ns >= floor_ns and packet.camera in keys:
            keys[packet.camera][packet.seq] = packet.capture_ns
    common = set.intersection(*(set(times) for times in keys.values())) if keys and aligned else set()
    if common:
        before = [seq for seq in common if all(times[seq] <= wanted_ns for times in keys.values())]
        start_seq = max(before) if before else min(common)
        return {name: times[start_seq] for name, times in keys.items()}
    return {name: _last_before(list(times.values()), wanted_ns) for name, times in keys.items() if times}


def _last_before(times_ns: list[int], wanted_ns: int) -> int:
    return max((time for time in times_ns if time <= wanted_ns), default=min(times_ns))
