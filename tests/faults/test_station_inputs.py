"""Hostile, frozen and stopping inputs against a real station: nothing moves that must not, nobody dies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from recorders.reader import EpisodeReader
from teleop_app.core.bus import Publisher
from teleop_app.core.codec import encode
from teleop_app.core.types import Actor, ArmInput, ControlState, InputSample, SafetyFlag

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

REST = ArmInput(clutch=False, twist=np.zeros(6))
STILL_RAD_S = 1e-6
UP = np.array([0.0, 0.0, 0.03, 0.0, 0.0, 0.0])


class Hand:
    """A sender of input samples, well-behaved or not, at a rate of its own."""

    def __init__(self, station: Any, source: str, actor: Actor = Actor.HUMAN) -> None:
        self.source, self.actor = source, actor
        self.seq = 0
        self.publisher = Publisher(station.client.endpoints.inputs(), connect=True, queue=2000)
        self._arms: dict[str, ArmInput] | None = None
        self._buttons: tuple[str, ...] = ()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def sample(self, arms: dict[str, ArmInput], buttons: tuple[str, ...] = (), **fields: Any) -> InputSample:
        self.seq += 1
        given = {"capture_ns": time.monotonic_ns(), "seq": self.seq, **fields}
        return InputSample(
            source=self.source,
            actor=self.actor,
            seq=given["seq"],
            capture_ns=given["capture_ns"],
            arms=arms,
            buttons=buttons,
        )

    def send(self, arms: dict[str, ArmInput], buttons: tuple[str, ...] = (), **fields: Any) -> None:
        self.publisher.send("input", self.sample(arms, buttons, **fields))

    def hold(self, arms: dict[str, ArmInput] | None, buttons: tuple[str, ...] = ()) -> None:
        """Send this 100 times a second from now on; None falls silent."""
        self._arms, self._buttons = arms, buttons
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._ending.wait(0.01):
            if self._arms is not None:
                self.send(self._arms, self._buttons)

    def close(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self.publisher.close()


@pytest.fixture
def hand(station: Any) -> Iterator[Callable[..., Hand]]:
    """Makes senders that end with the test, with every arm let go."""
    made: list[Hand] = []

    def make(source: str, actor: Actor = Actor.HUMAN) -> Hand:
        made.append(Hand(station, source, actor))
        return made[-1]

    yield make
    for each in made:
        each.close()
    station.call("control", "release")
    station.next_tick(lambda tick: not any(tick.engaged))


def engage(station: Any, each: Hand, arms: dict[str, ArmInput]) -> None:
    """Let go, then hold the clutch: an edge, as a person makes it."""
    each.hold({name: REST for name in arms})
    station.watch(0.2)
    each.hold(arms)
    station.next_tick(lambda tick: tick.source == each.source and any(tick.engaged))


def drives(station: Any, each: Hand) -> None:
    """A well-behaved input engages, moves the left arm up, and lets go.

    On a machine so busy that the samples of this process come late, it is held; then it engages again.
    """
    before = station.next_tick(lambda tick: True).sent
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        engage(station, each, {"left": ArmInput(clutch=True, twist=UP)})
        if any(np.abs(tick.sent - before).max() > 0.02 for tick in station.watch(1.0)):
            break
    else:
        pytest.fail(f"{each.source} could not drive")
    each.hold({"left": REST})
    station.next_tick(lambda tick: not any(tick.engaged))


def bad_pose(value: float) -> np.ndarray:
    return np.array([value, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])


POSE = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
HOSTILE_ARMS = {
    "NaN pose": {"left": ArmInput(True, pose=bad_pose(np.nan))},
    "all NaN": {
        "left": ArmInput(True, pose=np.full(7, np.nan)),
        "right": ArmInput(True, twist=np.full(6, np.nan)),
    },
    "infinite twist": {"left": ArmInput(True, twist=np.array([np.inf, 0, 0, 0, -np.inf, 0.0]))},
    "huge twist": {"left": ArmInput(True, twist=np.full(6, 1e300))},
    "short pose": {"left": ArmInput(True, pose=np.zeros(3))},
    "no quaternion": {"left": ArmInput(True, pose=np.zeros(7))},
    "pose of pictures": {"left": ArmInput(True, pose=np.zeros((7, 7)))},
    "empty twist": {"left": ArmInput(True, twist=np.zeros(0))},
    "long joints": {"left": ArmInput(True, joints=np.zeros(100))},
    "NaN joints": {"right": ArmInput(True, joints=np.full(6, np.nan))},
    "no number": {"left": ArmInput(True, twist=np.array(3.0))},
    "NaN gripper": {"left": ArmInput(True, twist=np.zeros(6), gripper=float("nan"))},
    "infinite gripper": {"left": ArmInput(True, pose=POSE, gripper=float("inf"))},
    "unknown arms": {
        "third": ArmInput(True, twist=np.ones(6)),
        "../left": ArmInput(True, twist=np.ones(6)),
        "": REST,
    },
    "truths as pose": {"left": ArmInput(True, pose=np.array([0, 0, 0, 1, 0, 0, 0], bool))},
    "not valid": {"left": ArmInput(True, valid=False, twist=np.ones(6))},
    "large": {"left": ArmInput(True, joints=np.zeros(100_000))},
}


def test_numbers_that_are_no_input_move_nothing_and_are_flagged(
    station: Any, hand: Callable[..., Hand], faults: Any
) -> None:
    pids = station.pids()
    station.open_session()
    station.start_recording(1, driven=False)
    station.forget()
    sent = station.next_tick(lambda tick: True).sent
    for number, (name, arms) in enumerate(HOSTILE_ARMS.items()):
        each = hand(f"hostile-{number}")
        each.send(dict.fromkeys(("left", "right"), REST))
        for _ in range(20):
            each.send(dict.fromkeys(("left", "right"), REST))
            each.send(arms)
            station.look(0.005)
        ticks = station.watch(0.05)
        assert all(np.array_equal(tick.sent, sent) for tick in ticks), name
    flags = 0
    for tick in station.seen_ticks():
        flags |= tick.flags
    assert flags & SafetyFlag.NON_FINITE
    assert station.pids() == pids, "no process died"
    done = station.call("recorder", "stop")
    with EpisodeReader(Path(done["path"])) as reader:
        assert reader.footer is not None and reader.footer.counts["/input"] > 50
    station.call("recorder", "save")
    drives(station, hand("keyboard"))
    assert faults.store_problems(station.data) == []


def test_bytes_that_are_no_message_are_counted_and_do_no_harm(
    station: Any, hand: Callable[..., Hand], faults: Any
) -> None:
    pids = station.pids()
    station.open_session()
    station.start_recording(2, driven=False)
    sent = station.next_tick(lambda tick: True).sent
    each = hand("garbage")
    socket = each.publisher._socket
    draw = random.Random(7)
    good = encode(each.sample({"left": ArmInput(True, twist=UP)}))
    station.watch(0.2)
    for number in range(300):
        cut = good[: draw.randrange(len(good))]
        flipped = bytearray(good)
        flipped[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        for payload in (draw.randbytes(draw.randrange(60)), cut, bytes(flipped)):
            socket.send_multipart((b"input", payload))
        socket.send_multipart((b"input",) if number % 2 else (b"input", good, good))
        if number % 20 == 0:
            station.look(0.005)
    fields: dict[str, Any] = {"source": "x", "actor": "human", "seq": 1, "capture_ns": 1, "arms": {}}
    arm: dict[str, Any] = {"clutch": True}
    for changes in (
        {"capture_ns": 2**64 - 1},
        {"capture_ns": -1},
        {"seq": -(2**63), "capture_ns": time.monotonic_ns()},
        {"arms": {b"left": ["ArmInput", arm]}, "capture_ns": time.monotonic_ns()},
        {"buttons": [b"record"]},
        {"actor": "policy", "arms": {"left": ["ArmInput", arm]}},
        {"actor": "none"},
        {"source": "\u0000\n" * 1000, "capture_ns": time.monotonic_ns()},
        {"device_ns": -5, "capture_ns": time.monotonic_ns()},
    ):
        socket.send_multipart((b"input", msgpack.packb(["InputSample", {**fields, **changes}])))
        station.look(0.01)
    socket.send_multipart((b"input", b"\xc1" * (17 << 20)))  # larger than any message: the peer is dropped
    ticks = station.watch(0.3)
    assert all(np.array_equal(tick.sent, sent) for tick in ticks)
    malformed = station.call("control", "status")["metrics"]["malformed"]
    assert malformed > 300
    assert station.pids() == pids
    done = station.call("recorder", "stop")
    assert Path(done["path"]).is_file()
    station.call("recorder", "save")
    drives(station, hand("keyboard-2"))
    assert faults.store_problems(station.data) == []


def test_whoever_claims_to_be_a_policy_moves_nothing(station: Any, hand: Callable[..., Hand]) -> None:
    known = hand("chameleon")
    known.hold({"left": REST})
    station.watch(0.1)
    sent = station.next_tick(lambda tick: True).sent
    for actor in (Actor.POLICY, Actor.NONE):
        known.actor = actor
        for clutch in (False, True):
            known.hold({"left": ArmInput(clutch, twist=UP)})
            ticks = station.watch(0.2)
            assert all(np.array_equal(tick.sent, sent) and not any(tick.engaged) for tick in ticks)


def test_a_flood_slows_nobody_down_and_a_person_still_drives(station: Any, hand: Callable[..., Hand]) -> None:
    pids = station.pids()
    flood = hand("flood", Actor.SCRIPT)
    sent = station.next_tick(lambda tick: True).sent
    began, count = time.monotonic(), 0
    while (passed := time.monotonic() - began) < 1.5:
        while count < passed * 1000:
            flood.send({"left": ArmInput(True, twist=UP)})  # a clutch that was never seen released
            count += 1
        station.look(0.002)
    assert count > 1400
    assert all(np.array_equal(tick.sent, sent) for tick in station.watch(0.1))
    for number in range(60):
        other = flood.sample({"left": REST})
        flood.publisher.send("input", InputSample(f"made-up-{number}", other.actor, 1, other.capture_ns, {}))
    assert station.pids() == pids
    drives(station, hand("keyboard-3"))


def ramp_s(config: Any) -> float:
    """How long a ramped stop may take: speed / acceleration + acceleration / jerk, and two ticks."""
    safety = config.safety
    ramp = safety.max_joint_velocity_rad_s / safety.max_joint_acceleration_rad_s2
    ramp += safety.max_joint_acceleration_rad_s2 / safety.max_joint_jerk_rad_s3
    return ramp + 2 / config.control.rate_hz


def assert_stops(ticks: list[Any], from_ns: int, within_s: float, faults: Any) -> None:
    """What is sent moves at first, comes to rest within a time after `from_ns`, and stays there.

    Judged by the ticks' own times, so that a busy machine that ticks late does not change the result.
    """
    speed = faults.speeds(ticks)
    moving = np.flatnonzero(speed > STILL_RAD_S)
    assert len(moving), "it never moved"
    last_ns = ticks[int(moving[-1]) + 1].tick_ns
    late = max((b.tick_ns - a.tick_ns for a, b in pairwise(ticks)), default=0)
    assert last_ns - from_ns <= within_s * 1e9 + 3 * late


def test_an_input_that_falls_silent_is_held_and_only_a_new_edge_moves_again(
    station: Any, hand: Callable[..., Hand], faults: Any
) -> None:
    config = faults.light_config()
    each = hand("tracker")
    moving = {"left": ArmInput(clutch=True, twist=UP)}
    engage(station, each, moving)
    station.forget()
    station.watch(0.5)
    before = list(station.seen_ticks())
    each.hold(None)
    silent_ns = time.monotonic_ns()
    ticks = before + station.watch(1.5)
    held = next(tick for tick in ticks if tick.state is ControlState.HOLD)
    assert "Arm 'left' is held: no good input from 'tracker' since" in held.reason
    assert held.tick_ns - held.input_capture_ns > config.safety.stale_hold_ms * 1e6
    last_ns = max(tick.input_capture_ns for tick in ticks)
    assert last_ns <= silent_ns
    assert_stops(ticks, last_ns, config.safety.stale_hold_ms / 1e3 + ramp_s(config), faults)
    lost = station.event("safety.hold")
    assert "held" in lost.text
    stalled = any(tick.state is ControlState.FAULT for tick in ticks)  # physics starved on a busy machine
    assert stalled or "Let go of the clutch, then engage again to resume." in ticks[-1].reason
    # Longer than the release time: what is still held down does not go on.
    each.hold(moving)
    sent = station.next_tick(lambda tick: True).sent
    assert all(np.array_equal(tick.sent, sent) and not any(tick.engaged) for tick in station.watch(0.4))
    drives(station, each)


SENDER = """
import sys, time
import numpy as np
from pathlib import Path
from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.types import Actor, ArmInput, InputSample
hand = Publisher(Endpoints(Path(sys.argv[1])).inputs(), connect=True)
began = time.monotonic()
seq = 0
while True:
    seq += 1
    clutch = time.monotonic() - began > 0.5
    arm = ArmInput(clutch, twist=np.array([0, 0, 0.03, 0, 0, 0.0]))
    hand.send("input", InputSample("frozen", Actor.HUMAN, seq, time.monotonic_ns(), {"left": arm}))
    time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP")
def test_a_frozen_sender_is_held_and_does_not_go_on_when_it_thaws(station: Any, faults: Any) -> None:
    config = faults.light_config()
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(station.data.run_dir())])
    try:
        station.next_tick(lambda tick: tick.source == "frozen" and any(tick.engaged))
        moved = station.watch(0.5)
        os.kill(sender.pid, signal.SIGSTOP)
        ticks = moved + station.watch(1.2)
        last_ns = max(tick.input_capture_ns for tick in ticks)
        assert_stops(ticks, last_ns, config.safety.stale_hold_ms / 1e3 + ramp_s(config), faults)
        stalled = any(tick.state is ControlState.FAULT for tick in ticks)  # physics starved on a busy machine
        assert stalled or "'frozen' was lost" in ticks[-1].reason
        sent = ticks[-1].sent
        os.kill(sender.pid, signal.SIGCONT)
        thawed = station.watch(0.6)
        assert all(np.array_equal(tick.sent, sent) for tick in thawed)
        assert not any(tick.state is ControlState.ENGAGED for tick in thawed)
    finally:
        sender.kill()
        sender.wait()
    station.call("control", "release")
    station.next_tick(lambda tick: tick.state is ControlState.IDLE)


def test_an_estop_of_a_client_stops_the_scripted_operator_and_the_recording_goes_on(
    station: Any, hand: Callable[..., Hand], faults: Any
) -> None:
    config = faults.light_config()
    station.open_session()
    episode = station.start_recording(9)
    station.next_tick(lambda tick: np.abs(tick.measured_velocity).max() > 0.1)
    station.forget()
    station.watch(0.3)
    asked_ns = time.monotonic_ns()
    station.call("control", "estop", reason="pressed in the test")
    station.watch(1.0)
    ticks = station.seen_ticks()
    latched = next(tick for tick in ticks if tick.state is ControlState.ESTOP)
    assert latched.reason == "E-stop pressed in the test. Reset it, then engage anew."
    assert_stops(ticks, max(asked_ns, latched.tick_ns), ramp_s(config), faults)
    limit = config.safety.max_joint_acceleration_rad_s2
    assert faults.speeds(ticks).max() < config.safety.max_joint_velocity_rad_s + 0.1, "ramped, not cut off"
    assert limit > 0 and ticks[-1].state is ControlState.ESTOP and not any(ticks[-1].engaged)
    assert station.event("safety.estop").fields == {"reason": "pressed in the test"}
    # Latched: neither the operator nor a person moves anything.
    station.call("operator", "go", now=True)
    person = hand("keyboard-4")
    for clutch in (False, True):
        person.hold({"left": ArmInput(clutch, twist=UP)})
        assert all(np.array_equal(tick.sent, ticks[-1].sent) for tick in station.watch(0.3))
    assert station.call("recorder", "status")["state"] == "recording"
    station.call("operator", "halt")
    # Reset alone moves nothing, though the clutch is still held.
    station.call("control", "reset_estop")
    after = station.watch(0.4)
    assert after[-1].state is not ControlState.ESTOP
    assert all(np.array_equal(tick.sent, ticks[-1].sent) for tick in after)
    drives(station, person)
    done = station.stop_recording()
    assert done["episode"] == episode
    with EpisodeReader(Path(done["path"])) as reader:
        assert {"safety.estop", "safety.estop_reset"} <= {event.kind for event in reader.events()}
        assert "estop" in reader.ticks().state
    station.call("recorder", "save")
    station.records_normally()
    assert faults.store_problems(station.data) == []
