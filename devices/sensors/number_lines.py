"""Numbers as lines of text: the format for sensors that you build yourself.

A line ends with a newline and holds numbers with commas between: `[counter,][stamp_us,]value,...`, and may
end in `*` and two hexadecimal digits, the exclusive or of all characters before it (as in NMEA 0183). The
counter goes up by one a sample (0 to 65535, then 0 again) so that losses are seen; the stamp is the
device's own clock [us], 32 bit. Lines that begin with `#` are for people and ignored.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import xor
from typing import Final

import numpy as np

from devices.sensors.readings import Counter, Reading

_COUNTS: Final = 2**16
_STAMPS: Final = 2**32
_STAMP_NS: Final = 1000
_LONGEST: Final = 4096


class LineDecoder:
    """Readings from lines.

    Args:
        values: How many values a line holds.
    """

    def __init__(self, values: int) -> None:
        self._values = values
        self._waiting = bytearray()
        self._in_step = False
        self._counter = Counter(_COUNTS)
        self._stamps = Counter(_STAMPS)
        self._missed = 0
        self.refused = 0

    def feed(self, received: bytes) -> list[Reading]:
        """The readings that these bytes complete."""
        self._waiting += received
        *lines, rest = self._waiting.split(b"\n")
        self._waiting = bytearray(rest[-_LONGEST:])
        readings: list[Reading] = []
        for raw in lines:
            joined, self._in_step = not self._in_step, True
            line = bytes(raw).strip()
            if not line or line.startswith(b"#"):
                continue
            numbers = _numbers(line)
            if numbers is None or not 0 <= len(numbers) - self._values <= 2:
                if not joined:  # the first line may be the end of one that we joined in the middle
                    self.refused += 1
                    self._missed += 1
                continue
            readings.append(self._reading(numbers))
        return readings

    def _reading(self, numbers: list[float]) -> Reading:
        extra, missed = len(numbers) - self._values, self._missed
        self._missed = 0
        if extra:  # a counter counts what was refused as well
            missed = max(0, self._counter.advance(int(numbers[0])) - 1)
        device_ns = None
        if extra == 2:
            self._stamps.advance(int(numbers[1]))
            device_ns = self._stamps.total * _STAMP_NS
        return Reading(np.array(numbers[extra:]), device_ns, missed)


def checked(line: str) -> bytes:
    """A line with its checksum and newline."""
    return f"{line}*{reduce(xor, line.encode(), 0):02X}\n".encode()


def _numbers(line: bytes) -> list[float] | None:
    text, star, digits = line.partition(b"*")
    try:
        if star and reduce(xor, text, 0) != int(digits, 16):
            return None
        numbers = [float(part) for part in text.split(b",")]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
