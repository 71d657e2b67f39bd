"""When a sample was true, from the stamp of a device whose clock is not ours.

A device says `device_ns` on its own clock, of unknown offset and rate; the sample arrives at `receive_ns`,
some delay later. Delays are never negative and often short, so the true map runs along the lower edge of
`receive_ns - device_ns` over time: of all lines below every point, the one nearest to them is taken
(Moon, Skelly, Towsley, "Estimation and removal of clock skew from network delay measurements", 1999).
The shortest delay itself cannot be seen in stamps; it is what a latency calibration measures.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.types import ClockFit

_FIT_PERIOD_NS: Final = NS_PER_S
_PART_S: Final = 0.25
_PARTS: Final = 240
"""The line rests on the shortest delay of each quarter of a second, of the last minute."""
_LEARNING_S: Final = 2.0
"""A shorter history says nothing about the rate."""
_MAX_DRIFT: Final = 1e-3
_TOLERANCE_NS: Final = 5 * NS_PER_MS
_LONGEST_DELAY_NS: Final = 2 * NS_PER_S
_AGREEING: Final = 5
_AGREED_NS: Final = 50 * NS_PER_MS
_STEP_NS: Final = NS_PER_S
_NOTE_PERIOD_NS: Final = 20 * NS_PER_MS
_SUSPECTS: Final = 64
_DELAYS: Final = 256


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A sample off the line; `late`: by no more than it may have been held up."""

    device_ns: int
    receive_ns: int
    late: bool = False

    @property
    def offset_ns(self) -> int:
        return self.receive_ns - self.device_ns


class _Line:
    """The line below the offsets (receive - device) of one epoch of a device's clock.

    Args:
        device_ns: Of the first sample.
        offset_ns: Of the first sample.
        drift: Of the line until enough is known.
    """

    def __init__(self, device_ns: int, offset_ns: int, drift: float) -> None:
        self._device_ns = device_ns
        self._offset_ns = offset_ns
        self._parts: deque[tuple[int, float, float]] = deque(maxlen=_PARTS)
        self._start = 0.0
        self.drift = drift
        self.samples = 0

    def at(self, device_ns: int) -> int:
        """Host time [ns] of a device time, were there no delay."""
        above = self._start + self.drift * (device_ns - self._device_ns)
        return device_ns + self._offset_ns + round(above)

    def add(self, device_ns: int, offset_ns: int) -> None:
        """Take a sample; the line moves when it is the one of shortest delay of its part."""
        self.samples += 1
        x, y = float(device_ns - self._device_ns), float(offset_ns - self._offset_ns)
        part = int(x // (_PART_S * NS_PER_S))
        if self._parts and self._parts[-1][0] == part:
            if y < self._parts[-1][2]:
                self._parts[-1] = (part, x, y)
                self._start = min(self._start, y - self.drift * x)
            return
        self._parts.append((part, x, y))
        points = sorted((x, y) for _, x, y in self._parts)
        if points[-1][0] - points[0][0] >= _LEARNING_S * NS_PER_S:
            self.drift = _slope_below(points)
        self._start = min(y - self.drift * x for x, y in points)


def _slope_below(points: list[tuple[float, float]]) -> float:
    """Slope of the line below all points, sorted by x, that is nearest to them in sum."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], (x, y)):
            hull.pop()
        if hull and hull[-1][0] == x:
            continue
        hull.append((x, y))
    mean = sum(x for x, _ in points) / len(points)
    for (x0, y0), (x1, y1) in pairwise(hull):
        if x1 >= mean:
            return min(max((y1 - y0) / (x1 - x0), -_MAX_DRIFT), _MAX_DRIFT)
    return 0.0


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (b[1] - a[1]) * (c[0] - a[0])


class DeviceClock:
    """Maps the stamps of one device to the host's clock, sample by sample. Not thread-safe.

    Stamps that make no sense are not believed, and their samples get a time from their arrival: a stamp
    that repeats, or one off the line by itself. Several that agree with each other mean that the device's
    clock was set anew (restart, step of a wall clock): an epoch begins, with the rate known so far.

    Error, beyond the shortest delay (tests hold it, 30 samples/s, drift within 200 ppm, delays 1 ms and
    exponential of mean 1 ms): the first samples of an epoch go by their arrival, then 2 ms for three
    seconds, then 0.6 ms. For about a second after a device's clock was set back by less than two seconds,
    times are early by that step.

    Args:
        stream: Camera, stream, input source or arm.
        latency_ns: Calibrated, subtracted from every time.
        wrap_ns: Period of the device's counter, 0 when it does not wrap.
    """

    def __init__(self, stream: str, latency_ns: int = 0, wrap_ns: int = 0) -> None:
        self.stream = stream
        self.latency_ns = latency_ns
        self.epochs = 0
        self._wrap_ns = wrap_ns
        self._turns = 0
        self._raw_ns = 0
        self._line: _Line | None = None
        self._device_ns = 0
        self._last_ns: int | None = None
        self._suspects: list[_Suspect] = []
        self._delays: deque[int] = deque(maxlen=_DELAYS)
        self._noted_ns = 0
        self._tolerance_ns = _TOLERANCE_NS
        self._fit_due_ns = 0

    def stamp(self, device_ns: int | None, receive_ns: int) -> int:
        """Capture time [ns] of a sample: never after `receive_ns`, and after that of the sample before.

        (Two samples received in the same nanosecond may share it.)

        Args:
            device_ns: The device's stamp; None or 0 where it has none.
            receive_ns: When the sample arrived, CLOCK_MONOTONIC, not before the previous one.
        """
        estimate_ns = receive_ns if not device_ns else self._map(device_ns, receive_ns)
        capture_ns = min(estimate_ns, receive_ns) - self.latency_ns
        if self._last_ns is not None:
            capture_ns = max(capture_ns, self._last_ns + 1)
        self._last_ns = min(capture_ns, receive_ns)
        return self._last_ns

    def take_fit(self, now_ns: int) -> ClockFit | None:
        """The present map, about once a second; None in between, and while the device gives no time."""
        if self._line is None or now_ns < self._fit_due_ns:
            return None
        self._fit_due_ns = now_ns + _FIT_PERIOD_NS
        return ClockFit(
            stream=self.stream,
            capture_ns=now_ns,
            device_ref_ns=self._device_ns,
            host_ref_ns=self._line.at(self._device_ns) - self.latency_ns,
            drift_ppm=self._line.drift * 1e6,
            spread_ns=round(self._spread_ns()),
            samples=self._line.samples,
        )

    def _map(self, raw_ns: int, receive_ns: int) -> int:
        if raw_ns == self._raw_ns:
            return receive_ns  # a clock that stands still says nothing
        if self._wrap_ns and self._raw_ns - raw_ns > self._wrap_ns // 2:
            self._turns += 1
        self._raw_ns = raw_ns
        device_ns = raw_ns + self._turns * self._wrap_ns
        if self._line is None:
            self._begin([_Suspect(device_ns, receive_ns)])
            return receive_ns
        host_ns = self._line.at(device_ns)
        delay_ns = receive_ns - host_ns
        self._note_delay(delay_ns, receive_ns)
        if -_TOLERANCE_NS <= delay_ns <= self._tolerance_ns:
            self._device_ns = device_ns
            self._line.add(device_ns, receive_ns - device_ns)
            # Samples that came late do not speak for a step while others still come in time.
            self._suspects = [each for each in self._suspects if not each.late]
            return host_ns
        late = self._tolerance_ns < delay_ns <= _LONGEST_DELAY_NS
        begun = self._doubt(_Suspect(device_ns, receive_ns, late))
        return host_ns if late and not begun else receive_ns

    def _note_delay(self, delay_ns: int, receive_ns: int) -> None:
        if 0 <= delay_ns <= _LONGEST_DELAY_NS and receive_ns >= self._noted_ns + _NOTE_PERIOD_NS:
            self._noted_ns = receive_ns
            self._delays.append(delay_ns)
            middle = sorted(self._delays)[len(self._delays) // 2]
            self._tolerance_ns = max(_TOLERANCE_NS, 4 * middle)

    def _doubt(self, suspect: _Suspect) -> bool:
        """Note a sample off the line; whether enough of them agree for a new epoch."""
        if self._suspects and suspect.receive_ns < self._suspects[-1].receive_ns + _NOTE_PERIOD_NS:
            return False
        self._suspects = [*self._suspects[1 - _SUSPECTS :], suspect]
        offset_ns = suspect.offset_ns
        agreeing = [each for each in self._suspects if abs(each.offset_ns - offset_ns) <= _AGREED_NS]
        lasted_ns = suspect.receive_ns - agreeing[0].receive_ns
        if len(agreeing) < _AGREEING or (suspect.late and lasted_ns < _STEP_NS):
            return False
        self._begin(agreeing)
        return True

    def _begin(self, samples: list[_Suspect]) -> None:
        """Start an epoch from samples that agree."""
        known = self._line.drift if self._line else 0.0
        first = samples[0]
        self._line = _Line(first.device_ns, first.offset_ns, known)
        for each in samples:
            self._line.add(each.device_ns, each.offset_ns)
        self._device_ns = samples[-1].device_ns
        self._suspects.clear()
        self._delays.clear()
        self._tolerance_ns = _TOLERANCE_NS
        self.epochs += 1

    def _spread_ns(self) -> float:
        return float(np.percentile(self._delays, 95)) if self._delays else 0.0
