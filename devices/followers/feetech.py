"""Follower arms of Feetech STS servos: SO-100 and SO-101."""

from __future__ import annotations

from typing import Literal

from devices.driver import DeviceContext, Driver, DriverKind
from devices.followers.servo_arm import ServoArm, ServoArmOptions, make_servo_arm
from devices.protocols import Verification
from devices.servos.families import feetech_bus, find_feetech

NAME = "feetech"


class FeetechArmOptions(ServoArmOptions):
    """As `ServoArmOptions`."""

    # Frozen, so a narrower type than the base's is sound.
    layout: Literal["so101"] = "so101"  # pyright: ignore[reportIncompatibleVariableOverride]


def _make(context: DeviceContext, options: FeetechArmOptions) -> ServoArm:
    return make_servo_arm(context, options, "feetech", NAME, feetech_bus)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.FOLLOWER,
    title="Arm of Feetech servos (SO-100, SO-101)",
    verification=Verification.EMULATOR,
    proof="The vendor's scservo_sdk against a byte-level emulator of the servos on a pseudo-terminal; no "
    "real servos.",
    make=_make,
    options=FeetechArmOptions,
    discover=find_feetech,
    needs=("scservo_sdk",),
)
