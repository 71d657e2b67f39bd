"""What the loop and its supervisor say and do around stops, faults and takeovers."""

from __future__ import annotations

import numpy as np
import pytest

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import MappingSection, StationConfig
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.core.types import Actor, ArmInput, ControlState, InputSample, SafetyFlag

MS = 1_000_000
DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
NAMES = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))
DRIFT_RAD = 5e-3  # a clutch holds the pose; the posture task may turn the wrist by a quarter degree
SPEC = build_spec("primitive")


class Reading:
    def __init__(self, position, capture_ns):
        self.position, self.capture_ns = position, capture_ns
        self.velocity = self.effort = np.zeros(14)


class Arms:
    """A follower that goes where it is sent, unless told otherwise."""

    joint_names = NAMES

    def __init__(self, clock):
        self.clock = clock
        self.position = np.array([v for arm in ARMS for v in (*arm.home_q, 1.0)])
        self.present, self.stamp_ns, self.refuse = True, None, False

    def read(self):
        return Reading(self.position.copy(), self.stamp_ns or self.clock.now_ns()) if self.present else None

    def send(self, target):
        if self.refuse:
            raise DeviceError("The arm is in protective stop", next_step="Clear it on the pendant")
        self.position = target.copy()


class Rig:
    def __init__(self):
        self.clock = FakeClock()
        self.arms = Arms(self.clock)
        self.loop = build_control_loop(StationConfig(), DESCRIPTIONS, SPEC, [self.arms], self.clock)
        self.kinds: list[str] = []

    def hand(
        self, x=0.0, *, clutch=True, source="vr", actor=Actor.HUMAN, buttons=(), gripper=None, valid=True
    ):
        pose = np.array([x, 0, 0, 1.0, 0, 0, 0])
        arm = ArmInput(clutch, valid, pose, gripper=gripper)
        now_ns = self.clock.now_ns()
        self.loop.offer(InputSample(source, actor, 0, now_ns - MS, {"left": arm}, buttons), now_ns)

    def tick(self, times=1):
        for _ in range(times):
            tick = self.loop.tick(self.clock.now_ns())
            self.clock.advance(0.005)
        self.kinds += [event.kind for event in self.loop.take_events()]
        return tick

    def engage(self, **kw):
        self.tick()
        self.hand(clutch=False, **kw)
        self.tick()
        self.hand(**kw)
        return self.tick()

    def move(self, ticks=40, **kw):
        for k in range(ticks):
            self.hand(0.002 * k, **kw)
            tick = self.tick()
        return tick


def test_supervisor_engage_moves_nothing_by_itself():
    rig = Rig()
    before = rig.arms.position.copy()
    assert rig.engage().state is ControlState.ENGAGED
    for _ in range(20):
        rig.hand()
        tick = rig.tick()
    assert np.abs(tick.sent - before).max() < 1e-4


def test_supervisor_stale_input_holds_then_releases_with_sentences():
    rig = Rig()
    rig.engage()
    moving = rig.move()
    assert moving.state is ControlState.ENGAGED
    held = rig.tick(22)
    assert held.state is ControlState.HOLD
    assert SafetyFlag.STALE_INPUT & held.flags
    assert "Arm 'left' is held: no good input from 'vr' since" in held.reason
    assert "goes on by itself if input returns within" in held.reason
    lost = rig.tick(90)
    assert lost.state is ControlState.HOLD
    assert lost.engaged == (False, False)
    assert lost.reason == (
        "Arm 'left' is held: input from 'vr' was lost. Let go of the clutch, then engage again to resume."
    )
    rig.hand()
    assert rig.tick().state is ControlState.HOLD
    rig.hand(clutch=False)
    assert rig.tick().state is ControlState.IDLE
    rig.hand()
    assert rig.tick().state is ControlState.ENGAGED
    assert {"safety.hold", "safety.stale_input", "safety.released", "safety.cleared"} <= set(rig.kinds)


def test_supervisor_resumes_without_a_jump_when_input_returns_in_time():
    rig = Rig()
    rig.engage()
    rig.move()
    rig.tick(60)
    before = rig.arms.position.copy()
    for _ in range(20):
        rig.hand(0.5)
        tick = rig.tick()
    assert tick.state is ControlState.ENGAGED
    assert np.abs(tick.sent - before).max() < DRIFT_RAD


def test_supervisor_estop_latches_within_the_tick_and_reset_moves_nothing():
    rig = Rig()
    rig.engage()
    rig.move()
    rig.hand(0.08, buttons=("estop",))
    tick = rig.tick()
    assert tick.state is ControlState.ESTOP
    assert tick.reason == "E-stop pressed on 'vr'. Reset it, then engage anew."
    with pytest.raises(StationError, match="still pressed on 'vr'"):
        rig.loop.reset_estop(rig.clock.now_ns())
    rig.hand(0.08)
    stopped = rig.tick(80).sent
    rig.hand(0.3)
    rig.loop.reset_estop(rig.clock.now_ns())
    for _ in range(20):
        rig.hand(0.3)
        tick = rig.tick()
    assert tick.state is ControlState.IDLE
    assert np.array_equal(tick.sent, stopped)
    assert {"safety.estop", "safety.estop_reset", "input.button"} <= set(rig.kinds)


def test_supervisor_estop_in_an_old_sample_still_counts():
    rig = Rig()
    rig.tick()
    now_ns = rig.clock.now_ns()
    rig.loop.offer(InputSample("vr", Actor.HUMAN, 0, now_ns - 900 * MS, {}, ("estop",)), now_ns)
    assert rig.tick().state is ControlState.ESTOP


def test_supervisor_before_the_first_follower_state_sends_nothing():
    rig = Rig()
    rig.arms.present = False
    rig.hand(clutch=False)
    tick = rig.tick()
    assert tick.state is ControlState.FAULT
    assert "Follower 'left' has not reported its position." in tick.reason
    assert tick.sent_ns == 0


def test_supervisor_stale_follower_is_a_fault_and_coming_back_needs_a_new_engage():
    rig = Rig()
    rig.engage()
    rig.move()
    rig.arms.stamp_ns = rig.clock.now_ns()
    for _ in range(30):
        rig.hand()
        tick = rig.tick()
    assert tick.state is ControlState.FAULT
    assert "ms ago (limit 100 ms)" in tick.reason
    rig.arms.stamp_ns = None
    rig.hand()
    rig.tick()
    rig.hand()
    assert rig.tick().state is ControlState.IDLE
    assert {"safety.fault", "safety.recovered"} <= set(rig.kinds)


def test_supervisor_meets_a_follower_that_was_moved_where_it_is():
    rig = Rig()
    rig.tick()
    rig.arms.present = False
    rig.tick(3)
    rig.arms.present = True
    rig.arms.position[1] += 0.4
    moved = rig.arms.position.copy()
    tick = rig.tick(2)
    assert np.abs(tick.sent - moved).max() < 1e-9


def test_supervisor_a_follower_that_refuses_is_a_fault():
    rig = Rig()
    rig.engage()
    rig.arms.refuse = True
    tick = rig.tick()
    assert tick.state is ControlState.FAULT
    assert "protective stop. Clear it on the pendant." in tick.reason
    rig.arms.refuse = False
    rig.hand(clutch=False)
    rig.tick()
    assert rig.tick().state is ControlState.IDLE


def test_supervisor_human_preempts_a_script_within_a_tick_and_without_a_jump():
    rig = Rig()
    rig.engage(source="scripted", actor=Actor.SCRIPT)
    rig.move(60, source="scripted", actor=Actor.SCRIPT)
    rig.hand(5.0, clutch=False)
    rig.hand(0.13, source="scripted", actor=Actor.SCRIPT)
    assert rig.tick().source == "scripted"
    rest = rig.loop._supervisor.anchor(0).joints
    rig.hand(5.0)
    rig.hand(0.14, source="scripted", actor=Actor.SCRIPT)
    tick = rig.tick()
    assert (tick.source, tick.actor) == ("vr", Actor.HUMAN)
    for _ in range(100):
        rig.hand(5.0)
        tick = rig.tick()
    assert np.abs(tick.sent[:6] - rest).max() < DRIFT_RAD
    rig.hand(5.0, clutch=False)
    rig.hand(0.2, source="scripted", actor=Actor.SCRIPT)
    assert rig.tick().source == ""


def test_supervisor_home_is_refused_while_engaged_and_yields_to_a_hand():
    rig = Rig()
    rig.engage()
    rig.move()
    with pytest.raises(StationError, match="while 'vr' is engaged"):
        rig.loop.start_home(rig.clock.now_ns())
    rig.hand(clutch=False)
    rig.tick(60)
    rig.loop.start_home(rig.clock.now_ns())
    assert rig.tick().source == "home"
    rig.hand()
    assert rig.tick().source == "vr"
    assert "control.home_failed" in rig.kinds


def test_supervisor_home_is_not_over_before_the_grippers_are_open():
    rig = Rig()
    rig.arms.position[[6, 13]] = 0.2
    rig.tick()
    rig.loop.start_home(rig.clock.now_ns())
    while "control.homed" not in rig.kinds:
        rig.tick()
    assert rig.arms.position[[6, 13]].tolist() == [1.0, 1.0]


def test_supervisor_new_mapping_under_a_held_clutch_does_not_jump():
    rig = Rig()
    rig.engage()
    for _ in range(40):
        rig.hand(0.0)
        before = rig.tick()
    rig.loop.set_mapping(MappingSection(scale=4.0, yaw_deg=90.0))
    for _ in range(20):
        rig.hand(0.0)
        tick = rig.tick()
    assert np.abs(tick.sent - before.sent).max() < 1e-4


def test_supervisor_gripper_has_its_own_rate():
    rig = Rig()
    rig.engage(gripper=1.0)
    rig.hand(gripper=0.0)
    grippers = [rig.tick().sent[6] for _ in range(10)]
    assert np.allclose(np.diff(grippers), -4.0 * 0.005)


def test_supervisor_names_what_does_not_fit():
    clock = FakeClock()
    arms = Arms(clock)
    arms.joint_names = NAMES[:7]
    with pytest.raises(ConfigError, match="followers do not fit the station's arms"):
        build_control_loop(StationConfig(), DESCRIPTIONS, SPEC, [arms], clock)
    with pytest.raises(ConfigError, match="no arm 'right'"):
        build_control_loop(StationConfig(), DESCRIPTIONS[:1], SPEC, [Arms(clock)], clock)


def test_supervisor_a_clutch_held_through_an_estop_while_tracking_was_lost_does_not_engage_by_itself():
    rig = Rig()
    rig.tick()
    rig.hand(clutch=False)
    rig.tick()
    rig.hand(valid=False)
    rig.tick()
    rig.loop.estop("test", rig.clock.now_ns())
    rig.tick()
    rig.loop.reset_estop(rig.clock.now_ns())
    for _ in range(3):
        rig.hand()
        assert not any(rig.tick().engaged)
    assert rig.engage().state is ControlState.ENGAGED
