"""A served policy drives a real station while its server is killed, stopped, replaced, and lies to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policy_bytes import openpi_array, packed

from hostile_policy_server import WebSocketServer, Wrong
from recorders.reader import EpisodeReader
from teleop_app.autonomy.policy_templates import TemplateCell, template
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    ControlTick,
    Event,
    PolicyState,
    PolicyStatus,
    ProcessState,
    StationStatus,
)
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and SIGSTOP"),
]
CELL = TemplateCell((("left", 6), ("right", 6)), ("overhead", "left_wrist"))
PATIENCE_S = 60.0
PAUSED = "The policy is paused: it had no valid proposal for 2 s. Resume it, or take over."
PICTURES = """
[[observation.images]]
key = "observation/images/overhead"
camera = "overhead"
width = 224
height = 224

[[observation.images]]
key = "observation/images/left_wrist"
camera = "left_wrist"
width = 224
height = 224
"""


def small_station() -> StationConfig:
    """A cell that two busy cores can run beside other work."""
    config = StationConfig()
    config.simulation.look = "primitive"
    config.simulation.seed = 7
    config.cameras = [CameraSection(name=name, width=160, height=120, fps=10) for name in CELL.cameras]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    config.recording.autosave_s = 0.0
    config.autonomy.first_run_speed = 1.0
    config.autonomy.starve_pause_s = 2.0
    config.autonomy.stale_chunk_ms = 20_000.0
    config.autonomy.help_per_minute = 0.0
    return config


def policy_text(url: str, timeout_s: float) -> str:
    """A file like that of the built-in expert, but for who answers; two pictures travel too."""
    options = f'[options]\nurl = "{url}"\ntimeout_s = {timeout_s}\nopen_timeout_s = 2.0\n'
    text = template("scripted", CELL).replace('driver = "scripted"', 'driver = "openpi"')
    head, states, rest = text.partition("\n[[observation.states]]")
    return head.replace("[observation]", f"{options}\n[observation]") + PICTURES + states + rest


class ServedPolicy:
    """`teleop policy serve` in a process of its own, always on the same port."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self, *options: str) -> None:
        port = self.url.rpartition(":")[2] or "0"
        argv = [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(self._data.root)]
        argv += ["policy", "serve", "--policy", "scripted", "--port", port, "--json", *options]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        assert told["name"] == "scripted"
        self.url = told["url"]

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        self._process = None


class LyingServer(WebSocketServer):
    """Answers that the arms shall stay where they are, or something else.

    Attributes:
        lie: Makes something else of the chunk, None for the truth.
        wait_s: Before each answer.
    """

    def __init__(self) -> None:
        self.lie: Callable[[np.ndarray], np.ndarray] | None = None
        self.wait_s = 0.0
        super().__init__()
        self.metadata = {"teleop": {"name": "liar", "version": "1", "horizon": 16, "action_dim": 14}}

    def _answer(self, connection: Any, wrong: Wrong, number: int) -> None:
        time.sleep(self.wait_s)
        question = self.asked.pop()
        chunk = np.tile(np.asarray(question["state"], np.float64), (16, 1))
        if self.lie is not None:
            chunk = self.lie(chunk)
        connection.send(packed({"actions": openpi_array(chunk.astype(np.float32))}))


class Watch:
    """Everything that a station says, kept by a thread; and what a person does at the window."""

    def __init__(self, client: StationClient) -> None:
        self.client = client
        self.events: list[Event] = []
        self.ticks: list[ControlTick] = []
        self.status: PolicyStatus | None = None
        self.station: StationStatus | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        topics, peers = ["tick", "event", "policy", "station"], ["control", "policy", "station", "recorder"]
        with closing(self.client.subscribe(topics, peers)) as said:
            while not self._stop.is_set():
                said.wait(0.2)
                with self._changed:
                    for _, value in said.drain():
                        self._take(value)
                    self._changed.notify_all()

    def _take(self, value: Any) -> None:
        if isinstance(value, ControlTick):
            self.ticks = [*self.ticks[-400:], value]
        elif isinstance(value, Event):
            self.events.append(value)
        elif isinstance(value, PolicyStatus):
            self.status = value
        elif isinstance(value, StationStatus):
            self.station = value

    def leave(self) -> None:
        self._stop.set()
        self._thread.join()

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(holds, PATIENCE_S):
                last = [f"{event.kind}: {event.text}" for event in self.events[-20:]]
                pytest.fail(f"waited in vain for {what}; {self.status}; {last}")

    def mark(self) -> int:
        """For `told`: what is said from now on."""
        with self._changed:
            return len(self.events)

    def told(self, since: int, kind: str, *parts: str) -> Event:
        """The first event of a kind with these parts of a sentence."""

        def found() -> list[Event]:
            alike = [event for event in self.events[since:] if event.kind == kind]
            return [event for event in alike if all(part in event.text for part in parts)]

        self.until(f"{kind} with {parts}", lambda: bool(found()))
        return found()[0]

    def until_says(self, *parts: str) -> None:
        """The policy's status says so."""
        self.until(
            f"the status {parts}", lambda: bool(self.status) and all(p in self.status.text for p in parts)
        )

    def until_state(self, *states: PolicyState) -> None:
        self.until(f"the policy to be {states}", lambda: bool(self.status) and self.status.state in states)

    def choose(self, name: str) -> None:
        self.client.call("control", "authority", mode=AuthorityMode.MANUAL.value, timeout_s=30.0)
        self.until("manual mode", lambda: bool(self.status) and self.status.state is not PolicyState.RUNNING)
        self.client.call("policy", "choose", name=name, timeout_s=30.0)
        self.until(
            f"{name} to be ready",
            lambda: (
                bool(self.status) and (self.status.policy, self.status.state) == (name, PolicyState.READY)
            ),
        )

    def drive(self) -> None:
        """Give the policy the robot, again if it is paused, until it has it for a while."""
        mode = self.client.call("control", "status", timeout_s=30.0)["autonomy"]["mode"]
        if mode == AuthorityMode.MANUAL:
            self.client.call("control", "authority", mode=AuthorityMode.SUPERVISED.value, timeout_s=30.0)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self.client.call("control", "resume", timeout_s=30.0)
            if self._drives_on():
                return
        pytest.fail(f"the policy does not drive: {self.status}; {self.events[-8:]}")

    def _drives_on(self) -> bool:
        """Whether the policy drives from now on; ticks of before that come late do not count."""
        now_ns = time.monotonic_ns()

        def drives() -> bool:
            return sum(by_policy(tick) and tick.tick_ns > now_ns for tick in self.ticks) > 60

        with self._changed:
            return self._changed.wait_for(drives, 5.0)

    def until_at_rest(self) -> None:
        """Nobody drives and what is sent does not change any more."""

        def rests() -> bool:
            last = self.ticks[-20:]
            still = len(last) == 20 and all(np.array_equal(tick.sent, last[0].sent) for tick in last)
            return still and not any(map(by_policy, last))

        self.until("the arms to rest", rests)


def by_policy(tick: ControlTick) -> bool:
    return tick.actor is Actor.POLICY


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    found = DataDir(tmp_path_factory.mktemp("served")).create()
    found.station_file.write_text(station_text(small_station()))
    found.policies.mkdir()
    return found


@pytest.fixture(scope="module")
def server(data: DataDir) -> Iterator[ServedPolicy]:
    served = ServedPolicy(data)
    try:
        served.start()
        (data.policies / "served.toml").write_text(policy_text(served.url, 1.0))
        yield served
    finally:
        served.kill()


@pytest.fixture(scope="module")
def liar(data: DataDir) -> Iterator[LyingServer]:
    server = LyingServer()
    (data.policies / "liar.toml").write_text(policy_text(server.url, 10.0))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def watch(data: DataDir, server: ServedPolicy, liar: LyingServer) -> Iterator[Watch]:
    """A station that records one episode of all that happens in this module."""
    with StationProcess(data) as process:
        client = process.wait_ready()
        client.call("recorder", "open_session", operator="Ada", task="pick-place", timeout_s=30.0)
        client.call("recorder", "prepare", seed=3, timeout_s=60.0)
        client.call("recorder", "record", timeout_s=30.0)
        watching = Watch(client)
        yield watching
        watching.leave()
        client.close()


def test_a_served_policy_drives(watch: Watch) -> None:
    watch.choose("served")
    assert watch.status is not None and watch.status.version
    assert not [check for check in watch.status.checks if check.level == "mismatch"]
    watch.drive()
    begun = watch.ticks[-1].sent
    watch.until("it to move", lambda: bool(np.abs(watch.ticks[-1].sent - begun).max() > 0.1))


def test_a_killed_server_stops_the_arms_and_is_missed_in_a_sentence(
    watch: Watch, server: ServedPolicy
) -> None:
    watch.choose("served")
    watch.drive()
    since = watch.mark()
    server.kill()
    watch.told(since, "policy.fault", f"policy server {server.url} ")
    watch.told(since, "autonomy.hold", "The policy has no valid proposal; the arms hold.")
    watch.told(since, "autonomy.paused", PAUSED)
    watch.until_at_rest()
    watch.until_says("cannot be reached", "Start the server, or correct its address")
    # The window shows the same sentence under the robot.
    assert watch.client.call("control", "status", timeout_s=30.0)["autonomy"]["reason"] == PAUSED
    server.start()
    watch.until_state(PolicyState.READY, PolicyState.RUNNING)
    assert watch.ticks[-1].actor is not Actor.POLICY  # it waits until it is resumed
    watch.drive()


def test_a_silent_server_is_a_time_out_and_comes_back(watch: Watch, server: ServedPolicy) -> None:
    watch.choose("served")
    watch.drive()
    since = watch.mark()
    server.send(signal.SIGSTOP)
    try:
        text = f"The policy server {server.url} did not answer within 1 s"
        watch.told(since, "policy.fault", text, "raise timeout_s in the policy file")
        watch.told(since, "autonomy.paused", PAUSED)
        watch.until_at_rest()
    finally:
        server.send(signal.SIGCONT)
    watch.until_state(PolicyState.READY, PolicyState.RUNNING)
    watch.drive()


def test_a_server_that_comes_back_as_another_one_is_seen_as_that(watch: Watch, server: ServedPolicy) -> None:
    watch.choose("served")
    version = watch.status.version if watch.status else ""
    watch.drive()
    since = watch.mark()
    server.kill()
    server.start("--option", "error_rate=0.9")
    loaded = watch.told(since, "policy.loaded", "is ready")
    assert loaded.fields["version"] != version
    watch.drive()


def leap(chunk: np.ndarray) -> np.ndarray:
    """Every joint 2 rad away, within its limits."""
    away = np.where(chunk > 0.0, -2.0, 2.0)
    away[:, 6::7] = 0.0
    return chunk + away


def filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda chunk: np.full_like(chunk, value)


@pytest.mark.parametrize(
    ("lie", "kind", "sentence"),
    [
        (filled(np.nan), "policy.fault", "values that are not finite"),
        (lambda chunk: chunk[:, :13], "policy.fault", "13 channels, but the server told 14"),
        (filled(1e30), "policy.refused", "1e+30 in channel 0 (limit +-10000)"),
        (filled(9.0), "policy.refused", "for 9.00 rad at action 0 (limits"),
        (leap, "policy.refused", "2.00 rad from where it is commanded (limit 0.35 rad)"),
    ],
    ids=["not finite", "13 channels", "huge", "beyond limits", "leaps"],
)
def test_a_lie_moves_nothing_and_is_told(
    watch: Watch,
    liar: LyingServer,
    lie: Callable[[np.ndarray], np.ndarray],
    kind: str,
    sentence: str,
) -> None:
    watch.choose("liar")
    watch.drive()
    since, sent = watch.mark(), watch.ticks[-1].sent
    liar.lie = lie
    try:
        watch.told(since, kind, sentence)
        watch.told(since, "autonomy.paused", "The policy is paused: ", ". Resume it, or take over.")
        watch.until_at_rest()
    finally:
        liar.lie = None
    assert np.abs(watch.ticks[-1].sent - sent).max() < 0.1
    watch.drive()


def test_answers_that_come_3_s_late_are_of_no_use(watch: Watch, liar: LyingServer) -> None:
    watch.choose("liar")
    watch.drive()
    since = watch.mark()
    liar.wait_s = 3.0
    try:
        watch.told(since, "autonomy.paused", "The policy is paused: ", "Resume it, or take over.")
        watch.told(since, "policy.refused", "is of no use", "Use a faster server, longer chunks")
        watch.until_at_rest()
    finally:
        liar.wait_s = 0.0
    watch.drive()


def test_a_server_that_tells_other_channels_than_the_file_does_not_drive(
    watch: Watch, liar: LyingServer
) -> None:
    watch.choose("liar")
    watch.drive()
    since = watch.mark()
    liar.stop()
    told = liar.metadata
    liar.metadata = {"teleop": {**told["teleop"], "action_dim": 7}}
    liar.start()
    try:
        watch.until_says("does not fit this station: It sends fewer channels than the parts have")
        watch.told(since, "autonomy.paused", PAUSED)
        watch.until_at_rest()
    finally:
        liar.metadata = told
    watch.choose("liar")
    watch.drive()


def test_all_of_it_was_recorded_and_nothing_wild_was_sent(watch: Watch) -> None:
    call = watch.client.call
    call("control", "authority", mode=AuthorityMode.MANUAL.value, timeout_s=30.0)
    assert watch.station is not None
    lived = {each.process: each.state for each in watch.station.processes}
    assert set(lived.values()) == {ProcessState.RUNNING}, lived
    assert not [event.text for event in watch.events if event.kind.startswith("process.")]
    done = call("recorder", "stop", timeout_s=60.0)
    with EpisodeReader(Path(str(done["path"]))) as reader:
        sent, names = reader.joints("sent").position, reader.header.joint_names
        measured, actors = reader.joints("measured").position, reader.ticks().actor
        footer, kinds = reader.footer, {event.kind for event in reader.events()}
        chunks = reader.chunks()
    assert footer is not None and not footer.truncated
    assert {"policy.fault", "policy.refused", "autonomy.hold", "autonomy.paused"} <= kinds
    assert {chunk.policy for chunk in chunks} == {"served", "liar"}
    assert "policy" in actors and "human" not in actors
    assert np.isfinite(sent).all() and np.isfinite(measured).all()
    joints = [i for i, name in enumerate(names) if "gripper" not in name]
    # By number of tick, not by its time: a late tick is still one step of the limiter.
    velocity = np.diff(sent[:, joints], axis=0) * 200.0
    assert np.abs(velocity).max() <= small_station().autonomy.max_joint_velocity_rad_s * 1.001
    steps = np.abs(np.diff(velocity, axis=0)) * 200.0
    assert steps.max() <= 2 * small_station().safety.max_joint_acceleration_rad_s2
