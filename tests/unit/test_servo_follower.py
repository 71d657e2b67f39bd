"""Follower arms of servos: the vendors' SDKs against emulated servos on a pseudo-terminal.

What every follower must do (holding, unplugging, refusing) is in tests/contract/test_device_contracts.py.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.emulators.arms import DYNAMIXEL_ARMS, FEETECH_ARMS
from devices.emulators.pty_port import Reply
from devices.emulators.servo_arm import EmulatedArm
from devices.followers.servo_arm import ServoArm
from devices.models.library import robot_model
from devices.registry import make_device
from teleop_app.core.calibration import ArmCalibration, CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError

ARMS = {
    "so101": ("feetech", FEETECH_ARMS["so101"]),
    "viperx": ("dynamixel", DYNAMIXEL_ARMS["viperx"]),
}
PATIENCE_S = 5.0


class Rig:
    """An emulated follower and its driver."""

    def __init__(self, layout: str, folder: Path) -> None:
        self.driver, models = ARMS[layout]
        self.arm = EmulatedArm(layout, models, folder / "follower")
        self.store = CalibrationStore(folder / "calibrations")
        self.store.save(self.arm.calibration("F1", self.driver))
        self.n = len(self.arm.layout.joints)

    def follower(self, **options: object) -> ServoArm:
        context = DeviceContext("left", ("left",), StationConfig(), self.store, MonotonicClock())
        given = {"port": self.arm.port.path, "serial": "F1", "layout": self.arm.layout.name}
        return make_device(DriverKind.FOLLOWER, self.driver, context, given | options)

    def reach(self, follower: ServoArm, q: np.ndarray) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            follower.send(q)
            if np.abs(follower.read().position - q).max() < 5e-3:
                return
        raise AssertionError(f"at {follower.read().position}, not {q}")


@pytest.fixture(params=["so101", "viperx"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(request.param, tmp_path)
    with rig.arm.port:
        yield rig


@pytest.fixture
def viperx(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig("viperx", tmp_path)
    with rig.arm.port:
        yield rig


@pytest.fixture
def connected(rig: Rig) -> Iterator[ServoArm]:
    follower = rig.follower()
    follower.connect()
    yield follower
    follower.disconnect()


def test_its_joints_are_those_of_the_robot_model(rig: Rig) -> None:
    model = robot_model(rig.arm.layout.model)
    assert rig.follower().joint_names == (*(f"left/{name}" for name in model.joint_names), "left/gripper")


def test_connecting_holds_the_arm_where_it_is(rig: Rig) -> None:
    q = np.array([*np.linspace(-0.5, 0.7, rig.n - 1), 0.4])
    rig.arm.pose(q)
    follower = rig.follower()
    assert not rig.arm.torque_on
    follower.connect()
    for _ in range(10):
        follower.read()
        assert np.allclose(rig.arm.q, q, atol=2e-3)
    assert rig.arm.torque_on
    follower.disconnect()
    follower.disconnect()
    assert rig.arm.torque_on  # it is left holding
    follower.connect()
    assert np.allclose(follower.read().position, q, atol=4e-3)
    follower.disconnect()


def test_what_is_written_is_what_is_read(rig: Rig, connected: ServoArm) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2):
        q = np.append(rng.uniform(-0.8, 0.8, rig.n - 1), rng.uniform(0.0, 1.0))
        rig.reach(connected, q)
        assert np.allclose(rig.arm.q, q, atol=1e-2)


def test_velocity_and_effort_have_the_joints_signs(rig: Rig, connected: ServoArm) -> None:
    rig.reach(connected, np.append(np.zeros(rig.n - 1), 0.5))
    goal = np.append(np.full(rig.n - 1, 0.4), 0.8)
    connected.send(goal)
    time.sleep(0.02)
    state = connected.read()
    assert (state.velocity > 0.0).all() and (state.effort[:-1] > 0.0).all()
    assert (state.velocity[:-1] < 6.1).all()


def test_servos_cap_their_own_speed(viperx: Rig) -> None:
    follower = viperx.follower(max_velocity_rad_s=0.5)
    viperx.arm.pose([0.0] * 6 + [0.5])
    follower.connect()
    follower.send(np.array([1.5] * 6 + [0.5]))
    time.sleep(0.1)
    state = follower.read()
    assert 0.0 < np.abs(state.velocity[:-1]).max() < 0.55
    follower.disconnect()


@pytest.mark.parametrize("rig", ["so101"], indirect=True)
def test_targets_beyond_the_calibrated_range_stop_at_it(rig: Rig, connected: ServoArm) -> None:
    q = np.append(np.zeros(rig.n - 1), 0.5)
    q[0] = 3.1  # calibrated up to 2.8
    end = q.copy()
    end[0] = 2.8
    for _ in range(200):
        connected.send(q)
        if abs(connected.read().position[0] - 2.8) < 5e-3:
            break
        time.sleep(0.01)
    assert np.allclose(connected.read().position[0], 2.8, atol=5e-3)


def test_a_host_that_falls_silent_lets_the_servos_stop_by_themselves(viperx: Rig) -> None:
    viperx.arm.pose([0.0] * 6 + [0.5])
    follower = viperx.follower(max_velocity_rad_s=0.5)
    follower.connect()
    follower.send(np.array([2.0] * 6 + [0.5]))
    time.sleep(0.6)  # the process hangs: 300 ms later the servos stop
    here = follower.read().position
    assert 0.1 < here[0] < 0.2
    time.sleep(0.1)
    assert np.allclose(follower.read().position, here, atol=5e-3)
    follower.send(np.array([2.0] * 6 + [0.5]))  # and follow again when it comes back
    time.sleep(0.2)
    assert follower.read().position[0] > here[0] + 0.05
    follower.disconnect()


def test_shadow_servos_are_commanded_along_where_they_do_not_listen_to_their_partner(viperx: Rig) -> None:
    viperx.arm.pose([0.0] * 6 + [0.5])
    for shadow in (3, 5):
        viperx.arm.chain.servos[shadow].write(12, b"\xff")  # no secondary ID
    viperx.arm.chain.servos[3].motion.angle += 0.04  # mounted a little beside its partner
    follower = viperx.follower(shadows="both")
    follower.connect()
    viperx.reach(follower, np.array([0.0, 0.5, 0.4, 0.0, 0.0, 0.0, 0.5]))
    servos = viperx.arm.chain.servos
    assert servos[3].motion.angle - servos[2].motion.angle == pytest.approx(0.04, abs=5e-3)
    assert servos[5].motion.angle - servos[4].motion.angle == pytest.approx(0.0, abs=5e-3)
    follower.disconnect()


def test_shadow_servos_obey_their_partners_id(viperx: Rig) -> None:
    viperx.arm.pose([0.0] * 6 + [0.5])
    follower = viperx.follower()
    follower.connect()
    servos = viperx.arm.chain.servos
    assert servos[3].torque_on and servos[5].torque_on
    viperx.reach(follower, np.array([0.0, 0.5, 0.4, 0.0, 0.0, 0.0, 0.5]))
    assert servos[3].motion.angle == pytest.approx(servos[2].motion.angle, abs=5e-3)
    assert servos[5].motion.angle == pytest.approx(servos[4].motion.angle, abs=5e-3)
    follower.disconnect()


# Bad input, each a sentence.


def test_an_overload_names_the_joint(rig: Rig, connected: ServoArm) -> None:
    with rig.arm.port.lock:
        rig.arm.chain.servos[2].fail(0x20)
    name = rig.arm.layout.joints[1].name
    with pytest.raises(DeviceError, match=f"reports an alarm: servo 2 \\({name}\\): overload"):
        connected.read()


def test_a_voltage_alarm_keeps_it_from_connecting(rig: Rig) -> None:
    with rig.arm.port.lock:
        rig.arm.chain.servos[1].fail(0x01)
    with pytest.raises(DeviceError, match=r"servo 1 \(.*\): input voltage out of its limits"):
        rig.follower().connect()


def test_a_silent_servo_is_an_error_and_the_others_hold(rig: Rig, connected: ServoArm) -> None:
    with rig.arm.port.lock:
        rig.arm.chain.servos[2].silent = True
    with pytest.raises(DeviceError, match=r"lost servo 2"):
        connected.read()
    assert rig.arm.torque_on
    with rig.arm.port.lock:
        rig.arm.chain.servos[2].silent = False
    time.sleep(0.55)  # the bus asks a silent servo again only every half second
    assert np.isfinite(connected.read().position).all()


def test_not_calibrated_or_calibrated_as_a_leader(rig: Rig) -> None:
    with pytest.raises(DeviceError, match="The arm 'left' is not calibrated"):
        rig.follower(serial="F2").connect()
    rig.store.save(rig.arm.calibration("F1", f"{rig.driver}-leader"))
    with pytest.raises(DeviceError, match="is of another arm than 'left'"):
        rig.follower().connect()
    assert not rig.arm.torque_on


def test_an_arm_that_its_calibration_excludes_is_not_driven(rig: Rig) -> None:
    calibration = rig.arm.calibration("F1", rig.driver)
    narrow = calibration.joints[1].model_copy(update={"lower_rad": 1.0, "upper_rad": 2.0})
    joints = [calibration.joints[0], narrow, *calibration.joints[2:]]
    rig.store.save(calibration.model_copy(update={"joints": joints}))
    with pytest.raises(DeviceError, match=r"no longer fits: .* reads .* its range is 1.00 to 2.00"):
        rig.follower().connect()
    assert not rig.arm.torque_on


@pytest.mark.parametrize("rig", ["so101"], indirect=True)
def test_a_doubled_and_a_missing_id_and_a_wrong_baud(rig: Rig) -> None:
    with pytest.raises(DeviceError, match="baud rate is another"):
        rig.follower(baud=500_000).connect()
    rig.arm.chain.servos[1].silent = True
    with pytest.raises(DeviceError, match="misses servo 1"):
        rig.follower().connect()
    rig.arm.chain.servos[1].silent = False
    rig.arm.chain.duplicates.add(2)
    with pytest.raises(DeviceError, match="two servos have this ID"):
        rig.follower().connect()


@pytest.mark.parametrize("rig", ["so101"], indirect=True)
def test_two_drivers_do_not_share_a_port(rig: Rig, connected: ServoArm) -> None:
    with pytest.raises(DeviceError, match="is used by another program"):
        rig.follower().connect()
    assert rig.store.load(ArmCalibration, "F1") is not None
    assert np.isfinite(connected.read().position).all()


def test_an_answer_that_is_missed_once_is_asked_for_again(rig: Rig, connected: ServoArm) -> None:
    servo, answers = rig.arm.chain.servos[2], []
    with rig.arm.port.lock:
        servo.silent = True
        read = rig.arm.chain.receive

        def receive(data: bytes) -> list[Reply]:
            answers.append(data)
            servo.silent = len(answers) < 3  # it comes back within the reading
            return read(data)

        rig.arm.chain.receive = receive
    assert np.isfinite(connected.read().position).all()
    assert len(answers) >= 3
