"""Emulated controllers of industrial arms, each a process of its own, and the driver that talks to one."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.protocols import FollowerDriver
from devices.registry import make_device
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import ArmSection, StationConfig

free_hosts = (f"127.{20 + os.getpid() % 200}.{n // 250}.{1 + n % 250}" for n in itertools.count())


class Controller:
    """The emulator; words on its standard input make faults."""

    def __init__(self, emulator: str, *options: str, host: str = "") -> None:
        self.host = host or next(free_hosts)
        argv = [sys.executable, "-m", f"devices.emulators.{emulator}", "--host", self.host, *options]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.host not in self.process.stdout.readline():
            pytest.skip(f"the emulated {emulator} may not use its ports here")

    def say(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def make_arm(driver: str, host: str, model: str, **options: object) -> FollowerDriver:
    arm = ArmSection(
        name="left",
        follower=driver,
        model=model,
        workspace_min=[-1, -1, 0],
        workspace_max=[1, 1, 1],
        options={"host": host, **options},
    )
    config = StationConfig(arms=[arm])
    context = DeviceContext("left", ("left",), config, CalibrationStore(Path("/nowhere")), MonotonicClock())
    return make_device(DriverKind.FOLLOWER, driver, context, arm.options)


def settle(arm: FollowerDriver, target: np.ndarray, seconds: float) -> np.ndarray:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        arm.send(target)
        arm.read()
        time.sleep(0.006)
    return arm.read().position
