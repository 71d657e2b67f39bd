"""The lift in the control loop: limited to its stroke, sent, measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from devices.protocols import VelocityBody
from teleop_app.control.body_part import Part, Tick
from teleop_app.control.stream_rows import StreamRows
from teleop_app.core.config import StationConfig
from teleop_app.core.types import Resampling, StreamSetup
from teleop_app.mapping.base_velocity import asked_lift_m_s
from teleop_app.safety.outcome import Intervention
from teleop_app.safety.velocity_limiter import LiftVelocitySafety, VelocityRequest


class MovingLift(Part):
    """Drives a lift and tells `lift/sent` (vz) and `lift/measured` (z, vz).

    Args:
        device: The lift.
        config: The station file.
    """

    def __init__(self, device: VelocityBody, config: StationConfig) -> None:
        super().__init__("lift", device)
        rate_hz = float(config.control.rate_hz)
        self._device = device
        self._mapping = config.mapping
        self._safety = LiftVelocitySafety(config.lift, config.safety, 1.0 / rate_hz)
        self._sent = 0.0
        self._sent_rows = StreamRows(
            StreamSetup("lift/sent", "twist", ("vz",), "m/s", "lift", rate_hz, Resampling.PREVIOUS)
        )
        self._measured_rows = StreamRows(
            StreamSetup("lift/measured", "height", ("z", "vz"), "m, m/s", "lift", rate_hz)
        )

    @property
    def streams(self) -> Sequence[StreamRows]:
        """Sent, measured."""
        return self._sent_rows, self._measured_rows

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""
        return self._sent == 0.0

    def move(self, tick: Tick) -> Sequence[Intervention]:
        """One tick."""
        state = self._device.read()
        request = None
        if tick.sample is not None:
            speed = asked_lift_m_s(tick.sample, tick.engaged, self._mapping)
            if speed is not None:
                request = VelocityRequest(np.array([speed]), tick.sample.source, tick.sample.capture_ns)
        known = None if state is None else (float(state[0][0]), float(state[1][0]), state[2])
        self._sent, notes = self._safety.advance(request, known, tick.now_ns, stopped=tick.stopped)
        self._device.send(np.array([self._sent]))
        self._sent_rows.add(tick.now_ns, np.array([self._sent]))
        if state is not None:
            self._measured_rows.add(state[2], np.concatenate([state[0], state[1]]))
        return notes

    def lose(self) -> None:
        """Start from rest once it is back."""
        self._safety.reset()
        self._sent = 0.0
