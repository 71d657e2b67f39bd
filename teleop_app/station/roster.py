"""Which processes a station has: derived from its station file, in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError

SIMULATED: Final = "sim"
"""Driver name of the simulated cell."""


@dataclass(frozen=True, slots=True)
class ProcessRole:
    """One process of a station.

    Attributes:
        name: Its name, of its endpoints and log too.
        consequence: What its death means, as a sentence for the operator.
        essential: The station is ready only when it runs.
        niceness: Its share of busy processors, negative for more.
        sections: Sections of the station file that it reads only when it starts.
    """

    name: str
    consequence: str
    essential: bool = True
    niceness: int = 0
    sections: frozenset[str] = frozenset()


def input_process(device: str) -> str:
    """Name of the process of an entry of `[[inputs.devices]]`."""
    return f"input-{device}"


def sensor_process(sensor: str) -> str:
    """Name of the process of an entry of `[[sensors]]`."""
    return f"sensor-{sensor}"


def follower_process(arm: str) -> str:
    """Name of the process that drives a real arm."""
    return f"follower-{arm}"


def is_device_process(name: str) -> bool:
    """Whether a process is that of one input, sensor or arm."""
    return name.startswith(("input-", "sensor-", "follower-"))


def is_simulated(config: StationConfig) -> bool:
    """Whether the arms are those of the simulated cell.

    Raises:
        ConfigError: Some are and some are not: a real arm is not where the simulated cell has it.
    """
    simulated = [arm.name for arm in config.arms if arm.follower == SIMULATED]
    if simulated and len(simulated) < len(config.arms):
        real = ", ".join(repr(arm.name) for arm in config.arms if arm.name not in simulated)
        raise ConfigError(
            "A station cannot mix simulated and real arms",
            why=f"{', '.join(map(repr, simulated))} is simulated, {real} is not",
            next_step="Give all [[arms]] the follower sim, or none",
        )
    return bool(simulated)


def check_cameras(config: StationConfig) -> None:
    """Refuse simulated cameras beside real arms: there is no simulated world for them to show.

    Raises:
        ConfigError: There are some.
    """
    simulated = [camera.name for camera in config.cameras if camera.driver == SIMULATED]
    if simulated and not is_simulated(config):
        raise ConfigError(
            f"The station has simulated cameras beside real arms: {', '.join(simulated)}",
            next_step="Give them the driver of a real camera, or remove them from the station file",
        )


def roster(config: StationConfig, *, gamepad: bool = True) -> tuple[ProcessRole, ...]:
    """The processes of a station in the order in which they start; they stop in the reverse one.

    Args:
        config: The station file.
        gamepad: Whether one is connected.

    Raises:
        ConfigError: Simulated and real arms are mixed.
    """
    # Arms, cameras and leaders do not stall because a browser starts on the host, hence the shares.
    roles: list[ProcessRole] = []
    simulated = is_simulated(config)
    if simulated:
        effect = "The arms do not answer until it is back."
        roles.append(_role("simulation", effect, "simulation arms", niceness=-10))
    for arm in config.arms:
        if arm.follower != SIMULATED:
            effect = f"Arm '{arm.name}' holds its place; engage anew when it is back."
            # Not essential: a station whose arm is unplugged starts, and says so.
            reads = "arms safety latencies"
            roles.append(_role(follower_process(arm.name), effect, reads, essential=False, niceness=-10))
    effect = "The robot holds its last position; engage anew when it is back."
    reads = "control simulation arms safety autonomy latencies hands mobile_base lift"
    roles.append(_role("control", effect, reads))
    effect = "No images arrive; a running recording is kept and marked."
    reads = "cameras recording latencies simulation arms"
    roles.append(_role("cameras", effect, reads, niceness=-5))
    for sensor in config.sensors:
        effect = f"The sensor '{sensor.name}' is not recorded until it is back."
        roles.append(
            _role(sensor_process(sensor.name), effect, "sensors latencies", essential=False, niceness=-5)
        )
    effect = "What was recorded so far is recovered when it is back."
    reads = (
        "station control simulation arms cameras latencies recording sensors inputs hands mobile_base lift"
    )
    roles.append(_role("recorder", effect, reads, niceness=-5))
    effect = "A policy that drives runs out of proposals, and the arms hold; choose it again when it is back."
    reads = "station control simulation arms cameras safety autonomy"
    roles.append(_role("policy", effect, reads, essential=False))
    if simulated:
        effect = "The scripted operator stops; everything else goes on."
        roles.append(_role("operator", effect, "simulation arms", essential=False))
    for device in config.inputs.devices:
        effect = f"The input '{device.name}' does nothing until it is back; its arms hold."
        roles.append(
            _role(input_process(device.name), effect, "inputs arms latencies", essential=False, niceness=-5)
        )
    if config.inputs.gamepad and gamepad:
        effect = "The gamepad does nothing; everything else goes on."
        roles.append(_role("gamepad", effect, "inputs arms", essential=False, niceness=-5))
    return tuple(roles)


def process_names(config: StationConfig) -> tuple[str, ...]:
    """Every process that a station of this file may have, in start order; its supervisor left out."""
    return tuple(role.name for role in roster(config))


def affected(config: StationConfig, sections: Iterable[str]) -> tuple[str, ...]:
    """Processes that must start anew to read these sections of the station file, in start order."""
    changed = set(sections)
    return tuple(role.name for role in roster(config) if role.sections & changed)


def _role(name: str, effect: str, sections: str, *, essential: bool = True, niceness: int = 0) -> ProcessRole:
    return ProcessRole(name, effect, essential, niceness, frozenset(sections.split()))
