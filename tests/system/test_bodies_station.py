"""A station with a simulated base, lift and hand: driven by a hand's samples, recorded, exported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from devices.testing.tracked_hand import FINGERS, tracked_hand
from recorders.exporters.lerobot import export_lerobot
from recorders.reader import EpisodeReader
from teleop_app.core.config import (
    CameraSection,
    HandSection,
    LiftSection,
    MobileBaseSection,
    StationConfig,
    station_text,
)
from teleop_app.core.paths import DataDir
from teleop_app.core.planar import path
from teleop_app.core.types import Actor, ArmInput, ControlState, ControlTick, InputSample, StreamBatch
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
POSE = np.array([0.0, 1.0, -0.3, 1.0, 0.0, 0.0, 0.0])
OPEN = tracked_hand({}, side="left")
FIST = tracked_hand(
    {f"{finger}_{joint}": 1.7 for finger in FINGERS for joint in ("mcp", "pip", "dip")}, side="left"
)


class Driver:
    """A person with a headset, and what the station tells meanwhile."""

    def __init__(self, client: StationClient) -> None:
        self.client = client
        self.feed = client.subscribe(["tick", "batch/"])
        self.last: dict[str, np.ndarray] = {}
        self.state = ControlState.IDLE
        self._seq = 0

    def drive(
        self,
        seconds: float,
        twist: tuple[float, float, float] = (0.0, 0.0, 0.0),
        *,
        lift_m_s: float = 0.0,
        hand: np.ndarray = OPEN,
        clutch: bool = True,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self._seq += 1
            now_ns = time.monotonic_ns()
            # A machine that holds this process up for long makes the station let go: squeeze anew.
            held = clutch and (self.state is ControlState.ENGAGED or self._seq % 5 != 0)
            arms = {"left": ArmInput(held, pose=POSE, hand=hand)}
            asked = np.array(twist)
            self.client.send_input(
                InputSample("vr", Actor.HUMAN, self._seq, now_ns, arms, base_twist=asked, lift_m_s=lift_m_s)
            )
            self.feed.wait(0.01)
            for _, value in self.feed.drain(1000):
                if isinstance(value, ControlTick):
                    self.state = value.state
                elif isinstance(value, StreamBatch):
                    self.last[value.stream] = value.values[-1]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    config = StationConfig(
        mobile_base=MobileBaseSection(driver="sim-base"),
        lift=LiftSection(driver="sim-lift"),
        hands=[HandSection(name="left_hand", arm="left", driver="sim-hand")],
        cameras=[CameraSection(name="overhead", driver="synthetic", width=160, height=120, fps=10)],
    )
    config.simulation.look = "primitive"
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    config.recording.preroll_s = 0.0
    config.recording.headroom_mb = 10
    data = DataDir(tmp_path)
    data.create()
    data.station_file.write_text(station_text(config), encoding="utf-8")
    station = StationProcess(data)
    client = station.wait_ready()
    try:
        made = Driver(client)
        yield made
        made.feed.close()
    finally:
        client.close()
        station.stop()


def test_base_lift_and_hand_are_driven_stopped_recorded_and_exported(driver: Driver, tmp_path: Path) -> None:
    driver.drive(20.0, clutch=False, until=lambda: "left_hand/measured" in driver.last)
    driver.client.call("recorder", "open_session", operator="Ann", task="fetch", timeout_s=20.0)
    driver.client.call("recorder", "record", timeout_s=20.0)
    driver.drive(10.0, until=lambda: driver.state is ControlState.ENGAGED)
    height = driver.last["lift/measured"][0]
    driver.drive(
        15.0,
        (0.3, 0.0, 0.4),
        lift_m_s=0.05,
        hand=FIST,
        until=lambda: (
            driver.last["base/measured"][0] > 0.25
            and driver.last["lift/measured"][0] > height + 0.03
            and driver.last["left_hand/measured"].max() > 1.6
        ),
    )
    driver.drive(10.0, hand=FIST, until=lambda: abs(driver.last["base/measured"][3:]).max() < 1e-3)
    assert driver.last["base/measured"][0] > 0.2
    assert driver.last["lift/measured"][0] > height + 0.03
    assert driver.last["left_hand/measured"].max() == pytest.approx(1.7, abs=0.05)

    driver.drive(10.0, (0.4, 0.0, 0.0), until=lambda: driver.last["base/sent"][0] > 0.3)
    assert driver.last["base/sent"][0] > 0.3
    driver.client.call("control", "estop", reason="test", timeout_s=5.0)
    driver.drive(10.0, (0.4, 0.0, 0.0), until=lambda: abs(driver.last["base/measured"][3:]).max() < 1e-3)
    assert not driver.last["base/sent"].any()
    driver.drive(0.3, clutch=False)

    done = driver.client.call("recorder", "stop", outcome="success", timeout_s=30.0)
    driver.client.call("recorder", "save", timeout_s=10.0)
    episode = DataDir(tmp_path).episodes / f"{done['episode']}.mcap"
    with EpisodeReader(episode) as reader:
        sent = reader.stream("base/sent")
        action = reader.stream("base/action")
        measured = reader.stream("base/measured")
        estop_ns = next(e.capture_ns for e in reader.events() if e.kind == "safety.estop")
        assert {d.name: d.driver for d in reader.header.devices}.keys() >= {"left"}
    went = path(action.values[action.capture_ns > measured.capture_ns[0]])[-1]
    drove = measured.values[-1, :3] - measured.values[0, :3]
    assert np.allclose(went, drove, atol=0.02)
    after = sent.values[sent.capture_ns > estop_ns + 600_000_000]
    assert len(after) and not after.any()
    export_lerobot([episode], tmp_path / "set")
    rows = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet").to_pydict()
    assert np.allclose(path(np.array(rows["action.base"]))[-1], went, atol=0.05)
    assert np.array(rows["observation.left_hand"]).max() == pytest.approx(1.7, abs=0.05)
