"""What a driver says of itself: the one object behind every entry point of a device.

The station file names a driver; the registry (`devices.registry`) finds it among the installed entry points
of the groups below and makes the device. Loading the module of a driver must not import a vendor's package:
that happens in `make` or later, and its absence is a `DeviceError` that says what to install.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict

from devices.protocols import Verification
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import Clock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError


class DriverKind(StrEnum):
    """What a driver drives. The entry-point group is `teleop_app.<kind>s`."""

    INPUT = "input"
    FOLLOWER = "follower"
    CAMERA = "camera"
    SENSOR = "sensor"
    BASE = "base"
    LIFT = "lift"
    HAND = "hand"

    @property
    def group(self) -> str:
        """Name of the entry-point group."""
        return f"teleop_app.{self.value}s"


class Options(BaseModel):
    """Base of a driver's settings: unknown and non-finite values are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


@dataclass(frozen=True, slots=True)
class DeviceContext:
    """What a device is given when it is made.

    Attributes:
        name: Its name in the station file.
        arms: Arms that it drives or carries it, in station order.
        config: The station file.
        calibrations: Those of this store.
        clock: The station's clock.
    """

    name: str
    arms: tuple[str, ...]
    config: StationConfig
    calibrations: CalibrationStore
    clock: Clock


@dataclass(frozen=True, slots=True)
class Found:
    """A device that is there.

    Attributes:
        title: For people, e.g. `Dynamixel bus on /dev/ttyUSB0: 7 servos, 1 Mbps`.
        serial: Its serial number or another mark that stays, empty when it has none.
        options: Settings that reach it, to be put into the station file.
        remark: A sentence when something is odd, e.g. a missing ID; else empty.
    """

    title: str
    serial: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


def _find_nothing() -> Sequence[Found]:
    return ()


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver; what an entry point names.

    Attributes:
        name: As in the station file.
        kind: What it drives.
        title: For people.
        verification: How far it is proven.
        proof: What proves it, as a sentence.
        make: Makes the device: a `devices.protocols` object of the kind, not yet opened. Gets the context and
            the validated options.
        options: Its settings.
        discover: Finds devices that are there, moving and changing nothing; may take some seconds.
        needs: Modules of vendors' packages that it imports when it is made.
        extra: Extra of this distribution that brings them, empty when none does.
    """

    name: str
    kind: DriverKind
    title: str
    verification: Verification
    proof: str
    make: Callable[[DeviceContext, Any], Any]
    options: type[Options] = Options
    discover: Callable[[], Sequence[Found]] = _find_nothing
    needs: tuple[str, ...] = ()
    extra: str = ""


def vendor_module(name: str, driver: str, extra: str = "") -> ModuleType:
    """Import a module of a vendor's package.

    Raises:
        DeviceError: It is not installed, or does not load; the sentence says what to install.
    """
    remedy = f"Install it with: pip install 'teleop-app[{extra}]'" if extra else f"Install {name}"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DeviceError(
            f"The driver {driver!r} needs the package {name!r}", why=str(error), next_step=remedy
        ) from error
