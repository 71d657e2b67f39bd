"""The calibration of an arm of servos: the procedure on emulated servos, and its command."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from devices.emulators.arms import DYNAMIXEL_ARMS, FEETECH_ARMS
from devices.emulators.servo_arm import EmulatedArm
from devices.leaders.calibrating import arm_calibrator, calibratable
from devices.leaders.calibration import ArmCalibrator, CalibrationStep
from devices.servos.arm_joints import ArmJoints
from teleop_app.cli import app
from teleop_app.commands.calibrate_arm import walk
from teleop_app.core.calibration import ArmCalibration
from teleop_app.core.clock import FakeClock, MonotonicClock
from teleop_app.core.config import ArmSection, InputDeviceSection, InputsSection, StationConfig, station_text
from teleop_app.core.errors import ConfigError, DeviceError, StationError

MODELS = {"so101": FEETECH_ARMS["so101"], "widowx": DYNAMIXEL_ARMS["widowx"]}


def station(arm: EmulatedArm, follower: bool) -> StationConfig:
    family = arm.layout.family
    options = {"port": arm.port.path, "serial": "C1", "layout": arm.layout.name}
    box = {"workspace_min": [-1.0, -1.0, 0.0], "workspace_max": [1.0, 1.0, 1.0]}
    section = ArmSection.model_validate({"name": "left", "model": arm.layout.model} | box)
    inputs = InputsSection()
    if follower:
        section = section.model_copy(update={"follower": family, "options": options})
    else:
        device = InputDeviceSection(name="lead", driver=f"{family}-leader", arms=["left"], options=options)
        inputs = InputsSection(devices=[device])
    return StationConfig(arms=[section], inputs=inputs)


class Person:
    """Moves an emulated arm as it is told, and goes on."""

    def __init__(self, arm: EmulatedArm, calibrator: ArmCalibrator, clock: FakeClock) -> None:
        self.arm, self.calibrator, self.clock = arm, calibrator, clock
        self.rest = np.array([*(j.rest_rad for j in arm.layout.joints[:-1]), 0.5])
        self.q = self.rest.copy()

    def move(self, q: np.ndarray) -> None:
        for part in np.linspace(self.q, q, 6)[1:]:
            self.arm.pose(part)
            self.clock.advance(0.1)
            self.calibrator.update()
        self.q = q.copy()

    def rest_still(self) -> None:
        for _ in range(3):
            self.calibrator.update()
            self.clock.advance(0.3)

    def do(self) -> None:
        """What the present step asks for."""
        match self.calibrator.step:
            case CalibrationStep.CENTRE:
                self.move(np.append(np.zeros(self.q.size - 1), 0.5))
                self.rest_still()
            case CalibrationStep.REST:
                self.move(self.rest)
                self.rest_still()
            case CalibrationStep.SIGN:
                turned = self.q.copy()
                turned[self.arm.layout.names.index(self.calibrator.joint)] += 0.5
                self.move(turned)
            case CalibrationStep.SWEEP:
                for end in (-1.5, 1.8):
                    self.move(np.append(np.full(self.q.size - 1, end), 0.5))
            case CalibrationStep.CLOSE | CalibrationStep.OPEN:
                closed = self.calibrator.step is CalibrationStep.CLOSE
                self.move(np.append(self.q[:-1], 0.0 if closed else 1.0))
                self.rest_still()
            case _:
                pass


@pytest.fixture(params=[("so101", False), ("so101", True), ("widowx", False), ("widowx", True)])
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    layout, follower = request.param
    arm = EmulatedArm(layout, MODELS[layout], tmp_path / "arm")
    clock = FakeClock()
    with arm.port:
        calibrator = arm_calibrator(station(arm, follower), "left" if follower else "lead", clock)
        yield Person(arm, calibrator, clock)
        calibrator.close()


@pytest.fixture
def leader(tmp_path: Path) -> Iterator[Person]:
    arm = EmulatedArm("so101", MODELS["so101"], tmp_path / "arm")
    clock = FakeClock()
    with arm.port:
        calibrator = arm_calibrator(station(arm, follower=False), "lead", clock)
        yield Person(arm, calibrator, clock)
        calibrator.close()


def until(person: Person, step: CalibrationStep) -> None:
    while person.calibrator.step is not step:
        person.do()
        person.calibrator.advance()


def test_the_procedure_finds_offset_sign_and_range(person: Person) -> None:
    progress = []
    while person.calibrator.step is not CalibrationStep.DONE:
        progress.append(person.calibrator.progress)
        assert person.calibrator.instruction.endswith(".")
        person.do()
        person.calibrator.advance()
    assert progress == sorted(set(progress)) and progress[0] == 0.0 and person.calibrator.progress == 1.0
    found = person.calibrator.result()
    joints = ArmJoints(found)
    assert np.allclose(joints.lower[:-1], np.minimum(-1.5, person.rest[:-1]), atol=0.01)
    assert np.allclose(joints.upper[:-1], np.maximum(1.8, person.rest[:-1] + 0.5), atol=0.01)
    # What it reads is where the arm is, in any posture, gripper too.
    for q in (person.rest, np.append(np.linspace(-1.0, 1.0, joints.size - 1), 0.25)):
        person.move(q)
        raw = person.calibrator._bus.read(joints.servos).position
        assert np.allclose(joints.to_joints(raw), q, atol=0.01)
    assert found.serial == "C1" and found.measured_utc
    assert not person.arm.torque_on


def test_a_follower_must_be_held_and_a_leader_need_not(person: Person) -> None:
    person.arm.chain.servos[2].write(
        *((40, b"\x01") if person.arm.layout.family == "feetech" else (64, b"\x01"))
    )
    assert person.arm.torque_on
    follower = person.calibrator._follower
    assert person.calibrator.instruction.startswith("Hold the arm") == follower
    person.calibrator.advance()
    assert not person.arm.torque_on


def refused(person: Person) -> str:
    step = person.calibrator.step
    with pytest.raises(DeviceError) as caught:
        person.calibrator.advance()
    assert person.calibrator.step is step
    return caught.value.sentence


def test_each_step_says_why_it_cannot_end_and_waits(leader: Person) -> None:
    with pytest.raises(DeviceError, match="is not finished"):
        leader.calibrator.result()
    until(leader, CalibrationStep.REST)
    leader.move(leader.rest)
    assert refused(leader).startswith("The arm still moves")
    until(leader, CalibrationStep.SIGN)
    assert refused(leader).startswith("shoulder_pan was turned by 0.00 rad only")
    other = leader.q.copy()
    other[2] += 0.6
    leader.move(other)
    assert refused(leader).startswith("elbow_flex was turned, not shoulder_pan: by 0.60 rad against 0.00 rad")
    other[2] -= 0.6
    leader.move(other)
    until(leader, CalibrationStep.SWEEP)
    assert "were not moved through the whole range" in refused(leader)
    until(leader, CalibrationStep.OPEN)
    leader.rest_still()
    assert refused(leader).startswith("The gripper opened by 0.00 rad only")
    until(leader, CalibrationStep.DONE)
    assert leader.calibrator.result().driver == "feetech-leader"


def test_a_servo_that_falls_silent_loses_nothing(leader: Person) -> None:
    until(leader, CalibrationStep.SWEEP)
    with leader.arm.port.lock:
        leader.arm.chain.servos[3].silent = True
    with pytest.raises(DeviceError, match=r"lost servo 3 \(elbow_flex\)"):
        leader.calibrator.update()
    with leader.arm.port.lock:
        leader.arm.chain.servos[3].silent = False
    leader.clock.advance(1.0)
    until(leader, CalibrationStep.DONE)


def test_a_joint_turned_by_more_than_a_turn_cannot_be_calibrated(leader: Person) -> None:
    until(leader, CalibrationStep.SWEEP)
    leader.do()
    far = leader.q.copy()
    far[4] -= 7.0
    for part in np.linspace(leader.q, far, 12):
        leader.arm.pose(part)
        leader.calibrator.update()
    leader.q = far
    assert refused(leader).startswith("wrist_roll was turned by more than a full turn")


def test_a_follower_must_not_cross_the_zero_of_an_encoder(tmp_path: Path) -> None:
    arm = EmulatedArm("widowx", MODELS["widowx"], tmp_path / "arm")
    arm._offset[4] += 2.0  # its horn sits two radians off
    clock = FakeClock()
    with arm.port:
        person = Person(arm, arm_calibrator(station(arm, follower=True), "left", clock), clock)
        arm.pose(person.rest)
        until(person, CalibrationStep.SWEEP)
        person.do()
        assert refused(person).startswith("The range of wrist_angle (servo 7 (wrist_angle)) crosses the zero")
        person.calibrator.close()


# The command.


def test_walking_through_stores_what_was_found_and_shows_complaints(leader: Person) -> None:
    seen: list[tuple[CalibrationStep, str]] = []
    turn = iter(range(10_000))

    def pressed() -> str | None:
        if next(turn) == 0:
            return "\n"
        if next(turn) % 3:
            leader.do()
        return "\n"

    found = walk(leader.calibrator, pressed, lambda c, text: seen.append((c.step, text)), leader.clock)
    assert isinstance(found, ArmCalibration)
    assert {step for step, _ in seen} >= set(CalibrationStep) - {CalibrationStep.START}


def test_giving_up_writes_nothing(leader: Person) -> None:
    with pytest.raises(StationError, match="given up: nothing was written"):
        walk(leader.calibrator, lambda: "q\n", lambda *_: None, leader.clock)


def run(tmp_path: Path, config: StationConfig, *arguments: str, keys: str = "") -> tuple[object, str]:
    file = tmp_path / "station.toml"
    file.write_text(station_text(config))
    result = CliRunner().invoke(app, ["calibrate", "arm", *arguments, "--station", str(file)], input=keys)
    return result.exception, result.output


def test_the_command_names_the_arms_that_can_be_calibrated(tmp_path: Path) -> None:
    arm = EmulatedArm("so101", MODELS["so101"], tmp_path / "arm")
    config = station(arm, follower=False)
    assert calibratable(config) == ("lead",)
    error, _ = run(tmp_path, config, "left")
    assert isinstance(error, ConfigError)
    assert error.sentence == "The station has no arm of servos 'left'. Choose one of: lead."


def test_the_command_ends_with_its_input_and_writes_nothing(tmp_path: Path, data_dir: Path) -> None:
    arm = EmulatedArm("so101", MODELS["so101"], tmp_path / "arm")
    with arm.port:
        error, _ = run(tmp_path, station(arm, follower=False), "lead")
    assert isinstance(error, StationError) and not list(data_dir.glob("calibrations/arms/*"))


def test_the_command_calibrates_an_arm_that_a_person_moves(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import teleop_app.commands.calibrate_arm as command

    arm = EmulatedArm("so101", MODELS["so101"], tmp_path / "arm")
    people: list[Person] = []
    clock = FakeClock()
    opened: Callable[..., ArmCalibrator] = command.arm_calibrator

    def found(*arguments: object) -> ArmCalibrator:
        people.append(Person(arm, opened(*arguments), clock))
        return people[0].calibrator

    def pressed(_keys: object) -> str:
        people[0].do() if people[0].calibrator.step is not CalibrationStep.START else None
        return "\n"

    monkeypatch.setattr(command, "MonotonicClock", lambda: clock)
    monkeypatch.setattr(command, "arm_calibrator", found)
    monkeypatch.setattr(command._Keys, "pressed", pressed)
    started = time.monotonic()
    with arm.port:
        error, output = run(tmp_path, station(arm, follower=False), "lead")
    assert error is None and "shoulder_pan" in output and "C1.toml" in output.replace("\n", "")
    assert (data_dir / "calibrations" / "arms" / "C1.toml").is_file()
    assert isinstance(MonotonicClock().now_ns(), int) and time.monotonic() - started < 60
