"""A simulated dexterous hand: five fingers, 16 joints, no robot and no contact with the world."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options
from devices.protocols import Array, Verification
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError

_LIMITS = {
    "thumb_opposition": (0.0, 1.4),
    "thumb_abduction": (0.0, 0.9),
    "thumb_mcp": (0.0, 0.9),
    "thumb_ip": (0.0, 1.2),
} | {
    f"{finger}_{joint}": limits
    for finger in ("index", "middle", "ring", "little")
    for joint, limits in (("abduction", (-0.3, 0.3)), ("mcp", (0.0, 1.5)), ("pip", (0.0, 1.7)))
}


class HandOptions(Options):
    """Settings of the simulated hand.

    Attributes:
        speed_rad_s: How fast its joints turn at most.
    """

    speed_rad_s: float = Field(default=8.0, gt=0.0, le=50.0)


class SimHand:
    """Each joint turns towards its target at one speed; without a new target it stays where that leads."""

    def __init__(self, options: HandOptions, clock: Clock) -> None:
        self._speed = options.speed_rad_s
        self._clock = clock
        self._lower, self._upper = (np.array(side) for side in zip(*_LIMITS.values(), strict=True))
        self._position = np.clip(np.zeros(len(_LIMITS)), self._lower, self._upper)
        self._target = self._position.copy()
        self._at_ns = 0
        self._open = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Thumb, then the fingers."""
        return tuple(_LIMITS)

    @property
    def limits(self) -> tuple[Array, Array]:
        """Lower and upper joint limits [rad], shape (16,) each."""
        return self._lower, self._upper

    def connect(self) -> None:
        """Open it, holding where it is."""
        self._at_ns = self._clock.now_ns()
        self._target = self._position.copy()
        self._open = True

    def read(self) -> tuple[Array, int] | None:
        """Joint positions [rad], shape (16,), and their capture_ns."""
        if not self._open:
            return None
        now_ns = self._clock.now_ns()
        step = self._speed * (now_ns - self._at_ns) / NS_PER_S
        self._position = self._position + np.clip(self._target - self._position, -step, step)
        self._at_ns = now_ns
        return self._position.copy(), now_ns

    def send(self, target: Array) -> None:
        """Joint targets [rad], shape (16,).

        Raises:
            DeviceError: It is not connected, or the targets are not finite or beyond its limits.
        """
        if self.read() is None:
            raise DeviceError("The simulated hand refused a target", why="it is not connected")
        fits = target.shape == self._lower.shape and np.isfinite(target).all()
        if not fits or (target < self._lower).any() or (target > self._upper).any():
            raise DeviceError(
                "The simulated hand refused a target",
                why=f"{np.round(target, 3).tolist()} is not {len(_LIMITS)} angles within its limits",
            )
        self._target = target.copy()

    def disconnect(self) -> None:
        """Leave it holding and close. May be called twice."""
        self._open = False


def _make(context: DeviceContext, options: HandOptions) -> SimHand:
    return SimHand(options, context.clock)


DRIVER = Driver(
    name="sim-hand",
    kind=DriverKind.HAND,
    title="Simulated dexterous hand, 16 joints",
    verification=Verification.SIMULATED,
    proof="It is a simulation: joints that turn at one speed, no contact with the world.",
    make=_make,
    options=HandOptions,
)
