"""Makes the calibrator of an arm that the station file names, leader or follower."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from devices.driver import DriverKind
from devices.followers.servo_arm import ServoArmOptions
from devices.leaders.calibration import ArmCalibrator
from devices.leaders.making import leader_name
from devices.leaders.options import LeaderOptions
from devices.registry import find_driver
from devices.servos.adapter import find_adapter
from devices.servos.arm_layouts import find_layout
from devices.servos.families import BUSES
from teleop_app.core.clock import Clock
from teleop_app.core.config import InputDeviceSection, StationConfig, field_problems
from teleop_app.core.errors import ConfigError


def calibratable(config: StationConfig) -> tuple[str, ...]:
    """Names of the arms of servos in a station file.

    A leader has the name of its input, `<input>/<arm>` where the input has several arms.
    """
    followers = (arm.name for arm in config.arms if arm.follower in BUSES)
    return (*_leaders(config), *followers)


def arm_calibrator(config: StationConfig, name: str, clock: Clock) -> ArmCalibrator:
    """The calibrator of an arm of the station file, on its open bus; `close` it afterwards.

    The station must not use the arm meanwhile: its port is taken by one program at a time.

    Args:
        config: The station file.
        name: One of `calibratable`.
        clock: The station's clock.

    Raises:
        ConfigError: The station file has no such arm of servos, or its options are wrong.
        DeviceError: Its adapter is not there, or its port is used.
    """
    leaders = _leaders(config)
    if name in leaders:
        device, arm = leaders[name]
        options = _options(DriverKind.INPUT, device.driver, name, device.options)
        if isinstance(options, LeaderOptions):
            adapter = options.by_arm(device.name, _led(config, device))[arm]
            return _open(options, adapter, device.driver.removesuffix("-leader"), device.driver, name, clock)
    section = next((each for each in config.arms if each.name == name), None)
    if section is not None and section.follower in BUSES:
        options = _options(DriverKind.FOLLOWER, section.follower, name, section.options)
        adapter = (options.port, options.serial)
        return _open(options, adapter, section.follower, section.follower, name, clock, follower=True)
    known = ", ".join(calibratable(config))
    raise ConfigError(
        f"The station has no arm of servos {name!r}",
        next_step=f"Choose one of: {known}" if known else "Add one on the Setup page, under Devices",
    )


def _led(config: StationConfig, device: InputDeviceSection) -> tuple[str, ...]:
    return tuple(device.arms) or tuple(arm.name for arm in config.arms)


def _leaders(config: StationConfig) -> dict[str, tuple[InputDeviceSection, str]]:
    """Input and arm that it leads, by the name of the leader."""
    drivers = tuple(f"{family}-leader" for family in BUSES)
    return {
        leader_name(device.name, arm, _led(config, device)): (device, arm)
        for device in config.inputs.devices
        if device.driver in drivers
        for arm in _led(config, device)
    }


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
    adapter: tuple[str, str],
    family: str,
    driver: str,
    name: str,
    clock: Clock,
    *,
    follower: bool = False,
) -> ArmCalibrator:
    layout = find_layout(options.layout, family)
    port, serial = find_adapter(*adapter, name)
    bus = BUSES[family](port, options.baud, clock)
    bus.open()
    return ArmCalibrator(bus, layout, serial, clock, driver=driver, arm=name, follower=follower)
