"""The LeRobot adapter against the genuine LeRobot: its plug-ins, base classes, factories and camera."""

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from devices.cameras.source import CameraFormat
from devices.driver import DeviceContext, DriverKind
from devices.lerobot.camera import LerobotCamera
from devices.lerobot.robot import LerobotRobot
from devices.lerobot.teleoperator import LerobotTeleoperator
from devices.protocols import Reporting, StationObserver, Waiting
from devices.registry import make_device
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import ArmSection, StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import InputSample

BENCH = Path(__file__).parent / "lerobot_robot_bench"
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")


@pytest.fixture(scope="module")
def python(peers_python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The peers' interpreter, with the bench devices installed beside LeRobot."""
    if sys.platform == "win32":
        pytest.skip("a shell script stands for the interpreter")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(BENCH, folder / BENCH.name, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / f"{BENCH.name}-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {BENCH.name}\nVersion: 0.1.0\n")
    script = folder / "python"
    home = folder / "home"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={folder} HF_LEROBOT_HOME={home} exec {peers_python} "$@"\n')
    script.chmod(0o755)
    return str(script)


def context(name: str) -> DeviceContext:
    arm = ArmSection(name="left", model="so101", workspace_min=[-1, -1, 0], workspace_max=[1, 1, 1])
    store = CalibrationStore(Path("no-calibrations"))
    return DeviceContext(name, ("left",), StationConfig(arms=[arm]), store, MonotonicClock())


class Hardware:
    """The files that are the bench devices' hardware."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, name: str) -> None:
        (self.folder / name).touch()

    def clear(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def pose(self, **degrees: float) -> None:
        draft = self.folder / "draft"
        draft.write_text(json.dumps({f"{name}.pos": value for name, value in degrees.items()}))
        draft.replace(self.folder / "pose")

    @property
    def sent(self) -> list[dict[str, float]]:
        file = self.folder / "sent"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def hardware(tmp_path: Path) -> Hardware:
    return Hardware(tmp_path)


def robot(python: str, hardware: Hardware, **options: Any) -> LerobotRobot:
    config = {"id": "bench", "folder": str(hardware.folder)} | options.pop("config", {})
    given = {"python": python, "type": "bench_robot", "config": config, **options}
    return make_device(DriverKind.FOLLOWER, "lerobot", context("left"), given)


def leader(python: str, hardware: Hardware, **options: Any) -> LerobotTeleoperator:
    config = {"id": "bench", "folder": str(hardware.folder)}
    given = {"python": python, "type": "bench_leader", "config": config, **options}
    return make_device(DriverKind.INPUT, "lerobot", context("lead"), given)


def test_a_robot_is_read_commanded_held_and_left_holding(python: str, hardware: Hardware) -> None:
    hardware.pose(shoulder_pan=30.0, elbow_flex=-45.0, gripper=25.0)
    follower = robot(python, hardware, signs=[-1, 1, 1, 1, 1], offsets_deg=[0, 10, 0, 0, 0], watchdog_s=0.3)
    follower.connect()
    follower.connect()
    assert follower.joint_names == (*(f"left/{name}" for name in JOINTS), "left/gripper")
    state = follower.read()
    assert np.degrees(state.position[:-1]) == pytest.approx([-30, 10, -45, 0, 0])
    assert state.position[-1] == pytest.approx(0.25)
    assert 0 <= time.monotonic_ns() - state.capture_ns < 1e9
    # Connecting sent it to where it was, and nowhere else.
    (held,) = hardware.sent
    assert held["shoulder_pan.pos"] == 30.0 and held["gripper.pos"] == 25.0

    (hardware.folder / "pose").unlink()
    target = np.radians([20.0, 10.0, -40.0, 5.0, 0.0, 0.0])
    target[-1] = 0.5
    follower.send(target)
    sent = hardware.sent[-1]
    expected = {"shoulder_pan": -20.0, "shoulder_lift": 0.0, "elbow_flex": -40.0, "wrist_flex": 5.0}
    for name, value in {**expected, "wrist_roll": 0.0, "gripper": 50.0}.items():
        assert sent[f"{name}.pos"] == pytest.approx(value, abs=1e-9)
    assert follower.read().position == pytest.approx(target)

    # Silence: its worker's own watchdog sends it to where it is.
    hardware.pose(shoulder_pan=-12.0)
    count = len(hardware.sent)
    deadline = time.monotonic() + 10
    while len(hardware.sent) == count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert hardware.sent[-1]["shoulder_pan.pos"] == -12.0

    for bad in (np.full(6, np.nan), np.zeros(5)):
        with pytest.raises(DeviceError, match="refuses a target: it must be 6 finite numbers"):
            follower.send(bad)
    follower.disconnect()
    follower.disconnect()
    assert (hardware.folder / "disconnected").exists()
    with pytest.raises(DeviceError, match="The LeRobot device 'left' is not connected"):
        follower.read()


def test_faults_of_a_robot_are_sentences_and_it_comes_back(python: str, hardware: Hardware) -> None:
    follower = robot(python, hardware)
    hardware.set("unplugged")
    with pytest.raises(DeviceError) as error:
        follower.connect()
    assert error.value.sentence == (
        "LeRobot's 'bench_robot' ('left') cannot be connected: "
        "Could not connect on port '/dev/ttyACM0'. Make sure it is plugged in."
    )
    follower.disconnect()  # as its process does
    hardware.clear("unplugged")
    worker = follower._worker.pid
    follower.connect()
    assert follower._worker.pid == worker  # LeRobot is not imported again for each try
    hardware.set("unplugged")
    with pytest.raises(DeviceError, match="cannot be read: Could not connect on port"):
        follower.read()
    hardware.clear("unplugged")
    follower.read()  # LeRobot's own object still works
    os.kill(follower._worker.pid, signal.SIGKILL)
    with pytest.raises(
        DeviceError, match=r"The process of LeRobot's 'bench_robot' .* ended during 'observe'"
    ):
        follower.read()
    follower.disconnect()
    follower.connect()
    follower.read()
    hardware.set("crash")
    with pytest.raises(DeviceError, match="ended during 'act'"):
        follower.send(np.zeros(6))
    follower.disconnect()


def test_a_robot_that_hangs_is_given_up(
    python: str, hardware: Hardware, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = robot(python, hardware)
    follower.connect()
    hardware.set("hang")
    begun = time.monotonic()
    with pytest.raises(DeviceError, match="does not answer: 'observe' took too long; its process was ended"):
        follower.read()
    assert time.monotonic() - begun < 8
    follower.disconnect()


def refused(python: str, hardware: Hardware, **options: Any) -> str:
    follower = robot(python, hardware, **options)
    with pytest.raises(DeviceError) as error:
        follower.connect()
    follower.disconnect()
    follower._worker.stop()
    return error.value.sentence


def test_what_lerobot_refuses_is_a_sentence(python: str, hardware: Hardware) -> None:
    unknown = refused(python, hardware, type="so999")
    assert "('left') cannot be made: LeRobot knows no type 'so999'; it knows " in unknown
    assert "bench_robot" in unknown and "so101_follower" in unknown
    misspelt = refused(python, hardware, config={"prot": "x"})
    assert "has no setting prot; it has calibrated, calibration_dir, folder, id, names" in misspelt
    untaught = refused(python, hardware, config={"calibrated": False})
    assert "cannot be connected: it is not calibrated; run lerobot-calibrate for it first" in untaught
    misfit = refused(python, hardware, config={"names": ["a", "b"]})
    assert "does not fit the robot model 'so101': it has a.pos, b.pos; the model has 5 joints" in misfit


def until(device: LerobotTeleoperator, done: Callable[[InputSample], bool]) -> InputSample:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        device.wait(0.05)
        sample = device.poll()
        if sample is not None and done(sample):
            return sample
    raise AssertionError("not seen")


@pytest.fixture
def lead(python: str, hardware: Hardware) -> Iterator[LerobotTeleoperator]:
    hardware.pose(gripper=80.0)
    device = leader(python, hardware, units="range")
    device.start()
    yield device
    device.stop()
    device.stop()


def test_a_leader_gives_joints_and_a_clutch(lead: LerobotTeleoperator, hardware: Hardware) -> None:
    first = until(lead, lambda sample: True).arms["left"]
    assert first.joints is not None and not first.clutch and first.gripper == pytest.approx(0.8)
    hardware.pose(shoulder_pan=100.0, shoulder_lift=-100.0, gripper=80.0)
    sample = until(lead, lambda s: s.arms["left"].joints[0] > 1.9)  # type: ignore[index]
    assert sample.arms["left"].joints[:2] == pytest.approx([1.91986, -1.74533])  # type: ignore[index]
    lead.engage(True)
    assert until(lead, lambda s: s.arms["left"].clutch).arms["left"].valid
    hardware.set("unplugged")
    gone = until(lead, lambda s: not s.arms["left"].valid)
    assert not gone.arms["left"].clutch
    with pytest.raises(DeviceError, match="LeRobot's 'bench_leader' .* cannot be read: Could not connect"):
        lead.poll()
    with pytest.raises(DeviceError, match="cannot be connected: Could not connect"):
        lead.start()
    hardware.clear("unplugged")
    lead.start()
    assert not until(lead, lambda s: s.arms["left"].valid).arms["left"].clutch
    assert isinstance(lead, Reporting) and isinstance(lead, StationObserver) and isinstance(lead, Waiting)
    assert lead.state == "free" and lead.sentence == ""


class LiveVideo:
    """A named pipe with a live video, which OpenCV reads as it comes: 30 red pictures a second."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path.with_suffix(".tmp.ts")), "w", format="mpegts") as file:
            track = file.add_stream("libx264", 30, options={"preset": "ultrafast", "crf": "10", "g": "10"})
            track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
            image = np.zeros((48, 64, 3), np.uint8)
            image[:, :, 0] = 200
            for _ in range(300):
                file.mux(track.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
            file.mux(track.encode())
        data = path.with_suffix(".tmp.ts").read_bytes()
        self._parts = [data[at : at + 188 * 4] for at in range(0, len(data), 188 * 4)]
        os.mkfifo(path)
        self._path = path
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        try:
            with self._path.open("wb", buffering=0) as pipe:
                for number, part in enumerate(self._parts):
                    pipe.write(part)
                    # The first half at once, so that OpenCV soon knows what it is.
                    if number > len(self._parts) // 2 and self._ending.wait(1 / 30):
                        return
        except BrokenPipeError:
            pass

    def unplug(self) -> None:
        self._ending.set()
        self._thread.join(5)


def camera(python: str, **config: Any) -> LerobotCamera:
    given = {"python": python, "type": "opencv", "config": config}
    return make_device(DriverKind.CAMERA, "lerobot", context("front"), given)


def test_lerobots_opencv_camera_delivers_rgb_frames(python: str, tmp_path: Path) -> None:
    live = LiveVideo(tmp_path / "live.ts")
    made = camera(python, index_or_path=str(tmp_path / "live.ts"), warmup_s=0)
    got = made.open(CameraFormat(0, 0, 0, "contract"))
    assert (got.width, got.height) == (64, 48) and got.fps >= 1
    frames = [frame for _ in range(5) if (frame := made.read(1.0)) is not None]
    assert frames and all(frame.image.shape == (48, 64, 3) for frame in frames)
    red, green, blue = frames[0].image.reshape(-1, 3).mean(axis=0)
    assert red > 150 and green < 60 and blue < 60
    assert all(a.receive_ns < b.receive_ns for a, b in pairwise(frames))
    live.unplug()
    with pytest.raises(DeviceError, match=r"LeRobot's 'opencv' \('front'\) gives no picture: .* not running"):
        for _ in range(100):
            made.read(0.2)
    made.close()
    made.close()
    with pytest.raises(DeviceError, match="The LeRobot camera 'front' is not open"):
        made.read(0.1)


def test_a_camera_that_is_not_there_is_a_sentence(python: str, tmp_path: Path) -> None:
    made = camera(python, index_or_path=str(tmp_path / "absent.mp4"))
    with pytest.raises(DeviceError, match=r"'opencv' \('front'\) cannot be connected: Failed to open"):
        made.open(CameraFormat(0, 0, 0, "contract"))
