"""How an emulated servo moves: first order, velocity limited, in closed form over any time step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field


def _no_load(_angle: float) -> float:
    return 0.0


@dataclass
class ServoMotion:
    """Angle of an output shaft [rad], counted over turns, zero at the encoder's zero.

    Attributes:
        angle: [rad].
        velocity: [rad/s].
        current: Motor current [A].
        max_velocity: [rad/s].
        time_constant_s: With which it closes in on its goal [s].
        amperes_per_rad: Current for a position error [A/rad].
        velocity_per_ampere: Final velocity in current mode [rad/(s A)].
        max_current: [A].
        load: Current that a load such as gravity asks for at an angle [A].
    """

    angle: float = math.pi
    velocity: float = 0.0
    current: float = 0.0
    max_velocity: float = 6.0
    time_constant_s: float = 0.03
    amperes_per_rad: float = 2.0
    velocity_per_ampere: float = 8.0
    max_current: float = 1.5
    load: Callable[[float], float] = field(default=_no_load)

    def rest(self) -> None:
        """Torque off: it stays where it is until a hand moves it."""
        self.velocity = self.current = 0.0

    def follow(self, goal: float, elapsed_s: float, max_velocity: float | None = None) -> None:
        """Move towards a goal [rad] for some time [s]."""
        limit = min(self.max_velocity, max_velocity or self.max_velocity)
        error = goal - self.angle
        knee = limit * self.time_constant_s
        cruise_s = min(elapsed_s, max(0.0, abs(error) - knee) / limit)
        self.angle += math.copysign(limit * cruise_s, error)
        error = goal - self.angle
        left = error * math.exp(-(elapsed_s - cruise_s) / self.time_constant_s)
        self.angle = goal - left
        self.velocity = math.copysign(min(abs(left) / self.time_constant_s, limit), left)
        self.current = self._bounded(self.load(self.angle) + self.amperes_per_rad * left)

    def push(self, current: float, elapsed_s: float) -> None:
        """Move under a motor current [A] against the load for some time [s]."""
        self.current = self._bounded(current)
        goal = self.velocity_per_ampere * (self.current - self.load(self.angle))
        goal = max(-self.max_velocity, min(self.max_velocity, goal))
        decay = math.exp(-elapsed_s / self.time_constant_s)
        before = self.velocity
        self.velocity = goal + (before - goal) * decay
        self.angle += goal * elapsed_s + (before - goal) * self.time_constant_s * (1.0 - decay)

    def _bounded(self, current: float) -> float:
        return max(-self.max_current, min(self.max_current, current))
