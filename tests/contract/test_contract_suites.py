"""The contract suites find real mistakes: sound devices pass, each broken one fails where it should."""

import time
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from devices.cameras.source import CameraFormat
from devices.driver import Driver, DriverKind, Found, Options
from devices.protocols import CameraFrame, FollowerState, Verification
from devices.testing import CameraContract, FollowerContract, InputContract, SensorContract, run_contract
from devices.testing import contract as contract_module
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ArmInput, InputSample, StreamBatch, StreamSetup


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never happens is waited for no longer than needed."""
    for module in ("contract", "sensor_contract", "camera_contract", "follower_contract"):
        monkeypatch.setattr(f"devices.testing.{module}.PATIENCE_S", 0.4)
    assert contract_module.PATIENCE_S == 0.4


class World:
    """Whether the device under test is plugged in."""

    def __init__(self) -> None:
        self.plugged = True

    def open(self) -> None:
        if not self.plugged:
            raise DeviceError("The device is not connected", next_step="Plug it in")


class FakeInput:
    """FAKE: a sound input device."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seq, self.opened, self.lost = 0, False, False

    name = "contract"
    verification = Verification.SIMULATED

    def start(self) -> None:
        self.world.open()
        self.opened, self.lost = True, False

    def poll(self) -> InputSample | None:
        if not self.opened:
            return None
        if not self.world.plugged:
            if self.lost:
                self.opened = False
                raise DeviceError("The device is gone now")
            self.lost = True
            return self.sample({"left": ArmInput(clutch=False, valid=False)})
        return self.sample({"left": ArmInput(clutch=self.seq > 0, twist=np.zeros(6), gripper=0.5)})

    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        self.seq += 1
        return InputSample(self.name, Actor.HUMAN, self.seq, time.monotonic_ns(), arms)

    def cue(self, kind: str) -> None:
        pass

    def stop(self) -> None:
        self.opened = False


class Speed(Options):
    speed: float = 1.0


def driver(kind: DriverKind, **changes: Any) -> Driver:
    made = Driver("fake", kind, "A fake", Verification.SIMULATED, "Nothing", lambda c, o: None, Speed)
    return replace(made, **changes)


class Staged:
    """Puts a device class on the stage of a suite."""

    device: ClassVar[Any]

    def setup_method(self) -> None:
        self.world = World()

    def make(self) -> Any:
        return self.device(self.world)

    def unplug(self) -> None:
        self.world.plugged = False

    def plug(self) -> None:
        self.world.plugged = True


def broken(base: type, device: Any, *checks: str, described: Driver | None = None) -> dict[str, str]:
    """What a suite, or some of its checks, find wrong with a device."""
    kinds: dict[type, DriverKind] = {
        InputContract: DriverKind.INPUT,
        SensorContract: DriverKind.SENSOR,
        CameraContract: DriverKind.CAMERA,
        FollowerContract: DriverKind.FOLLOWER,
    }
    members = {"device": device, "driver": described or driver(kinds[base]), "follows_s": 0.3}
    suite = type("Suite", (Staged, base), members)
    return run_contract(suite(), checks)


class NameWithSpaces(FakeInput):
    name = "My Pedal"


class SecondStopFails(FakeInput):
    def stop(self) -> None:
        if not self.opened:
            raise RuntimeError("not open")
        self.opened = False


class Blocks(FakeInput):
    def poll(self) -> InputSample | None:
        time.sleep(0.03)
        return super().poll()


class HoldsAtOnce(FakeInput):
    def poll(self) -> InputSample | None:
        self.seq += self.seq == 0
        return super().poll()


class RepeatsItself(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        return replace(super().sample(arms), seq=7)


class CountsFromZero(FakeInput):
    def start(self) -> None:
        super().start()
        self.seq = 0


class FirstSampleOnce(FakeInput):
    def start(self) -> None:
        if self.opened:
            raise DeviceError("It is open already, says the driver")
        super().start()


class WallClock(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        return replace(super().sample(arms), capture_ns=time.time_ns())


class SendsNan(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        arms = {arm: replace(asked, twist=np.full(6, np.nan)) for arm, asked in arms.items()}
        return super().sample(arms)


class WrongShape(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        return super().sample({arm: replace(asked, twist=np.zeros(3)) for arm, asked in arms.items()})


class GripperInPercent(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        return super().sample({arm: replace(asked, gripper=50.0) for arm, asked in arms.items()})


class UnknownArm(FakeInput):
    def sample(self, arms: dict[str, ArmInput]) -> InputSample:
        return super().sample({"third": ArmInput(clutch=False), **arms})


class CueFails(FakeInput):
    def cue(self, kind: str) -> None:
        raise KeyError(kind)


class HoldsWhenStopped(FakeInput):
    def poll(self) -> InputSample | None:
        return super().poll() if self.opened else self.sample({"left": ArmInput(clutch=True)})


class NeverNoticesUnplugging(FakeInput):
    def poll(self) -> InputSample | None:
        return self.sample({"left": ArmInput(clutch=self.seq > 0)}) if self.opened else None


class ErrorIsNoSentence(FakeInput):
    def start(self) -> None:
        if not self.world.plugged:
            raise DeviceError("ENODEV")
        super().start()


class ErrorIsOsError(FakeInput):
    def start(self) -> None:
        if not self.world.plugged:
            raise OSError(19, "No such device")
        super().start()


def test_a_sound_input_passes() -> None:
    assert broken(InputContract, FakeInput) == {}


INPUTS = [
    (NameWithSpaces, "test_it_says_what_it_is", "must be lower case"),
    (SecondStopFails, "test_stopping_is_always_allowed", "RuntimeError"),
    (Blocks, "test_polling_does_not_block", "poll took"),
    (HoldsAtOnce, "test_the_clutch_is_not_held_at_first", "already holds the clutch of left"),
    (RepeatsItself, "test_samples_are_sound", "seq went from 7 to 7"),
    (CountsFromZero, "test_it_can_be_started_again", "back to 1 after a restart"),
    (FirstSampleOnce, "test_starting_twice_is_starting_once", "It is open already"),
    (WallClock, "test_samples_are_sound", "not on the station's clock"),
    (SendsNan, "test_samples_are_sound", "left: twist holds numbers that are not finite"),
    (WrongShape, "test_samples_are_sound", "left: twist has the shape (3,), not (6,)"),
    (GripperInPercent, "test_samples_are_sound", "gripper is 50.0, it goes from 0 to 1"),
    (UnknownArm, "test_samples_are_sound", "arms that it was not made for: ['third']"),
    (CueFails, "test_every_sign_is_taken", "KeyError"),
    (HoldsWhenStopped, "test_a_stopped_device_holds_nothing", "the clutch of left is held after stop"),
    (NeverNoticesUnplugging, "test_unplugging_lets_go_and_it_comes_back", "still holds a clutch"),
    (ErrorIsNoSentence, "test_unplugging_lets_go_and_it_comes_back", "not 'ENODEV'"),
    (ErrorIsOsError, "test_unplugging_lets_go_and_it_comes_back", "OSError"),
]


@pytest.mark.parametrize(("device", "check", "sentence"), INPUTS)
def test_a_broken_input_is_found(device: type, check: str, sentence: str) -> None:
    assert sentence in broken(InputContract, device, check).get(check, "passed")


class Lenient(Options):
    model_config = Options.model_config | {"extra": "ignore", "allow_inf_nan": True}
    speed: float = 1.0


DRIVERS = [
    ({"kind": DriverKind.SENSOR}, "test_the_driver_describes_itself", "this is a suite for input"),
    ({"proof": ""}, "test_the_driver_describes_itself", "title and proof must be filled in"),
    ({"options": Lenient}, "test_unknown_options_are_refused", "a setting that does not exist"),
    ({"options": Lenient}, "test_options_that_are_not_finite_are_refused", "must refuse speed = nan"),
    (
        {"discover": lambda: [Found("A thing", options={"port": "x"})]},
        "test_discovery_offers_options_that_exist",
        "settings that do not exist: ['port']",
    ),
]


@pytest.mark.parametrize(("changes", "check", "sentence"), DRIVERS)
def test_a_broken_description_is_found(changes: dict[str, Any], check: str, sentence: str) -> None:
    described = driver(**{"kind": DriverKind.INPUT, **changes})
    assert sentence in broken(InputContract, FakeInput, check, described=described).get(check, "passed")


class FakeSensor:
    """FAKE: a sound sensor."""

    setup = StreamSetup("contract/level", "level", ("level",), "m", "", 100.0)

    def __init__(self, world: World) -> None:
        self.world = world
        self.seq, self.opened = 0, False

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        return (self.setup,) if self.opened else ()

    def start(self) -> None:
        self.world.open()
        self.opened = True

    def read(self, timeout_s: float) -> list[Any]:
        if not self.opened or not self.world.plugged:
            self.opened = False
            raise DeviceError("The sensor is gone now")
        time.sleep(0.002)
        return [self.batch(2)]

    def batch(self, count: int) -> StreamBatch:
        now_ns = time.monotonic_ns()
        stamps = now_ns - 1000 * np.arange(count - 1, -1, -1)
        made = StreamBatch(self.setup.name, self.seq, stamps, np.zeros((count, 1)))
        self.seq += count
        return made

    def stop(self) -> None:
        self.opened = False


class BadUnit(FakeSensor):
    setup = replace(FakeSensor.setup, unit="")


class SensorNan(FakeSensor):
    def batch(self, count: int) -> StreamBatch:
        return replace(super().batch(count), values=np.full((count, 1), np.nan))


class SensorShape(FakeSensor):
    def batch(self, count: int) -> StreamBatch:
        return replace(super().batch(count), values=np.zeros((count, 2)))


class SensorBackwards(FakeSensor):
    def batch(self, count: int) -> StreamBatch:
        made = super().batch(count)
        return replace(made, capture_ns=made.capture_ns[::-1])


class SensorSeq(FakeSensor):
    def batch(self, count: int) -> StreamBatch:
        return replace(super().batch(count), seq=0)


class OtherStream(FakeSensor):
    def batch(self, count: int) -> StreamBatch:
        return replace(super().batch(count), stream="contract/other")


class BlocksForEver(FakeSensor):
    def read(self, timeout_s: float) -> list[Any]:
        if self.opened and not self.world.plugged:
            time.sleep(0.7)
            return []
        return super().read(timeout_s)


class ReadsWhenStopped(FakeSensor):
    def read(self, timeout_s: float) -> list[Any]:
        time.sleep(0.002)
        return [self.batch(1)]


def test_a_sound_sensor_passes() -> None:
    assert broken(SensorContract, FakeSensor) == {}


SENSORS = [
    (BadUnit, "test_its_streams_are_described", "kind and unit must be filled in"),
    (SensorNan, "test_batches_are_sound", "not finite"),
    (SensorShape, "test_batches_are_sound", "values have the shape (2, 2), not (2, 1)"),
    (SensorBackwards, "test_batches_are_sound", "must increase within a batch"),
    (SensorSeq, "test_batches_are_sound", "seq went back from 2 to 0"),
    (OtherStream, "test_batches_are_sound", "not among its streams"),
    (BlocksForEver, "test_reading_returns_in_time", "it may wait for as long as it is told"),
    (ReadsWhenStopped, "test_a_stopped_sensor_is_not_read", "must raise a DeviceError"),
    (ReadsWhenStopped, "test_unplugging_is_said_and_it_comes_back", "must raise a DeviceError from read"),
]


@pytest.mark.parametrize(("device", "check", "sentence"), SENSORS)
def test_a_broken_sensor_is_found(device: type, check: str, sentence: str) -> None:
    assert sentence in broken(SensorContract, device, check).get(check, "passed")


class FakeCamera:
    """FAKE: a sound camera."""

    intrinsics = None
    depth_unit_m = 0.0

    def __init__(self, world: World) -> None:
        self.world = world
        self.got: CameraFormat | None = None
        self.image = np.zeros((2, 2, 3), np.uint8)

    def open(self, wanted: CameraFormat) -> CameraFormat:
        self.world.open()
        self.got = wanted
        self.image = np.zeros((wanted.height, wanted.width, 3), np.uint8)
        return wanted

    def read(self, timeout_s: float) -> CameraFrame | None:
        if self.got is None or not self.world.plugged:
            raise DeviceError("The camera is gone now")
        time.sleep(0.002)
        return self.frame()

    def frame(self) -> CameraFrame:
        self.image += 1
        return CameraFrame(self.image.copy(), time.monotonic_ns())

    def close(self) -> None:
        self.got = None


class Overwrites(FakeCamera):
    def frame(self) -> CameraFrame:
        return replace(super().frame(), image=self.image)


class OtherSize(FakeCamera):
    def frame(self) -> CameraFrame:
        return replace(super().frame(), image=np.zeros((10, 10, 3), np.uint8))


class FloatImage(FakeCamera):
    def frame(self) -> CameraFrame:
        return replace(super().frame(), image=np.zeros((48, 64, 3)))


class FrozenTime(FakeCamera):
    def frame(self) -> CameraFrame:
        self.at = getattr(self, "at", time.monotonic_ns())
        return replace(super().frame(), receive_ns=self.at)


class DepthWithoutUnit(FakeCamera):
    def frame(self) -> CameraFrame:
        return replace(super().frame(), depth=np.zeros((48, 64), np.uint16))


class ReadsWhenClosed(FakeCamera):
    def read(self, timeout_s: float) -> CameraFrame | None:
        time.sleep(0.002)
        return self.frame()


class OddSize(FakeCamera):
    def open(self, wanted: CameraFormat) -> CameraFormat:
        return super().open(replace(wanted, width=65))


def test_a_sound_camera_passes() -> None:
    assert broken(CameraContract, FakeCamera) == {}


CAMERAS = [
    (Overwrites, "test_frames_are_sound", "overwritten by a later one"),
    (OtherSize, "test_frames_are_sound", "a frame has the shape (10, 10, 3), not (48, 64, 3)"),
    (FloatImage, "test_frames_are_sound", "float64, not uint8"),
    (FrozenTime, "test_frames_are_sound", "receive_ns of a frame is not after"),
    (DepthWithoutUnit, "test_frames_are_sound", "does not say the unit"),
    (ReadsWhenClosed, "test_a_closed_camera_is_not_read", "must raise a DeviceError"),
    (ReadsWhenClosed, "test_reading_returns_in_time", "must raise a DeviceError from read"),
    (OddSize, "test_it_says_what_it_delivers", "is not even"),
]


@pytest.mark.parametrize(("device", "check", "sentence"), CAMERAS)
def test_a_broken_camera_is_found(device: type, check: str, sentence: str) -> None:
    assert sentence in broken(CameraContract, device, check).get(check, "passed")


class FakeFollower:
    """FAKE: a sound driver of a robot that moves at 1 rad/s."""

    joint_names = ("left/shoulder", "left/elbow", "left/gripper")
    rate_hz = 500.0

    def __init__(self, world: World) -> None:
        self.world = world
        self.opened = False
        self.q = np.array([0.3, -0.5, 0.5])
        self.target = self.q.copy()
        self.at = time.monotonic()

    def connect(self) -> None:
        self.world.open()
        self.opened = True
        self.target = self.q.copy()

    def read(self) -> FollowerState:
        self.need()
        self.move()
        return FollowerState(self.q.copy(), np.zeros(3), np.zeros(3), time.monotonic_ns())

    def send(self, target: np.ndarray) -> None:
        self.need()
        if target.shape != (3,) or not np.all(np.isfinite(target)):
            raise DeviceError("The target is not one for this robot")
        self.move()
        self.target = target.copy()

    def hold(self) -> None:
        self.move()
        self.target = self.q.copy()

    def disconnect(self) -> None:
        self.opened = False

    def need(self) -> None:
        if not self.opened or not self.world.plugged:
            raise DeviceError("The robot is gone now")

    def move(self) -> None:
        now = time.monotonic()
        step = now - self.at
        self.at = now
        self.q += np.clip(self.target - self.q, -step, step)


class Homes(FakeFollower):
    def connect(self) -> None:
        super().connect()
        self.target = np.zeros(3)


class FollowerNan(FakeFollower):
    def read(self) -> FollowerState:
        return replace(super().read(), effort=np.full(3, np.nan))


class TakesNan(FakeFollower):
    def send(self, target: np.ndarray) -> None:
        self.target = np.nan_to_num(target)


class TakesAnySize(FakeFollower):
    def send(self, target: np.ndarray) -> None:
        if np.all(np.isfinite(target)):
            self.target = np.resize(target, 3) if target.size else self.target


class OneFinger(FakeFollower):
    def send(self, target: np.ndarray) -> None:
        super().send(target)
        self.target[1:] += 0.2


class IgnoresHold(FakeFollower):
    def hold(self) -> None:
        self.target = self.q + 10.0


class DoesNotFollow(FakeFollower):
    def move(self) -> None:
        pass


class OldState(FakeFollower):
    def read(self) -> FollowerState:
        self.first = getattr(self, "first", super().read())
        self.need()
        return self.first


class PlainNames(FakeFollower):
    joint_names = ("shoulder", "elbow", "gripper")


class DisconnectsOnce(FakeFollower):
    def disconnect(self) -> None:
        if not self.opened:
            raise RuntimeError("closed")
        self.opened = False


class SlowBus(FakeFollower):
    def send(self, target: np.ndarray) -> None:
        time.sleep(0.12)
        super().send(target)


def test_a_sound_follower_passes() -> None:
    assert broken(FollowerContract, FakeFollower) == {}


FOLLOWERS = [
    (Homes, "test_connecting_moves_nothing", "while it was only connected"),
    (FollowerNan, "test_states_are_sound", "effort holds numbers that are not finite"),
    (TakesNan, "test_what_is_not_finite_is_refused", "send must refuse a target with nan"),
    (TakesAnySize, "test_targets_of_another_size_are_refused", "a target of 2 values for 3 joints"),
    (OneFinger, "test_it_follows", "away from its target"),
    (IgnoresHold, "test_holding_stops_it", "while it was to hold"),
    (DoesNotFollow, "test_it_follows", "away from its target"),
    (OldState, "test_states_are_sound", "capture_ns stands still"),
    (PlainNames, "test_its_joints_are_named", "arm/joint"),
    (DisconnectsOnce, "test_disconnecting_is_always_allowed", "RuntimeError"),
    (SlowBus, "test_calls_do_not_block", "send and read took"),
]


@pytest.mark.parametrize(("device", "check", "sentence"), FOLLOWERS)
def test_a_broken_follower_is_found(device: type, check: str, sentence: str) -> None:
    assert sentence in broken(FollowerContract, device, check).get(check, "passed")
