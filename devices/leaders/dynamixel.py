"""Leader arms of Dynamixel servos: GELLO, and the WidowX of ALOHA."""

from __future__ import annotations

from collections.abc import Sequence

from devices.driver import DeviceContext, Driver, DriverKind, Found
from devices.leaders.making import make_leader
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.protocols import Verification
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock

NAME = "dynamixel-leader"


class DynamixelLeaderOptions(LeaderOptions):
    """As `LeaderOptions`; the layouts are gello-7, gello-6, aloha-viperx and widowx."""

    layout: str = "gello-7"


def _bus(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.dynamixel_bus import DynamixelBus, OperatingMode

    # A leader turned by hand may stand beyond its first turn, where position mode takes no goals.
    return DynamixelBus(port, baud, clock, position_mode=OperatingMode.EXTENDED_POSITION)


def _make(context: DeviceContext, options: DynamixelLeaderOptions) -> ServoLeader:
    return make_leader(context, options, "dynamixel", NAME, _bus)


def _discover() -> Sequence[Found]:
    from devices.servos.discover import DYNAMIXEL, discover

    return discover(DYNAMIXEL)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Leader arm of Dynamixel servos",
    verification=Verification.EMULATOR,
    proof="The vendor's dynamixel-sdk against a byte-level emulator of the servos on a pseudo-terminal.",
    make=_make,
    options=DynamixelLeaderOptions,
    discover=_discover,
    needs=("dynamixel_sdk",),
)
