"""A simulated mobile base and lift: no robot, but time constants, odometry and a watchdog of their own.

Each follows its commanded velocity with a first-order lag, worked out from the clock when it is looked at.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options
from devices.protocols import Array, Verification
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.planar import advance, displacement

_STEP_S = 0.005
_SETTLED = 12.0
"""After this many time constants a lag has decayed below 1e-5 of where it began."""


class BodyOptions(Options):
    """Settings of a simulated base or lift.

    Attributes:
        lag_s: Time constant with which it follows its commanded velocity.
        watchdog_ms: Without a command for this long it brakes by itself; 0 takes `safety.command_stale_ms`.
    """

    lag_s: float = Field(default=0.08, gt=0.0, le=0.15)
    watchdog_ms: float = Field(default=0.0, ge=0.0, le=5000.0)


class LiftOptions(BodyOptions):
    """Settings of a simulated lift.

    Attributes:
        start_m: Height at the start; empty for the middle of its stroke.
    """

    start_m: float | None = Field(default=None, ge=-1.0, le=3.0)


class _LaggedVelocity:
    """A velocity that follows its command, and zero when commands stop. Advanced in small steps of time."""

    def __init__(self, size: int, lag_s: float, watchdog_ns: int, clock: Clock, title: str) -> None:
        self._lag_s = lag_s
        self._watchdog_ns = watchdog_ns
        self._clock = clock
        self._title = title
        self._command = np.zeros(size)
        self._sent_ns = 0
        self._now_ns = 0
        self.velocity = np.zeros(size)
        self.open = False

    def start(self) -> None:
        self._now_ns = self._sent_ns = self._clock.now_ns()
        self._command = np.zeros_like(self._command)
        self.velocity = np.zeros_like(self.velocity)
        self.open = True

    def command(self, velocity: Array) -> None:
        """Follow this from now on; call `steps` first."""
        if not self.open:
            raise DeviceError(f"The simulated {self._title} refused a velocity", why="it is not connected")
        if velocity.shape != self._command.shape or not np.isfinite(velocity).all():
            raise DeviceError(
                f"The simulated {self._title} refused a velocity",
                why=f"{velocity.tolist()} is not {len(self._command)} finite numbers",
            )
        self._command = velocity.copy()
        self._sent_ns = self._clock.now_ns()

    def steps(self) -> tuple[list[tuple[Array, float]], int]:
        """Mean velocities and durations [s] since the last call, in order, and the time now."""
        until_ns = self._clock.now_ns()
        out: list[tuple[Array, float]] = []
        if not self.open:
            return out, until_ns
        quiet_ns = self._sent_ns + self._watchdog_ns
        for end_ns, goal in (
            (min(until_ns, quiet_ns), self._command),
            (until_ns, np.zeros_like(self._command)),
        ):
            left_s = (end_ns - self._now_ns) / NS_PER_S
            if left_s <= 0.0:
                continue
            self._now_ns = end_ns
            if not goal.any() and left_s > _SETTLED * self._lag_s:
                left_s = _SETTLED * self._lag_s
            while left_s > 0.0:
                step_s = min(left_s, _STEP_S)
                left_s -= step_s
                out.append((self._follow(goal, step_s), step_s))
        return out, until_ns

    def _follow(self, goal: Array, seconds: float) -> Array:
        """Advance the lag exactly; the mean velocity on the way."""
        decay = math.exp(-seconds / self._lag_s)
        away = self.velocity - goal
        self.velocity = goal + away * decay
        return goal + away * ((1.0 - decay) * self._lag_s / seconds)


class SimBase:
    """A simulated mobile base that moves in any direction, with perfect odometry from where it started."""

    def __init__(self, options: BodyOptions, watchdog_ns: int, clock: Clock) -> None:
        self._motion = _LaggedVelocity(3, options.lag_s, watchdog_ns, clock, "base")
        self._pose = np.zeros(3)

    def connect(self) -> None:
        """Open it, at rest, at the origin of its odometry."""
        self._motion.start()
        self._pose = np.zeros(3)

    def read(self) -> tuple[Array, Array, int] | None:
        """(x, y, yaw), yaw without wrapping, (vx, vy, wz), and their capture_ns."""
        if not self._motion.open:
            return None
        now_ns = self._advance()
        return self._pose.copy(), self._motion.velocity.copy(), now_ns

    def send(self, velocity: Array) -> None:
        """The twist from now on.

        Raises:
            DeviceError: It is not connected, or not given three finite numbers.
        """
        self._advance()
        self._motion.command(velocity)

    def disconnect(self) -> None:
        """Stop it and close. May be called twice."""
        self._motion.open = False

    def _advance(self) -> int:
        steps, now_ns = self._motion.steps()
        for mean, seconds in steps:
            self._pose = advance(self._pose, displacement(mean, seconds))
        return now_ns


class SimLift:
    """A simulated lift that moves between two end stops."""

    def __init__(
        self, options: LiftOptions, stroke_m: tuple[float, float], watchdog_ns: int, clock: Clock
    ) -> None:
        self._motion = _LaggedVelocity(1, options.lag_s, watchdog_ns, clock, "lift")
        self._lower_m, self._upper_m = stroke_m
        start_m = (self._lower_m + self._upper_m) / 2.0 if options.start_m is None else options.start_m
        self._height_m = min(max(start_m, self._lower_m), self._upper_m)

    def connect(self) -> None:
        """Open it, at rest."""
        self._motion.start()

    def read(self) -> tuple[Array, Array, int] | None:
        """(height,) and (speed,), and their capture_ns."""
        if not self._motion.open:
            return None
        now_ns = self._advance()
        return np.array([self._height_m]), self._motion.velocity.copy(), now_ns

    def send(self, velocity: Array) -> None:
        """The velocity from now on.

        Raises:
            DeviceError: It is not connected, or not given a finite number.
        """
        self._advance()
        self._motion.command(velocity)

    def disconnect(self) -> None:
        """Stop it and close. May be called twice."""
        self._motion.open = False

    def _advance(self) -> int:
        steps, now_ns = self._motion.steps()
        for mean, seconds in steps:
            wanted = self._height_m + float(mean[0]) * seconds
            self._height_m = min(max(wanted, self._lower_m), self._upper_m)
            if wanted != self._height_m:
                self._motion.velocity[:] = 0.0
        return now_ns


def _make_base(context: DeviceContext, options: BodyOptions) -> SimBase:
    return SimBase(options, _watchdog_ns(context, options), context.clock)


def _make_lift(context: DeviceContext, options: LiftOptions) -> SimLift:
    lift = context.config.lift
    stroke_m = (lift.lower_m, lift.upper_m)
    return SimLift(options, stroke_m, _watchdog_ns(context, options), context.clock)


def _watchdog_ns(context: DeviceContext, options: BodyOptions) -> int:
    return round((options.watchdog_ms or context.config.safety.command_stale_ms) * NS_PER_MS)


BASE = Driver(
    name="sim-base",
    kind=DriverKind.BASE,
    title="Simulated mobile base",
    verification=Verification.SIMULATED,
    proof="It is a simulation: first-order lag, perfect odometry, no contact with the world.",
    make=_make_base,
    options=BodyOptions,
)
LIFT = Driver(
    name="sim-lift",
    kind=DriverKind.LIFT,
    title="Simulated lift",
    verification=Verification.SIMULATED,
    proof="It is a simulation: first-order lag between two end stops; it carries no arms.",
    make=_make_lift,
    options=LiftOptions,
)
