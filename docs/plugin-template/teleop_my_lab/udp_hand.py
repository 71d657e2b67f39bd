"""An input: another program sends the hand's velocity as datagrams.

A datagram is text: `vx vy vz wx wy wz clutch gripper`, velocities along the operator's axes [m/s, rad/s],
clutch 0 or 1, gripper 0 closed to 1 open. Try it: echo "0 0 0.02 0 0 0 1 1" | nc -u 127.0.0.1 5005
"""

from __future__ import annotations

import math
import socket

import numpy as np
from pydantic import Field

from devices.driver import DeviceContext, Driver, DriverKind, Options
from devices.protocols import Verification
from teleop_app.core.clock import Clock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, InputSample

NUMBERS = 8


class UdpHandOptions(Options):
    """Settings of `udp-hand`, as they stand in the station file.

    Attributes:
        port: UDP port on which this computer listens.
        host: Address on which it listens; the default admits programs of this computer only.
    """

    port: int = Field(default=5005, ge=1, le=65535)
    host: str = "127.0.0.1"


class UdpHand:
    """Drives the first arm that it is given. Satisfies `devices.protocols.InputDevice`."""

    verification = Verification.SIMULATED

    def __init__(self, name: str, arm: str, options: UdpHandOptions, clock: Clock) -> None:
        self.name = name
        self._arm = arm
        self._options = options
        self._clock = clock
        self._socket: socket.socket | None = None
        self._may_clutch = False
        self._seq = 0

    def start(self) -> None:
        """Called again every second until it succeeds; may be called while it is open."""
        if self._socket is not None:
            return
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.bind((self._options.host, self._options.port))
        except OSError as error:
            opened.close()
            raise DeviceError(
                f"The port {self._options.port} cannot be listened on",
                why=error.strerror or str(error),
                next_step="Choose another port in the station file",
            ) from error
        opened.setblocking(False)
        self._socket, self._may_clutch = opened, False

    def poll(self) -> InputSample | None:
        """The newest datagram; None when there is nothing new. Never blocks, never repeats."""
        numbers: list[float] | None = None
        while self._socket is not None:
            try:
                numbers = parse(self._socket.recv(512)) or numbers
            except BlockingIOError:
                break
        if numbers is None:
            return None
        clutch = numbers[6] > 0.5
        self._may_clutch |= not clutch  # seen released before it is seen pressed
        self._seq += 1
        return InputSample(
            source=self.name,
            actor=Actor.HUMAN,
            seq=self._seq,
            capture_ns=self._clock.now_ns(),
            arms={
                self._arm: ArmInput(
                    clutch=clutch and self._may_clutch,
                    twist=np.array(numbers[:6]),
                    gripper=min(1.0, max(0.0, numbers[7])),
                )
            },
        )

    def cue(self, kind: str) -> None:
        """A sign to the hand; this device has none to give."""

    def stop(self) -> None:
        """May be called twice, and before the start."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def parse(datagram: bytes) -> list[float] | None:
    """The numbers of a datagram, None when it is not a sound one."""
    try:
        numbers = [float(part) for part in datagram.split()]
    except ValueError:
        return None
    return numbers if len(numbers) == NUMBERS and all(map(math.isfinite, numbers)) else None


def _make(context: DeviceContext, options: UdpHandOptions) -> UdpHand:
    return UdpHand(context.name, context.arms[0], options, context.clock)


DRIVER = Driver(
    name="udp-hand",
    kind=DriverKind.INPUT,
    title="Velocities by UDP",
    verification=Verification.SIMULATED,
    proof="The contract suite, over the loopback interface.",
    make=_make,
    options=UdpHandOptions,
)
