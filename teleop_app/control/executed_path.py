"""The path that the robot came, as it was sent."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import Array

KEPT_S: Final = 60.0
SPACING_S: Final = 0.02
_MOVED: Final = 1e-5


class ExecutedPath:
    """The newest minute of motion, 50 joint vectors a second; rest is left out. Bounded.

    Args:
        size: Of a joint vector.
    """

    def __init__(self, size: int) -> None:
        self._rows = np.zeros((round(KEPT_S / SPACING_S), size))
        self._next = 0
        self._count = 0
        self._newest_ns = 0

    @property
    def seconds(self) -> float:
        """How long the motion kept lasted."""
        return max(0, self._count - 1) * SPACING_S

    def record(self, sent: Array, now_ns: int) -> None:
        """Take what was sent at a tick; NaN is left out."""
        if now_ns - self._newest_ns < SPACING_S * NS_PER_S or not np.isfinite(sent).all():
            return
        if self._count and np.abs(sent - self.last()).max() < _MOVED:
            return
        self._newest_ns = now_ns
        self._rows[self._next] = sent
        self._next = (self._next + 1) % len(self._rows)
        self._count = min(self._count + 1, len(self._rows))

    def last(self) -> Array:
        """The newest joint vector.

        Raises:
            IndexError: There is none.
        """
        if not self._count:
            msg = "the path is empty"
            raise IndexError(msg)
        return self._rows[self._next - 1]

    def drop_last(self) -> None:
        """Forget the newest joint vector, if there is one."""
        if self._count:
            self._next = (self._next - 1) % len(self._rows)
            self._count -= 1

    def clear(self) -> None:
        """Forget everything: the robot was moved by others."""
        self._count = 0
