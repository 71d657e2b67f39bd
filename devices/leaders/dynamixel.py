"""Leader arms of Dynamixel servos: GELLO, and the WidowX of ALOHA."""

from __future__ import annotations

from typing import Literal

from devices.driver import DeviceContext, Driver, DriverKind
from devices.leaders.making import make_leader
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.protocols import Verification
from devices.servos.families import find_dynamixel, turning_dynamixel_bus

NAME = "dynamixel-leader"


class DynamixelLeaderOptions(LeaderOptions):
    """As `LeaderOptions`."""

    # Frozen, so a narrower type than the base's is sound.
    layout: Literal["gello-7", "gello-xarm7", "gello-6", "aloha-viperx", "widowx"] = "gello-7"  # pyright: ignore[reportIncompatibleVariableOverride]


def _make(context: DeviceContext, options: DynamixelLeaderOptions) -> ServoLeader:
    return make_leader(context, options, "dynamixel", NAME, turning_dynamixel_bus)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Leader arm of Dynamixel servos",
    verification=Verification.EMULATOR,
    proof="The vendor's dynamixel-sdk against a byte-level emulator of the servos on a pseudo-terminal; no "
    "real servos.",
    make=_make,
    options=DynamixelLeaderOptions,
    discover=find_dynamixel,
    needs=("dynamixel_sdk",),
)
