"""What a decoder makes of a sensor's bytes, and how readings become the batches that are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Array, StreamBatch


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample.

    Attributes:
        values: Shape (n,), finite.
        device_ns: The device's own stamp, unwrapped; None when it has none.
        missed: Samples that are known to be lost right before it.
        remark: A sentence when the device says that something is off with it, else empty.
    """

    values: Array
    device_ns: int | None = None
    missed: int = 0
    remark: str = ""


class Decoder(Protocol):
    """Cuts a byte stream into readings. Bytes may be split and joined in any way."""

    @property
    def refused(self) -> int:
        """Frames that were refused so far: checksum, length, or numbers that are not finite."""
        ...

    def feed(self, received: bytes) -> list[Reading]:
        """The readings that these bytes complete, in order."""
        ...


class Counter:
    """Unwraps a counter of the device and says how many steps were left out.

    Args:
        modulus: The counter goes from 0 to `modulus` - 1.
    """

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._last: int | None = None
        self.total = 0

    def advance(self, count: int) -> int:
        """Steps since the last call (1: nothing is missing); the first call gives 1."""
        if self._last is None:
            step = 1
        else:
            step = (count - self._last) % self._modulus
        self._last = count
        self.total += step
        return step


class Batcher:
    """Turns readings into batches without gaps inside: a gap starts a new batch.

    Samples that came in one go were taken one period apart, the last one when they came.

    Args:
        stream: Name of the stream.
        rate_hz: Nominal rate.
    """

    def __init__(self, stream: str, rate_hz: float) -> None:
        self._stream = stream
        self._period_ns = round(NS_PER_S / rate_hz)
        self._seq = 0
        self._last_ns = 0
        self._interrupted = False
        self.lost = 0

    def interrupt(self) -> None:
        """The device was away: what is missing until the next sample is told by the time."""
        self._interrupted = self._last_ns > 0

    def batches(self, readings: Sequence[Reading], receive_ns: int) -> list[StreamBatch]:
        """Batches of readings that became available at `receive_ns`."""
        last_ns = self._last_ns
        stamps = self._stamps(len(readings), receive_ns)
        if readings and self._interrupted:
            self._interrupted = False
            missed = max(0, round((int(stamps[0]) - last_ns) / self._period_ns) - 1)
            readings = [replace(readings[0], missed=missed), *readings[1:]]
        starts = [i for i, reading in enumerate(readings) if i == 0 or reading.missed]
        found: list[StreamBatch] = []
        for start, stop in zip(starts, [*starts[1:], len(readings)], strict=True):
            part = readings[start:stop]
            self.lost += part[0].missed
            self._seq += part[0].missed
            stamped = all(reading.device_ns is not None for reading in part)
            found.append(
                StreamBatch(
                    stream=self._stream,
                    seq=self._seq,
                    capture_ns=stamps[start:stop],
                    values=np.stack([reading.values for reading in part]),
                    device_ns=np.array([reading.device_ns for reading in part], np.int64)
                    if stamped
                    else None,
                    receive_ns=receive_ns,
                )
            )
            self._seq += len(part)
        return found

    def _stamps(self, count: int, receive_ns: int) -> np.ndarray:
        stamps = receive_ns - self._period_ns * np.arange(count - 1, -1, -1, dtype=np.int64)
        # After the last one of the batch before, and increasing, whatever the buffers on the way held up.
        floor = self._last_ns + 1 + np.arange(count, dtype=np.int64)
        stamps = np.maximum(stamps, floor)
        if count:
            self._last_ns = int(stamps[-1])
        return stamps
