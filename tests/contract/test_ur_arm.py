"""Universal Robots arms: the vendor's client against an emulated controller, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulated_robot import Controller, free_hosts, make_arm, settle

from devices.emulators.ur_wire import Package, PackageReader, pack_values, package, unpack_values
from devices.followers import ur
from devices.protocols import FollowerDriver
from devices.testing import FollowerContract, run_contract
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.errors import ConfigError, DeviceError

pytest.importorskip("rtde_control", reason="ur-rtde has no wheel for this machine")
HOME = np.array([0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0])
WAIST = np.array([1.5, 0.0, 0.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def controller() -> Iterator[Controller]:
    made = Controller("ur")
    yield made
    made.stop()


def make(host: str, model: str = "ur5e", **options: object) -> FollowerDriver:
    return make_arm("ur", host, model, **options)


@pytest.fixture(scope="module")
def linked(controller: Controller) -> Iterator[FollowerDriver]:
    made = make(controller.host)
    made.connect()
    yield made
    made.disconnect()


@pytest.fixture
def arm(controller: Controller, linked: FollowerDriver) -> FollowerDriver:
    """At home and at rest; the vendor's client takes a second to let go, so all tests share one."""
    controller.say("clear")
    try:
        linked.hold()
        controller.say("q " + " ".join(f"{joint}" for joint in HOME))
        until = time.monotonic() + 3
        while not np.allclose(linked.read().position[:6], HOME, atol=1e-6):
            assert time.monotonic() < until
            time.sleep(0.01)
    except DeviceError:
        linked.connect()
    return linked


def read_until_error(arm: FollowerDriver, seconds: float = 3.0) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            arm.read()
        except DeviceError as error:
            return error.sentence
        time.sleep(0.01)
    raise AssertionError("no error was told")


def test_connecting_moves_nothing_and_targets_are_reached(arm: FollowerDriver) -> None:
    assert np.allclose(arm.read().position[:6], HOME, atol=1e-6)
    target = np.append(HOME + np.array([0.2, 0.1, -0.1, 0.05, 0.0, -0.2]), 1.0)
    assert np.allclose(settle(arm, target, 1.0)[:6], target[:6], atol=0.02)
    state = arm.read()
    assert 0 <= MonotonicClock().now_ns() - state.capture_ns < 500_000_000
    assert state.velocity.shape == state.effort.shape == (7,)


def test_hold_stops_where_the_arm_is_and_commands_go_on_afterwards(arm: FollowerDriver) -> None:
    far = np.append(HOME + WAIST, 1.0)
    settle(arm, far, 0.2)
    arm.hold()
    time.sleep(0.05)
    first = last = arm.read().position[0]
    for _ in range(30):  # longer than the controller's watchdog allows without a kick
        time.sleep(0.01)
        last = arm.read().position[0]
    assert 0.1 < first < 1.4 and abs(last - first) < 1e-6
    assert settle(arm, far, 0.3)[0] > first + 0.2


def test_the_controller_stops_the_arm_when_this_process_falls_silent(arm: FollowerDriver) -> None:
    settle(arm, np.append(HOME + WAIST, 1.0), 0.1)
    time.sleep(0.4)  # neither sends nor reads
    with pytest.raises(DeviceError, match="did not take a target: its control program does not run"):
        for _ in range(20):
            arm.send(np.append(HOME, 1.0))
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("protective", "in a protective stop"), ("estop", "an emergency stop")],
)
def test_stops_at_the_robot_are_told_and_forgiven(
    controller: Controller, arm: FollowerDriver, word: str, sentence: str
) -> None:
    controller.say(word)
    assert sentence in read_until_error(arm)
    with pytest.raises(DeviceError, match="Clear it on the pendant"):
        arm.connect()
    controller.say("clear")
    time.sleep(0.1)
    arm.connect()
    assert np.allclose(arm.read().position[:6], HOME, atol=1e-6)


def test_local_control_is_told(controller: Controller) -> None:
    controller.say("local")
    time.sleep(0.1)
    with pytest.raises(DeviceError, match="enable remote control"):
        make(controller.host).connect()
    controller.say("remote")


def test_nobody_there_is_told_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(DeviceError, match=r"cannot be reached on port 30004.*Check the address"):
        make(next(free_hosts)).connect()
    assert time.monotonic() - started < 3


def test_what_is_not_finite_or_not_of_its_shape_is_refused(arm: FollowerDriver) -> None:
    for bad in (np.full(7, np.nan), np.zeros(6)):
        with pytest.raises(DeviceError, match="refused a target"):
            arm.send(bad)


def test_a_model_of_another_arm_and_unknown_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="has 7 joints, not 6"):
        make("127.0.0.9", model="xarm7")
    with pytest.raises(ConfigError, match="rate_hz"):
        make("127.0.0.9", rate_hz=5000)


def test_the_robotiq_gripper_follows(controller: Controller) -> None:
    arm = make(controller.host, gripper="robotiq")
    arm.connect()
    try:
        assert arm.read().position[6] == pytest.approx(1.0, abs=0.01)
        assert settle(arm, np.append(HOME, 0.0), 1.2)[6] < 0.05
        assert settle(arm, np.append(HOME, 0.5), 1.0)[6] == pytest.approx(0.5, abs=0.03)
    finally:
        arm.disconnect()


@pytest.mark.parametrize(
    ("word", "sentence"), [("mute", "is silent: no new state for"), ("unplug", "The UR arm at ")]
)
def test_a_lost_controller_is_told(word: str, sentence: str) -> None:
    """In a process of its own, as in a station: the vendor's client may die of it, after our sentence."""
    controller = Controller("ur")
    program = f"""
import importlib.util, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
spec = importlib.util.spec_from_file_location("here", {__file__!r})
here = importlib.util.module_from_spec(spec)
spec.loader.exec_module(here)
arm = here.make({controller.host!r})
arm.connect()
arm.read()
print("READY", flush=True)
sys.stdin.readline()
print("SAID", here.read_until_error(arm), flush=True)
os._exit(0)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        while "READY" not in child.stdout.readline():
            assert child.poll() is None
        controller.say(word)
        child.stdin.close()
        said = child.stdout.read()
        assert "SAID The UR arm at" in said and sentence in said, said
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        controller.stop()


class _Linked:
    """The driver itself, connected already: it stays so between the checks."""

    def __init__(self, arm: FollowerDriver) -> None:
        self.joint_names, self.rate_hz = arm.joint_names, arm.rate_hz
        self.read, self.send, self.hold = arm.read, arm.send, arm.hold

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...


class _UrContract(FollowerContract):
    driver = ur.DRIVER
    options: dict[str, Any] = {"host": "127.0.0.9"}  # noqa: RUF012

    def __init__(self, arm: FollowerDriver) -> None:
        self.arm = arm

    def make(self) -> FollowerDriver:
        return _Linked(self.arm)


def test_it_passes_the_suite_for_drivers_but_for_what_the_tests_above_take_apart(arm: FollowerDriver) -> None:
    """Connecting, holding and losing the controller are above: the vendor's client is slow to let go."""
    checks = (
        "test_the_driver_describes_itself",
        "test_unknown_options_are_refused",
        "test_options_that_are_not_finite_are_refused",
        "test_discovery_offers_options_that_exist",
        "test_its_joints_are_named",
        "test_states_are_sound",
        "test_it_follows",
        "test_targets_of_another_size_are_refused",
    )
    assert run_contract(_UrContract(arm), checks) == {}


def test_packages_survive_any_cutting() -> None:
    sent = package(Package.START) + package(Package.DATA, b"\x01" + pack_values(["DOUBLE"], [1.5]))
    for at in range(len(sent)):
        reader = PackageReader()
        found = [*reader.feed(sent[:at]), *reader.feed(sent[at:])]
        assert [kind for kind, _ in found] == [Package.START, Package.DATA]
        assert unpack_values(["DOUBLE"], found[1][1][1:]) == [1.5]
