"""A chain of smart servos on one serial line, whoever made them. One thread a bus; calls block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ServoMode(StrEnum):
    """What a servo's goal is."""

    POSITION = "position"
    CURRENT = "current"


@dataclass(frozen=True, slots=True)
class ServoStates:
    """States of several servos, read in one go. Rows of servos that did not answer are NaN.

    Attributes:
        position: Raw angle [rad], zero at the encoder's zero, shape (n,).
        velocity: [rad/s], shape (n,).
        current: [A] where the servo measures it, else its load as a share -1..1, shape (n,).
        missing: IDs that did not answer.
        alarms: By ID, a sentence: overload, voltage, overheating, ...
        capture_ns: When the answer was complete, less half of the wire time.
    """

    position: Array
    velocity: Array
    current: Array
    missing: tuple[int, ...]
    alarms: dict[int, str]
    capture_ns: int


class ServoBus(Protocol):
    """See the module. IDs are given in the order in which values are wanted."""

    @property
    def port(self) -> str:
        """Serial port."""
        ...

    def open(self) -> None:
        """Open the port.

        Raises:
            DeviceError: It does not exist, is busy, or is not permitted.
        """
        ...

    def close(self) -> None:
        """Close the port; torque stays as it is. May be called twice."""
        ...

    def ping(self, servo: int) -> int | None:
        """Model number of a servo, None when it does not answer.

        Raises:
            DeviceError: The port is gone, or two servos answer to this ID.
        """
        ...

    def scan(self) -> dict[int, int]:
        """Model numbers by ID of every servo that answers."""
        ...

    def model_name(self, number: int) -> str:
        """Name of a model number, e.g. `XL330-M288`; the number itself when unknown."""
        ...

    def read(self, servos: Sequence[int]) -> ServoStates:
        """One sync read. Servos that are silent are listed, not invented.

        Raises:
            DeviceError: The port is gone, or nothing at all answers.
        """
        ...

    def write_positions(self, servos: Sequence[int], raw_rad: Array) -> None:
        """One sync write of goal positions [rad], raw. Values that are not finite are refused.

        Raises:
            DeviceError: The port is gone, or a value is out of the servo's range.
        """
        ...

    def write_currents(self, servos: Sequence[int], amperes: Array) -> None:
        """One sync write of goal currents.

        Raises:
            DeviceError: The port is gone, or the servo has no current mode.
        """
        ...

    def set_torque(self, servos: Sequence[int], on: bool) -> None:
        """Torque on or off, confirmed servo by servo. It goes on where the servo stands, without current.

        Raises:
            DeviceError: A servo did not confirm; its ID is named.
        """
        ...

    def set_mode(self, servos: Sequence[int], mode: ServoMode) -> None:
        """Operating mode; torque must be off. Written to EEPROM only where it differs.

        Raises:
            DeviceError: A servo did not confirm, or cannot.
        """
        ...

    @property
    def has_current_mode(self) -> bool:
        """Whether `ServoMode.CURRENT` exists on this bus."""
        ...

    def can_current(self, servo: int) -> bool:
        """Whether this servo has it.

        Raises:
            DeviceError: It does not answer.
        """
        ...


@runtime_checkable
class MotionBus(Protocol):
    """A `ServoBus` whose servos limit their own motion and watch over the host."""

    def limit_motion(self, servos: Sequence[int], velocity_rad_s: float, acceleration_rad_s2: float) -> None:
        """Caps of the servos' own profile in position mode; 0 takes a cap away. Kept in RAM.

        Raises:
            DeviceError: A servo did not confirm; its ID is named.
        """
        ...

    @property
    def has_watchdog(self) -> bool:
        """Whether the servos stop by themselves when the host falls silent."""
        ...

    def set_watchdog(self, servos: Sequence[int], timeout_s: float) -> None:
        """Stop these servos when the bus is silent for so long; 0 clears and disarms it.

        Raises:
            DeviceError: A servo did not confirm, or has no watchdog.
        """
        ...


@runtime_checkable
class CentringBus(Protocol):
    """A `ServoBus` whose servos can be told where the middle of their encoder is."""

    def centre(self, servo: int) -> None:
        """Make the place where a servo stands now the middle of its range, pi; kept in the servo.

        Raises:
            DeviceError: It did not confirm.
        """
        ...
