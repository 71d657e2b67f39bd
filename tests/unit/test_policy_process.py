"""The policy process: choosing, asking, and what hostile policies get through."""

import json
import math
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teleop_app.autonomy.inquiry import Inquiry
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.autonomy.view import CellLayout
from teleop_app.core.bus import Endpoints, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import PolicyError, StationError
from teleop_app.core.paths import DataDir
from teleop_app.core.policy import PolicyAnswer, PolicyFacts, PolicyRequest
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlState,
    ControlTick,
    Event,
    PolicyCheck,
    PolicyChunk,
    PolicyState,
    PolicyStatus,
    RecorderState,
    RecorderStatus,
)
from teleop_app.station.policy import PolicyProcess
from teleop_app.station.policy_seen import SeenVersions
from teleop_app.station.process import ProcessContext

N, H = 3, 8  # two joints and a gripper; actions of a chunk
STEP_NS = NS_PER_S // 20
TICK_NS = NS_PER_S // 200
LAYOUT = CellLayout(
    arms=("left",),
    joint_names=("left/a", "left/b", "left/gripper"),
    joints_of={"left": slice(0, 2)},
    gripper_of={"left": 2},
    lower=np.array([-2.0, -2.0, 0.0]),
    upper=np.array([2.0, 2.0, 1.0]),
    base_poses=np.array([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]),
    cameras={},
    control_rate_hz=200.0,
)


def policy_file(name: str, **changes: Any) -> PolicyFile:
    values: dict[str, Any] = {
        "name": name,
        "driver": "test",
        "rate_hz": 20.0,
        "horizon": H,
        "execute": 4,
        "observation": {"states": [{"key": "state", "parts": ["left/joints", "left/gripper"]}]},
        "action": {"parts": ["left/joints", "left/gripper"]},
    }
    return PolicyFile.model_validate(values | changes)


class Scripted:
    """A policy whose answer the test chooses."""

    def __init__(self) -> None:
        self.facts = PolicyFacts(name="test", version="v1")
        self.answer: Callable[[PolicyRequest], PolicyAnswer] = self.good
        self.there = True
        self.requests: list[PolicyRequest] = []
        self.resets = self.opened = self.closed = 0

    @staticmethod
    def good(request: PolicyRequest) -> PolicyAnswer:
        state = request.observation["state"].astype(float)
        return PolicyAnswer(np.tile(state, (H, 1)) + 0.01 * np.arange(H)[:, None] * [1, 1, 0])

    def open(self) -> PolicyFacts:
        if not self.there:
            raise PolicyError("The policy server does not answer", next_step="Start it")
        self.opened += 1
        return self.facts

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        self.requests.append(request)
        if not self.there:
            raise PolicyError("The policy server went away")
        return self.answer(request)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed += 1


class Shelf:
    def __init__(self, policies: dict[str, Scripted]) -> None:
        self.policies = policies
        self.files = {name: policy_file(name) for name in policies}
        self.checks: list[PolicyCheck] = []

    def layout(self) -> CellLayout:
        return LAYOUT

    def kinematics(self) -> None:
        return None

    def listing(self) -> list[dict[str, Any]]:
        return [{"name": name} for name in self.policies]

    def load(self, name: str) -> PolicyFile:
        if name not in self.files:
            raise PolicyError(f"There is no policy {name!r}")
        return self.files[name]

    def inquiry(self, file: PolicyFile, _cameras: object) -> Inquiry:
        return Inquiry(file, self.policies[file.name], self, lambda *_: self.checks)


class Station:
    """The process under test between what it hears and what it says; its clock is a fake one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.folder = folder
        self.policy = Scripted()
        self.other = Scripted()
        self.shelf = Shelf({"mine": self.policy, "other": self.other})
        self.config = StationConfig()
        context = ProcessContext(
            "policy", self.config, DataDir(folder), Endpoints(folder), folder, self.clock
        )
        self.process = PolicyProcess(context, self.shelf)
        self.said: list[tuple[str, object]] = []
        self.to_control: list[object] = []
        self.waiting: list[Any] = []
        self.mode, self.phase = AuthorityMode.MANUAL, AutonomyPhase.IDLE
        self.actor = Actor.NONE
        self.state = ControlState.IDLE
        self.recorder = RecorderState.IDLE
        self.measured = np.array([0.1, 0.2, 0.5])
        self.policy_ns = 5 * NS_PER_S
        monkeypatch.setattr(Publisher, "send", lambda *said: self._send(*said))
        monkeypatch.setattr(Subscriber, "drain_encoded", self._drain)
        monkeypatch.setattr(Subscriber, "read", lambda _self, parts: parts[1])
        monkeypatch.setattr(PolicyProcess, "_wait", lambda _self: None)
        self.process.open()
        self._inputs = self.process._inputs

    def _send(self, publisher: Publisher, topic: str, value: object) -> None:
        if publisher is getattr(self, "_inputs", None):
            self.to_control.append(value)
        else:
            self.said.append((topic, value))

    def _drain(self, _subscriber: Subscriber, _limit: int = 0) -> Iterator[list[Any]]:
        while self.waiting:
            topic, value = self.waiting.pop(0)
            yield [topic, (topic, value)]

    def turn(self, ticks: int = 1) -> None:
        """The station goes on by some control ticks."""
        for _ in range(ticks):
            self.clock.advance(TICK_NS / NS_PER_S)
            self.policy_ns += TICK_NS
            now_ns = self.clock.now_ns()
            autonomy = AutonomyTick(self.mode, self.phase, 0, 1.0, 0, -1.0, self.policy_ns)
            tick = ControlTick(
                seq=1,
                tick_ns=now_ns,
                due_ns=now_ns,
                state=self.state,
                actor=self.actor,
                source="",
                engaged=(False,),
                input_capture_ns=0,
                operator_pose=np.full((1, 7), np.nan),
                operator_gripper=np.full(1, np.nan),
                policy=None,
                commanded=self.measured,
                sent=self.measured,
                sent_ns=now_ns,
                measured=self.measured.copy(),
                measured_velocity=np.zeros(N),
                measured_effort=np.zeros(N),
                measured_ns=now_ns,
                flags=0,
                autonomy=autonomy,
            )
            recorder = RecorderStatus(self.recorder, now_ns, instruction="Do it")
            self.waiting += [(b"recorder", recorder), (b"tick", tick)]
            self.process.turn()

    def until(self, condition: Callable[[], bool], ticks: int = 4000) -> None:
        """Go on until it holds; the policy's threads are given real time."""
        for _ in range(ticks):
            self.turn()
            if condition():
                return
            time.sleep(0.001)
        pytest.fail(f"it did not happen; the status is {self.status}")

    @property
    def status(self) -> PolicyStatus:
        return [value for _, value in self.said if isinstance(value, PolicyStatus)][-1]

    @property
    def chunks(self) -> list[PolicyChunk]:
        return [value for value in self.to_control if isinstance(value, PolicyChunk)]

    def events(self, kind: str) -> list[Event]:
        return [value for _, value in self.said if isinstance(value, Event) and value.kind == kind]

    def supervise(self) -> None:
        """The mode becomes supervised, and the policy drives."""
        self.mode, self.phase, self.actor = AuthorityMode.SUPERVISED, AutonomyPhase.RETURN, Actor.NONE
        self.turn(2)
        self.phase, self.actor = AutonomyPhase.POLICY, Actor.POLICY

    def choose(self, name: str = "mine") -> None:
        self.process.choose(name)
        self.until(lambda: self.status.state is PolicyState.READY)


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    folder = Path(tempfile.mkdtemp(prefix="pol"))
    station = Station(folder, monkeypatch)
    yield station
    station.process.close()
    shutil.rmtree(folder)


def test_without_a_policy_it_says_so_and_waits(station: Station) -> None:
    station.turn()
    assert station.status.state is PolicyState.NONE
    assert station.process.policies() == {"policies": [{"name": "mine"}, {"name": "other"}]}
    with pytest.raises(PolicyError, match="There is no policy 'ghost'"):
        station.process.choose("ghost")
    with pytest.raises(PolicyError, match="no policy to be set up"):
        station.process.set_execution("sync")


def test_a_policy_is_checked_then_asked_while_it_is_in_use(station: Station) -> None:
    station.choose()
    station.turn(200)
    assert station.policy.requests == [] and not station.chunks  # manual: it is not asked
    (loaded,) = station.events("policy.loaded")
    assert loaded.fields == {"policy": "mine", "version": "v1"}
    station.supervise()
    station.until(lambda: len(station.chunks) >= 3)
    assert station.status.state is PolicyState.RUNNING and station.policy.resets >= 1
    first, second, third = station.chunks[:3]
    assert (first.policy, first.version, first.chunk, first.arms) == ("mine", "v1", 1, ("left",))
    assert first.actions.shape == (H, N) and np.allclose(first.actions[0], station.measured)
    assert first.step_ns == STEP_NS and first.observation_ns <= first.made_ns
    assert second.start_policy_ns - first.start_policy_ns >= STEP_NS
    assert third.chunk == 3 and [v for t, v in station.said if t == "chunk"][:3] == [first, second, third]
    assert station.policy.requests[0].observation["prompt"] == "Do it"
    station.mode, station.phase, station.actor = AuthorityMode.MANUAL, AutonomyPhase.IDLE, Actor.NONE
    station.turn(10)
    time.sleep(0.05)
    station.turn(2)
    count = len(station.chunks)
    station.turn(200)
    assert len(station.chunks) == count and station.status.state is PolicyState.READY


def test_control_is_told_whether_the_version_has_driven_here_before(station: Station) -> None:
    def told() -> list[bool]:
        events = [value for value in station.to_control if isinstance(value, Event)]
        return [bool(event.fields["seen"]) for event in events if event.kind == "policy.loaded"]

    station.choose()
    station.until(lambda: told() == [False])
    station.supervise()
    station.recorder = RecorderState.RECORDING
    station.until(lambda: len(station.chunks) >= 2)
    station.recorder = RecorderState.IDLE
    station.until(lambda: told() == [False, True])
    station.until(lambda: station.status.seen)


def test_in_its_shadow_it_is_asked_while_people_drive(station: Station) -> None:
    station.choose()
    station.process.shadow(True)
    station.actor = Actor.HUMAN
    station.until(lambda: len(station.chunks) >= 2)
    station.process.shadow(False)
    station.until(lambda: station.status.state is PolicyState.READY)


def test_sync_chunks_hold_what_is_executed_and_no_more(station: Station) -> None:
    station.choose()
    station.process.set_execution("sync", execute=5)
    station.supervise()
    station.until(lambda: len(station.chunks) >= 2)
    first, second = station.chunks[:2]
    assert first.actions.shape == (5, N) and first.execution == "sync"
    assert second.start_policy_ns - first.start_policy_ns >= 5 * STEP_NS
    with pytest.raises(PolicyError, match="Choose one of: sync, switch, ensemble, rtc"):
        station.process.set_execution("magic")


def test_a_policy_that_continues_is_given_what_is_left(station: Station) -> None:
    station.policy.facts = PolicyFacts(version="v1", prefix=True, horizon=H)
    station.choose()
    station.process.set_execution("rtc")
    station.supervise()
    station.until(lambda: len(station.chunks) >= 2)
    assert station.policy.requests[0].prefix is None
    first, second = station.chunks[:2]
    prefix = station.policy.requests[1].prefix
    assert prefix is not None and prefix.weights.shape == (H,)
    at = (second.start_policy_ns - first.start_policy_ns) / first.step_ns
    index = at + np.arange(len(prefix.actions))
    wanted = np.array([np.interp(index, np.arange(H), column) for column in first.actions.T]).T
    assert np.allclose(prefix.actions, wanted)


def test_a_policy_that_cannot_continue_is_switched_over_and_says_so(station: Station) -> None:
    station.choose()
    station.process.set_execution("rtc", samples=4)
    station.turn(50)
    assert station.status.execution == "switch"
    assert {check.what for check in station.status.checks} == {"execution", "samples"}
    station.supervise()
    station.until(lambda: len(station.chunks) >= 2)
    assert all(r.prefix is None and r.samples == 1 for r in station.policy.requests)


def test_samples_become_uncertainty(station: Station) -> None:
    station.policy.facts = PolicyFacts(version="v1", samples=True)
    station.shelf.files["mine"] = policy_file("mine", samples=3)

    def spread_out(request: PolicyRequest) -> PolicyAnswer:
        actions = Scripted.good(request).actions
        offset = np.array([0.1, 0.1, 0.0])
        return PolicyAnswer(actions, np.stack([actions + offset, actions - offset]))

    station.policy.answer = spread_out
    station.choose()
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    assert station.policy.requests[0].samples == 3
    assert station.chunks[0].uncertainty == pytest.approx(0.1)


def test_giving_the_robot_back_resets_and_drops_what_was_asked_before(station: Station) -> None:
    station.choose()
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    gate, asked = threading.Event(), threading.Event()

    def slow(request: PolicyRequest) -> PolicyAnswer:
        asked.set()
        gate.wait(20.0)
        return Scripted.good(request)

    station.policy.answer = slow
    station.until(asked.is_set)
    count, resets = len(station.chunks), station.policy.resets
    station.phase, station.actor = AutonomyPhase.CORRECT, Actor.HUMAN
    station.turn(20)
    station.phase, station.actor = AutonomyPhase.RETURN, Actor.NONE
    station.turn(2)
    back_ns = station.policy_ns
    station.policy.answer = Scripted.good
    gate.set()
    station.until(lambda: len(station.chunks) > count)
    assert station.policy.resets == resets + 1
    assert station.chunks[count].start_policy_ns >= back_ns - 2 * TICK_NS


def test_a_rollout_begins_with_a_reset_and_makes_the_version_known(station: Station) -> None:
    station.choose()
    assert not station.status.seen
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    resets = station.policy.resets
    station.recorder = RecorderState.RECORDING
    station.until(lambda: station.policy.resets == resets + 1)
    station.state = ControlState.ESTOP
    station.turn(3)
    station.recorder, station.state = RecorderState.REVIEW, ControlState.ENGAGED
    station.turn(50)
    assert not station.status.seen  # it ended with the emergency stop
    station.recorder = RecorderState.RECORDING
    station.turn(5)
    station.recorder = RecorderState.REVIEW
    station.until(lambda: station.status.seen)
    kept = SeenVersions(station.folder / "policies" / "seen.json")
    assert kept.has("mine", "v1") and not kept.has("mine", "v2") and not kept.has("other", "v1")


def test_a_version_that_is_not_told_is_never_seen_and_a_damaged_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "seen.json"
    seen = SeenVersions(path)
    seen.add("mine", "")
    assert not seen.has("mine", "") and not path.exists()
    for index in range(1100):
        seen._seen[f"old {index}"] = None
    seen.add("mine", "v2")
    again = SeenVersions(path)
    assert again.has("mine", "v2") and len(again._seen) == 1000
    for damage in ("{", "[]", '{"seen": 3}', json.dumps({"seen": [1, {}]})):
        path.write_text(damage)
        assert not SeenVersions(path).has("mine", "v2")


def test_a_mismatch_is_a_fault_and_the_policy_is_never_asked(station: Station) -> None:
    text = "Camera top is missing."
    station.shelf.checks = [
        PolicyCheck("image top", "a picture", "nothing", "mismatch", text),
        PolicyCheck("rate", "20 Hz", "20 Hz", "ok"),
    ]
    station.process.choose("mine")
    station.until(lambda: station.status.state is PolicyState.FAULT)
    assert text in station.status.text and len(station.status.checks) == 2
    station.supervise()
    station.turn(300)
    assert not station.policy.requests and not station.chunks


def test_a_server_that_is_not_there_is_connected_to_when_it_comes(station: Station) -> None:
    station.policy.there = False
    station.process.choose("mine")
    station.until(lambda: station.status.state is PolicyState.FAULT)
    assert "Start it" in station.status.text and len(station.events("policy.fault")) == 1
    station.policy.there = True
    station.until(lambda: station.status.state is PolicyState.READY)
    assert station.status.text == ""


def _shaped(shape: tuple[int, ...], value: float = 0.0) -> Callable[[PolicyRequest], PolicyAnswer]:
    return lambda _: PolicyAnswer(np.full(shape, value))


HOSTILE = {
    "wrong shape": (_shaped((H, N + 1)), "channels"),
    "not a chunk": (_shaped((N,)), "steps and channels"),
    "not a number": (_shaped((H, N), math.nan), "nan"),
    "far too large": (_shaped((H, N), 1e300), "1e\\+300"),
    "out of range": (_shaped((H, N), 3.0), "left/"),
    "huge": (_shaped((100_000, N)), "100000 actions"),
    "empty": (_shaped((0, N)), "0 actions"),
    "words": (lambda _: PolicyAnswer(np.array([["a"] * N] * H)), "not with numbers"),
    "nothing": (lambda _: PolicyAnswer(None), "NoneType"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nonsense_is_refused_with_a_sentence_and_never_reaches_control(station: Station, name: str) -> None:
    station.policy.answer, says = HOSTILE[name]
    station.choose()
    station.supervise()
    station.until(lambda: station.status.refused >= 2)
    assert not station.chunks
    (refused,) = station.events("policy.refused")
    assert re.search(says, refused.text), refused.text
    assert station.status.text == refused.text and refused.fields["why"]
    station.policy.answer = Scripted.good  # it comes to its senses
    station.until(lambda: len(station.chunks) >= 1)
    station.until(lambda: station.status.text == "")


@pytest.mark.parametrize("kind", ["nan", "ragged", "many", "flat"])
def test_hostile_samples_are_refused(station: Station, kind: str) -> None:
    station.policy.facts = PolicyFacts(version="v1", samples=True)
    station.shelf.files["mine"] = policy_file("mine", samples=3)
    samples = {
        "nan": np.full((2, H, N), np.nan),
        "ragged": np.zeros((2, H - 1, N)),
        "many": np.zeros((1000, H, N)),
        "flat": np.zeros(4),
    }[kind]
    station.policy.answer = lambda request: PolicyAnswer(Scripted.good(request).actions, samples)
    station.choose()
    station.supervise()
    station.until(lambda: station.status.refused >= 1)
    assert not station.chunks


def test_a_policy_that_lies_about_itself_gets_no_more_than_its_file_allows(station: Station) -> None:
    lies = "\x1b[31m" + "9" * 5000
    station.policy.facts = PolicyFacts(name=lies, version=lies, horizon=10**9, action_dim=-3, prefix=True)
    station.choose()
    station.process.set_execution("rtc")
    station.supervise()
    station.until(lambda: len(station.chunks) >= 2)
    assert len(station.chunks[0].version) <= 120 and station.chunks[0].version.isprintable()
    prefix = station.policy.requests[1].prefix
    assert prefix is not None and len(prefix.weights) <= 4 * H
    station.policy.answer = lambda request: PolicyAnswer(
        Scripted.good(request).actions, server_ns=10**18, uncertainty=-math.inf
    )
    count = len(station.chunks)
    station.until(lambda: len(station.chunks) >= count + 3)
    last = station.chunks[-1]
    assert 0 <= last.server_ns <= last.latency_ns and math.isnan(last.uncertainty)


def test_a_policy_that_dies_is_opened_anew(station: Station) -> None:
    station.choose()
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    station.policy.there = False
    station.until(lambda: station.status.state is PolicyState.FAULT)
    assert len(station.events("policy.fault")) == 1 and station.policy.closed >= 1
    count = len(station.chunks)
    station.policy.there = True
    station.until(lambda: len(station.chunks) > count)
    assert station.status.state is PolicyState.RUNNING and station.status.text == ""
    assert len(station.events("policy.loaded")) == 1  # as it was: not told anew


def test_a_policy_with_a_bug_is_a_fault_not_the_end(station: Station) -> None:
    station.policy.answer = lambda request: PolicyAnswer(request.observation["no such key"])
    station.choose()
    station.supervise()
    station.until(lambda: station.status.state is PolicyState.FAULT)
    assert "KeyError" in station.status.text
    station.policy.answer = Scripted.good
    station.until(lambda: len(station.chunks) >= 1)


def test_a_policy_that_hangs_is_left_behind_and_replaced(station: Station) -> None:
    station.choose()
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    gate, hanging = threading.Event(), threading.Event()

    def hang(request: PolicyRequest) -> PolicyAnswer:
        hanging.set()
        gate.wait(60.0)
        return Scripted.good(request)

    station.policy.answer = hang
    station.until(hanging.is_set)
    count = len(station.chunks)
    for _ in range(12):
        station.clock.advance(0.45)
        station.turn()
    assert station.status.state is PolicyState.RUNNING and "has not answered for" in station.status.text
    station.clock.advance(50.0)
    station.turn()
    assert station.status.state is PolicyState.FAULT and "hangs" in station.status.text
    assert not station.chunks[count:]
    station.policy.answer = Scripted.good
    station.until(lambda: len(station.chunks) > count)
    late = len(station.chunks)
    gate.set()  # what it says now is heard by nobody
    station.turn(3)
    assert all(chunk.start_policy_ns > station.policy_ns - NS_PER_S for chunk in station.chunks[late:])


def test_a_blind_comparison_hides_names_until_it_is_revealed(station: Station) -> None:
    station.other.facts = PolicyFacts(version="v9")
    with pytest.raises(PolicyError, match="A blind comparison is of two policies"):
        station.process.choose_blind(["mine", "mine"])
    station.process.choose_blind(["mine", "other"], seed=3)
    station.until(lambda: station.status.state is PolicyState.READY)
    labels: list[str] = []
    drove: list[str] = []
    station.supervise()
    for _ in range(6):
        count = len(station.chunks)
        station.recorder = RecorderState.RECORDING
        station.until(lambda count=count: len(station.chunks) >= count + 2)
        labels.append(station.status.label)
        drove.append(station.chunks[-1].policy)
        status = station.status
        assert (status.policy, status.title, status.version) == ("", "", "")
        station.recorder = RecorderState.IDLE
        station.turn(40)
    assert sorted(labels) == ["A"] * 3 + ["B"] * 3
    assert all(set(labels[i : i + 2]) == {"A", "B"} for i in (0, 2, 4))
    told = " ".join(event.text for _, event in station.said if isinstance(event, Event))
    fields = [event.fields for _, event in station.said if isinstance(event, Event)]
    assert "mine" not in told + str(fields) and "other" not in told + str(fields) and "v9" not in str(fields)
    names = station.process.reveal()["policies"]
    assert [names[label] for label in labels] == drove
    station.turn(50)
    assert station.status.policy in ("mine", "other")


def test_it_calls_for_help_once_when_nothing_moves(station: Station) -> None:
    station.choose()
    station.supervise()
    station.until(lambda: bool(station.events("autonomy.help")), ticks=6000)
    (event,) = station.events("autonomy.help")
    assert event.fields["kind"] == "stalled" and float(str(event.fields["score"])) >= 1.0
    assert event in station.to_control  # control holds, if it is set up so
    assert station.status.stalled_s > 5.0 and station.status.help >= 0.7
    station.turn(400)
    assert len(station.events("autonomy.help")) == 1


def test_another_policy_is_not_chosen_while_one_drives(station: Station) -> None:
    station.choose()
    station.supervise()
    station.until(lambda: len(station.chunks) >= 1)
    with pytest.raises(StationError, match="Pause it first"):
        station.process.choose("other")
    station.process.dismiss()
    station.turn()
    assert station.status.state is PolicyState.NONE
    station.until(lambda: station.policy.closed >= 1)
