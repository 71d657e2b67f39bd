"""Velocities of a mobile base and a lift: speed, acceleration, freshness, the ends of the stroke.

What is sent ramps at the acceleration limit and no faster, also to a stop; it never depends on how long ago
the last tick was, so that a missed tick slows the motion down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from teleop_app.core.config import LiftSection, MobileBaseSection, SafetySection
from teleop_app.core.geometry import Array
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.outcome import Intervention
from teleop_app.safety.plausible import is_plausible
from teleop_app.safety.watchdog import FollowerWatchdog, Freshness, InputWatchdog

REACTION_S = 0.15
"""A lift follows its commands within this time constant; its braking distance allows for it."""
_STROKE_TICKS = 2.0


@dataclass(frozen=True, slots=True)
class VelocityRequest:
    """What a driver asks of a body.

    Attributes:
        velocity: As the body takes it.
        source: Input that asks.
        capture_ns: When it did.
    """

    velocity: Array
    source: str
    capture_ns: int


class Ramp:
    """A velocity vector that never exceeds a speed and changes by no more than an acceleration.

    Args:
        max_speed: Greatest norm.
        max_acceleration: Greatest norm of its change a second.
        period_s: Of a step.
        size: Elements.
    """

    def __init__(self, max_speed: float, max_acceleration: float, period_s: float, size: int = 1) -> None:
        self._max_speed = max_speed
        self._step = max_acceleration * period_s
        self.velocity = np.zeros(size)

    def reset(self) -> None:
        """Start from rest."""
        self.velocity = np.zeros_like(self.velocity)

    def advance(self, asked: Array) -> Array:
        """One step towards a finite velocity; returns the new one."""
        goal = _shortened(asked, self._max_speed)
        self.velocity = _shortened(
            self.velocity + _shortened(goal - self.velocity, self._step), self._max_speed
        )
        return self.velocity

    def braked(self) -> Array:
        """The velocity after one step of braking."""
        return self.velocity + _shortened(-self.velocity, self._step)


class _Body:
    """What a body may go for at a tick: fresh finite requests, while its feedback is fresh too."""

    def __init__(self, name: str, size: int, safety: SafetySection) -> None:
        self._name = name
        self._size = size
        self._input = InputWatchdog(safety)
        self._feedback = FollowerWatchdog(safety)

    def goal(
        self, asked: VelocityRequest | None, feedback_ns: int | None, now_ns: int, *, stopped: bool
    ) -> tuple[Array, list[Intervention]]:
        """The velocity to go for, zero when it must not move, and why."""
        still = np.zeros(self._size)
        complaint = self._feedback.complaint(self._name, feedback_ns, now_ns)
        if complaint:
            return still, [Intervention(SafetyFlag.FOLLOWER_STALE, self._name, complaint)]
        if asked is None or stopped:
            return still, []
        if not is_plausible(asked.velocity, self._size):
            values = ", ".join(f"{value:.4g}" for value in asked.velocity.ravel()[:8])
            text = (
                f"The velocity [{values}] of '{asked.source}' for the {self._name} is not "
                f"{self._size} finite numbers; it stops."
            )
            return still, [Intervention(SafetyFlag.NON_FINITE, self._name, text)]
        if self._input.judge(asked.capture_ns, now_ns) is not Freshness.FRESH:
            age_ms = (now_ns - asked.capture_ns) / 1e6
            text = f"No good input of '{asked.source}' for the {self._name} since {age_ms:.0f} ms; it stops."
            return still, [Intervention(SafetyFlag.STALE_INPUT, self._name, text, (age_ms,))]
        return asked.velocity, []


class BaseVelocitySafety:
    """Limits the velocity of a mobile base, translation and rotation each by itself. One thread.

    Args:
        limits: Section of the station file.
        safety: Section of the station file.
        period_s: Of a tick.
    """

    def __init__(self, limits: MobileBaseSection, safety: SafetySection, period_s: float) -> None:
        self._body = _Body("base", 3, safety)
        self._along = Ramp(limits.max_speed_m_s, limits.max_acceleration_m_s2, period_s, 2)
        self._turn = Ramp(limits.max_turn_rad_s, limits.max_turn_acceleration_rad_s2, period_s)

    def advance(
        self, asked: VelocityRequest | None, feedback_ns: int | None, now_ns: int, *, stopped: bool
    ) -> tuple[Array, list[Intervention]]:
        """The twist to send at this tick, (vx, vy, wz), and what was refused.

        Args:
            asked: What the driver asks, None when nobody does.
            feedback_ns: Capture time of the newest odometry, None before the first.
            now_ns: The tick.
            stopped: Come to rest.
        """
        goal, notes = self._body.goal(asked, feedback_ns, now_ns, stopped=stopped)
        return np.concatenate([self._along.advance(goal[:2]), self._turn.advance(goal[2:])]), notes

    def reset(self) -> None:
        """Start from rest: what was sent last did not arrive."""
        self._along.reset()
        self._turn.reset()


class LiftVelocitySafety:
    """Limits the velocity of a lift so that it comes to rest within its stroke. One thread.

    Args:
        limits: Section of the station file.
        safety: Section of the station file.
        period_s: Of a tick.
    """

    def __init__(self, limits: LiftSection, safety: SafetySection, period_s: float) -> None:
        self._body = _Body("lift", 1, safety)
        self._ramp = Ramp(limits.max_speed_m_s, limits.max_acceleration_m_s2, period_s)
        self._lower_m, self._upper_m = limits.lower_m, limits.upper_m
        self._acceleration = limits.max_acceleration_m_s2
        self._margin_s = _STROKE_TICKS * period_s

    def advance(
        self,
        asked: VelocityRequest | None,
        state: tuple[float, float, int] | None,
        now_ns: int,
        *,
        stopped: bool,
    ) -> tuple[float, list[Intervention]]:
        """The velocity to send at this tick [m/s], up positive, and what was refused or limited.

        Args:
            asked: What the driver asks, None when nobody does.
            state: Newest height [m], speed [m/s] and their capture time, None before the first.
            now_ns: The tick.
            stopped: Come to rest.
        """
        goal, notes = self._body.goal(asked, None if state is None else state[2], now_ns, stopped=stopped)
        if state is None:
            return float(self._ramp.advance(goal)[0]), notes
        height, speed, capture_ns = state
        height += speed * max(now_ns - capture_ns, 0) * 1e-9
        up = self._fastest(self._upper_m - height, speed)
        down = self._fastest(height - self._lower_m, -speed)
        wanted = float(goal[0])
        braked = float(self._ramp.braked()[0])
        # Never faster than what stops in time, and never slower at once than braking allows.
        allowed = min(max(wanted, -max(down, -braked)), max(up, braked))
        sent = float(self._ramp.advance(np.array([allowed]))[0])
        if allowed != wanted and (wanted > up or wanted < -down):
            end = self._upper_m if wanted > 0.0 else self._lower_m
            text = f"The lift is at {state[0]:.3f} m and slows before its end at {end:.3f} m."
            notes.append(Intervention(SafetyFlag.JOINT_LIMIT, "lift", text, (wanted,), (sent,)))
        return sent, notes

    def reset(self) -> None:
        """Start from rest: what was sent last did not arrive."""
        self._ramp.reset()

    def _fastest(self, room_m: float, speed_m_s: float) -> float:
        """Greatest speed towards an end `room_m` away from which braking ends before it, at least 0.

        A lift that lags by a time constant T goes on for T * speed beyond the way of its commands.
        """
        room_m -= REACTION_S * max(speed_m_s, 0.0)
        if room_m <= 0.0:
            return 0.0
        lost = self._acceleration * self._margin_s
        return math.sqrt(lost * lost + 2.0 * self._acceleration * room_m) - lost


def _shortened(vector: Array, longest: float) -> Array:
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
