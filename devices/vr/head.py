"""Where the operator's head is, as a stream of its own: for recordings of what people looked at."""

from __future__ import annotations

from typing import Final

import numpy as np

from devices.vr.protocol import XrFrame
from teleop_app.core.types import Array, Resampling, StreamBatch, StreamSetup

_BATCH: Final = 8


class HeadTrack:
    """Collects the head's poses. One thread.

    Args:
        source: Name of the input.
    """

    def __init__(self, source: str) -> None:
        self._stream = f"{source}/head"
        self._pose: Array | None = None
        self._seq = 0
        self._rows: list[tuple[int, int, Array]] = []

    @property
    def setup(self) -> StreamSetup:
        """What the stream holds."""
        return StreamSetup(
            name=self._stream,
            kind="pose",
            values=("x", "y", "z", "qw", "qx", "qy", "qz"),
            unit="m",
            frame="operator",
            rate_hz=90.0,
            resampling=Resampling.SLERP,
        )

    def take(self, frame: XrFrame) -> None:
        """Note the head's pose of a frame."""
        self._pose = frame.head

    def batches(self, capture_ns: int, device_ns: int | None, now_ns: int) -> list[StreamBatch]:
        """The poses so far, when there are enough of them; call once a sample.

        Args:
            capture_ns: Of the sample that the last frame became.
            device_ns: Likewise.
            now_ns: Now.
        """
        pose, self._pose = self._pose, None
        if pose is not None and (not self._rows or capture_ns > self._rows[-1][0]):
            self._rows.append((capture_ns, device_ns or 0, pose))
        if len(self._rows) < _BATCH and not (self._rows and pose is None):
            return []
        rows, self._rows = self._rows, []
        first, self._seq = self._seq, self._seq + len(rows)
        return [
            StreamBatch(
                stream=self._stream,
                seq=first,
                capture_ns=np.array([row[0] for row in rows], dtype=np.int64),
                values=np.stack([row[2] for row in rows]),
                device_ns=np.array([row[1] for row in rows], dtype=np.int64),
                receive_ns=now_ns,
            )
        ]
