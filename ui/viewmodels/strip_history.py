"""The last 20 seconds in bins, for the strip under the cameras. No widgets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.types import Actor

SPAN_S = 20.0
BIN_S = 0.05
BINS = int(SPAN_S / BIN_S)
ACTORS = tuple(Actor)


class StripHistory:
    """Rolling bins of gripper opening, tool speed, contact force, lost frames and who drove.

    Values are NaN where nothing was heard. Within a bin speed and force keep their greatest
    value, so that a short knock is not averaged away.

    Args:
        arms: Number of arms.
    """

    def __init__(self, arms: int) -> None:
        self._first_bin: int | None = None
        self._last_bin = 0
        self.gripper = np.full((arms, BINS), np.nan)
        self.speed = np.full(BINS, np.nan)
        self.force = np.full(BINS, np.nan)
        self.lost = np.zeros(BINS, dtype=np.int64)
        self.actor = np.zeros(BINS, dtype=np.int8)

    @property
    def started(self) -> bool:
        """Whether anything was heard yet."""
        return self._first_bin is not None

    def _slot(self, time_ns: int) -> int | None:
        """Rolls on to the bin of a time and returns its index; None when it is too old."""
        bin_number = int(time_ns / 1e9 / BIN_S)
        if self._first_bin is None:
            self._first_bin = self._last_bin = bin_number
        ahead = bin_number - self._last_bin
        if ahead > 0:
            self._roll(min(ahead, BINS))
            self._last_bin = bin_number
            ahead = 0
        index = BINS - 1 + ahead
        return index if index >= 0 else None

    def _roll(self, bins: int) -> None:
        for values, empty in (
            (self.gripper, np.nan),
            (self.speed, np.nan),
            (self.force, np.nan),
            (self.lost, 0),
            (self.actor, 0),
        ):
            values[..., :-bins] = values[..., bins:]
            values[..., -bins:] = empty

    def add_tick(self, time_ns: int, gripper: NDArray[np.float64], actor: Actor) -> None:
        """Notes gripper openings (0..1, shape (arms,)) and who drives."""
        index = self._slot(time_ns)
        if index is not None:
            self.gripper[:, index] = gripper
            self.actor[index] = ACTORS.index(actor)

    def add_speed(self, time_ns: int, speed_m_s: float) -> None:
        """Notes the speed of the fastest tool [m/s]."""
        index = self._slot(time_ns)
        if index is not None:
            self.speed[index] = np.fmax(self.speed[index], speed_m_s)

    def add_force(self, time_ns: int, force_n: float) -> None:
        """Notes the greatest contact force [N]."""
        index = self._slot(time_ns)
        if index is not None:
            self.force[index] = np.fmax(self.force[index], force_n)

    def add_lost(self, time_ns: int, frames: int) -> None:
        """Notes camera frames that did not come."""
        index = self._slot(time_ns)
        if index is not None:
            self.lost[index] += frames
