"""EMULATOR: devices without hardware on LeRobot's own base classes, plugged in as users plug theirs in."""

from .bench import BenchLeader, BenchRobot
from .config_bench import BenchLeaderConfig, BenchRobotConfig

__all__ = ["BenchLeader", "BenchLeaderConfig", "BenchRobot", "BenchRobotConfig"]
