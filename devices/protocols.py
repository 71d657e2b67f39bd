"""What control and station know of devices: these protocols and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.types import InputSample

Array = NDArray[np.float64]


class Verification(StrEnum):
    """How far a driver has been proven. Shown beside its name."""

    HARDWARE = "hardware-verified"
    EMULATOR = "emulator-verified"
    IMPORT_ONLY = "import-only"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class FollowerState:
    """What a follower reports.

    Attributes:
        position: Joint vector of its arms: joints [rad], gripper 0..1 last, shape (n,).
        velocity: [rad/s], gripper [1/s], shape (n,).
        effort: [N m], gripper [N], shape (n,).
        capture_ns: When it was so, host clock.
    """

    position: Array
    velocity: Array
    effort: Array
    capture_ns: int


class Follower(Protocol):
    """A robot that follows joint targets. Used from one thread; no call blocks longer than a tick."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joint vector, `arm/joint`, grippers included."""
        ...

    @property
    def verification(self) -> Verification:
        """How far this driver is proven."""
        ...

    def connect(self) -> None:
        """Open the device.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def read(self) -> FollowerState | None:
        """The newest state, None when none has arrived yet."""
        ...

    def send(self, target: Array) -> None:
        """Give the joint targets, shape (n,), to the device. Called by the safety supervisor alone."""
        ...

    def disconnect(self) -> None:
        """Leave the robot holding its place and close the device. May be called twice."""
        ...


class InputDevice(Protocol):
    """Something an operator moves. Polled by its own process at its own rate."""

    @property
    def name(self) -> str:
        """Source name in samples."""
        ...

    @property
    def verification(self) -> Verification:
        """How far this driver is proven."""
        ...

    def start(self) -> None:
        """Open the device.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def poll(self) -> InputSample | None:
        """The newest reading, or None when there is nothing new. Never blocks."""
        ...

    def cue(self, kind: str) -> None:
        """Give the hand a sign (haptic pulse) if the device can: `clutch`, `limit`, `stale`, `record`."""
        ...

    def stop(self) -> None:
        """Close the device. May be called twice."""
        ...
