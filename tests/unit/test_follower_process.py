"""The follower process over its real rings and sockets, cycled by hand on a fake clock."""

from __future__ import annotations

import numpy as np
import pytest

from devices.followers.link import LinkedFollower, follower_link
from devices.protocols import FollowerState, Verification
from teleop_app.core.bus import Endpoints
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import ArmSection, LatencySection, StationConfig
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import Event
from teleop_app.station.follower import FollowerArm, FollowerProcess
from teleop_app.station.follower_guard import CATCH_UP, target_limits
from teleop_app.station.process import ProcessContext

NAMES = ("arm/one", "arm/two", "arm/gripper")
SPEED = 2.5
PERIOD_S = 0.01


class Servos:
    """A driver of an arm that goes where it is told at once, and remembers everything."""

    joint_names = NAMES
    rate_hz = 100.0

    def __init__(self, clock):
        self.clock = clock
        self.position = np.array([0.5, -0.2, 1.0])
        self.sent: list[np.ndarray] = []
        self.calls: list[str] = []
        self.fault: DeviceError | None = None

    def _answer(self, call):
        self.calls.append(call)
        if self.fault is not None:
            raise self.fault

    def connect(self):
        self._answer("connect")

    def read(self):
        self._answer("read")
        zeros = np.zeros(3)
        return FollowerState(self.position.copy(), zeros, zeros, self.clock.now_ns())

    def send(self, target):
        self._answer("send")
        assert np.isfinite(target).all()
        self.sent.append(target.copy())
        self.position = target.copy()

    def hold(self):
        self.calls.append("hold")

    def disconnect(self):
        self.calls.append("disconnect")


class Bench:
    """The process under test, control's end of the link, and what the station hears."""

    def __init__(self, folder, latency_ms=0.0):
        self.clock = FakeClock()
        box = {"workspace_min": [-1.0] * 3, "workspace_max": [1.0] * 3}
        config = StationConfig(
            arms=[ArmSection(name="arm", follower="servos", **box)],
            latencies=[LatencySection(stream="arm", latency_ms=latency_ms)],
        )
        endpoints = Endpoints(folder)
        self.context = ProcessContext(
            "follower-arm", config, DataDir(folder), endpoints, folder / "rings", self.clock
        )
        self.servos = Servos(self.clock)
        self.limits = target_limits([-1.5, -1.5], [1.5, 1.5], [9.0, SPEED], config.safety)
        self.control = LinkedFollower(
            folder / "rings", follower_link("arm"), "Arm 'arm'", NAMES, self.clock, Verification.EMULATOR
        )
        self.control.connect()
        self.published: list[object] = []
        self.process = self.start()

    def start(self):
        arm = FollowerArm("arm", "servos", NAMES, self.limits)
        process = FollowerProcess(self.context, self.servos, arm)
        process.open()
        process._publisher.send = lambda _topic, value: self.published.append(value)
        return process

    def turn(self, count=1, command=None):
        for _ in range(count):
            if command is not None:
                self.control.send(np.array(command))
            self.process.turn()
            self.clock.advance(1e-4)

    def follow(self, command):
        """Cycles until the arm is there."""
        for _ in range(1000):
            self.turn(1, command)
            if self.servos.sent and np.allclose(self.servos.position, command):
                return
        pytest.fail("the arm never came to its command")

    def close(self):
        self.process.close()
        self.control.disconnect()

    def text(self):
        return self.process.status()["text"]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


def test_the_arm_follows_and_control_sees_where_it_is(bench):
    bench.follow([0.6, -0.1, 0.5])
    state = bench.control.read()
    assert np.allclose(state.position, [0.6, -0.1, 0.5])
    assert bench.clock.now_ns() - state.capture_ns < 20e6
    status = bench.process.status()
    assert (status["state"], status["text"], status["driver"]) == ("following", "", "servos")
    assert status["values"]["arm/one"] == pytest.approx(0.6)
    assert 90 <= status["rate_hz"] <= 100 or len(bench.servos.sent) < 90


def test_nothing_is_sent_before_a_command_comes(bench):
    bench.turn(20)
    assert not bench.servos.sent
    assert bench.process.status()["state"] == "holding"


def test_the_watchdog_holds_the_arm_once_when_commands_stop(bench):
    bench.follow([0.6, -0.1, 0.5])
    sent = len(bench.servos.sent)
    bench.turn(9)
    assert "hold" not in bench.servos.calls, "90 ms are within the limit"
    bench.turn(30)
    assert bench.servos.calls.count("hold") == 1
    assert bench.text() == "Arm 'arm' holds: no command of control came."
    assert len(bench.servos.sent) == sent + 9
    bench.follow([0.6, -0.1, 0.5])
    assert bench.process.status()["state"] == "following"


def test_the_arm_never_jumps_to_a_command_far_away(bench):
    """Whatever control believes: the first commands after a pause move the arm slowly from where it is."""
    bench.turn(3)
    start = bench.servos.position.copy()
    bench.turn(40, [1.4, -0.2, 1.0])
    steps = np.diff([start, *bench.servos.sent], axis=0)
    assert np.abs(steps[:, :2]).max() <= CATCH_UP * SPEED * (PERIOD_S + 2e-3)
    assert bench.text().endswith("rad from its command and comes to it slowly.")
    bench.follow([1.4, -0.2, 1.0])


def test_a_moving_command_within_the_limits_passes_unchanged(bench):
    bench.follow([0.5, -0.2, 1.0])
    for number in range(1, 50):
        command = [0.5 + 0.9 * SPEED * PERIOD_S * number / 2, -0.2, 1.0]
        bench.turn(1, command)
        assert np.allclose(bench.servos.sent[-1], command)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ([np.nan, 0.0, 1.0], "A command that is not finite was refused; the arm holds"),
        ([0.5, np.inf, 1.0], "A command that is not finite was refused; the arm holds"),
        ([0.5, 1.7, 1.0], r"A command of 1.70 for joint 2 was refused (limits -1.50 to 1.50); the arm holds"),
        ([0.5, 0.0, 1.5], r"A command of 1.50 for joint 3 was refused (limits 0.00 to 1.00); the arm holds"),
    ],
)
def test_commands_that_make_no_sense_never_reach_the_arm(bench, command, sentence):
    bench.follow([0.5, -0.2, 1.0])
    before = len(bench.servos.sent)
    bench.control._sent += 1
    bench.control._commands.write(np.array(command), bench.clock.now_ns(), bench.control._sent)
    bench.turn(5)
    assert len(bench.servos.sent) == before
    assert sentence in bench.text()
    assert bench.servos.calls.count("hold") == 1
    assert bench.process.status()["refused"] >= 1


def test_an_arm_found_beyond_its_limits_may_come_back(bench):
    bench.servos.position = np.array([1.7, 0.0, 1.0])
    bench.follow([1.4, 0.0, 1.0])
    assert max(sent[0] for sent in bench.servos.sent) <= 1.7


def test_a_lost_arm_is_looked_for_every_second_and_held_where_it_is_found(bench):
    bench.follow([0.6, -0.1, 0.5])
    bench.servos.fault = DeviceError("The bus on /dev/ttyUSB0 does not answer", next_step="Check the cable")
    bench.turn(100, [0.6, -0.1, 0.5])
    told = "The bus on /dev/ttyUSB0 does not answer. Check the cable."
    assert (bench.process.status()["state"], bench.text()) == ("lost", told)
    age_ms = (bench.clock.now_ns() - bench.control.read().capture_ns) / 1e6
    assert age_ms > 500, "control sees no new state and reports the fault"
    bench.servos.calls.clear()
    bench.turn(300, [0.6, -0.1, 0.5])
    assert 2 <= bench.servos.calls.count("connect") <= 4
    bench.servos.position = np.array([0.1, 0.3, 0.5])  # somebody moved it
    bench.servos.fault, bench.servos.sent = None, []
    bench.turn(150, [0.6, -0.1, 0.5])
    assert bench.process.status()["lost"] == 1
    assert abs(bench.servos.sent[0][0] - 0.1) < 0.02, "it starts from where it is"
    events = [value for value in bench.published if isinstance(value, Event)]
    assert [event.kind for event in events] == ["follower.lost", "follower.back"]
    assert events[0].text == f"Arm 'arm' is lost and holds its place. {told}"


def test_single_failures_are_counted_and_do_not_lose_the_arm(bench):
    bench.follow([0.6, -0.1, 0.5])
    bench.servos.fault = DeviceError("Servo 3 did not answer")
    bench.turn(3, [0.6, -0.1, 0.5])
    bench.servos.fault = None
    bench.turn(3, [0.6, -0.1, 0.5])
    status = bench.process.status()
    assert (status["state"], status["errors"], status["lost"]) == ("following", 3.0, 0.0)


def test_a_position_that_is_not_finite_is_not_reported(bench):
    bench.follow([0.6, -0.1, 0.5])
    bench.servos.send = lambda target: None
    bench.servos.position = np.array([np.nan, 0.0, 0.0])
    bench.turn(60, [0.6, -0.1, 0.5])
    assert np.isfinite(bench.control.read().position).all()
    assert bench.text() == "Arm 'arm' reports a position that is not finite."


def test_the_calibrated_latency_is_subtracted(tmp_path):
    bench = Bench(tmp_path, latency_ms=25.0)
    bench.turn()
    assert bench.clock.now_ns() - bench.control.read().capture_ns >= 25e6
    bench.close()


def test_a_driver_of_other_joints_is_refused(tmp_path, bench):
    bench.process.close()
    bench.servos.joint_names = ("arm/one", "arm/gripper")
    with pytest.raises(ConfigError, match="'servos' does not fit the robot model of arm 'arm': it moves"):
        bench.start()


def test_at_the_end_the_arm_is_left_holding(bench):
    bench.follow([0.6, -0.1, 0.5])
    bench.process.close()
    assert bench.servos.calls[-2:] == ["hold", "disconnect"]
