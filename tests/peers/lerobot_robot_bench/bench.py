"""The devices. The files in their folder are their hardware: `unplugged`, `crash`, `hang`, `pose`, `sent`."""

import json
import os
import time
from pathlib import Path

from lerobot.robots import Robot
from lerobot.teleoperators import Teleoperator
from lerobot.utils.errors import DeviceNotConnectedError

from .config_bench import BenchLeaderConfig, BenchRobotConfig


class _Bench:
    def _set_up(self, config):
        self.config = config
        self.folder = Path(config.folder)
        self.values = {f"{name}.pos": 0.0 for name in config.names}
        self.connected = False

    @property
    def is_connected(self):
        return self.connected

    @property
    def is_calibrated(self):
        return self.config.calibrated

    def calibrate(self):
        input("Move it to the middle of its range and press ENTER")

    def configure(self):
        pass

    def connect(self, calibrate=True):
        print("a device that prints where the protocol is spoken")
        self._look()
        self.connected = True

    def disconnect(self):
        self.connected = False
        (self.folder / "disconnected").touch()

    def _look(self):
        if (self.folder / "unplugged").exists():
            raise ConnectionError("Could not connect on port '/dev/ttyACM0'.\nMake sure it is plugged in")
        if (self.folder / "crash").exists():
            os.abort()
        if (self.folder / "hang").exists():
            time.sleep(60)
        if not self.connected and hasattr(self, "seen"):
            raise DeviceNotConnectedError("not connected")
        try:
            self.values |= json.loads((self.folder / "pose").read_text())
        except (OSError, ValueError):
            pass


class BenchRobot(_Bench, Robot):
    config_class = BenchRobotConfig
    name = "bench_robot"

    def __init__(self, config):
        super().__init__(config)
        self._set_up(config)

    @property
    def observation_features(self):
        return {**dict.fromkeys(self.values, float), "wrist": (4, 4, 3)}

    @property
    def action_features(self):
        return dict.fromkeys(self.values, float)

    def get_observation(self):
        self._look()
        return {**self.values, "wrist": [[0]]}

    def send_action(self, action):
        self._look()
        self.values = dict(action)
        with (self.folder / "sent").open("a") as file:
            file.write(json.dumps(self.values) + "\n")
        return action


class BenchLeader(_Bench, Teleoperator):
    config_class = BenchLeaderConfig
    name = "bench_leader"

    def __init__(self, config):
        super().__init__(config)
        self._set_up(config)

    @property
    def action_features(self):
        return dict.fromkeys(self.values, float)

    @property
    def feedback_features(self):
        return {}

    def get_action(self):
        self._look()
        return dict(self.values)

    def send_feedback(self, feedback):
        pass
