"""Watches one hand while its person moves it straight ahead, to find the yaw between person and robot."""

from __future__ import annotations

import numpy as np

from teleop_app.control.loop import ControlLoop
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.mapping.yaw_calibration import yaw_from_motion

_MAX_SAMPLES = 4000


class YawMotion:
    """Collects the positions of one hand, tick by tick; moves nothing and needs no clutch.

    Args:
        source: Input source.
        arm: The arm whose hand it is.
        ahead_deg: What the person calls ahead, in the world frame: 0 is along x.
    """

    def __init__(self, source: str, arm: str, ahead_deg: float) -> None:
        self._source, self._arm, self._ahead_deg = source, arm, ahead_deg
        self._last_ns = 0
        self._positions: list[Array] = []

    def look(self, loop: ControlLoop) -> None:
        """Take the hand's newest position, if it is a new one."""
        found = loop.hand_position(self._source, self._arm)
        if found is not None and found[0] > self._last_ns and len(self._positions) < _MAX_SAMPLES:
            self._last_ns = found[0]
            self._positions.append(found[1])

    def yaw_deg(self) -> float:
        """`mapping.yaw_deg` by what was seen.

        Raises:
            StationError: The motion does not tell it.
        """
        if len(self._positions) < 2:
            raise StationError(
                "The yaw was not calibrated",
                why=f"'{self._source}' sent no pose of a hand for arm '{self._arm}'",
                next_step="Check that the device is tracked, then start again",
            )
        return yaw_from_motion(np.array(self._positions), self._ahead_deg)
