"""Our own drivers against the suites that third parties run: real bytes, emulated devices."""

import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from devices.cameras import stream
from devices.cameras.source import CameraFormat
from devices.driver import DeviceContext
from devices.emulators.arms import DYNAMIXEL_ARMS, FEETECH_ARMS
from devices.emulators.pty_port import PtyPort
from devices.emulators.sensor_port import SensorPort
from devices.emulators.servo_arm import EmulatedArm
from devices.emulators.tactile import EmulatedTactile
from devices.emulators.wrench import EmulatedBota, EmulatedFt300
from devices.followers import dynamixel as dynamixel_follower
from devices.followers import feetech as feetech_follower
from devices.inputs import pedal, spacemouse
from devices.inputs.linux_events import KEY_CODES
from devices.inputs.spacemouse import SpaceMouse, SpaceMouseOptions
from devices.leaders import feetech as feetech_leader
from devices.sensors import microphone, serial_sensor, serial_tactile, serial_wrench
from devices.testing import CameraContract, FollowerContract, InputContract, SensorContract
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import ArmSection, StationConfig
from teleop_app.core.errors import DeviceError


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent sensor is given up after a shorter time."""
    monkeypatch.setattr(serial_sensor, "SILENCE_S", 0.4)


class InFolder:
    """A folder for each check."""

    def setup_method(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="contract-")
        self.folder = Path(self._temporary.name)
        self.set_up()

    def teardown_method(self) -> None:
        self.tear_down()
        self._temporary.cleanup()

    def set_up(self) -> None: ...

    def tear_down(self) -> None: ...


class TestPedal(InFolder, InputContract):
    driver = pedal.DRIVER

    def set_up(self) -> None:
        self.path = self.folder / "event0"
        self.options = {"device": str(self.path), "keys": {"b": "enable", "a": "record"}}
        self.plug()

    def plug(self) -> None:
        os.mkfifo(self.path)
        self.reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.writer = os.open(self.path, os.O_WRONLY)

    def unplug(self) -> None:
        os.close(self.writer)
        os.close(self.reader)
        self.path.unlink()

    def move(self) -> None:
        if self.path.exists():
            events = ((1, KEY_CODES["b"], 1), (0, 0, 0), (1, KEY_CODES["b"], 0), (0, 0, 0))
            os.write(self.writer, b"".join(struct.pack("@llHHi", 0, 0, *event) for event in events))

    def tear_down(self) -> None:
        if self.path.exists():
            self.unplug()


class _Puck:
    """FAKE: reports by hand in place of hidapi's."""

    def __init__(self, stage: "TestSpaceMouse") -> None:
        self.stage = stage
        self.reports: list[bytes] = []

    def read(self) -> bytes:
        if not self.stage.plugged:
            raise OSError("read error")
        return self.reports.pop(0) if self.reports else b""

    def close(self) -> None: ...


class TestSpaceMouse(InputContract):
    driver = spacemouse.DRIVER

    def setup_method(self) -> None:
        self.plugged = True
        self.puck = _Puck(self)

    def make(self) -> SpaceMouse:
        return SpaceMouse("contract", self.arms, SpaceMouseOptions(), MonotonicClock(), self._open)

    def _open(self, serial: str) -> _Puck:
        if not self.plugged:
            raise DeviceError("No SpaceMouse is connected")
        self.puck = _Puck(self)
        return self.puck

    def move(self) -> None:
        self.puck.reports += [b"\3\0\0", b"\1" + struct.pack("<3h", 100, -350, 4), b"\3\1\0"]

    def unplug(self) -> None:
        self.plugged = False

    def plug(self) -> None:
        self.plugged = True


class _Servos(InFolder):
    """An emulated arm of servos on a pseudo-terminal."""

    layout = "so101"
    models = FEETECH_ARMS["so101"]
    vendor = "feetech"
    serial = "S1"

    def set_up(self) -> None:
        self.arm = EmulatedArm(self.layout, self.models, self.folder / "arm")
        self.store = CalibrationStore(self.folder / "calibrations")
        self.store.save(self.arm.calibration(self.serial, self.vendor))
        self.options = {"port": str(self.folder / "arm"), "serial": self.serial, "layout": self.layout}
        self.plug()

    def context(self) -> DeviceContext:
        return DeviceContext("contract", self.arms, self.config, self.store, MonotonicClock())  # type: ignore[attr-defined]

    def plug(self) -> None:
        self.arm.port.open()

    def unplug(self) -> None:
        self.arm.port.close()

    def tear_down(self) -> None:
        self.arm.port.close()


class TestFeetechFollower(_Servos, FollowerContract):
    driver = feetech_follower.DRIVER

    def set_up(self) -> None:
        super().set_up()
        self.arm.pose([0.0] * 5 + [0.5])


class TestDynamixelFollower(_Servos, FollowerContract):
    driver = dynamixel_follower.DRIVER
    layout, models, vendor = "viperx", DYNAMIXEL_ARMS["viperx"], "dynamixel"

    def set_up(self) -> None:
        super().set_up()
        self.arm.pose([0.0] * 6 + [0.5])


class TestFeetechLeader(_Servos, InputContract):
    driver = feetech_leader.DRIVER
    vendor = "feetech-leader"
    arms = ("left",)
    config = StationConfig(
        arms=[
            ArmSection(name="left", model="so101", workspace_min=[-1, -1, 0], workspace_max=[1, 1, 1]),
        ]
    )

    def set_up(self) -> None:
        super().set_up()
        self.arm.pose([0.1] * 5 + [0.5])


class _OnPort(InFolder):
    """A sensor behind a pseudo-terminal."""

    device: Any
    rate_hz = 100.0

    def set_up(self) -> None:
        self.sensor = self.new_device()
        self.options = {**self.options, "port": str(self.folder / "tty")}
        self.plug()

    def new_device(self) -> Any:
        return self.device()

    def plug(self) -> None:
        self.port: PtyPort = SensorPort(self.sensor, link=self.folder / "tty").open()
        self.port.stream(self.sensor.frame, self.rate_hz)  # type: ignore[attr-defined]

    def unplug(self) -> None:
        self.port.close()

    def tear_down(self) -> None:
        self.port.close()


class TestFt300(_OnPort, SensorContract):
    driver = serial_wrench.DRIVER
    options: dict[str, Any] = {"protocol": "robotiq-ft300", "port": "x"}  # noqa: RUF012
    device = EmulatedFt300


class TestBota(_OnPort, SensorContract):
    driver = serial_wrench.DRIVER
    options: dict[str, Any] = {"protocol": "bota", "port": "x", "sinc": 512}  # noqa: RUF012
    device = EmulatedBota

    def silence(self) -> None:
        self.port.halt()  # type: ignore[attr-defined]


class TestTactile(_OnPort, SensorContract):
    driver = serial_tactile.DRIVER
    options: dict[str, Any] = {"port": "x"}  # noqa: RUF012

    def new_device(self) -> EmulatedTactile:
        return EmulatedTactile(3, 4)


class TestMicrophone(SensorContract):
    driver = microphone.DRIVER
    options: dict[str, Any] = {"backend": "null", "block_ms": 10}  # noqa: RUF012


class TestVideoFile(InFolder, CameraContract):
    driver = stream.DRIVER
    wanted = CameraFormat(64, 48, 30, "contract")

    def set_up(self) -> None:
        self.path = self.folder / "video.mp4"
        self.options = {"url": str(self.path), "loop": True}
        self.plug()

    def plug(self) -> None:
        with av.open(str(self.path), "w") as file:
            track = file.add_stream("libx264", 30, options={"preset": "ultrafast"})
            track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
            for number in range(30):
                image = np.full((48, 64, 3), 8 * number, np.uint8)
                file.mux(track.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            file.mux(track.encode())

    def unplug(self) -> None:
        self.path.unlink()

    def test_reading_returns_in_time(self) -> None:
        pytest.skip("an open file is not lost when its name is")
