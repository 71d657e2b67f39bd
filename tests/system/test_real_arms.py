"""A station whose two arms are drivers of real ones, on emulated servos: driven, broken, recorded."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from devices.emulators.arms import FEETECH_ARMS
from devices.emulators.servo_arm import EmulatedArm
from recorders.exporters.lerobot import export_lerobot
from recorders.reader import EpisodeReader
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.config import parse_station, station_text
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    ArmInput,
    ControlState,
    ControlTick,
    Event,
    InputSample,
    StationStatus,
)
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

pytestmark = pytest.mark.system
REST = np.array([0.0, -0.4, 0.4, 0.6, 0.0, 0.5])
STATION = """
[station]
name = "Two SO-101"
[control]
realtime_priority = 0
[recording]
headroom_mb = 10
autosave_s = 120.0
preroll_s = 0.0
[inputs]
gamepad = false
"""
ARM = """
[[arms]]
name = "{name}"
follower = "feetech"
model = "so101"
base_position = [0.0, {y}, 0.0]
workspace_min = [-0.6, -0.8, -0.1]
workspace_max = [0.6, 0.8, 0.7]
options = {{ port = "{port}", serial = "{serial}", layout = "so101", rate_hz = 50.0 }}
"""
CAMERA = '\n[[cameras]]\nname = "top"\ndriver = "synthetic"\nwidth = 160\nheight = 120\nfps = 10\n'


class Cell:
    """Two emulated arms and a station that drives them."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDir(folder / "store").create()
        self.arms = {
            side: EmulatedArm("so101", FEETECH_ARMS["so101"], folder / side) for side in ("left", "right")
        }
        store = CalibrationStore(self.data.calibrations)
        text = STATION
        for number, (side, arm) in enumerate(self.arms.items()):
            arm.pose(REST)
            store.save(arm.calibration(f"F{number}", "feetech"))
            text += ARM.format(name=side, y=0.25 - 0.5 * number, port=folder / side, serial=f"F{number}")
        config = parse_station(text + CAMERA)
        self.data.station_file.write_text(station_text(config))
        self.ticks: deque[ControlTick] = deque(maxlen=4000)
        self.events: list[Event] = []
        self.status: StationStatus | None = None
        self.seq = 0

    def start(self) -> None:
        self.station = StationProcess(self.data)
        self.client: StationClient = self.station.wait_ready()
        self.feed = self.client.subscribe(["tick", "event", "station"])

    def stop(self) -> None:
        if hasattr(self, "feed"):
            self.feed.close()
            self.client.close()
        self.station.stop()

    def look(self) -> None:
        self.feed.wait(0.01)
        for _, value in self.feed.drain():
            if isinstance(value, ControlTick):
                self.ticks.append(value)
            elif isinstance(value, Event):
                self.events.append(value)
            elif isinstance(value, StationStatus):
                self.status = value

    def until(self, holds: Callable[[], bool], what: str, each: Callable[[], None] = lambda: None) -> None:
        end = time.monotonic() + 30.0
        while not holds():
            if time.monotonic() > end:
                last = self.ticks[-1] if self.ticks else None
                pytest.fail(f"{what} did not come; {last}; {[event.text for event in self.events]}")
            each()
            self.look()

    def hand(self, x: float, *, clutch: bool = True) -> None:
        """The hand on the left arm."""
        self.seq += 1
        pose = np.array([x, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        arm = ArmInput(clutch=clutch, pose=pose, gripper=0.5)
        now_ns = time.monotonic_ns()
        self.client.send_input(InputSample("hand", Actor.HUMAN, self.seq, now_ns, {"left": arm}))

    def process(self, name: str) -> int:
        return next(p.pid for p in self.status.processes if p.process == name) if self.status else 0

    @property
    def state(self) -> ControlState | None:
        return self.ticks[-1].state if self.ticks else None


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    cell = Cell(tmp_path)
    with cell.arms["left"].port, cell.arms["right"].port:
        try:
            cell.start()
            yield cell
        finally:
            cell.stop()


def test_real_arms_are_driven_recorded_and_met_where_they_are_after_a_crash(cell: Cell) -> None:
    cell.until(lambda: cell.state is ControlState.IDLE, "both arms")
    assert np.allclose(cell.ticks[-1].measured, [*REST, *REST], atol=0.01)
    cell.client.call("recorder", "open_session", operator="Ann", task="wipe", timeout_s=20.0)
    cell.client.call("recorder", "record", timeout_s=20.0)

    # A hand drives the left arm; the right one stays.
    for _ in range(10):
        cell.hand(0.0, clutch=False)
        cell.look()
    cell.until(lambda: cell.state is ControlState.ENGAGED, "the engage", lambda: cell.hand(0.0))
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < 1.5:
        cell.hand(0.03 * elapsed)
        cell.look()
    moved = np.abs(cell.arms["left"].q - REST)[:5].max()
    assert moved > 0.02
    assert np.allclose(cell.arms["right"].q, REST, atol=0.01)
    cell.hand(0.03 * elapsed, clutch=False)
    came_to_rest = time.monotonic() + 0.7
    cell.until(lambda: time.monotonic() > came_to_rest, "rest")

    # The left arm's process dies.
    cell.until(lambda: cell.process("follower-left") > 0, "the roster")
    right_before = cell.process("follower-right")
    os.kill(cell.process("follower-left"), signal.SIGKILL)
    cell.until(lambda: cell.state is ControlState.FAULT, "the fault")
    assert "Follower 'left' last reported" in cell.ticks[-1].reason
    assert cell.arms["left"].torque_on, "the servos hold by themselves"
    at = cell.arms["left"].q.copy()
    cell.until(lambda: any(event.kind == "process.died" for event in cell.events), "the news of the death")
    died = next(event.text for event in cell.events if event.kind == "process.died")
    assert "The follower-left process was killed by SIGKILL. Arm 'left' holds its place" in died
    cell.ticks.clear()
    cell.until(lambda: cell.state in (ControlState.IDLE, ControlState.HOLD), "its return")
    for _ in range(30):
        cell.look()
    assert np.allclose(cell.arms["left"].q, at, atol=0.02), "it did not move"
    assert cell.process("follower-right") == right_before, "the other arm's process goes on"

    # The right arm is unplugged; the episode goes on and is kept.
    cell.arms["right"].port.close()
    cell.ticks.clear()
    cell.until(lambda: cell.state is ControlState.FAULT, "the second fault")
    assert "Follower 'right'" in cell.ticks[-1].reason
    cell.until(lambda: any(event.kind == "follower.lost" for event in cell.events), "the loss")
    told = cell.client.call("follower-right", "status")["text"]
    assert "right" in told and told.endswith(".")

    # The episode tells the robot as it was, and what happened to it.
    done = cell.client.call("recorder", "stop", outcome="success", timeout_s=30.0)
    cell.client.call("recorder", "save", timeout_s=10.0)
    path = cell.data.episodes / f"{done['episode']}.mcap"
    with EpisodeReader(path) as reader:
        header, attachments = reader.header, reader.attachments
        assert header.robot_type == "so101_bimanual"
        assert header.joint_names[0] == "left/shoulder_pan" and len(header.joint_names) == 12
        assert {d.name: d.driver for d in header.devices} == {
            "left": "feetech",
            "right": "feetech",
            "top": "synthetic",
        }
        assert {"robot.xml", "calibrations/arms/F0.toml", "calibrations/arms/F1.toml"} <= attachments.keys()
        kinds = {event.kind for event in reader.events()}
        assert {"process.died", "follower.lost", "safety.fault", "safety.recovered"} <= kinds
        assert reader.footer is not None
        reasons = " ".join(reader.footer.lost_reasons)
        assert "The follower-left process died during the recording." in reasons
        assert "Arm 'right' is lost and holds its place." in reasons
        assert reader.footer.counts["/tf"] > 10, "the composed robot moves in viewers"
    export_lerobot([path], cell.data.root / "dataset")
    rows = pq.read_table(cell.data.root / "dataset/data/chunk-000/file-000.parquet").to_pydict()
    assert len(rows["action"][0]) == 12
