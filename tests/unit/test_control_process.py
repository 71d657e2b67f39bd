"""The control process over its real sockets, ticked by hand on a fake clock."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from devices.followers.rings import VectorReader, VectorWriter, pack_state
from devices.protocols import FollowerState
from devices.sim.arms import ARMS
from devices.sim.link import COMMAND_RING, STATE_RING, sim_follower
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.control.cycle_timer import Cycle
from teleop_app.core.bus import CommandClient, Endpoints, Publisher, Subscriber
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AutonomyPhase,
    ControlTick,
    Event,
    InputSample,
    PolicyChunk,
    ProcessStatus,
)
from teleop_app.station.control import CHUNKS_A_TICK, ControlProcess
from teleop_app.station.process import ProcessContext

DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
HOME = np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])


class Station:
    """A control process in this one, with a client of each of its sockets."""

    def __init__(self, tmp_path):
        config = StationConfig()
        config.control.realtime_priority = 0
        self.clock = FakeClock()
        endpoints = Endpoints(tmp_path)
        context = ProcessContext(
            "control", config, DataDir(tmp_path), endpoints, tmp_path / "rings", self.clock
        )
        self.follower = sim_follower(context.rings, self.clock)
        loop = build_control_loop(config, DESCRIPTIONS, build_spec("primitive"), [self.follower], self.clock)
        self.process = ControlProcess(context, loop, [self.follower])
        self.process.open()
        self.physics = VectorWriter(context.rings, STATE_RING, 43)
        self.targets = VectorReader(context.rings, COMMAND_RING)
        self.heard = Subscriber([endpoints.publish("control")])
        self.hand = Publisher(endpoints.inputs(), connect=True)
        self.client = CommandClient(endpoints.command("control"), "control")
        self.position = HOME.copy()
        self.messages: list[tuple[str, object]] = []

    def turn(self):
        now_ns = self.clock.now_ns()
        self.physics.write(pack_state(0.0, self.position, 0 * HOME, 0 * HOME), now_ns, 1)
        self.process.turn(Cycle(now_ns, now_ns, 0))
        self.messages += self.heard.drain()
        self.clock.advance(0.005)

    def until(self, wanted, send=None):
        """Turn until a message is there; sockets need a moment to find each other."""
        for _ in range(2000):
            if send is not None:
                self.hand.send("input", send())
            self.turn()
            self.heard.wait(0.002)
            found = [value for topic, value in self.messages if wanted(topic, value)]
            if found:
                return found[-1]
        pytest.fail("the message never came")

    def call(self, command, **args):
        """A command is answered by the next turns."""
        answers: list[object] = []

        def ask():
            try:
                answers.append(self.client.call(command, timeout_s=20.0, **args))
            except Exception as error:
                answers.append(error)

        caller = threading.Thread(target=ask)
        caller.start()
        while caller.is_alive():
            self.turn()
            caller.join(0.002)
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    def close(self):
        self.process.close()
        self.process.close()
        for part in (self.heard, self.hand, self.client, self.physics, self.targets):
            part.close()


@pytest.fixture
def station(tmp_path):
    made = Station(tmp_path)
    yield made
    made.close()


def test_control_process_publishes_ticks_inputs_and_status(station):
    def sample():
        now_ns = station.clock.now_ns()
        return InputSample("vr", Actor.HUMAN, 0, now_ns, {"left": ArmInput(False)}, ("record",))

    heard = station.until(lambda topic, _: topic == "input", sample)
    assert heard.source == "vr"
    tick = station.until(lambda topic, value: topic == "tick" and value.sent_ns > 0)
    assert isinstance(tick, ControlTick)
    assert np.allclose(tick.sent, HOME)
    event = station.until(lambda topic, value: topic == "event" and value.kind == "input.button")
    assert event.fields == {"button": "record", "source": "vr"}
    status = station.until(lambda topic, value: topic == "status" and "rate_hz" in value.metrics)
    assert isinstance(status, ProcessStatus)
    assert status.metrics["realtime"] == 0.0
    assert "realtime_priority is 0" in status.text
    assert status.metrics["rate_hz"] == pytest.approx(200.0)


def test_control_process_commands(station):
    station.turn()
    assert station.call("estop", reason="test")["estopped"] is True
    assert station.call("status")["state"] == "estop"
    assert station.call("reset_estop")["estopped"] is False
    assert station.call("release") == {}
    assert station.call("set_mapping", scale=2.0)["scale"] == 2.0
    assert station.call("set_mapping", yaw_deg=10.0)["scale"] == 2.0
    with pytest.raises(ConfigError, match=r"The mapping was not changed: scale: .*given 99"):
        station.call("set_mapping", scale=99)
    station.position[1] += 0.05
    station.call("home")
    station.until(lambda topic, value: topic == "event" and value.kind == "control.homed")


def chunk(station, number, policy_ns, actions=HOME):
    now_ns = station.clock.now_ns()
    rows = np.tile(actions, (16, 1))
    return PolicyChunk("toy", "1", number, now_ns, now_ns, policy_ns, 50_000_000, rows, ("left", "right"))


def test_control_process_lets_a_policy_drive_and_hears_its_call_for_help(station):
    station.turn()
    with pytest.raises(StationError, match="There is no mode 'yolo'. Choose one of: manual, supervised"):
        station.call("authority", mode="yolo")
    with pytest.raises(StationError, match="the mode is manual"):
        station.call("resume")
    assert station.call("authority", mode="supervised")["phase"] == "return"
    numbers = iter(range(1, 10**6))

    def ask():
        ticks = [value for topic, value in station.messages if topic == "tick" and value.autonomy]
        station.messages.clear()
        policy_ns = ticks[-1].autonomy.policy_ns if ticks else 0
        station.hand.send("chunk", chunk(station, next(numbers), policy_ns))
        return InputSample("vr", Actor.HUMAN, 0, station.clock.now_ns(), {"left": ArmInput(False)})

    tick = station.until(lambda topic, value: topic == "tick" and value.actor is Actor.POLICY, ask)
    assert (tick.source, tick.autonomy.phase) == ("policy", AutonomyPhase.POLICY)
    assert station.call("status")["autonomy"]["mode"] == "supervised"
    assert station.call("set_policy_speed", speed=0.5)["speed"] == 0.5
    assert station.call("set_blend", alpha=0.25)["blend"] == 0.25
    for command, fields in (("set_policy_speed", {"speed": 7}), ("set_blend", {"alpha": "all"})):
        with pytest.raises(StationError, match="lies between|must be a number"):
            station.call(command, **fields)
    station.until(lambda topic, value: topic == "tick" and value.actor is Actor.POLICY, ask)
    station.hand.send("event", Event("autonomy.help", 0, "policy", "", {"kind": "stall", "score": 2.0}))
    held = station.until(
        lambda topic, value: (
            topic == "event" and value.kind == "autonomy.hold" and "asks for help" in value.text
        ),
        lambda: InputSample("vr", Actor.HUMAN, 0, station.clock.now_ns(), {"left": ArmInput(False)}),
    )
    assert "(stall)" in held.text
    assert station.call("pause")["mode"] == "paused"
    with pytest.raises(StationError, match="it has not moved"):
        station.call("rewind")
    with pytest.raises(StationError, match="Nobody has taken over"):
        station.call("takeover_reason", reason="grasp")
    with pytest.raises(StationError, match="Nobody has taken over"):
        station.call("mark_phase", phase="recover")
    assert station.call("authority", mode="manual")["phase"] == "idle"


def test_a_flood_of_chunks_is_bounded_and_does_not_hold_up_the_ticks(station):
    station.turn()
    station.until(
        lambda topic, _: topic == "input",
        lambda: InputSample("vr", Actor.HUMAN, 0, station.clock.now_ns(), {"left": ArmInput(False)}),
    )
    taken = []
    station.process._loop.policy.offer = lambda value, _now: taken.append(value.chunk)
    for number in range(1, 61):
        station.hand.send("chunk", chunk(station, number, 0, HOME + np.nan))
    for _ in range(400):
        before = len(taken)
        station.turn()
        assert len(taken) - before <= CHUNKS_A_TICK
        if len(taken) > 0 and len(taken) == before:
            break
        station.heard.wait(0.002)
    assert taken


def test_control_process_commands_of_the_mapping(station):
    def hand(clutch, x, capture_ns):
        pose = np.array([x, 0.0, 0.0, 1.0, 0, 0, 0])
        return InputSample("vr", Actor.HUMAN, 0, capture_ns, {"left": ArmInput(clutch, pose=pose)})

    station.turn()
    station.until(lambda topic, _: topic == "input", lambda: hand(False, 0.0, station.clock.now_ns()))
    assert station.call("watch_mapping", seconds=60.0) == {}
    assert station.call("calibrate_yaw_start", source="vr", arm="left", ahead_deg=90.0) == {}
    steps = iter(range(10**6))
    batch = station.until(
        lambda topic, _: topic == "batch/vr/left/mapping",
        lambda: hand(True, 0.002 * next(steps), station.clock.now_ns()),
    )
    assert batch.values.shape[1] == 6
    setup = next(value for topic, value in station.messages if topic == "stream")
    assert (setup.name, setup.values[0]) == ("vr/left/mapping", "raw_x")
    for _ in range(200):
        station.hand.send("input", hand(True, 0.002 * next(steps), station.clock.now_ns()))
        station.turn()
    assert station.call("calibrate_yaw_finish")["yaw_deg"] == pytest.approx(90.0)
    with pytest.raises(StationError, match="The yaw is not being calibrated"):
        station.call("calibrate_yaw_finish")
    station.call("release")
    station.until(lambda topic, value: topic == "tick" and not any(value.engaged))
    assert station.call("nudge", arm="right", axis="z", sign=1) == {}
    with pytest.raises(StationError, match="There is no arm 'middle'. Arms: left, right"):
        station.call("nudge", arm="middle", axis="z", sign=1)


def test_control_process_commands_the_ring(station):
    station.turn()
    target, _ = station.targets.latest()
    assert np.allclose(target, HOME)


def test_sim_follower_refuses_before_it_is_connected(tmp_path):
    follower = sim_follower(tmp_path, FakeClock())
    assert follower.read() is None
    with pytest.raises(DeviceError, match="not connected"):
        follower.send(HOME)


def test_sim_follower_reads_what_physics_wrote_and_refuses_nonsense(tmp_path):
    follower = sim_follower(tmp_path, FakeClock())
    follower.connect()
    follower.connect()
    assert follower.read() is None
    physics = VectorWriter(tmp_path, STATE_RING, 43)
    physics.write(pack_state(1.0, HOME, 2 * HOME, 3 * HOME), 77, 5)
    state = follower.read()
    assert isinstance(state, FollowerState)
    assert state.capture_ns == 77
    assert np.allclose(state.effort, 3 * HOME)
    for bad in (np.zeros(3), np.full(14, np.nan)):
        with pytest.raises(DeviceError, match="refused a target"):
            follower.send(bad)
    follower.disconnect()
    follower.disconnect()
    physics.close()
