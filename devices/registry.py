"""Finds drivers among the installed entry points and makes devices; a broken plug-in is only reported."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from devices.driver import DeviceContext, Driver, DriverKind, Found
from teleop_app.core.config import field_problems
from teleop_app.core.errors import ConfigError, DeviceError, TeleopError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry point that cannot be used.

    Attributes:
        name: Of the entry point.
        kind: Group it stands in.
        package: Distribution that brings it.
        sentence: Why.
    """

    name: str
    kind: DriverKind
    package: str
    sentence: str


def driver_names(kind: DriverKind) -> tuple[str, ...]:
    """Names of the installed drivers of a kind, sorted; none of them is loaded."""
    return tuple(sorted({point.name for point in entry_points(group=kind.group)}))


def find_driver(kind: DriverKind, name: str) -> Driver:
    """The driver of that name.

    Raises:
        ConfigError: There is none; the sentence names those that are there.
        DeviceError: Its plug-in does not load, or there are two of that name.
    """
    points = list(entry_points(group=kind.group, name=name))
    if not points:
        raise ConfigError(
            f"There is no {kind.value} driver {name!r}",
            next_step=f"Choose one of: {', '.join(driver_names(kind)) or 'none is installed'}",
        )
    if len(points) > 1:
        packages = ", ".join(sorted(_package(point) for point in points))
        raise DeviceError(
            f"The {kind.value} driver {name!r} is installed more than once",
            why=f"by {packages}",
            next_step="Uninstall all but one of them",
        )
    return _load(kind, points[0])


def all_drivers() -> tuple[list[Driver], list[Broken]]:
    """Every installed driver, by kind and name, and what cannot be used."""
    drivers: list[Driver] = []
    broken: list[Broken] = []
    for kind in DriverKind:
        for name in driver_names(kind):
            try:
                drivers.append(find_driver(kind, name))
            except DeviceError as error:
                points = list(entry_points(group=kind.group, name=name))
                broken.append(Broken(name, kind, _package(points[0]), error.sentence))
    return drivers, broken


def look_for(driver: Driver) -> tuple[tuple[Found, ...], str]:
    """What a driver finds, and a sentence when it could not look; whatever a plug-in raises is one."""
    try:
        return tuple(driver.discover()), ""
    except TeleopError as error:
        return (), error.sentence
    except Exception as error:
        logger.exception("the driver %s failed to look for devices", driver.name)
        return (), f"The driver {driver.name!r} failed to look for devices: {type(error).__name__}: {error}."


def missing_packages(driver: Driver) -> tuple[str, ...]:
    """Modules of vendors' packages that the driver needs and that are not installed."""
    return tuple(name for name in driver.needs if not _installed(name))


def _installed(module: str) -> bool:
    try:
        return find_spec(module.partition(".")[0]) is not None  # a submodule's search runs its package
    except (ImportError, ValueError):
        return False


def make_device(kind: DriverKind, name: str, context: DeviceContext, options: dict[str, Any]) -> Any:
    """Make the device of a station file's entry.

    Raises:
        ConfigError: There is no such driver, or its settings are wrong; all of them are listed.
        DeviceError: The driver cannot be used.
    """
    driver = find_driver(kind, name)
    try:
        settings = driver.options.model_validate(options)
    except ValidationError as error:
        listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
        raise ConfigError(
            f"The options of the {kind.value} {context.name!r} are wrong", why=listed
        ) from error
    return driver.make(context, settings)


def _load(kind: DriverKind, point: EntryPoint) -> Driver:
    try:
        driver = point.load()
    except Exception as error:
        logger.info("the plug-in %s does not load", point.value, exc_info=True)
        raise DeviceError(
            f"The {kind.value} driver {point.name!r} of {_package(point)} does not load",
            why=f"{type(error).__name__}: {error}",
        ) from error
    if not isinstance(driver, Driver) or driver.kind is not kind or driver.name != point.name:
        raise DeviceError(
            f"The {kind.value} driver {point.name!r} of {_package(point)} is not one",
            why=f"{point.value} must be a devices.driver.Driver with this kind and name",
        )
    return driver


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
