"""How a hand moves: minimum-jerk reaches, personal variation, tremor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teleop_app.core.geometry import quat_angle, quat_slerp
from teleop_app.core.types import Array

PEAK_SPEED_M_S = 0.32
"""Peak of a reach; a minimum-jerk reach peaks at 1.875 times its mean speed (Flash and Hogan 1985)."""

PEAK_TURN_RAD_S = 1.6
_PEAK_OVER_MEAN = 1.875
_SHORTEST_S = 0.35
TREMOR_M = 0.0005
_TREMOR_TIME_S = 0.25


@dataclass(frozen=True, slots=True)
class HandStyle:
    """One person on one attempt.

    Attributes:
        speed: Factor on all speeds.
        grasp_offset: Where the hand takes a thing beside its middle, along the fingers [m].
        clearance_m: Added to heights passed over things.
        pause_s: Typical pause before a careful motion.
    """

    speed: float
    grasp_offset: float
    clearance_m: float
    pause_s: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> HandStyle:
        """A person's style of this attempt."""
        return cls(
            speed=float(rng.uniform(0.88, 1.15)),
            grasp_offset=float(rng.uniform(-0.003, 0.003)),
            clearance_m=float(rng.uniform(0.0, 0.03)),
            pause_s=float(rng.uniform(0.03, 0.15)),
        )


def reach_time_s(start: Array, end: Array, speed: float) -> float:
    """Duration of a reach between two poses at a speed factor."""
    distance = float(np.linalg.norm(end[:3] - start[:3]))
    angle = quat_angle(start[3:], end[3:])
    longest = max(distance / PEAK_SPEED_M_S, angle / PEAK_TURN_RAD_S)
    return max(_SHORTEST_S, _PEAK_OVER_MEAN * longest / speed)


def min_jerk(fraction: float) -> float:
    """Path fraction of a minimum-jerk reach at a fraction of its time, both 0 .. 1."""
    t = min(1.0, max(0.0, fraction))
    return t * t * t * (10.0 + t * (-15.0 + 6.0 * t))


def between(start: Array, end: Array, fraction: float) -> Array:
    """Pose on the straight way from `start` to `end`."""
    if fraction >= 1.0:
        return end.copy()
    position = start[:3] + fraction * (end[:3] - start[:3])
    return np.concatenate([position, quat_slerp(start[3:], end[3:], fraction)])


class Tremor:
    """Slow random sway of a hand, usually a fraction of a millimetre.

    Args:
        rng: Of the sway.
        size_m: Its standard deviation along each axis.
    """

    def __init__(self, rng: np.random.Generator, size_m: float = TREMOR_M) -> None:
        self._rng = rng
        self._size_m = size_m
        self._sway = np.zeros(3)

    def sample(self, dt_s: float) -> Array:
        """The sway `dt_s` after the last one [m], shape (3,)."""
        keep = np.exp(-dt_s / _TREMOR_TIME_S)
        fresh = self._rng.normal(0.0, self._size_m, 3)
        self._sway = keep * self._sway + np.sqrt(1.0 - keep * keep) * fresh
        return self._sway.copy()
