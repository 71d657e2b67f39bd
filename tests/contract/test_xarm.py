"""UFACTORY arms: the vendor's SDK against an emulated controller in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from emulated_robot import Controller, free_hosts, make_arm, settle

from devices.followers import xarm
from devices.protocols import FollowerDriver
from devices.testing import FollowerContract
from teleop_app.core.errors import DeviceError

pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated")  # the SDK's own


@pytest.fixture
def controller() -> Iterator[Controller]:
    made = Controller("xarm")
    yield made
    made.stop()


def make(host: str, model: str = "xarm6", **options: object) -> FollowerDriver:
    return make_arm("xarm", host, model, **options)


@pytest.fixture
def arm(controller: Controller) -> Iterator[FollowerDriver]:
    made = make(controller.host, gripper="xarm")
    made.connect()
    yield made
    made.disconnect()


def test_targets_and_gripper_are_followed_and_hold_stops(controller: Controller, arm: FollowerDriver) -> None:
    assert np.allclose(arm.read().position, [0, 0, 0, 0, 0, 0, 1], atol=1e-3)
    target = np.array([0.2, -0.1, 0.1, 0.3, -0.2, 0.1, 0.4])
    assert np.allclose(settle(arm, target, 1.0), target, atol=0.02)
    settle(arm, target + np.eye(7)[0] * 1.5, 0.1)
    arm.hold()
    time.sleep(0.2)
    held = arm.read().position[0]
    time.sleep(0.2)
    assert 0.2 < held < 1.6
    assert arm.read().position[0] == pytest.approx(held, abs=1e-3)
    assert settle(arm, target, 1.0)[0] == pytest.approx(0.2, abs=0.02)


def test_an_error_is_told_and_forgiven(controller: Controller, arm: FollowerDriver) -> None:
    controller.say("error 31")
    with pytest.raises(DeviceError, match=r"has the error 31.*manual"):
        for _ in range(100):
            arm.read()
            time.sleep(0.01)
    with pytest.raises(DeviceError, match="has the error 31"):
        arm.connect()
    controller.say("clear")
    arm.connect()
    assert arm.read().position.shape == (7,)


def test_a_silent_controller_and_a_cut_cable_are_told(controller: Controller, arm: FollowerDriver) -> None:
    controller.say("unplug")
    with pytest.raises(DeviceError, match=r"The xArm at .* (does not tell|is not connected)"):
        for _ in range(200):
            arm.read()
            time.sleep(0.01)
    with pytest.raises(DeviceError, match=r"cannot be reached.*Check the address"):
        arm.connect()


def test_nobody_there_another_arm_and_wrong_targets_are_told(controller: Controller) -> None:
    with pytest.raises(DeviceError, match="cannot be reached"):
        make(next(free_hosts)).connect()
    with pytest.raises(DeviceError, match=r"has 6 joints, not 7.*Correct `model`"):
        make(controller.host, model="xarm7").connect()
    arm = make(controller.host)
    arm.connect()
    try:
        for bad in (np.full(7, np.inf), np.zeros(8)):
            with pytest.raises(DeviceError, match="refused a target"):
                arm.send(bad)
    finally:
        arm.disconnect()


def test_seven_joints() -> None:
    controller = Controller("xarm", "--joints", "7")
    arm = make(controller.host, model="xarm7")
    try:
        arm.connect()
        target = np.array([0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.3, 1.0])
        assert np.allclose(settle(arm, target, 0.6), target, atol=0.02)
    finally:
        arm.disconnect()
        controller.stop()


class TestXArmContract(FollowerContract):
    """The suite that drivers of third parties must pass."""

    driver = xarm.DRIVER
    options: dict[str, Any] = {"host": "127.0.0.9"}  # noqa: RUF012
    controller: Controller

    @classmethod
    def setup_class(cls) -> None:
        cls.controller = Controller("xarm")

    @classmethod
    def teardown_class(cls) -> None:
        cls.controller.stop()

    def make(self) -> FollowerDriver:
        return make(self.controller.host)

    def unplug(self) -> None:
        self.controller.say("unplug")
        self.controller.process.wait(10)

    def plug(self) -> None:
        host = self.controller.host
        self.controller.stop()
        TestXArmContract.controller = Controller("xarm", host=host)
