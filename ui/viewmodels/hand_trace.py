"""The hand as it came and as it was filtered: the last seconds, jitter at rest, lag in motion."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.types import StreamBatch

Array = NDArray[np.float64]
SPAN_S = 8.0
_CAPACITY = 2000
_REST_S = 1.0
_REST_SPEED_M_S = 0.03
_LAG_S = 3.0
_LEAST_MOTION_M = 0.03
_LEAST_SAMPLES = 20
_LONGEST_LAG_S = 0.25
_STEP_S = 0.001


class HandTrace:
    """Samples of one hand, oldest first. Values are positions [m]: raw x y z, filtered x y z."""

    def __init__(self) -> None:
        self._at_ns: deque[int] = deque(maxlen=_CAPACITY)
        self._rows: deque[Array] = deque(maxlen=_CAPACITY)

    def add(self, batch: StreamBatch) -> None:
        """Takes a batch of `<source>/<arm>/mapping`; what is not newer or not finite is left out."""
        for at_ns, row in zip(batch.capture_ns, batch.values, strict=True):
            fresh = not self._at_ns or at_ns > self._at_ns[-1]
            if fresh and len(row) == 6 and np.all(np.isfinite(row)):
                self._at_ns.append(int(at_ns))
                self._rows.append(row)

    @property
    def newest_ns(self) -> int:
        """Capture time of the newest sample, 0 before the first."""
        return self._at_ns[-1] if self._at_ns else 0

    def recent(self, span_s: float = SPAN_S) -> tuple[Array, Array, Array]:
        """Returns times before the newest sample [s], shape (n,), and raw and filtered [m], shape (n, 3)."""
        if not self._at_ns:
            return np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3))
        at_s = (np.array(self._at_ns, dtype=np.int64) - self._at_ns[-1]) / 1e9
        kept = at_s >= -span_s
        rows = np.array(self._rows)[kept]
        return at_s[kept], rows[:, :3], rows[:, 3:]

    def jitter_um(self) -> tuple[float, float] | None:
        """Returns how much the resting hand trembles [um RMS], raw and filtered; None while it moves.

        What is slower than the last second's straight line counts as drift, not as jitter.
        """
        at_s, raw, filtered = self.recent(_REST_S)
        if len(at_s) < _LEAST_SAMPLES or at_s[-1] - at_s[0] < 0.5 * _REST_S:
            return None
        drift = np.linalg.norm(np.polyfit(at_s, raw, 1)[0])
        if drift > _REST_SPEED_M_S or np.ptp(filtered, axis=0).max() > _LEAST_MOTION_M:
            return None
        return _trembling_um(at_s, raw), _trembling_um(at_s, filtered)

    def lag_ms(self) -> float | None:
        """Returns by how much the filtered hand follows the raw one [ms]; None while it rests.

        The delay at which the raw hand of then lies nearest to the filtered hand of now.
        """
        at_s, raw, filtered = self.recent(_LAG_S)
        if len(at_s) < _LEAST_SAMPLES or np.ptp(raw, axis=0).max() < _LEAST_MOTION_M:
            return None
        inside = at_s > at_s[0] + _LONGEST_LAG_S
        if np.count_nonzero(inside) < _LEAST_SAMPLES:
            return None
        delays_s = np.arange(0.0, _LONGEST_LAG_S, _STEP_S)
        wanted = at_s[inside]
        errors = np.zeros(len(delays_s))
        for axis in range(3):
            delayed = np.interp(wanted[None, :] - delays_s[:, None], at_s, raw[:, axis])
            errors += np.square(delayed - filtered[inside, axis]).sum(axis=1)
        return float(delays_s[int(np.argmin(errors))]) * 1000.0


def _trembling_um(at_s: Array, positions: Array) -> float:
    lines = np.polyfit(at_s, positions, 1)
    rest = positions - (at_s[:, None] * lines[0] + lines[1])
    return float(np.sqrt(np.square(rest).sum(axis=1).mean())) * 1e6
