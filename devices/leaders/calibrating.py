"""Makes the calibrator of an arm that the station file names, leader or follower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from devices.driver import DriverKind
from devices.followers.servo_arm import ServoArmOptions
from devices.leaders.calibration import ArmCalibrator
from devices.leaders.options import LeaderOptions
from devices.registry import find_driver
from devices.servos.adapter import find_adapter
from devices.servos.arm_layouts import find_layout
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock
from teleop_app.core.config import StationConfig, field_problems
from teleop_app.core.errors import ConfigError


def _dynamixel(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.dynamixel_bus import DynamixelBus

    return DynamixelBus(port, baud, clock)


def _feetech(port: str, baud: int, clock: Clock) -> ServoBus:
    from devices.servos.feetech_bus import FeetechBus

    return FeetechBus(port, baud, clock)


_BUSES: Final[dict[str, Callable[[str, int, Clock], ServoBus]]] = {
    "dynamixel": _dynamixel,
    "feetech": _feetech,
}


def calibratable(config: StationConfig) -> tuple[str, ...]:
    """Names of the arms of servos in a station file: of leaders that of their input."""
    leaders = [each.name for each in config.inputs.devices if each.driver in _leader_drivers()]
    return (*leaders, *(arm.name for arm in config.arms if arm.follower in _BUSES))


def arm_calibrator(config: StationConfig, name: str, clock: Clock) -> ArmCalibrator:
    """The calibrator of an arm of the station file, on its open bus; `close` it afterwards.

    The station must not use the arm meanwhile: its port is taken by one program at a time.

    Raises:
        ConfigError: The station file has no such arm of servos, or its options are wrong.
        DeviceError: Its adapter is not there, or its port is used.
    """
    device = next((each for each in config.inputs.devices if each.name == name), None)
    if device is not None and device.driver in _leader_drivers():
        options = _options(DriverKind.INPUT, device.driver, name, device.options)
        return _open(options, device.driver.removesuffix("-leader"), device.driver, name, clock, False)
    arm = next((each for each in config.arms if each.name == name), None)
    if arm is not None and arm.follower in _BUSES:
        options = _options(DriverKind.FOLLOWER, arm.follower, name, arm.options)
        return _open(options, arm.follower, arm.follower, name, clock, True)
    known = ", ".join(calibratable(config))
    raise ConfigError(
        f"The station has no arm of servos {name!r}",
        next_step=f"Choose one of: {known}" if known else "Add one on the Setup page, under Devices",
    )


def _leader_drivers() -> tuple[str, ...]:
    return tuple(f"{family}-leader" for family in _BUSES)


def _options(
    kind: DriverKind, driver: str, name: str, given: dict[str, Any]
) -> LeaderOptions | ServoArmOptions:
    model = find_driver(kind, driver).options
    try:
        options = model.model_validate(given)
    except ValidationError as error:
        listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
        raise ConfigError(f"The options of {name!r} are wrong", why=listed) from error
    if not isinstance(options, LeaderOptions | ServoArmOptions):
        raise ConfigError(f"The driver {driver!r} is not one of servos")
    return options


def _open(
    options: LeaderOptions | ServoArmOptions,
    family: str,
    driver: str,
    name: str,
    clock: Clock,
    follower: bool,
) -> ArmCalibrator:
    layout = find_layout(options.layout, family)
    port, serial = find_adapter(options.port, options.serial, name)
    bus = _BUSES[family](port, options.baud, clock)
    bus.open()
    return ArmCalibrator(bus, layout, serial, clock, driver=driver, arm=name, follower=follower)
