"""Finds chains of servos on the serial ports: who answers at which rate. Moves and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serial.tools import list_ports

from devices.driver import Found
from devices.servos.dynamixel_bus import DynamixelBus
from devices.servos.feetech_bus import FeetechBus
from teleop_app.core.errors import DeviceError

BY_ID = Path("/dev/serial/by-id")


class Scanner(Protocol):
    """The part of a bus that discovery uses."""

    def open(self) -> None:
        """Open the port."""
        ...

    def close(self) -> None:
        """Close it."""
        ...

    def scan(self, highest_id: int = ...) -> dict[int, int]:
        """Model numbers by ID."""
        ...

    def model_name(self, number: int) -> str:
        """Name of a model number."""
        ...

    @property
    def remark(self) -> str:
        """What is odd about the port."""
        ...


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a vendor's servos are looked for.

    Attributes:
        name: For people.
        bauds: Bit rates to try, the likeliest first.
        highest_id: IDs to ask.
        bus: Makes a bus on a port at a rate.
    """

    name: str
    bauds: tuple[int, ...]
    highest_id: int
    bus: Callable[[str, int], Scanner]


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port of this machine.

    Attributes:
        device: Name that stays with the adapter where there is one.
        serial: Serial number of the adapter, empty when it has none.
        description: What the adapter says of itself.
    """

    device: str
    serial: str = ""
    description: str = ""


DYNAMIXEL = Vendor(
    "Dynamixel", (1_000_000, 57_600, 4_000_000, 2_000_000, 3_000_000, 115_200), 252, DynamixelBus
)
FEETECH = Vendor("Feetech", (1_000_000, 500_000, 115_200), 20, FeetechBus)


def serial_ports() -> list[Port]:
    """USB serial ports of this machine, by a name that survives replugging where udev gives one."""
    stable = {os.path.realpath(link): str(link) for link in sorted(BY_ID.glob("*"))} if BY_ID.exists() else {}
    return [
        Port(stable.get(port.device, port.device), port.serial_number or "", port.description or "")
        for port in sorted(list_ports.comports())
        if port.vid is not None
    ]


def discover(
    vendor: Vendor,
    ports: Iterable[Port] | None = None,
    *,
    bauds: Sequence[int] | None = None,
    highest_id: int | None = None,
) -> list[Found]:
    """Chains of a vendor's servos, one a port and rate; a port that cannot be searched is only remarked on.

    Args:
        vendor: Whose.
        ports: Where to look; None looks at every USB serial port.
        bauds: Rates to try, those of the vendor by default.
        highest_id: Last ID to ask.
    """
    found: list[Found] = []
    for port in serial_ports() if ports is None else ports:
        for baud in bauds or vendor.bauds:
            bus = vendor.bus(port.device, baud)
            try:
                bus.open()
                servos = bus.scan(vendor.highest_id if highest_id is None else highest_id)
                remark = bus.remark
            except DeviceError as error:
                found.append(Found(f"{vendor.name} on {port.device}?", port.serial, {}, error.sentence))
                break
            finally:
                bus.close()
            if servos:
                found.append(_chain(vendor, port, baud, servos, bus.model_name, remark))
    return found


def _chain(
    vendor: Vendor, port: Port, baud: int, servos: dict[int, int], name: Callable[[int], str], remark: str
) -> Found:
    names = [name(model) for model in servos.values()]
    kinds = ", ".join(f"{names.count(kind)} {kind}" for kind in dict.fromkeys(names))
    absent = sorted(set(range(1, max(servos) + 1)) - set(servos))
    remarks = [f"No servo has ID {', '.join(map(str, absent))}."] if absent else []
    return Found(
        title=f"{vendor.name} bus on {port.device}: {len(servos)} servos ({kinds}), {baud} bit/s",
        serial=port.serial,
        options={"port": port.device, "baud": baud, "ids": sorted(servos)},
        remark=" ".join([*remarks, remark]).strip(),
    )
