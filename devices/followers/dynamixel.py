"""Follower arms of Dynamixel servos: ViperX-300 and WidowX-250."""

from __future__ import annotations

from collections.abc import Sequence

from devices.driver import DeviceContext, Driver, DriverKind, Found
from devices.followers.servo_arm import ServoArm, ServoArmOptions, make_servo_arm
from devices.protocols import Verification
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock

NAME = "dynamixel"


class DynamixelArmOptions(ServoArmOptions):
    """As `ServoArmOptions`; the layouts are viperx and widowx."""

    layout: str = "viperx"


def _bus(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.dynamixel_bus import DynamixelBus

    return DynamixelBus(port, baud, clock)


def _make(context: DeviceContext, options: DynamixelArmOptions) -> ServoArm:
    return make_servo_arm(context, options, "dynamixel", NAME, _bus)


def _discover() -> Sequence[Found]:
    from devices.servos.discover import DYNAMIXEL, discover

    return discover(DYNAMIXEL)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.FOLLOWER,
    title="Arm of Dynamixel servos (ViperX, WidowX)",
    verification=Verification.EMULATOR,
    proof="The vendor's dynamixel-sdk against a byte-level emulator of the servos on a pseudo-terminal.",
    make=_make,
    options=DynamixelArmOptions,
    discover=_discover,
    needs=("dynamixel_sdk",),
)
