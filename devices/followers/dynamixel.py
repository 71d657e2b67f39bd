"""Follower arms of Dynamixel servos: ViperX-300 and WidowX-250."""

from __future__ import annotations

from typing import Literal

from devices.driver import DeviceContext, Driver, DriverKind
from devices.followers.servo_arm import ServoArm, ServoArmOptions, make_servo_arm
from devices.protocols import Verification
from devices.servos.families import dynamixel_bus, find_dynamixel

NAME = "dynamixel"


class DynamixelArmOptions(ServoArmOptions):
    """As `ServoArmOptions`."""

    # Frozen, so a narrower type than the base's is sound.
    layout: Literal["viperx", "widowx"] = "viperx"  # pyright: ignore[reportIncompatibleVariableOverride]


def _make(context: DeviceContext, options: DynamixelArmOptions) -> ServoArm:
    return make_servo_arm(context, options, "dynamixel", NAME, dynamixel_bus)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.FOLLOWER,
    title="Arm of Dynamixel servos (ViperX, WidowX)",
    verification=Verification.EMULATOR,
    proof="The vendor's dynamixel-sdk against a byte-level emulator of the servos on a pseudo-terminal; no "
    "real servos.",
    make=_make,
    options=DynamixelArmOptions,
    discover=find_dynamixel,
    needs=("dynamixel_sdk",),
)
