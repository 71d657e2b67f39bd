"""Leader arms of Feetech STS servos: SO-100 and SO-101."""

from __future__ import annotations

from typing import Literal

from devices.driver import DeviceContext, Driver, DriverKind
from devices.leaders.making import make_leader
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.protocols import Verification
from devices.servos.families import feetech_bus, find_feetech

NAME = "feetech-leader"


class FeetechLeaderOptions(LeaderOptions):
    """As `LeaderOptions`. These servos take no currents: no gravity compensation."""

    # Frozen, so a narrower type than the base's is sound.
    layout: Literal["so101"] = "so101"  # pyright: ignore[reportIncompatibleVariableOverride]


def _make(context: DeviceContext, options: FeetechLeaderOptions) -> ServoLeader:
    return make_leader(context, options, "feetech", NAME, feetech_bus)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Leader arm of Feetech servos (SO-100, SO-101)",
    verification=Verification.EMULATOR,
    proof="The vendor's scservo_sdk against a byte-level emulator of the servos on a pseudo-terminal; no "
    "real servos.",
    make=_make,
    options=FeetechLeaderOptions,
    discover=find_feetech,
    needs=("scservo_sdk",),
)
