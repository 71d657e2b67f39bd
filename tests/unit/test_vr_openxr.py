"""OpenXR without a runtime: when a pose counts, what a lost headset leaves, and which paths are bound."""

import re
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.protocols import Companions, InputDevice, Reporting, StationObserver, Verification
from devices.registry import find_driver
from devices.vr.haptics import PATTERNS, PulseQueue
from devices.vr.openxr import DRIVER, OpenXrHeadset, OpenXrOptions
from devices.vr.openxr_bindings import BINDINGS, NEEDS
from devices.vr.openxr_session import lost, tracked_pose, within
from devices.vr.protocol import HANDS, Controller, XrFrame
from devices.vr.server import WEB
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Event

POSE = np.array([0.1, 0.4, 1.2, 1.0, 0.0, 0.0, 0.0])
ALL = 15


class Session:
    """Stands for a runtime: says what it is told to, and breaks when it is told to."""

    def __init__(self) -> None:
        self.runtime = "none"
        self.focused = True
        self.running = True
        self.broken = False
        self.closed = 0
        self.squeeze = 0.0
        self.resets = 0
        self.seq = 0
        self.pulses: list[tuple[str, float, int]] = []

    def frame(self, now_ns: int) -> XrFrame | None:
        if self.broken:
            raise lost("headset", "the cable was pulled")
        if not self.running:
            return None
        self.seq += 1
        right = Controller("right", POSE, POSE, None, 0.25, self.squeeze, (0.0, 0.0), frozenset({"lower"}))
        shown = {"right": right} if self.focused else {}
        return XrFrame(self.seq, self.resets, now_ns, now_ns, self.focused, POSE, shown)

    def pulse(self, hand: str, strength: float, length_ms: int) -> None:
        self.pulses.append((hand, strength, length_ms))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def headset(tmp_path: Path, clock: FakeClock, session: Session) -> OpenXrHeadset:
    context = DeviceContext(
        "headset", ("left", "right"), StationConfig(), CalibrationStore(tmp_path / "c"), clock
    )
    device = OpenXrHeadset(context, OpenXrOptions(), lambda: session)
    device.start()
    return device


def engage(headset: OpenXrHeadset, session: Session) -> None:
    session.squeeze = 0.0
    headset.poll()
    session.squeeze = 1.0
    sample = headset.poll()
    assert sample is not None and sample.arms["right"].clutch


def test_it_is_every_kind_of_device_that_it_should_be(headset: OpenXrHeadset) -> None:
    for kind in (StationObserver, Reporting, Companions):
        assert isinstance(headset, kind)
    device: InputDevice = headset
    assert find_driver(DriverKind.INPUT, "openxr") is DRIVER and device.name == "headset"
    assert DRIVER.verification is Verification.EMULATOR and DRIVER.needs == ("xr",)


def test_samples_are_those_of_webxr_with_the_hosts_own_time(
    headset: OpenXrHeadset, session: Session, clock: FakeClock
) -> None:
    clock.advance(1.0)
    engage(headset, session)
    sample = headset.poll()
    assert sample is not None
    arm = sample.arms["right"]
    assert arm.pose is not None and arm.gripper == 0.75 and sample.buttons == ("record",)
    np.testing.assert_array_equal(arm.pose, POSE)
    assert sample.capture_ns == clock.now_ns() and sample.device_ns is None
    assert not sample.arms["left"].valid


@pytest.mark.parametrize("flags", [0, 3, 7, 11, 12])
def test_a_pose_that_is_guessed_or_invalid_does_not_count(flags: int) -> None:
    assert tracked_pose(flags, (0.1, 0.2, 0.3), (1.0, 0.0, 0.0, 0.0)) is None


def test_a_tracked_pose_is_given_in_the_operators_axes() -> None:
    pose = tracked_pose(ALL, (0.1, 1.2, -0.4), (1.0, 0.0, 0.0, 0.0))
    assert pose is not None
    np.testing.assert_allclose(pose, POSE)
    assert tracked_pose(ALL, (np.nan, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)) is None
    assert tracked_pose(ALL, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)) is None
    assert within(float("nan")) == 0.0 and within(7.0) == 1.0 and within(-7.0) == -1.0


def test_a_lost_headset_lets_go_first_and_is_then_said(headset: OpenXrHeadset, session: Session) -> None:
    engage(headset, session)
    session.broken = True
    sample = headset.poll()
    assert sample is not None and not any(arm.clutch or arm.valid for arm in sample.arms.values())
    with pytest.raises(DeviceError, match=r"'headset' was lost: the cable was pulled. Start its runtime"):
        headset.poll()
    assert session.closed == 1 and headset.state == "off" and headset.poll() is None
    session.broken = False
    headset.start()
    sample = headset.poll()
    assert sample is not None and not sample.arms["right"].clutch, "still squeezed: not a new squeeze"
    engage(headset, session)


def test_a_recentred_room_and_a_menu_let_go(headset: OpenXrHeadset, session: Session) -> None:
    for change in ({"resets": 1}, {"focused": False}):
        engage(headset, session)
        for name, value in change.items():
            setattr(session, name, value)
        sample = headset.poll()
        assert sample is not None and not sample.arms["right"].clutch
        if not session.focused:
            assert headset.state == "hidden" and "squeeze anew" in headset.sentence
        session.focused = True
        sample = headset.poll()
        assert sample is not None and not sample.arms["right"].clutch


def test_a_headset_that_sleeps_lets_go_once(
    headset: OpenXrHeadset, session: Session, clock: FakeClock
) -> None:
    engage(headset, session)
    session.running = False
    assert headset.poll() is None
    clock.advance(1.0)
    sample = headset.poll()
    assert sample is not None and not sample.arms["right"].clutch
    assert headset.poll() is None
    assert headset.state == "lost" and "put it on" in headset.sentence


def test_a_headset_that_nobody_wears_is_no_fault(headset: OpenXrHeadset, session: Session) -> None:
    session.running = False
    headset.poll()
    assert (headset.state, headset.sentence) == ("waiting", "")


def test_stopping_lets_go_and_may_be_done_twice(headset: OpenXrHeadset, session: Session) -> None:
    engage(headset, session)
    headset.stop()
    headset.stop()
    sample = headset.poll()
    assert sample is not None and not any(arm.clutch for arm in sample.arms.values())
    assert headset.poll() is None and session.closed == 1


def test_pulses_are_played_one_after_the_other_in_the_hand_they_are_about(
    headset: OpenXrHeadset, session: Session, clock: FakeClock
) -> None:
    headset.observe(Event("safety.limit", 0, "control", "", {"arm": "left"}))
    headset.cue("record")
    for _ in range(30):
        headset.poll()
        clock.advance(0.01)
    assert session.pulses == [("left", 0.5, 70), ("left", 0.8, 140)]


def test_both_kinds_of_headset_pulse_alike() -> None:
    script = (WEB / "haptics.js").read_text()
    for kind, pulses in PATTERNS.items():
        found = re.search(rf"^  {kind}: \[(.*)\],$", script, re.MULTILINE)
        assert found, kind
        numbers = [float(each) for each in re.findall(r"[\d.]+", found[1])]
        assert numbers == [value for pulse in pulses for value in pulse]
    queue = PulseQueue()
    queue.play("no such kind", HANDS, 0)
    assert queue.take(0) == (0.4, 40, HANDS) and queue.take(NS_PER_S) is None


def test_bindings_name_each_action_once_and_never_a_foreign_button() -> None:
    for profile, hands in BINDINGS.items():
        for hand, controls in hands.items():
            assert {"grip", "squeeze", "haptic"} <= controls.keys(), profile
            assert len(set(controls.values())) == len(controls), profile
            if profile == "oculus/touch_controller":
                assert ("input/x/click" in controls.values()) == (hand == "left")
    assert NEEDS.keys() <= BINDINGS.keys()


def test_without_its_package_a_sentence_says_what_to_install(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xr", None)
    context = DeviceContext("headset", ("left",), StationConfig(), CalibrationStore(tmp_path / "c"), clock)
    with pytest.raises(DeviceError, match=r"pip install 'teleop-app\[openxr\]'"):
        DRIVER.make(context, OpenXrOptions())
