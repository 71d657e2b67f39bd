"""A sensor: how busy this computer is, as a stream that is recorded with each episode."""

from __future__ import annotations

import os
import time

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options
from devices.protocols import Verification
from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import AudioBlock, StreamBatch, StreamSetup


class HostLoadOptions(Options):
    """Settings of `host-load`.

    Attributes:
        rate_hz: Samples a second.
    """

    rate_hz: float = Field(default=10.0, gt=0.0, le=100.0)


class HostLoad:
    """Satisfies `devices.protocols.Sensor`."""

    def __init__(self, name: str, options: HostLoadOptions, clock: Clock) -> None:
        self._setup = StreamSetup(
            name=f"{name}/load",
            kind="level",
            values=("running",),
            unit="processes",
            frame="",
            rate_hz=options.rate_hz,
        )
        self._period_ns = round(NS_PER_S / options.rate_hz)
        self._clock = clock
        self._due_ns = 0
        self._seq = 0

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """What it measures."""
        return (self._setup,)

    def start(self) -> None:
        """Called again every second until it succeeds."""
        if not self._due_ns:
            self._due_ns = self._clock.now_ns()

    def read(self, timeout_s: float) -> list[StreamBatch | AudioBlock]:
        """What came since the last call; waits for it, at most so long."""
        if not self._due_ns:
            raise DeviceError("The load of this computer is not being measured", why="it was not started")
        wait_ns = self._due_ns - self._clock.now_ns()
        time.sleep(max(0.0, min(wait_ns / NS_PER_S, timeout_s)))
        now_ns = self._clock.now_ns()
        if now_ns < self._due_ns:
            return []
        self._due_ns += self._period_ns
        batch = StreamBatch(
            stream=self._setup.name,
            seq=self._seq,
            capture_ns=np.array([now_ns]),
            values=np.array([[os.getloadavg()[0]]]),
            receive_ns=now_ns,
        )
        self._seq += 1
        return [batch]

    def stop(self) -> None:
        """May be called twice, and before the start."""
        self._due_ns = 0


def _make(context: DeviceContext, options: HostLoadOptions) -> HostLoad:
    return HostLoad(context.name, options, context.clock)


DRIVER = Driver(
    name="host-load",
    kind=DriverKind.SENSOR,
    title="Load of this computer",
    verification=Verification.SIMULATED,
    proof="The contract suite.",
    make=_make,
    options=HostLoadOptions,
)
