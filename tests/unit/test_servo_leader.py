"""Leader arms: the vendors' SDKs against emulated servos on a pseudo-terminal."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.emulators.arms import DYNAMIXEL_ARMS, FEETECH_ARMS
from devices.emulators.servo_arm import EmulatedArm
from devices.leaders import led_arm
from devices.leaders.leader_clutch import LeaderClutch
from devices.leaders.options import ClutchMode
from devices.leaders.servo_leader import ServoLeader
from devices.registry import make_device
from teleop_app.core.calibration import ArmCalibration, CalibrationStore
from teleop_app.core.clock import NS_PER_S, MonotonicClock
from teleop_app.core.config import ArmSection, StationConfig
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlState,
    ControlTick,
    InputSample,
)

ARMS = {
    "so101": ("feetech-leader", FEETECH_ARMS["so101"]),
    "gello-7": ("dynamixel-leader", DYNAMIXEL_ARMS["gello"]),
    "aloha-viperx": ("dynamixel-leader", DYNAMIXEL_ARMS["widowx"]),
}
PATIENCE_S = 5.0
LEFT = 7  # joints of the other arm, which is a ViperX


def station(model: str) -> StationConfig:
    box = {"workspace_min": [-1.0, -1.0, 0.0], "workspace_max": [1.0, 1.0, 1.0]}
    arms = [
        ArmSection.model_validate({"name": "left", "model": "viperx300"} | box),
        ArmSection.model_validate({"name": "right", "model": model} | box),
    ]
    return StationConfig(arms=arms)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost arm is looked for sooner."""
    monkeypatch.setattr(led_arm, "_RETRY_S", 0.1)


class Rig:
    """An emulated leader and its driver."""

    def __init__(self, layout: str, folder: Path) -> None:
        self.driver, models = ARMS[layout]
        folder.mkdir(exist_ok=True)
        self.arm = EmulatedArm(layout, models, folder / "leader")
        self.store = CalibrationStore(folder / "calibrations")
        self.store.save(self.arm.calibration("L1", self.driver))
        self.samples: list[InputSample] = []

    def leader(self, model: str = "", **options: object) -> ServoLeader:
        config = station(model or self.arm.layout.model)
        context = DeviceContext("lead", ("right",), config, self.store, MonotonicClock())
        given = {"port": self.arm.port.path, "serial": "L1", "layout": self.arm.layout.name, "rate_hz": 200}
        return make_device(DriverKind.INPUT, self.driver, context, given | options)

    def until(self, leader: ServoLeader, done: Callable[[InputSample], bool]) -> InputSample:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            leader.wait(0.02)
            sample = leader.poll()
            if sample is not None:
                self.samples.append(sample)
                if done(sample):
                    return sample
        raise AssertionError(f"not seen; report {leader.state}: {leader.sentence}")


@pytest.fixture(params=["so101", "gello-7"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(request.param, tmp_path)
    with rig.arm.port:
        yield rig


@pytest.fixture
def gello(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig("gello-7", tmp_path)
    with rig.arm.port:
        yield rig


@pytest.fixture
def so101(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig("so101", tmp_path)
    with rig.arm.port:
        yield rig


def tick(measured: np.ndarray, *, drives: bool = False) -> ControlTick:
    n = measured.size
    return ControlTick(
        0, 0, 0, ControlState.IDLE, Actor.NONE, "lead", (False, drives), 0, np.zeros((2, 7)), np.zeros(2),
        None, np.zeros(n), np.zeros(n), 0, measured, np.zeros(n), np.zeros(n), 0, 0,
    )  # fmt: skip


def valid(sample: InputSample) -> bool:
    return sample.arms["right"].valid


def test_a_leader_gives_calibrated_joints_each_reading_once(rig: Rig) -> None:
    q = np.array([*np.linspace(0.4, -0.6, len(rig.arm.layout.joints) - 1), 0.25])
    rig.arm.pose(q)
    leader = rig.leader()
    leader.start()
    try:
        for _ in range(5):
            sample = rig.until(leader, valid)
        assert leader.poll() is None  # nothing new: nothing is repeated
    finally:
        leader.stop()
    joints = sample.arms["right"].joints
    assert joints is not None and np.allclose(joints, q[:-1], atol=2e-3)
    assert sample.arms["right"].gripper == pytest.approx(0.25, abs=5e-3)
    stamps = [each.capture_ns for each in rig.samples]
    assert stamps == sorted(set(stamps))
    assert [each.seq for each in rig.samples] == list(range(1, len(rig.samples) + 1))
    last = leader.poll()
    assert last is not None and not valid(last)  # the last sample holds nothing


def test_a_silent_servo_makes_samples_invalid_with_a_sentence_and_comes_back(rig: Rig) -> None:
    leader = rig.leader(clutch="key")
    leader.start()
    try:
        rig.until(leader, valid)
        leader.engage(True)
        rig.until(leader, lambda sample: sample.arms["right"].clutch)
        with rig.arm.port.lock:
            rig.arm.chain.servos[3].silent = True
        sample = rig.until(leader, lambda sample: not valid(sample))
        assert sample.arms["right"].joints is None
        name = rig.arm.layout.joints[2].name
        assert leader.sentence == (
            f"The leader 'lead' lost servo 3 ({name}): no answer. Check its cable and power."
        )
        with rig.arm.port.lock:
            rig.arm.chain.servos[3].silent = False
        sample = rig.until(leader, valid)
        assert not sample.arms["right"].clutch  # it must be engaged anew
        assert leader.sentence == ""
    finally:
        leader.stop()


def test_an_unplugged_leader_says_so_and_is_found_again(rig: Rig) -> None:
    leader = rig.leader()
    leader.start()
    rig.until(leader, valid)
    rig.arm.port.close()
    sample = rig.until(leader, lambda sample: not valid(sample))
    assert sample.arms["right"].joints is None
    with pytest.raises(DeviceError, match="has gone|No servo on .* answers"):
        leader.poll()
    assert leader.state == "lost"
    with pytest.raises(DeviceError, match="is not connected"):
        leader.follow(True)
    with pytest.raises(DeviceError, match="There is no serial port"):
        leader.start()
    rig.arm.port.open()
    leader.start()
    rig.until(leader, valid)
    assert leader.sentence == ""
    leader.stop()


def test_a_full_turn_of_an_encoder_does_not_matter(gello: Rig) -> None:
    q = np.zeros(8)
    gello.arm.pose(q)
    for servo in (1, 4):
        gello.arm.chain.servos[servo].motion.angle += 2 * np.pi * (1 if servo == 1 else -1)
    leader = gello.leader()
    leader.start()
    sample = gello.until(leader, valid)
    leader.stop()
    joints = sample.arms["right"].joints
    assert joints is not None and np.allclose(joints, 0.0, atol=2e-3)


def test_an_arm_of_other_kinematics_is_led_by_the_end_effector(so101: Rig) -> None:
    so101.arm.pose([0.0] * 5 + [0.5])
    leader = so101.leader(model="ur5e")
    leader.start()
    try:
        first = so101.until(leader, valid).arms["right"]
        so101.arm.pose([np.pi / 2] + [0.0] * 4 + [0.5])
        turned = so101.until(leader, lambda s: abs(s.arms["right"].pose[0]) < 0.2).arms["right"]  # type: ignore[index]
        with pytest.raises(DeviceError, match="its joints are others than the leader's"):
            leader.follow(True)
    finally:
        leader.stop()
    assert first.joints is None and first.pose is not None and turned.pose is not None
    assert first.pose[0] > 0.3 and abs(first.pose[1]) < 0.05  # straight ahead, then a quarter turn
    assert np.hypot(*turned.pose[:2]) == pytest.approx(np.hypot(*first.pose[:2]), rel=0.3)
    assert turned.pose[2] == pytest.approx(first.pose[2], abs=1e-3)


# The clutch.


def test_a_leader_that_engages_by_itself_asks_again_when_refused_but_not_after_it_was_let_go() -> None:
    clutch, now_ns = LeaderClutch(ClutchMode.ALWAYS), NS_PER_S

    def held_after(seconds: float, *, drives: bool) -> list[bool]:
        nonlocal now_ns
        seen: list[bool] = []
        for _ in range(round(seconds / 0.01)):
            now_ns += NS_PER_S // 100
            clutch.watch(drives, now_ns)
            clutch.squeeze(1.0, now_ns)
            seen.append(clutch.held)
        return seen

    asked = held_after(5.0, drives=False)
    assert (
        not asked[0] and any(asked) and sum(a and not b for a, b in zip(asked[1:], asked, strict=False)) >= 2
    )
    held_after(2.0, drives=False)
    while not clutch.held:
        held_after(0.05, drives=False)
    assert all(held_after(3.0, drives=True))
    assert not any(held_after(5.0, drives=False)[1:])
    clutch.engage(True, now_ns)
    assert clutch.held


def test_a_request_that_control_does_not_take_up_falls() -> None:
    clutch = LeaderClutch(ClutchMode.KEY)
    clutch.engage(True, 0)
    clutch.watch(False, NS_PER_S // 2)
    assert clutch.held
    clutch.watch(False, 2 * NS_PER_S)
    assert not clutch.held


def test_a_held_squeeze_engages_and_a_hold_of_control_lets_go(so101: Rig) -> None:
    open_, closed = np.zeros(6), np.zeros(6)
    open_[-1], closed[-1] = 0.8, 0.05
    so101.arm.pose(open_)
    leader = so101.leader()
    leader.start()
    try:
        assert not so101.until(leader, valid).arms["right"].clutch
        so101.arm.pose(closed)
        start = len(so101.samples)
        so101.until(leader, lambda sample: sample.arms["right"].clutch)
        held = [s for s in so101.samples[start:] if (s.arms["right"].gripper or 0.0) < 0.15]
        assert held[-1].capture_ns - held[0].capture_ns > 0.4 * NS_PER_S
        so101.arm.pose(open_)
        time.sleep(0.25)
        leader.observe(tick(np.zeros(LEFT + 6), drives=True))
        assert so101.until(leader, valid).arms["right"].clutch  # latched
        leader.observe(tick(np.zeros(LEFT + 6), drives=False))
        assert not so101.until(leader, valid).arms["right"].clutch
    finally:
        leader.stop()


# Driven to its arm.


def test_a_leader_is_driven_to_its_arm_in_small_steps_and_set_free_again(rig: Rig) -> None:
    n = len(rig.arm.layout.joints)
    rig.arm.pose([*[0.0] * (n - 1), 0.5])
    target = np.concatenate([np.full(LEFT, 9.0), np.full(n - 1, 0.3), [0.5]])
    leader = rig.leader(follow_speed_rad_s=2.0)
    leader.start()
    try:
        rig.until(leader, valid)
        with pytest.raises(DeviceError, match="cannot be driven to the arm 'right'"):
            leader.follow(True)
        leader.observe(tick(target))
        leader.follow(True)

        def there(sample: InputSample) -> bool:
            leader.observe(tick(target))
            return leader.state == "aligned"

        start = len(rig.samples)
        rig.until(leader, there)
        path = np.array(
            [s.arms["right"].joints for s in rig.samples[start:] if s.arms["right"].joints is not None]
        )
        assert np.abs(np.diff(path, axis=0)).max() < 0.12
        assert not any(sample.arms["right"].clutch for sample in rig.samples)
        assert rig.arm.torque_on
        leader.follow(False)
        rig.until(leader, lambda _: leader.state == "free")
        assert not rig.arm.torque_on
        assert np.allclose(rig.arm.q[:-1], 0.3, atol=0.06)
    finally:
        leader.stop()


@pytest.mark.parametrize("mode", [AuthorityMode.SUPERVISED, AuthorityMode.MANUAL])
def test_a_leader_that_is_pushed_off_its_arm_takes_over_from_a_policy_only(
    so101: Rig, mode: AuthorityMode
) -> None:
    so101.arm.pose([0.1] * 5 + [0.5])
    news = tick(np.concatenate([np.full(LEFT, 9.0), np.full(5, 0.1), [0.5]]))
    part = AutonomyTick(mode, AutonomyPhase.POLICY, 0, 1.0, 1, 0.0, 1)
    news = replace(news, autonomy=part)
    leader = so101.leader(clutch="key")
    leader.start()
    try:
        so101.until(leader, valid)
        leader.observe(news)
        leader.follow(True)

        def there(_: InputSample) -> bool:
            leader.observe(news)
            return leader.state == "aligned"

        so101.until(leader, there)
        held = time.monotonic() + 0.5

        def pushed(sample: InputSample) -> bool:
            so101.arm.pose([0.1, 0.28, 0.1, 0.1, 0.1, 0.5])  # a hand holds it there
            leader.observe(news)
            return sample.arms["right"].clutch or time.monotonic() > held

        seized = so101.until(leader, pushed).arms["right"]
        assert seized.clutch is (mode is AuthorityMode.SUPERVISED)
        if seized.clutch:
            assert leader.state == "free" and not so101.arm.torque_on
            assert seized.joints is not None and seized.joints[1] > 0.2
    finally:
        leader.stop()


def test_beside_a_policy_the_key_takes_a_driven_leader_over(so101: Rig) -> None:
    so101.arm.pose([0.1] * 5 + [0.5])
    news = tick(np.concatenate([np.full(LEFT, 9.0), np.full(5, 0.1), [0.5]]))
    leader = so101.leader(clutch="key")
    leader.start()
    try:
        so101.until(leader, valid)
        leader.observe(news)
        leader.follow(True)
        so101.until(leader, lambda _: leader.state in ("follow", "aligned"))
        with pytest.raises(DeviceError, match="is driven to its arm"):
            leader.engage(True)
        part = AutonomyTick(AuthorityMode.SUPERVISED, AutonomyPhase.POLICY, 0, 1.0, 1, 0.0, 1)
        leader.observe(replace(news, autonomy=part))
        leader.engage(True)
        so101.until(leader, lambda sample: sample.arms["right"].clutch)
        assert leader.state == "free"
    finally:
        leader.stop()


def test_without_news_of_its_arm_a_driven_leader_stays(so101: Rig) -> None:
    so101.arm.pose([0.0] * 5 + [0.5])
    leader = so101.leader()
    leader.start()
    try:
        leader.observe(tick(np.full(LEFT + 6, 0.5)))
        leader.follow(True)
        so101.until(leader, lambda _: leader.state == "follow")
        time.sleep(0.3)
        q = so101.arm.q
        time.sleep(0.1)
        assert np.allclose(so101.arm.q, q, atol=5e-3) and q[0] < 0.4
    finally:
        leader.stop()
    assert not so101.arm.torque_on


# Gravity.


def weigh(rig: Rig) -> None:
    """Gravity pulls at the emulated servos, by the true posture of the arm."""
    from devices.leaders.gravity import gravity_model
    from devices.servos.arm_torque import torque_constants

    model = gravity_model("gello-7")
    constants = torque_constants(["XL330-M288"] * 7)
    sign = rig.arm.calibration("x", "x").joints
    for i in range(7):

        def load(_angle: float, i: int = i) -> float:
            torque = model.torques(rig.arm.q[:7])[i]
            return float(sign[i].sign * torque / constants[i])

        rig.arm.chain.servos[i + 1].motion.load = load


@pytest.mark.parametrize(("factor", "falls"), [(1.0, False), (0.02, True)])
def test_with_gravity_compensation_the_arm_stays_and_without_it_falls(
    gello: Rig, factor: float, falls: bool
) -> None:
    home = np.array([0.0, -0.3, 0.0, -1.4, 0.0, 1.5, 0.0, 0.5])
    gello.arm.pose(home)
    weigh(gello)
    leader = gello.leader(gravity_compensation=factor, max_current_a=1.5)
    leader.start()
    try:
        gello.until(leader, lambda _: leader.state == "gravity")
        moved = []
        for _ in range(5):  # a busy machine may stop the program until the servos' watchdog strikes
            gello.arm.pose(home)
            gello.until(leader, lambda _: leader.state == "gravity")
            time.sleep(0.3)
            gello.until(leader, valid)
            moved.append(float(np.abs(gello.arm.q - home).max()))
            if falls or moved[-1] < 0.05:
                break
        assert moved[-1] > 0.3 if falls else moved[-1] < 0.05
        # A leader whose servo falls silent lets go: no current stays on without a reading.
        with gello.arm.port.lock:
            gello.arm.chain.servos[4].silent = True
        gello.until(leader, lambda sample: not valid(sample))
        gello.until(leader, lambda _: leader.state == "free")
        with gello.arm.port.lock:
            on = [n for n, servo in gello.arm.chain.servos.items() if servo.torque_on and not servo.silent]
        assert on == []
    finally:
        leader.stop()


def test_the_servos_watchdog_takes_the_current_off_when_the_host_falls_silent(gello: Rig) -> None:
    leader = gello.leader(gravity_compensation=1.0)
    leader.start()
    gello.until(leader, lambda _: leader.state == "gravity")
    with gello.arm.port.lock:
        assert gello.arm.chain.servos[2].table(98, 1) == b"\x05"  # 100 ms
    leader.stop()
    with gello.arm.port.lock:
        assert gello.arm.chain.servos[2].table(98, 1) == b"\x00"


def test_gravity_needs_servos_that_take_currents(so101: Rig) -> None:
    with pytest.raises(ConfigError, match="no gravity model of the layout 'so101'"):
        so101.leader(gravity_compensation=0.5)


# Bad input, each a sentence.


def refused(rig: Rig, **options: object) -> str:
    leader = rig.leader(**options)
    with pytest.raises(DeviceError) as caught:
        leader.start()
    leader.stop()
    return caught.value.sentence


def test_a_port_that_is_busy(so101: Rig) -> None:
    first = so101.leader()
    first.start()
    try:
        assert "is used by another program" in refused(so101)
    finally:
        first.stop()


def test_a_wrong_baud(so101: Rig) -> None:
    sentence = refused(so101, baud=500_000)
    assert sentence.startswith(f"No servo of the arm 'lead' answers on {so101.arm.port.path}: ")
    assert "baud rate is another" in sentence


def test_a_missing_id(rig: Rig) -> None:
    rig.arm.chain.servos[2].silent = True
    name = rig.arm.layout.joints[1].name
    assert f"misses servo 2 ({name}): " in refused(rig)


def test_a_doubled_id(so101: Rig) -> None:
    so101.arm.chain.duplicates.add(4)
    assert "servo 4" in refused(so101) and "two servos have this ID" in refused(so101)


def test_an_alarm_makes_samples_invalid(rig: Rig) -> None:
    leader = rig.leader()
    leader.start()
    try:
        rig.until(leader, valid)
        with rig.arm.port.lock:
            rig.arm.chain.servos[2].fail(0x20)
        rig.until(leader, lambda sample: not valid(sample))
        name = rig.arm.layout.joints[1].name
        assert leader.sentence.startswith(f"The leader 'lead' reports an alarm: servo 2 ({name}): overload")
    finally:
        leader.stop()


def test_no_calibration(so101: Rig) -> None:
    assert refused(so101, serial="OTHER") == (
        "The arm 'lead' is not calibrated: nothing is stored for 'OTHER'. "
        "Calibrate it with: teleop calibrate arm lead."
    )


def test_a_calibration_file_of_another_serial_number(so101: Rig) -> None:
    path = so101.store.path(ArmCalibration, "L1")
    path.rename(so101.store.path(ArmCalibration, "L2"))
    assert "it was made for 'L1', this one is 'L2'" in refused(so101, serial="L2")


def test_a_calibration_of_an_arm_with_other_servos(so101: Rig) -> None:
    calibration = so101.arm.calibration("L1", "feetech-leader")
    swapped = [joint.model_copy(update={"servo": joint.servo + 10}) for joint in calibration.joints]
    so101.store.save(calibration.model_copy(update={"joints": swapped}))
    sentence = refused(so101)
    assert "is of another arm than 'lead'" in sentence and "its servos are (11, 12," in sentence
    so101.store.save(calibration.model_copy(update={"driver": "feetech"}))
    assert "its driver is feetech, this arm's feetech-leader" in refused(so101)


def test_a_malformed_calibration(so101: Rig) -> None:
    so101.store.path(ArmCalibration, "L1").write_text("serial = 'L1'\njoints = 3\n")
    assert "is malformed" in refused(so101)


def test_drift_in_the_rest_posture_is_a_warning(rig: Rig) -> None:
    rest = np.array([*(joint.rest_rad for joint in rig.arm.layout.joints[:-1]), 0.5])
    rest[1] += 0.25
    rig.arm.pose(rest)
    leader = rig.leader()
    leader.start()
    try:
        rig.until(leader, valid)
        name = rig.arm.layout.names[1]
        assert f"in its rest posture {name} by +0.25 rad" in leader.sentence
    finally:
        leader.stop()


def test_a_joint_beyond_its_range_is_a_warning_in_any_posture(so101: Rig) -> None:
    q = np.array([0.5, 0.4, 3.05, 0.2, 0.1, 0.5])
    so101.arm.pose(q)
    leader = so101.leader()
    leader.start()
    try:
        so101.until(leader, valid)
        assert "elbow_flex reads 3.05 rad, its range is -2.80 to 2.80" in leader.sentence
    finally:
        leader.stop()


def test_each_leader_arm_has_an_adapter_of_its_own(so101: Rig) -> None:
    context = DeviceContext("lead", ("left", "right"), station("so101"), so101.store, MonotonicClock())
    for options, sentence in (
        ({"port": "/dev/x", "serial": "L1"}, "leads 2 arms, but the adapter of 'left' is not named"),
        ({"serials": {"middle": "L1"}}, "name the adapter of 'middle': it leads left, right"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            make_device(DriverKind.INPUT, "feetech-leader", context, options)


# Two arms in one source.


def test_the_other_arm_goes_on_when_one_is_unplugged_and_comes_back(tmp_path: Path) -> None:
    rigs = {side: Rig("so101", tmp_path / side) for side in ("left", "right")}
    store = CalibrationStore(tmp_path / "calibrations")
    for side, rig in rigs.items():
        store.save(rig.arm.calibration(side, rig.driver))
    rigs["left"].arm.pose([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    config = station("so101")
    config.arms[0].model = "so101"
    context = DeviceContext("lead", ("left", "right"), config, store, MonotonicClock())
    ports = {side: rig.arm.port.path for side, rig in rigs.items()}
    options = {"ports": ports, "serials": {"left": "left", "right": "right"}, "clutch": "key"}
    leader: ServoLeader = make_device(DriverKind.INPUT, "feetech-leader", context, options)
    seen: dict[str, ArmInput] = {}

    def until(done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end, leader.sentence
            leader.wait(0.02)
            sample = leader.poll()
            seen.update(sample.arms if sample is not None else {})

    with rigs["right"].arm.port:
        with pytest.raises(ConfigError, match="leads no arm 'middle'. It leads left, right"):
            leader.engage(arm="middle")
        leader.start()  # the left one is not plugged in
        until(lambda: "right" in seen)
        assert leader.state == "left lost, right free" and "There is no serial port" in leader.sentence
        with rigs["left"].arm.port:
            until(lambda: "left" in seen and seen["left"].valid)
            assert seen["left"].joints == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], abs=5e-3)
            leader.engage(arm="right")
            until(lambda: seen["right"].clutch)
            assert not seen["left"].clutch
        until(lambda: not seen["left"].valid)
        for _ in range(5):
            seen.pop("right", None)
            until(lambda: "right" in seen)
            assert seen["right"].valid and seen["right"].clutch
        leader.stop()


def test_an_unknown_layout_names_those_that_are_known(so101: Rig) -> None:
    with pytest.raises(ConfigError, match="layout: input should be 'so101' .given 'gello-7'."):
        so101.leader(layout="gello-7")


def test_an_adapter_that_is_not_there(so101: Rig) -> None:
    assert "The adapter 'L1' of 'lead' is not connected" in refused(so101, port="")
    assert "has no serial number" in refused(so101, serial="")
