"""A station that a leader arm drives: aligned, engaged, unplugged in an episode, driven to its arm."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.emulators.arms import DYNAMIXEL_ARMS
from devices.emulators.servo_arm import EmulatedArm
from recorders.reader import EpisodeReader
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.config import parse_station, station_text
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ControlState, ControlTick, Event
from teleop_app.station.launch import StationProcess

pytestmark = pytest.mark.system
STATION = """
[control]
realtime_priority = 0
[simulation]
look = "primitive"
[recording]
headroom_mb = 10
autosave_s = 120.0
preroll_s = 0.0
[inputs]
gamepad = false
[[inputs.devices]]
name = "lead"
driver = "dynamixel-leader"
arms = ["left"]
options = {{ port = "{port}", serial = "L1", layout = "widowx", clutch = "key", follow_speed_rad_s = 1.5 }}
[[cameras]]
name = "top"
driver = "synthetic"
width = 160
height = 120
fps = 10
"""


class Cell:
    """The simulated cell, and an emulated leader of its left arm."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDir(folder / "store").create()
        self.leader = EmulatedArm("widowx", DYNAMIXEL_ARMS["widowx"], folder / "leader")
        CalibrationStore(self.data.calibrations).save(self.leader.calibration("L1", "dynamixel-leader"))
        config = parse_station(STATION.format(port=folder / "leader"))
        self.data.station_file.write_text(station_text(config))
        self.ticks: deque[ControlTick] = deque(maxlen=2000)
        self.events: list[Event] = []

    def start(self) -> None:
        self.station = StationProcess(self.data)
        self.client = self.station.wait_ready()
        self.feed = self.client.subscribe(["tick", "event"])

    def stop(self) -> None:
        if hasattr(self, "feed"):
            self.feed.close()
            self.client.close()
        self.station.stop()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 30.0
        while not holds():
            if time.monotonic() > end:
                said = [event.text for event in self.events]
                pytest.fail(f"{what} did not come; {self.state}; {self.lead()}; {said}")
            self.feed.wait(0.01)
            for _, value in self.feed.drain():
                if isinstance(value, ControlTick):
                    self.ticks.append(value)
                elif isinstance(value, Event):
                    self.events.append(value)

    def lead(self) -> dict[str, object]:
        return self.client.call("input-lead", "status")

    @property
    def state(self) -> ControlState | None:
        return self.ticks[-1].state if self.ticks else None

    @property
    def sent(self) -> np.ndarray:
        return self.ticks[-1].sent[:7]


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    cell = Cell(tmp_path)
    with cell.leader.port:
        try:
            cell.start()
            yield cell
        finally:
            cell.stop()


def test_a_leader_drives_its_arm_is_unplugged_in_an_episode_and_driven_back(cell: Cell) -> None:
    cell.until(lambda: cell.state is ControlState.IDLE, "the cell")
    home = cell.ticks[-1].measured[:7].copy()
    off = home + np.array([0.3, 0.2, -0.2, 0.3, 0.2, -0.3, 0.0])
    cell.leader.pose(np.clip(off, *([-2.7] * 6 + [0.0], [2.7] * 6 + [1.0])))
    cell.client.call("recorder", "open_session", operator="Ann", task="pick-place", timeout_s=20.0)
    cell.client.call("recorder", "record", timeout_s=20.0)

    # It comes slowly to its leader, then follows it joint for joint.
    cell.until(lambda: cell.lead()["state"] == "free", "the leader")
    cell.client.call("input-lead", "engage")
    cell.until(lambda: cell.state is ControlState.ALIGNING, "the aligning")
    cell.until(lambda: cell.state is ControlState.ENGAGED, "the engage")
    steps = np.array([tick.sent[:6] for tick in cell.ticks if tick.state is ControlState.ALIGNING])
    assert np.abs(np.diff(steps, axis=0)).max() < 0.05
    for part in np.linspace(0.0, 0.3, 30):
        moved = off.copy()
        moved[0] -= part
        cell.leader.pose(moved)
        time.sleep(0.02)
    cell.until(lambda: np.abs(cell.sent[:6] - moved[:6]).max() < 0.02, "the arm where its leader is")
    assert cell.state is ControlState.ENGAGED and cell.ticks[-1].source == "lead"

    # Unplugged: the arm holds, the episode goes on, and nothing moves when the leader is back.
    cell.leader.port.close()
    cell.until(lambda: cell.state is not ControlState.ENGAGED, "the hold")
    cell.until(lambda: bool(cell.lead()["text"]), "the sentence")
    time.sleep(0.3)
    cell.ticks.clear()
    cell.until(lambda: len(cell.ticks) > 20, "ticks")
    assert np.ptp([tick.sent for tick in cell.ticks], axis=0).max() < 1e-6
    cell.leader.pose(home + 0.1)
    cell.leader.port.open()
    cell.until(lambda: cell.lead()["state"] == "free" and not cell.lead()["text"], "its return")
    time.sleep(0.2)
    cell.ticks.clear()
    cell.until(lambda: len(cell.ticks) > 20, "ticks")
    assert np.ptp([tick.sent for tick in cell.ticks], axis=0).max() < 1e-6
    assert cell.state is not ControlState.ENGAGED

    # Driven to its arm, then free again.
    cell.client.call("input-lead", "follow", on=True)
    cell.until(lambda: cell.lead()["state"] == "aligned", "the leader at its arm")
    assert np.abs(cell.leader.q[:6] - cell.ticks[-1].measured[:6]).max() < 0.07
    cell.client.call("input-lead", "follow", on=False)
    cell.until(lambda: cell.lead()["state"] == "free", "the free leader")
    assert not cell.leader.torque_on

    done = cell.client.call("recorder", "stop", outcome="success", timeout_s=30.0)
    cell.client.call("recorder", "save", timeout_s=10.0)
    with EpisodeReader(cell.data.episodes / f"{done['episode']}.mcap") as reader:
        kinds = [event.kind for event in reader.events()]
        assert {"control.engaged", "control.aligning", "control.aligned", "safety.hold"} <= set(kinds)
        assert "human" in reader.ticks().actor
        assert "lead" in {device.name for device in reader.header.devices}
