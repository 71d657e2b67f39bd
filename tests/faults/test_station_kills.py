"""SIGKILL of each process of a real station in the middle of a driven recording, and of the supervisor."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from teleop_app.core.types import ControlState, StationStatus

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
]

DRIVEN_S = 1.5


def kill(station: Any, process: str) -> int:
    """SIGKILL a child; when, on the station's clock [ns]."""
    pid = station.pids()[process]
    station.forget()
    os.kill(pid, signal.SIGKILL)
    return time.monotonic_ns()


def told(station: Any, process: str) -> str:
    """The supervisor says it in an event and in its status, and starts the process again."""
    died = station.event("process.died", process=process)
    assert f"The {process} process was killed by SIGKILL." in died.text
    assert "It is being started again; details in " in died.text
    station.until(StationStatus, lambda status: died.text in status.faults)
    station.event("process.restarted", process=process)
    station.wait_running()
    return died.text


def test_a_killed_recorder_loses_less_than_a_second_and_says_what(station: Any, faults: Any) -> None:
    station.open_session()
    episode = station.start_recording(1)
    station.watch(DRIVEN_S)
    killed_ns = kill(station, "recorder")
    assert "What was recorded so far is recovered when it is back." in told(station, "recorder")
    station.recorder_says(f"Episode {episode} was recovered. The recording was cut off by a crash after")
    station.call("operator", "halt")
    row = faults.row_of(station.data, episode)
    assert row.recovered and "cut off by a crash" in row.recovery_loss and row.state == "pending"
    with EpisodeReader(station.data.root / row.path) as reader:
        ends = [reader.ticks().capture_ns[-1]]
        ends += [reader.video(camera.name).capture_ns[-1] for camera in reader.header.cameras]
        assert reader.footer is not None and reader.footer.truncated
        assert len(reader.ticks().capture_ns) > 100
    assert max(killed_ns - int(end) for end in ends) < 1_000_000_000
    assert list(station.data.open.glob("*.mcap")) == []
    station.open_session()
    station.records_normally()
    assert faults.store_problems(station.data) == []


def test_killed_control_leaves_the_arms_holding_and_the_episode_marked(station: Any, faults: Any) -> None:
    station.open_session()
    episode = station.start_recording(2)
    station.watch(DRIVEN_S)
    kill(station, "control")
    assert "The robot holds its last position; engage anew when it is back." in told(station, "control")
    first = station.next_tick(lambda tick: np.isfinite(tick.measured).all())
    ticks = station.watch(0.5)
    # Nobody engaged anew with the new control process yet, or a new edge was made: no jump either way.
    assert np.abs(first.sent - first.measured).max() < 0.2
    assert faults.speeds(ticks).max() < 3.0
    done = station.stop_recording()
    assert done["episode"] == episode
    with EpisodeReader(Path(done["path"])) as reader:
        footer = reader.footer
        kinds = {event.kind: event.text for event in reader.events()}
    assert footer is not None and footer.lost["/control/tick"] > 20 and not footer.truncated
    assert "process.died" in kinds and "process.restarted" in kinds
    assert "Nothing arrives from the control process." in kinds["recorder.gap"]
    assert any("/control/tick" in reason for reason in footer.lost_reasons)
    station.call("recorder", "save")
    station.records_normally()
    assert faults.store_problems(station.data) == []


def test_killed_cameras_leave_a_marked_gap_and_come_back(station: Any, faults: Any) -> None:
    station.open_session()
    episode = station.start_recording(3)
    station.watch(DRIVEN_S)
    kill(station, "cameras")
    assert "a running recording is kept and marked." in told(station, "cameras")
    station.watch(1.0)
    done = station.stop_recording()
    assert done["episode"] == episode
    assert min(done["lost"].values()) > 3, "each camera says how many frames are missing"
    with EpisodeReader(Path(done["path"])) as reader:
        for camera in reader.header.cameras:
            track = reader.video(camera.name)
            gaps = np.diff(track.seq)
            assert (gaps > 0).all() and gaps.max() > 3
            after = int(np.argmax(gaps)) + 1
            assert track.keyframe[after], "what comes after the gap can be decoded"
            assert reader.frame(camera.name, after).shape == (120, 160, 3)
        sentences = [event.text for event in reader.events() if event.kind == "recorder.gap"]
    assert any("Nothing arrives from camera overhead." in text for text in sentences)
    station.call("recorder", "save")
    station.records_normally()
    assert faults.store_problems(station.data) == []


def test_a_killed_simulation_is_a_follower_fault_and_the_episode_says_so(station: Any, faults: Any) -> None:
    station.open_session()
    episode = station.start_recording(4)
    station.watch(DRIVEN_S)
    kill(station, "simulation")
    fault = station.event("safety.fault")
    assert "The arms are held." in fault.text
    assert "The arms do not answer until it is back." in told(station, "simulation")
    station.event("safety.recovered")
    back = station.next_tick(lambda tick: tick.state is not ControlState.FAULT)
    assert np.abs(back.sent - back.measured).max() < 0.3, "what is sent starts where the arms are"
    station.watch(0.5)
    done = station.stop_recording()
    assert done["episode"] == episode
    with EpisodeReader(Path(done["path"])) as reader:
        kinds = {event.kind for event in reader.events()}
        states = set(reader.ticks().state)
        footer = reader.footer
    assert {"process.died", "safety.fault", "safety.recovered"} <= kinds
    assert "fault" in states
    assert footer is not None and footer.lost.get("/sim/world", 0) > 50
    assert "The source of /sim/world was restarted during the recording." in footer.lost_reasons
    status = station.recorder_reviews(episode)
    assert any("/sim/world" in reason for reason in status.verdict_reasons), "whoever judges it sees it"
    station.call("recorder", "save")
    station.records_normally()
    assert faults.store_problems(station.data) == []


def test_a_killed_operator_holds_the_arms_and_the_recording_goes_on(station: Any, faults: Any) -> None:
    station.open_session()
    episode = station.start_recording(5)
    station.watch(DRIVEN_S)
    kill(station, "operator")
    held = station.event("safety.hold")
    assert "scripted" in held.text
    assert "The scripted operator stops; everything else goes on." in told(station, "operator")
    assert faults.speeds(station.watch(0.3)).max() < 1e-6
    done = station.stop_recording()
    assert done["episode"] == episode
    with EpisodeReader(Path(done["path"])) as reader:
        kinds = {event.kind for event in reader.events()}
        footer = reader.footer
        texts = [event.text for event in reader.events() if event.kind == "recorder.gap"]
    assert {"process.died", "safety.hold"} <= kinds
    assert footer is not None and not footer.truncated and not any("control" in text for text in texts)
    station.call("recorder", "save")
    station.records_normally()
    assert faults.store_problems(station.data) == []


def test_a_killed_supervisor_takes_its_processes_along_and_a_new_station_recovers(
    station: Any, faults: Any
) -> None:
    station.open_session()
    episode = station.start_recording(6)
    station.watch(DRIVEN_S)
    card = station.client.card()
    os.kill(card.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20.0
    while faults.processes_of(station.data) and time.monotonic() < deadline:
        station.look()
    assert [process.cmdline() for process in faults.processes_of(station.data)] == []
    again = faults.start(station.data)
    assert again.client.card().pid != card.pid
    row = faults.row_of(station.data, episode)
    assert row.state == "pending" and row.duration_ns > 1e9
    with EpisodeReader(station.data.root / row.path) as reader:
        assert reader.footer is not None and reader.footer.truncated
    again.open_session()
    again.records_normally()
    assert faults.store_problems(station.data) == []
    again.stop()
    verified = faults.teleop_here("verify", "--full", data=station.data.root)
    assert verified.returncode == 0, verified.stdout
