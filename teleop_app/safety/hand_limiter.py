"""Joint targets of a dexterous hand: within its limits, never faster than a speed."""

from __future__ import annotations

from typing import Final

import numpy as np

from teleop_app.core.geometry import Array
from teleop_app.safety.plausible import is_plausible

MAX_JOINT_SPEED_RAD_S: Final = 6.0
"""About as fast as a person closes the hand without hurry; a finger meets things at 0.5 m/s with it."""


class HandLimiter:
    """Steps from the last sent targets; begins where the hand was found. One thread.

    Args:
        limits: Lower and upper joint limits [rad], shape (n,) each.
        period_s: Of a tick. A missed tick slows the motion down; it never speeds it up.
    """

    def __init__(self, limits: tuple[Array, Array], period_s: float) -> None:
        self._lower, self._upper = limits
        self._step = MAX_JOINT_SPEED_RAD_S * period_s
        self.sent: Array | None = None

    def start(self, position: Array) -> bool:
        """Begin where the hand is; whether that is a position of it."""
        good = is_plausible(position, len(self._lower))
        if good:
            self.sent = np.clip(position, self._lower, self._upper)
        return good

    def advance(self, target: Array | None) -> Array:
        """What to send at this tick: a step towards `target`; None, or what is not finite, holds.

        Raises:
            ValueError: Called before `start`.
        """
        if self.sent is None:
            msg = "the hand's position is not known yet"
            raise ValueError(msg)
        if target is not None and is_plausible(target, len(self._lower)):
            goal = np.clip(target, self._lower, self._upper)
            step = np.clip(goal - self.sent, -self._step, self._step)
            self.sent = np.clip(self.sent + step, self._lower, self._upper)
        return self.sent
