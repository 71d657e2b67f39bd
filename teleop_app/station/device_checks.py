"""Are the devices of a station file fit to be used? For `teleop doctor` and before a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import ValidationError

from devices.driver import Driver, DriverKind
from devices.models.library import robot_model
from devices.registry import find_driver, missing_packages
from teleop_app.core.calibration import ArmCalibration, CalibrationStore, CameraCalibration
from teleop_app.core.config import StationConfig, field_problems
from teleop_app.core.errors import TeleopError
from teleop_app.station.checks import Check, Level
from teleop_app.station.device_roster import is_own_driver, named_devices, serial_numbers
from teleop_app.station.roster import check_cameras, is_simulated

_LAYOUT: Final = "layout"
"""Setting of every arm of servos, which works only with its calibration."""


def check_devices(config: StationConfig, store: CalibrationStore) -> Iterator[Check]:
    """One check for each device of the station file that is not a part of this program. Opens none."""
    try:
        if not is_simulated(config):
            for arm in config.arms:
                robot_model(arm.model)
        check_cameras(config)
    except TeleopError as error:
        yield Check("Cell", Level.FAILURE, f"{error.what}: {error.why}".rstrip(": "), error.next_step)
    for kind, name, driver, options in named_devices(config):
        if not is_own_driver(driver):
            yield _check(kind, name, driver, options, store)


def _check(
    kind: DriverKind, name: str, driver_name: str, options: dict[str, Any], store: CalibrationStore
) -> Check:
    title = f"{kind.value.capitalize()} {name}"
    try:
        driver = find_driver(kind, driver_name)
    except TeleopError as error:
        return Check(title, Level.FAILURE, f"{error.what}: {error.why}".rstrip(": "), error.next_step)
    if missing := missing_packages(driver):
        extra = f"pip install 'teleop-app[{driver.extra}]'" if driver.extra else f"Install {missing[0]}"
        return Check(title, Level.FAILURE, f"{driver_name} needs {', '.join(missing)}", extra)
    try:
        driver.options.model_validate(options)
    except ValidationError as error:
        listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
        return Check(
            title, Level.FAILURE, f"options of {driver_name}: {listed}", "Correct them on the Setup page"
        )
    return _check_calibration(title, kind, name, driver, options, store)


def _check_calibration(
    title: str,
    kind: DriverKind,
    name: str,
    driver: Driver,
    options: dict[str, Any],
    store: CalibrationStore,
) -> Check:
    text = f"{driver.name}, {driver.verification.value}"
    serials = serial_numbers(options)
    try:
        if kind in (DriverKind.FOLLOWER, DriverKind.INPUT) and _LAYOUT in driver.options.model_fields:
            for arm, serial in serials.items():
                if store.load(ArmCalibration, serial) is None:
                    remedy = f"Calibrate it with: teleop calibrate arm {f'{name}/{arm}' if arm else name}"
                    return Check(title, Level.FAILURE, f"{text}; not calibrated (serial {serial})", remedy)
        elif kind is DriverKind.CAMERA:
            known = [*serials.values(), name]
            if all(store.load(CameraCalibration, each) is None for each in known):
                return Check(title, Level.OK, f"{text}; intrinsics not calibrated")
    except TeleopError as error:
        return Check(title, Level.FAILURE, f"{error.what}: {error.why}", error.next_step)
    return Check(title, Level.OK, text)
