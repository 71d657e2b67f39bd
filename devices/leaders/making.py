"""Makes leader arms from the station file."""

from __future__ import annotations

import threading

from devices.driver import DeviceContext
from devices.leaders.gravity import gravity_model
from devices.leaders.leader_arm import LeaderArm
from devices.leaders.led_arm import LedArm, Place
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.leaders.tool_pose import ToolPose
from devices.models.cell import cell_arms
from devices.models.library import robot_model
from devices.servos.adapter import find_adapter
from devices.servos.arm_checks import load_calibration
from devices.servos.arm_layouts import ArmLayout, find_layout
from devices.servos.families import MakeBus


def make_leader(
    context: DeviceContext, options: LeaderOptions, family: str, driver: str, make_bus: MakeBus
) -> ServoLeader:
    """The leader of a station file's entry.

    Raises:
        ConfigError: The adapters do not fit its arms, its layout or its weight is unknown, or a robot model
            cannot be used.
    """
    layout = find_layout(options.layout, family)
    adapters = options.by_arm(context.name, context.arms)
    if options.gravity_compensation > 0.0:
        gravity_model(layout.name)
    arrived = threading.Event()
    arms: list[LedArm] = []
    for place in _places(context, layout):
        port, serial = adapters[place.arm]

        def make_arm(name: str = place.name, port: str = port, serial: str = serial) -> LeaderArm:
            found, own = find_adapter(port, serial, name)
            calibration = load_calibration(context.calibrations, own, driver, layout, name)
            gravity = gravity_model(layout.name) if options.gravity_compensation > 0.0 else None
            bus = make_bus(found, options.baud, context.clock)
            seize_rad = context.config.autonomy.seize_rad
            return LeaderArm(bus, layout, calibration, gravity, options, name, context.clock, seize_rad)

        arms.append(LedArm(place, layout, options, make_arm, context.clock, arrived))
    return ServoLeader(context.name, arms, arrived)


def leader_name(device: str, arm: str, arms: tuple[str, ...]) -> str:
    """Name of a leader arm: of its input, `<input>/<arm>` where the input has several."""
    return device if len(arms) == 1 else f"{device}/{arm}"


def _places(context: DeviceContext, layout: ArmLayout) -> list[Place]:
    places: list[Place] = []
    start = 0
    for index, (described, section) in enumerate(
        zip(cell_arms(context.config), context.config.arms, strict=True)
    ):
        end = start + len(described.joint_names) + 1
        if section.name in context.arms:
            mirrors = layout.mirrored_by(section.model)
            pose_of = None if mirrors else ToolPose(robot_model(layout.model))
            name = leader_name(context.name, section.name, context.arms)
            places.append(Place(context.name, name, section.name, index, slice(start, end), pose_of))
        start = end
    return places
