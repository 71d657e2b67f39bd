"""Leader arms of Feetech STS servos: SO-100 and SO-101."""

from __future__ import annotations

from collections.abc import Sequence

from devices.driver import DeviceContext, Driver, DriverKind, Found
from devices.leaders.making import make_leader
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.protocols import Verification
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock

NAME = "feetech-leader"


class FeetechLeaderOptions(LeaderOptions):
    """As `LeaderOptions`; the layout is so101. These servos take no currents: no gravity compensation."""

    layout: str = "so101"


def _bus(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.feetech_bus import FeetechBus

    return FeetechBus(port, baud, clock)


def _make(context: DeviceContext, options: FeetechLeaderOptions) -> ServoLeader:
    return make_leader(context, options, "feetech", NAME, _bus)


def _discover() -> Sequence[Found]:
    from devices.servos.discover import FEETECH, discover

    return discover(FEETECH)


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Leader arm of Feetech servos (SO-100, SO-101)",
    verification=Verification.EMULATOR,
    proof="The vendor's scservo_sdk against a byte-level emulator of the servos on a pseudo-terminal.",
    make=_make,
    options=FeetechLeaderOptions,
    discover=_discover,
    needs=("scservo_sdk",),
)
