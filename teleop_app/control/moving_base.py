"""The mobile base in the control loop: asked, limited, sent, measured, and its navigation actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devices.protocols import VelocityBody
from teleop_app.control.body_part import Part, Tick
from teleop_app.control.stream_rows import StreamRows
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.config import StationConfig
from teleop_app.core.geometry import Array
from teleop_app.core.planar import displacement
from teleop_app.core.types import Resampling, StreamSetup
from teleop_app.mapping.base_velocity import asked_twist
from teleop_app.safety.outcome import Intervention
from teleop_app.safety.velocity_limiter import BaseVelocitySafety, VelocityRequest

_TWIST = ("vx", "vy", "wz")


class MovingBase(Part):
    """Drives a mobile base and tells four streams of it.

    `base/asked` and `base/sent` are twists in the frame of the base, `base/measured` is its odometry,
    `base/action` the displacement commanded since the tick before, in the frame of the base at that tick.

    Args:
        device: The base.
        config: The station file.
    """

    def __init__(self, device: VelocityBody, config: StationConfig) -> None:
        super().__init__("base", device)
        rate_hz = float(config.control.rate_hz)
        self._device = device
        self._mapping = config.mapping
        self._safety = BaseVelocitySafety(config.mobile_base, config.safety, 1.0 / rate_hz)
        self._longest_ns = round(config.safety.command_stale_ms * NS_PER_MS)
        self._sent = np.zeros(3)
        self._sent_ns = 0
        self._yaw = _Unwrapped()

        def rows(name: str, values: tuple[str, ...], unit: str, frame: str, how: Resampling) -> StreamRows:
            kind = {"measured": "odometry", "action": "navigation"}.get(name, "twist")
            return StreamRows(StreamSetup(f"base/{name}", kind, values, unit, frame, rate_hz, how))

        self._asked_rows = rows("asked", _TWIST, "m/s, rad/s", "base", Resampling.PREVIOUS)
        self._sent_rows = rows("sent", _TWIST, "m/s, rad/s", "base", Resampling.PREVIOUS)
        self._measured_rows = rows(
            "measured", ("x", "y", "yaw", *_TWIST), "m, rad, m/s, rad/s", "odom", Resampling.LINEAR
        )
        self._action_rows = rows("action", ("dx", "dy", "dtheta"), "m, rad", "base", Resampling.PREVIOUS)

    @property
    def streams(self) -> Sequence[StreamRows]:
        """Asked, sent, measured, action."""
        return self._asked_rows, self._sent_rows, self._measured_rows, self._action_rows

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""
        return not self._sent.any()

    def move(self, tick: Tick) -> Sequence[Intervention]:
        """One tick."""
        state = self._device.read()
        request = None
        if tick.sample is not None:
            twist = asked_twist(tick.sample, tick.engaged, self._mapping)
            if twist is not None:
                request = VelocityRequest(twist, tick.sample.source, tick.sample.capture_ns)
        feedback_ns = None if state is None else state[2]
        sent, notes = self._safety.advance(request, feedback_ns, tick.now_ns, stopped=tick.stopped)
        self._device.send(sent)
        self._tell(request, sent, state, tick.now_ns)
        return notes

    def lose(self) -> None:
        """Start from rest once it is back."""
        self._safety.reset()
        self._sent, self._sent_ns = np.zeros(3), 0

    def _tell(
        self,
        request: VelocityRequest | None,
        sent: Array,
        state: tuple[Array, Array, int] | None,
        now_ns: int,
    ) -> None:
        if self._sent_ns:
            # What has no new command for longer stops by its own watchdog.
            held_s = min(now_ns - self._sent_ns, self._longest_ns) / NS_PER_S
            self._action_rows.add(now_ns, displacement(self._sent, held_s))
        self._asked_rows.add(now_ns, np.zeros(3) if request is None else request.velocity)
        self._sent_rows.add(now_ns, sent)
        if state is not None:
            pose, velocity, capture_ns = state
            pose = np.array([pose[0], pose[1], self._yaw.follow(float(pose[2]))])
            self._measured_rows.add(capture_ns, np.concatenate([pose, velocity]))
        self._sent, self._sent_ns = sent, now_ns


class _Unwrapped:
    """An angle that goes on beyond half a turn, so that it can be interpolated."""

    def __init__(self) -> None:
        self._angle: float | None = None

    def follow(self, angle: float) -> float:
        if self._angle is None:
            self._angle = angle
        else:
            self._angle += (angle - self._angle + np.pi) % (2.0 * np.pi) - np.pi
        return self._angle
