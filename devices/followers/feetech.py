"""Follower arms of Feetech STS servos: SO-100 and SO-101."""

from __future__ import annotations

from collections.abc import Sequence

from devices.driver import DeviceContext, Driver, DriverKind, Found
from devices.followers.servo_arm import ServoArm, ServoArmOptions, make_servo_arm
from devices.protocols import Verification
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock

NAME = "feetech"


class FeetechArmOptions(ServoArmOptions):
    """As `ServoArmOptions`; the layout is so101."""

    layout: str = "so101"


def _bus(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.feetech_bus import FeetechBus

    return FeetechBus(port, baud, clock)


def _make(context: DeviceContext, options: FeetechArmOptions) -> ServoArm:
    return make_servo_arm(context, options, "feetech", NAME, _bus)


def _discover() -> Sequence[Found]:
    from devices.servos.discover import FEETECH, discover

    return discover(FEETECH)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.FOLLOWER,
    title="Arm of Feetech servos (SO-100, SO-101)",
    verification=Verification.EMULATOR,
    proof="The vendor's scservo_sdk against a byte-level emulator of the servos on a pseudo-terminal.",
    make=_make,
    options=FeetechArmOptions,
    discover=_discover,
    needs=("scservo_sdk",),
)
