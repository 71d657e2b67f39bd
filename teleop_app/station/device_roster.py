"""The devices of a station as its episodes name them: robot, joint vector, drivers, calibrations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from devices.driver import DriverKind
from devices.models.cell import cell_arms
from devices.registry import find_driver
from recorders.schema import DeviceHeader
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import TeleopError
from teleop_app.station.roster import SIMULATED, is_simulated

_OWN_DRIVERS: Final = (SIMULATED, "synthetic")
"""Parts of this program, not found by an entry point."""
_CALIBRATED: Final = {
    DriverKind.FOLLOWER: "arms",
    DriverKind.INPUT: "arms",
    DriverKind.CAMERA: "cameras",
    DriverKind.HAND: "hands",
}


def robot_type(config: StationConfig) -> str:
    """A name for the robot: its arms' models, `..._bimanual` for two alike.

    Raises:
        ConfigError: A robot model cannot be used.
    """
    if is_simulated(config):
        models = ["viperx"] * len(config.arms)
    else:
        models = [Path(arm.model).stem for arm in cell_arms(config)]
    if len(set(models)) == 1:
        numbers = {1: "", 2: "_bimanual"}
        return models[0] + numbers.get(len(models), f"_x{len(models)}")
    return "_".join(models)


def joint_names(config: StationConfig) -> tuple[str, ...]:
    """The joint vector of a station: each arm's joints and then its gripper.

    Raises:
        ConfigError: A robot model cannot be used.
    """
    if is_simulated(config):
        simulated = [arm.model_copy(update={"model": "viperx300"}) for arm in config.arms]
        config = config.model_copy(update={"arms": simulated})
    return tuple(name for arm in cell_arms(config) for name in (*arm.joint_names, arm.gripper_name))


def station_devices(config: StationConfig) -> tuple[DeviceHeader, ...]:
    """Every device of the station file, with what its driver says of itself."""
    return tuple(
        DeviceHeader(
            kind=kind.value,
            name=name,
            driver=driver,
            model=next((a.model for a in config.arms if a.name == name), "")
            if kind is DriverKind.FOLLOWER and driver != SIMULATED
            else "",
            verification=_verification(kind, driver),
            serial=", ".join(serial_numbers(options).values()),
        )
        for kind, name, driver, options in named_devices(config)
    )


def named_devices(config: StationConfig) -> list[tuple[DriverKind, str, str, dict[str, Any]]]:
    """Kind, name, driver and options of every device of the station file."""
    found = [(DriverKind.FOLLOWER, arm.name, arm.follower, arm.options) for arm in config.arms]
    found += [(DriverKind.CAMERA, each.name, each.driver, each.options) for each in config.cameras]
    found += [(DriverKind.INPUT, each.name, each.driver, each.options) for each in config.inputs.devices]
    found += [(DriverKind.SENSOR, each.name, each.driver, each.options) for each in config.sensors]
    found += [(DriverKind.HAND, each.name, each.driver, each.options) for each in config.hands]
    if config.mobile_base.driver:
        found.append((DriverKind.BASE, "base", config.mobile_base.driver, config.mobile_base.options))
    if config.lift.driver:
        found.append((DriverKind.LIFT, "lift", config.lift.driver, config.lift.options))
    return found


def serial_numbers(options: dict[str, Any]) -> dict[str, str]:
    """Serial numbers that a device's options name, by arm where it has several, else under an empty name."""
    by_arm = {name: options.get(name) for name in ("ports", "serials")}
    given = {name: each if isinstance(each, dict) else {} for name, each in by_arm.items()}
    several = len({*given["ports"], *given["serials"]}) > 1
    found = {arm if several else "": str(each) for arm, each in given["serials"].items() if each}
    if not found and options.get("serial"):
        return {"": str(options["serial"])}
    return found


def is_own_driver(driver: str) -> bool:
    """Whether a driver is a part of this program rather than an entry point."""
    return driver in _OWN_DRIVERS


def calibrations_in_force(config: StationConfig, files: Iterable[Path]) -> list[Path]:
    """Those of the calibration files that a device of the station may go by.

    A device goes by the one of its serial number, or of its name; one that gives no serial number in the
    station file may go by any of its kind.
    """
    wanted: dict[str, set[str]] = {}
    any_of: set[str] = set()
    for kind, name, driver, options in named_devices(config):
        if is_own_driver(driver) or kind not in _CALIBRATED:
            continue
        folder = _CALIBRATED[kind]
        serials = [serial.replace(":", "_") for serial in serial_numbers(options).values()]
        wanted.setdefault(folder, set()).update({name, *serials})
        if not serials:
            any_of.add(folder)
    return [
        path
        for path in files
        if path.parent.name in any_of or path.stem in wanted.get(path.parent.name, set())
    ]


@cache
def _verification(kind: DriverKind, driver: str) -> str:
    if is_own_driver(driver):
        return "simulated"
    try:
        return find_driver(kind, driver).verification.value
    except TeleopError:
        return ""  # the process of this device says what is wrong with its driver
