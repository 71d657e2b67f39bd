"""The path a tool tip took in the last seconds."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class Trail:
    """Time-stamped points, oldest dropped; bounded in time and in number."""

    def __init__(
        self,
        duration_s: float = 5.0,
        max_points: int = 400,
        min_step_m: float = 0.002,
        max_step_m: float = 0.2,
    ) -> None:
        self._duration_ns = int(duration_s * 1e9)
        self._min_step_m = min_step_m
        self._max_step_m = max_step_m
        self._points: deque[tuple[int, NDArray[np.float64]]] = deque(maxlen=max_points)

    def add(self, time_ns: int, point: NDArray[np.float64]) -> None:
        """Appends a world point [m].

        One nearer than the least step is left out, one farther than the greatest (a reset scene)
        starts a new path.
        """
        while self._points and time_ns - self._points[0][0] > self._duration_ns:
            self._points.popleft()
        if self._points:
            step = float(np.linalg.norm(point - self._points[-1][1]))
            if step < self._min_step_m:
                return
            if step > self._max_step_m:
                self._points.clear()
        self._points.append((time_ns, np.array(point, dtype=np.float64)))

    def clear(self) -> None:
        """Forgets the path."""
        self._points.clear()

    def faded(self, time_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns points (n, 3) and their opacity (n,), 1 now and 0 when too old."""
        if not self._points:
            return np.empty((0, 3)), np.empty(0)
        points = np.stack([point for _, point in self._points])
        age = np.array([time_ns - stamp for stamp, _ in self._points], dtype=np.float64)
        return points, np.clip(1.0 - age / self._duration_ns, 0.0, 1.0)
