"""Cameras that expose when they please: what a source tells of their frames, and an emulated one."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np

from teleop_app.core.clock import NS_PER_MS, NS_PER_S

_JITTER: Final = 0.1
_WAITING: Final = 4
_MAX_DRIFT: Final = 100e-6


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """When a frame was true, and when it came.

    Attributes:
        capture_ns: Middle of the exposure, CLOCK_MONOTONIC; 0: to be found from the others.
        receive_ns: When the frame was available on this host.
        device_ns: The camera's own stamp, 0 when it has none.
        exposure_ns: How long it was exposed, 0 unknown.
    """

    capture_ns: int
    receive_ns: int
    device_ns: int = 0
    exposure_ns: int = 0


@runtime_checkable
class FreeRunningSource(Protocol):
    """A `FrameSource` with cameras whose frames come when they come."""

    def times(self, camera: str) -> FrameTimes | None:
        """Of the camera's frame that `grab` gives next; None when none has come. After `latch`.

        Raises:
            DeviceError: The camera does not deliver; the others are not affected.
        """
        ...


class EmulatedCamera:
    """When the frames of a free-running camera are exposed and when they arrive; draws nothing.

    Its clock has an offset of its own and drifts by up to 100 ppm (drawn from its name, so that a run
    can be repeated). A frame arrives `latency_ms` after its exposure and later by an exponential delay
    of a tenth of that; frames stay in order, and of those that nobody takes the oldest are dropped.

    Args:
        name: Camera name.
        fps: Frames a second, of its own clock.
        latency_ms: Shortest time from exposure to arrival.
        start_ns: Host time from which it runs.
    """

    def __init__(self, name: str, fps: int, latency_ms: float, start_ns: int) -> None:
        self._random = np.random.default_rng(zlib.crc32(name.encode()))
        self._period_ns = NS_PER_S // fps
        self._latency_ns = latency_ms * NS_PER_MS
        self.drift = float(self._random.uniform(-_MAX_DRIFT, _MAX_DRIFT))
        self._offset_ns = int(self._random.integers(NS_PER_S, 10**6 * NS_PER_S))
        self._start_ns = start_ns + int(self._random.integers(0, self._period_ns))
        self._count = 0
        self._arrived_ns = 0
        self._waiting: deque[tuple[int, FrameTimes]] = deque(maxlen=_WAITING)
        self._next = self._expose()

    def run_until(self, now_ns: int) -> None:
        """Let everything arrive that does so before a host time."""
        while self._next[1].receive_ns <= now_ns:
            self._waiting.append(self._next)
            self._next = self._expose()

    def first(self) -> tuple[int, FrameTimes] | None:
        """The oldest frame that waits: its true time [ns], and what the host gets to know."""
        return self._waiting[0] if self._waiting else None

    def take(self) -> None:
        """Be done with the oldest frame."""
        self._waiting.popleft()

    def _expose(self) -> tuple[int, FrameTimes]:
        device_ns = self._offset_ns + self._count * self._period_ns
        true_ns = self._start_ns + round(self._count * self._period_ns * (1.0 + self.drift))
        self._count += 1
        delay_ns = self._latency_ns * (1.0 + _JITTER * self._random.exponential())
        self._arrived_ns = max(self._arrived_ns, true_ns + round(delay_ns))
        return true_ns, FrameTimes(0, self._arrived_ns, device_ns)
