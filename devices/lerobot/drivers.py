"""The three drivers of the LeRobot adapter."""

from __future__ import annotations

from devices.driver import DeviceContext, Driver, DriverKind
from devices.lerobot.camera import LerobotCamera
from devices.lerobot.joint_map import LerobotOptions
from devices.lerobot.robot import LerobotRobot, RobotOptions
from devices.lerobot.teleoperator import LerobotTeleoperator, TeleoperatorOptions
from devices.models.library import robot_model
from devices.models.robot import RobotModel
from devices.protocols import Verification
from teleop_app.core.errors import ConfigError

NAME = "lerobot"


def _model(context: DeviceContext, arm: str) -> RobotModel:
    section = next((each for each in context.config.arms if each.name == arm), None)
    if section is None:
        raise ConfigError(f"The LeRobot device {context.name!r} names the arm {arm!r}, which is not there")
    return robot_model(section.model)


def _one_arm(context: DeviceContext) -> str:
    if len(context.arms) != 1:
        raise ConfigError(
            f"The LeRobot device {context.name!r} drives one arm",
            why=f"it is given {', '.join(context.arms) or 'none'}",
            next_step="Name one arm in its arms; two arms need two devices",
        )
    return context.arms[0]


def _make_robot(context: DeviceContext, options: RobotOptions) -> LerobotRobot:
    arm = _one_arm(context)
    return LerobotRobot(arm, _model(context, arm), options)


def _make_teleoperator(context: DeviceContext, options: TeleoperatorOptions) -> LerobotTeleoperator:
    arm = _one_arm(context)
    return LerobotTeleoperator(context.name, arm, _model(context, arm), options, context.clock)


def _make_camera(context: DeviceContext, options: LerobotOptions) -> LerobotCamera:
    return LerobotCamera(context.name, options)


_PROOF = "LeRobot 0.4.4 itself in its own environment, with {}; no real device."

ROBOT = Driver(
    name=NAME,
    kind=DriverKind.FOLLOWER,
    title="Any robot of LeRobot",
    verification=Verification.EMULATOR,
    proof=_PROOF.format("a robot without hardware, plugged into LeRobot"),
    make=_make_robot,
    options=RobotOptions,
)
TELEOPERATOR = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="Any teleoperator of LeRobot",
    verification=Verification.EMULATOR,
    proof=_PROOF.format("a leader without hardware, plugged into LeRobot"),
    make=_make_teleoperator,
    options=TeleoperatorOptions,
)
CAMERA = Driver(
    name=NAME,
    kind=DriverKind.CAMERA,
    title="Any camera of LeRobot",
    verification=Verification.EMULATOR,
    proof=_PROOF.format("its OpenCV camera on a video file"),
    make=_make_camera,
    options=LerobotOptions,
)
