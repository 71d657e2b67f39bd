"""Finds policy drivers by entry point and makes policies; a broken plug-in is only reported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from teleop_app.core.config import field_problems
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.policy import Policy, PolicyContext, PolicyDriver, PolicyOptions

logger = logging.getLogger(__name__)

GROUP = "teleop_app.policies"


@dataclass(frozen=True, slots=True)
class BrokenDriver:
    """An entry point that cannot be used.

    Attributes:
        name: Of the entry point.
        package: Distribution that brings it.
        sentence: Why.
    """

    name: str
    package: str
    sentence: str


def driver_names() -> tuple[str, ...]:
    """Names of the installed drivers, sorted; none of them is loaded."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def find_driver(name: str) -> PolicyDriver:
    """The driver of that name.

    Raises:
        ConfigError: There is none; the sentence names those that are there.
        PolicyError: Its plug-in does not load, or there are two of that name.
    """
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise ConfigError(
            f"There is no policy driver {name!r}",
            next_step=f"Choose one of: {', '.join(driver_names()) or 'none is installed'}",
        )
    if len(points) > 1:
        raise PolicyError(
            f"The policy driver {name!r} is installed more than once",
            why=f"by {', '.join(sorted(_package(point) for point in points))}",
            next_step="Uninstall all but one of them",
        )
    return _load(points[0])


def all_drivers() -> tuple[list[PolicyDriver], list[BrokenDriver]]:
    """Every installed driver by name, and what cannot be used."""
    drivers: list[PolicyDriver] = []
    broken: list[BrokenDriver] = []
    for name in driver_names():
        try:
            drivers.append(find_driver(name))
        except PolicyError as error:
            points = list(entry_points(group=GROUP, name=name))
            broken.append(BrokenDriver(name, _package(points[0]), error.sentence))
    return drivers, broken


def make_policy(driver_name: str, context: PolicyContext, options: Mapping[str, Any]) -> Policy:
    """Make the policy of a policy file, not yet opened.

    Raises:
        ConfigError: There is no such driver, or its settings are wrong; all of them are listed.
        PolicyError: The driver cannot be used.
    """
    driver, settings = options_of(driver_name, context.name, options)
    return driver.make(context, settings)


def options_of(
    driver_name: str, policy_name: str, options: Mapping[str, Any]
) -> tuple[PolicyDriver, PolicyOptions]:
    """A driver and the validated settings of one of its policies; nothing is made.

    Raises:
        ConfigError: There is no such driver, or its settings are wrong; all of them are listed.
        PolicyError: The driver cannot be used.
    """
    driver = find_driver(driver_name)
    try:
        return driver, driver.options.model_validate(dict(options))
    except ValidationError as error:
        listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
        raise ConfigError(
            f"The options of the policy {policy_name!r} ({driver_name}) are wrong", why=listed
        ) from error


def _load(point: EntryPoint) -> PolicyDriver:
    try:
        driver = point.load()
    except Exception as error:
        logger.info("the plug-in %s does not load", point.value, exc_info=True)
        raise PolicyError(
            f"The policy driver {point.name!r} of {_package(point)} does not load",
            why=f"{type(error).__name__}: {error}",
        ) from error
    if not isinstance(driver, PolicyDriver) or driver.name != point.name:
        raise PolicyError(
            f"The policy driver {point.name!r} of {_package(point)} is not one",
            why=f"{point.value} must be a teleop_app.core.policy.PolicyDriver of this name",
        )
    return driver


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
