"""Settings, registered with LeRobot."""

from dataclasses import dataclass

from lerobot.robots import RobotConfig
from lerobot.teleoperators import TeleoperatorConfig

NAMES = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


@RobotConfig.register_subclass("bench_robot")
@dataclass(kw_only=True)
class BenchRobotConfig(RobotConfig):
    folder: str
    calibrated: bool = True
    names: tuple[str, ...] = (
        "shoulder_pan",
        "shoulder_lift",
        "elbow_flex",
        "wrist_flex",
        "wrist_roll",
        "gripper",
    )


@TeleoperatorConfig.register_subclass("bench_leader")
@dataclass(kw_only=True)
class BenchLeaderConfig(TeleoperatorConfig):
    folder: str
    calibrated: bool = True
    names: tuple[str, ...] = (
        "shoulder_pan",
        "shoulder_lift",
        "elbow_flex",
        "wrist_flex",
        "wrist_roll",
        "gripper",
    )
