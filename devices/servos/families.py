"""The families of servos: how a bus of each is made and looked for. Their SDKs are imported only then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from devices.driver import Found
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock

MakeBus = Callable[[str, int, Clock], ServoBus]
"""A bus by port, bit rate and clock, not yet opened."""


def dynamixel_bus(port: str, baud: int, clock: Clock) -> ServoBus:
    """A bus of Dynamixel servos that are driven within one turn."""
    from devices.servos.dynamixel_bus import DynamixelBus

    return DynamixelBus(port, baud, clock)


def turning_dynamixel_bus(port: str, baud: int, clock: Clock) -> ServoBus:
    """A bus of Dynamixel servos that a hand may have turned beyond one turn, where goals are taken too."""
    from devices.servos.dynamixel_bus import DynamixelBus, OperatingMode

    return DynamixelBus(port, baud, clock, position_mode=OperatingMode.EXTENDED_POSITION)


def feetech_bus(port: str, baud: int, clock: Clock) -> ServoBus:
    """A bus of Feetech STS servos."""
    from devices.servos.feetech_bus import FeetechBus

    return FeetechBus(port, baud, clock)


BUSES: Final[dict[str, MakeBus]] = {"dynamixel": dynamixel_bus, "feetech": feetech_bus}
"""By family, as in `ArmLayout.family`."""


def find_dynamixel() -> Sequence[Found]:
    """Chains of Dynamixel servos that answer."""
    from devices.servos.discover import DYNAMIXEL, discover

    return discover(DYNAMIXEL)


def find_feetech() -> Sequence[Found]:
    """Chains of Feetech servos that answer."""
    from devices.servos.discover import FEETECH, discover

    return discover(FEETECH)
