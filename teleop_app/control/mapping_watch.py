"""Raw and filtered hand positions as numeric streams, while somebody looks at them."""

from __future__ import annotations

import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.core.types import StreamBatch, StreamSetup

_VALUES = ("raw_x", "raw_y", "raw_z", "filtered_x", "filtered_y", "filtered_z")
_BATCH = 8
_MAX_STREAMS = 8


class MappingWatch:
    """Collects, until its time is over, one row a sample: what a hand sent, and what the filter made of it.

    Streams are named `<source>/<arm>/mapping`: positions [m] in the device's frame, before scale and yaw.
    """

    def __init__(self) -> None:
        self._until_ns = 0
        self._rows: dict[str, list[tuple[int, Array]]] = {}
        self._seq: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._known: set[str] = set()

    def start(self, until_ns: int) -> None:
        """Collect until then; earlier ends are moved."""
        self._until_ns = until_ns

    def active(self, now_ns: int) -> bool:
        """Whether anybody looks."""
        return now_ns < self._until_ns

    def add(self, source: str, arm: str, capture_ns: int, raw: Array, filtered: Array) -> None:
        """Take a sample; one with the stamp of the last is left out."""
        name = f"{source}/{arm}/mapping"
        if name not in self._rows and len(self._rows) >= _MAX_STREAMS:
            return
        rows = self._rows.setdefault(name, [])
        if self._newest.get(name, 0) < capture_ns:
            self._newest[name] = capture_ns
            rows.append((capture_ns, np.concatenate([raw[:3], filtered[:3]])))

    def take(self, now_ns: int) -> list[StreamSetup | StreamBatch]:
        """Messages to publish: full batches, and what is left once the time is over."""
        if not self._rows:
            return []
        over = not self.active(now_ns)
        messages: list[StreamSetup | StreamBatch] = []
        for name, rows in self._rows.items():
            if not rows or (len(rows) < _BATCH and not over):
                continue
            if name not in self._known:
                self._known.add(name)
                messages.append(StreamSetup(name, "mapping", _VALUES, "m", "device", 90.0))
            seq = self._seq.get(name, 0)
            stamps = np.array([stamp for stamp, _ in rows], dtype=np.int64)
            values = np.array([row for _, row in rows])
            messages.append(StreamBatch(name, seq, stamps, values, receive_ns=now_ns))
            self._seq[name] = seq + len(rows)
            rows.clear()
        if over:
            self._rows.clear()
            self._known.clear()
        return messages
