"""A person takes the robot from a policy and gives it back, on a real station; it becomes data."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorders.reader import EpisodeReader
from teleop_app.core.bus import Publisher, Subscriber
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AuthorityMode,
    AutonomyPhase,
    ControlTick,
    InputSample,
    PolicyState,
    PolicyStatus,
)
from teleop_app.station.client import StationClient, wait_for
from teleop_app.station.launch import StationProcess

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
PATIENCE_S = 120.0
UP = np.array([0.0, 0.0, 0.02, 0.0, 0.0, 0.0])


class Person:
    """Somebody at a device that drives the left arm by velocity, sampled 100 times a second."""

    def __init__(self, client: StationClient, data: DataDir) -> None:
        self.clutch = False
        self.twist = np.zeros(6)
        self.pressed_ns = 0
        self._publisher = Publisher(client.endpoints.inputs(), connect=True, queue=200)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        seq, held = 0, False
        while not self._stop.wait(0.01):
            seq += 1
            now_ns = time.monotonic_ns()
            if self.clutch and not held:
                self.pressed_ns = now_ns
            held = self.clutch
            arm = ArmInput(clutch=held, twist=self.twist)
            self._publisher.send("input", InputSample("tester", Actor.HUMAN, seq, now_ns, {"left": arm}))

    def leave(self) -> None:
        self._stop.set()
        self._thread.join()
        self._publisher.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    config = StationConfig()
    config.simulation.look = "primitive"
    config.cameras = [CameraSection(name="overhead", width=160, height=120, fps=10)]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    config.recording.autosave_s = 0.0
    config.autonomy.first_run_speed = 0.3
    config.autonomy.starve_pause_s = 20.0
    config.autonomy.stale_chunk_ms = 20_000.0
    config.autonomy.help_per_minute = 0.0
    config.safety.stale_release_ms = 5000.0
    config.safety.stale_hold_ms = 900.0
    found = DataDir(tmp_path_factory.mktemp("autonomy")).create()
    found.station_file.write_text(station_text(config))
    return found


@pytest.fixture(scope="module")
def station(data: DataDir) -> Iterator[StationClient]:
    with StationProcess(data) as process:
        client = process.wait_ready()
        yield client
        client.close()


def tick_until(ticks: Subscriber, accept: Callable[[ControlTick], bool], what: str) -> ControlTick:
    _, tick = wait_for(ticks, lambda _, v: isinstance(v, ControlTick) and accept(v), PATIENCE_S, what)
    return tick


def phase_is(*phases: AutonomyPhase) -> Callable[[ControlTick], bool]:
    return lambda tick: tick.autonomy is not None and tick.autonomy.phase in phases


def ready(status: Any) -> bool:
    return isinstance(status, PolicyStatus) and status.state is PolicyState.READY


@pytest.fixture(scope="module")
def episode(station: StationClient, data: DataDir) -> Path:
    """An episode in which a policy drives, is taken over, and is given the robot again."""
    call = station.call
    call("policy", "choose", name="scripted", timeout_s=30.0)
    with closing(station.subscribe(["policy"], ["policy"])) as said:
        wait_for(said, lambda _, v: ready(v), PATIENCE_S, "the policy to be ready")
    call("recorder", "open_session", operator="Ada", task="pick-place", timeout_s=30.0)
    call("recorder", "prepare", seed=3, timeout_s=60.0)
    person = Person(station, data)
    try:
        with closing(station.subscribe(["tick"], ["control"])) as ticks:
            call("recorder", "record", timeout_s=30.0)
            call("control", "authority", mode=AuthorityMode.SUPERVISED.value)
            tick_until(ticks, phase_is(AutonomyPhase.POLICY), "the policy to drive")
            tick_until(ticks, lambda t: t.actor is Actor.POLICY and t.autonomy.index > 2, "it to move")
            person.clutch = True
            seized = tick_until(ticks, lambda t: t.actor is Actor.HUMAN, "the person to drive")
            assert seized.source == "tester" and seized.autonomy.phase is AutonomyPhase.CORRECT
            person.twist = UP
            corrected: list[ControlTick] = []
            tick_until(ticks, lambda t: corrected.append(t) or len(corrected) > 150, "the correction")
            call("control", "takeover_reason", reason="imprecise")
            person.clutch, person.twist = False, np.zeros(6)
            tick_until(ticks, phase_is(AutonomyPhase.HOLD), "the arms to hold")
            call("control", "resume")
            tick_until(ticks, phase_is(AutonomyPhase.RETURN), "the policy to be asked")
            back = tick_until(ticks, phase_is(AutonomyPhase.POLICY), "the policy to drive again")
            tick_until(ticks, lambda t: t.tick_ns > back.tick_ns + 300_000_000, "it to go on")
            call("control", "authority", mode=AuthorityMode.MANUAL.value)
            call("recorder", "set_outcome", outcome="success")
            done = call("recorder", "stop", timeout_s=60.0)
    finally:
        person.leave()
        call("recorder", "close_session", timeout_s=30.0)
    return Path(str(done["path"]))


def test_each_tick_says_who_drove_and_what_the_policy_would_have_done(episode: Path) -> None:
    with EpisodeReader(episode) as reader:
        track, ticks, chunks = reader.autonomy(), reader.ticks(), reader.chunks()
        events = [event for event in reader.events() if event.kind.startswith("autonomy.")]
        footer = reader.footer
        proposals = reader.joints("policy")
    order = [phase for before, phase in zip(["", *track.phase], track.phase, strict=False) if phase != before]
    assert [p for p in order if p != "idle"] == ["return", "policy", "correct", "hold", "return", "policy"]
    by_person = np.array([phase == "correct" for phase in track.phase])
    takeover = np.array(track.takeover)
    assert by_person.sum() > 20 and set(takeover[by_person]) == {1}
    assert set(takeover[np.array([phase == "policy" for phase in track.phase])]) == {0}
    assert "human" in ticks.actor and "policy" in ticks.actor
    # It goes on proposing while a person drives: what it would have done is there to learn from.
    correction = np.array(track.capture_ns)[by_person]
    inside = (proposals.capture_ns > correction[0]) & (proposals.capture_ns < correction[-1])
    assert inside.sum() > 10
    assert {chunk.version for chunk in chunks} == {chunks[0].version} != {""}
    assert len(set(track.chunk)) > 3
    assert [event.kind for event in events if event.kind in ("autonomy.takeover", "autonomy.returned")]
    assert footer is not None and footer.outcome == "success" and footer.rollout is not None
    (one,) = footer.rollout.takeovers
    assert (one.reason, one.outcome, one.source) == ("imprecise", "resumed", "tester")
    assert footer.rollout.policy == "scripted"


def test_no_joint_was_moved_faster_than_its_limits(episode: Path) -> None:
    limits = StationConfig().safety
    with EpisodeReader(episode) as reader:
        sent, names = reader.joints("sent"), reader.header.joint_names
    joints = [i for i, name in enumerate(names) if "gripper" not in name]
    # By number of tick, not by its time: a late tick is still one step of the limiter.
    steps = np.abs(np.diff(sent.position[:, joints], axis=0)) * 200.0
    assert steps.max() <= limits.max_joint_velocity_rad_s * 1.001
    assert np.abs(np.diff(steps, axis=0)).max() * 200.0 <= 2 * limits.max_joint_acceleration_rad_s2


def test_the_correction_is_exported_for_those_who_learn_from_it(
    episode: Path, data: DataDir, tmp_path: Path
) -> None:
    def export(*arguments: str) -> tuple[Path, dict[str, Any]]:
        out = tmp_path / "-".join(arguments).replace("--", "")
        command = [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(data.root), "export", "lerobot"]
        done = subprocess.run(
            [*command, str(out), "--json", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )
        assert done.returncode == 0, done.stderr
        return out / "data" / "chunk-000" / "file-000.parquet", json.loads(done.stdout)

    table, _ = export("--extra", "autonomy")
    whole = pq.read_table(table).to_pydict()
    assert {"policy", "human"} <= set(whole["actor"])
    assert any(whole["intervention"]) and not all(whole["intervention"])
    table, _ = export("--preset", "hg-dagger")
    cut = pq.read_table(table).to_pydict()
    assert 0 < len(cut["index"]) < len(whole["index"])
