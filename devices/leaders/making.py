"""Makes leader arms from the station file."""

from __future__ import annotations

from collections.abc import Callable

from devices.driver import DeviceContext
from devices.leaders.gravity import gravity_model
from devices.leaders.leader_arm import LeaderArm
from devices.leaders.options import LeaderOptions
from devices.leaders.servo_leader import ServoLeader
from devices.leaders.tool_pose import ToolPose
from devices.models.cell import cell_arms
from devices.models.library import robot_model
from devices.servos.adapter import find_adapter
from devices.servos.arm_checks import load_calibration
from devices.servos.arm_layouts import find_layout
from devices.servos.bus import ServoBus
from teleop_app.core.clock import Clock
from teleop_app.core.errors import ConfigError

MakeBus = Callable[[str, int, Clock], ServoBus]
"""A bus by port and bit rate."""


def make_leader(
    context: DeviceContext, options: LeaderOptions, family: str, driver: str, make_bus: MakeBus
) -> ServoLeader:
    """The leader of a station file's entry.

    Raises:
        ConfigError: It leads no arm or several, its layout is unknown, or its weight is, or a robot model
            cannot be used.
    """
    layout = find_layout(options.layout, family)
    if len(context.arms) != 1:
        raise ConfigError(
            f"The leader {context.name!r} leads {len(context.arms)} arms",
            why="a leader arm leads one",
            next_step="Name it in `arms`",
        )
    arm = context.arms[0]
    gravity = gravity_model(layout.name) if options.gravity_compensation > 0.0 else None

    def make_arm() -> LeaderArm:
        port, serial = find_adapter(options.port, options.serial, context.name)
        calibration = load_calibration(context.calibrations, serial, driver, layout, context.name)
        bus = make_bus(port, options.baud, context.clock)
        return LeaderArm(bus, layout, calibration, gravity, options, context.name, context.clock)

    spans, start = {}, 0
    for each in cell_arms(context.config):
        size = len(each.joint_names) + 1
        spans[each.name], start = slice(start, start + size), start + size
    model = next(each.model for each in context.config.arms if each.name == arm)
    pose_of = None if layout.mirrored_by(model) else ToolPose(robot_model(layout.model))
    return ServoLeader(context.name, arm, spans[arm], pose_of, layout, options, make_arm, context.clock)
