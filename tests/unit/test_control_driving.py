"""Enabling device, leaders, nudges, symmetry, precision and the watched mapping, through the whole loop."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from devices.models.cell import cell_arms, cell_spec
from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.control.yaw_motion import YawMotion
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import ArmSection, InputDeviceSection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import (
    quat_angle,
    quat_conjugate,
    quat_from_matrix,
    quat_from_rotvec,
    quat_multiply,
    quat_to_rotvec,
)
from teleop_app.core.types import (
    Actor,
    ArmInput,
    ControlState,
    ControlTick,
    Event,
    InputSample,
    SafetyFlag,
    StreamBatch,
    StreamSetup,
)
from teleop_app.mapping.ik import ArmChain, CellKinematics
from teleop_app.mapping.ik_model import arms_only

MS = 1_000_000
SPEC = build_spec("primitive")
DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
NAMES = [name for arm in ARMS for name in arm.joint_names]
HOME = np.array(ARMS[0].home_q)
KINEMATICS = CellKinematics(
    arms_only(SPEC, NAMES),
    [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS],
    period_s=0.005,
    max_velocity_rad_s=2.5,
    margin_rad=0.03,
)


class Arms:
    """A follower that goes where it is sent."""

    joint_names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))

    def __init__(self, clock):
        self.clock = clock
        self.position = np.array([v for arm in ARMS for v in (*arm.home_q, 1.0)])
        self.velocity = self.effort = np.zeros(14)

    @property
    def capture_ns(self):
        return self.clock.now_ns()

    def read(self):
        return self

    def send(self, target):
        self.position = target.copy()


class Rig:
    def __init__(self, **mapping):
        config = StationConfig()
        config.inputs.devices = [InputDeviceSection(name="pedal", driver="pedal")]
        for key, value in mapping.items():
            setattr(config.safety if key == "deadman" else config.mapping, key, value)
        self.clock = FakeClock()
        self.arms = Arms(self.clock)
        self.loop = build_control_loop(config, DESCRIPTIONS, SPEC, [self.arms], self.clock)
        self.events: list[Event] = []
        self.sent: list[np.ndarray] = []
        self.tick()

    def offer(self, arms, source="vr", actor=Actor.HUMAN, buttons=()):
        now_ns = self.clock.now_ns()
        self.loop.offer(InputSample(source, actor, 0, now_ns - MS, arms, buttons), now_ns)

    def pedal(self, held=True):
        self.offer({}, "pedal", buttons=("enable",) if held else ())

    def tick(self, times=1) -> ControlTick:
        for _ in range(times):
            tick = self.loop.tick(self.clock.now_ns())
            self.sent.append(tick.sent)
            self.clock.advance(0.005)
        self.events += self.loop.take_events()
        return tick

    def drive(self, ticks=1, *, pedal=None, **arms: ArmInput) -> ControlTick:
        for _ in range(ticks):
            self.offer(arms)
            if pedal is not None:
                self.pedal(pedal)
            tick = self.tick()
        return tick

    def engage(self, pedal=None, **arms: ArmInput) -> ControlTick:
        self.drive(pedal=pedal, **{name: ArmInput(clutch=False) for name in arms})
        return self.drive(pedal=pedal, **arms)

    def poses(self):
        return KINEMATICS.poses(self.arms.position[[*range(6), *range(7, 13)]])

    def kinds(self):
        return [event.kind for event in self.events]

    def largest_step(self):
        return np.abs(np.diff(np.array(self.sent), axis=0)).max()


def hand(x=0.0, y=0.0, z=0.0, turn=(0.0, 0.0, 0.0), **kw) -> ArmInput:
    pose = np.concatenate([[x, y, z], quat_from_rotvec(np.array(turn))])
    return ArmInput(clutch=True, pose=pose, **kw)


# The enabling device.


def test_deadman_without_it_nobody_drives_and_a_sentence_says_why():
    rig = Rig(deadman="pedal")
    tick = rig.engage(left=hand())
    assert tick.state is ControlState.HOLD
    assert tick.flags & SafetyFlag.DEADMAN
    assert "the enabling device 'pedal' has not been heard of" in tick.reason
    assert "let go of the clutch of 'vr' and engage again" in tick.reason
    assert not any(tick.engaged)
    assert rig.drive(5, pedal=True, left=hand(0.1)).state is ControlState.HOLD  # held too late
    assert rig.largest_step() < 1e-12
    assert rig.engage(pedal=True, left=hand()).state is ControlState.ENGAGED


def test_deadman_let_go_ramps_the_arms_to_rest_and_needs_a_new_edge():
    rig = Rig(deadman="pedal")
    rig.engage(pedal=True, left=hand())
    for k in range(40):
        tick = rig.drive(pedal=True, left=hand(0.002 * k))
    assert tick.state is ControlState.ENGAGED
    tick = rig.drive(pedal=False, left=hand(0.09))
    assert tick.state is ControlState.HOLD and tick.flags & SafetyFlag.DEADMAN
    assert "the enabling device 'pedal' is not held" in tick.reason
    rig.drive(60, pedal=False, left=hand(0.09))
    rest = rig.arms.position.copy()
    assert rig.drive(40, pedal=True, left=hand(0.15)).state is ControlState.HOLD
    assert np.abs(rig.arms.position - rest).max() < 1e-9
    assert rig.engage(pedal=True, left=hand(0.15)).state is ControlState.ENGAGED
    rig.drive(60, pedal=True, left=hand(0.15))
    begun = next(event for event in rig.events if event.kind == "safety.deadman")
    ended = [event for event in rig.events if event.kind == "safety.cleared"][-1]
    assert begun.fields["flag"] == ended.fields["flag"] == "deadman"
    lasted_s = ended.fields["lasted_s"]
    assert isinstance(lasted_s, float) and lasted_s > 0.2


def test_deadman_that_falls_silent_counts_as_let_go():
    rig = Rig(deadman="pedal")
    rig.engage(pedal=True, left=hand())
    tick = rig.drive(25, left=hand())
    assert tick.state is ControlState.HOLD
    assert "'pedal' has been silent for" in tick.reason


def test_deadman_is_for_people_alone():
    rig = Rig(deadman="pedal")
    for clutch in (False, True):
        rig.offer({"left": ArmInput(clutch=clutch, pose=hand().pose)}, "scripted", Actor.SCRIPT)
        tick = rig.tick()
    assert tick.state is ControlState.ENGAGED and tick.source == "scripted"


# Leaders.


def leader(joints, **kw) -> ArmInput:
    return ArmInput(clutch=True, joints=np.asarray(joints, dtype=np.float64), **kw)


def test_a_leader_is_refused_when_a_joint_stands_too_far_away():
    rig = Rig()
    away = HOME + np.array([0, 0, 1.0, 0, 0, 0])
    tick = rig.engage(left=leader(away))
    assert tick.state is ControlState.HOLD
    assert (
        "the leader's joint 'elbow' stands +1.00 rad (+57 deg) from the follower's (limit 0.80" in tick.reason
    )
    assert "control.align_refused" in rig.kinds()
    rig.drive(20, left=leader(HOME))
    assert rig.largest_step() < 1e-12, "and it needs a new edge"
    assert rig.engage(left=leader(HOME)).state is ControlState.ENGAGED


def test_a_follower_comes_to_its_leader_slowly_and_then_follows_it_exactly():
    rig = Rig()
    posture = HOME + np.array([0.3, 0.1, -0.2, 0.5, 0.0, 0.4])
    tick = rig.engage(left=leader(posture, gripper=0.2))
    assert tick.state is ControlState.ALIGNING
    assert tick.reason.startswith("Arm 'left' goes to its leader: joint 'forearm_roll' is 0.50 rad away")
    ticks = 0
    while rig.drive(left=leader(posture, gripper=0.2)).state is ControlState.ALIGNING:
        ticks += 1
        assert ticks < 400
    assert rig.largest_step() <= 0.5 * 0.005 + 5e-5  # the last tick is past it
    assert 0.8 < ticks * 0.005 < 1.6
    assert rig.kinds().count("control.aligned") == 1
    rig.drive(100, left=leader(posture, gripper=0.2))
    assert np.abs(rig.arms.position[:6] - posture).max() < 1e-6
    assert rig.arms.position[6] == 1.0, "the gripper waits until its control is moved"
    rig.drive(100, left=leader(posture + 0.1, gripper=0.5))
    assert np.abs(rig.arms.position[:6] - posture - 0.1).max() < 1e-6
    assert rig.arms.position[6] == 0.5


def test_a_leader_that_was_moved_in_a_pause_is_aligned_anew():
    rig = Rig()
    rig.engage(left=leader(HOME))
    rig.drive(5, left=leader(HOME))
    rig.tick(40)  # silent for 0.2 s
    tick = rig.drive(left=leader(HOME + 0.3))
    assert tick.state is ControlState.ALIGNING
    assert rig.largest_step() < 0.5 * 0.005 + 1e-9


def test_an_so101_leads_a_viperx_by_the_pose_of_its_end_effector():
    """Its five joints do not fit the six; the device sends forward kinematics of its own model."""
    config = StationConfig(
        arms=[ArmSection(name="leader", model="so101", workspace_min=[-1.0] * 3, workspace_max=[1.0] * 3)]
    )
    (arm,), model = cell_arms(config), cell_spec(config).compile()
    data = mujoco.MjData(model)

    def pose(bend):
        joints = np.array(arm.home) + bend * np.array([0.4, 0.3, -0.3, 0.0, 0.3])
        data.qpos[[int(model.joint(name).qposadr[0]) for name in arm.joint_names]] = joints
        mujoco.mj_kinematics(model, data)
        quat = quat_from_matrix(data.site(arm.tcp_site).xmat.reshape(3, 3))
        return np.concatenate([data.site(arm.tcp_site).xpos, quat])

    rig = Rig(filter=False)
    start, first = rig.poses()[0], pose(0.0)
    assert rig.engage(left=ArmInput(clutch=True, pose=first)).state is ControlState.ENGAGED
    for k in range(250):
        rig.drive(left=ArmInput(clutch=True, pose=pose(min(1.0, k / 150))))
    moved, led = rig.poses()[0], pose(1.0)
    assert np.linalg.norm(led[:3] - first[:3]) > 0.05
    assert np.allclose(moved[:3] - start[:3], led[:3] - first[:3], atol=5e-3)
    turned = quat_multiply(led[3:], quat_conjugate(first[3:]))
    assert quat_angle(moved[3:], quat_multiply(turned, start[3:])) < 0.1


def test_a_leader_of_other_kinematics_drives_the_end_effector_by_its_pose():
    """Joints that do not fit the arm do not matter where a pose comes with them."""
    rig = Rig(filter=False)
    start = rig.poses()[0]
    joints = np.zeros(5)
    tick = rig.engage(left=hand(0.2, 0.0, 0.1, joints=joints))
    assert tick.state is ControlState.ENGAGED
    for k in range(80):
        rig.drive(left=hand(0.2 + 0.0005 * k, 0.0, 0.1, joints=joints))
    rig.drive(100, left=hand(0.24, 0.0, 0.1, joints=joints))
    assert np.allclose(rig.poses()[0][:3] - start[:3], [0.04, 0, 0], atol=2e-3)
    bare = Rig()
    tick = bare.engage(left=leader(joints))
    assert "a leader of 5 joints cannot mirror a follower of 6; it must send the pose" in tick.reason


# Nudges.


@pytest.mark.parametrize(("axis", "index"), [("x", 0), ("y", 1), ("z", 2)])
def test_nudging_an_idle_arm_moves_it_by_one_step_without_a_jump(axis, index):
    rig = Rig()
    before = rig.poses()
    for _ in range(2):
        rig.loop.nudge("right", axis, -1, rig.clock.now_ns())
    tick = rig.tick()
    assert tick.source == "nudge" and tick.state is ControlState.IDLE
    rig.tick(200)
    moved = rig.poses()
    wanted = np.zeros(3)
    wanted[index] = -0.010
    assert np.allclose(moved[1][:3] - before[1][:3], wanted, atol=1e-3)
    assert np.abs(moved[0] - before[0]).max() < 1e-9
    assert rig.largest_step() < 2.5 * 0.005 + 1e-9
    assert rig.tick().source == ""


def test_nudging_an_engaged_arm_keeps_its_hand():
    rig = Rig(filter=False)
    start = rig.poses()[0]
    rig.engage(left=hand())
    rig.drive(20, left=hand())
    rig.loop.nudge("left", "z", 1, rig.clock.now_ns())
    rig.drive(60, left=hand())
    assert np.allclose(rig.poses()[0][:3] - start[:3], [0, 0, 0.005], atol=1e-3)
    assert rig.tick().engaged == (True, False)


def test_nudges_are_refused_with_the_reason():
    rig = Rig(deadman="pedal")

    def refused(why, arm="left", axis="x", sign=1):
        with pytest.raises(StationError, match=why):
            rig.loop.nudge(arm, axis, sign, rig.clock.now_ns())

    refused("There is no arm 'middle'", arm="middle")
    refused("'left' was not nudged: there is no nudge 'w'", axis="w")
    refused("'pedal' has not been heard of. Hold it, then nudge again")
    rig.engage(pedal=True, left=leader(HOME))
    refused("a leader drives the arm joint for joint")
    refused("'vr' is engaged and does not move it now", arm="right")
    rig.loop.estop("test", rig.clock.now_ns())
    rig.pedal()
    rig.tick()
    refused("E-stop test")


# Symmetry, precision, watched mapping, yaw.


def test_with_symmetry_one_hand_drives_both_arms_as_mirror_images():
    rig = Rig(symmetry=True, filter=False)
    before = rig.poses()
    tick = rig.engage(left=hand(gripper=1.0))
    assert tick.engaged == (True, True)
    for k in range(100):
        tick = rig.drive(left=hand(0.0003 * k, 0.0004 * k, -0.0005 * k, (0, 0, 0.002 * k), gripper=0.5))
    rig.drive(100, left=hand(0.03, 0.04, -0.05, (0, 0, 0.2), gripper=0.5))
    after = rig.poses()
    assert np.allclose(after[0][:3] - before[0][:3], [0.03, 0.04, -0.05], atol=3e-3)
    assert np.allclose(after[1][:3] - before[1][:3], [-0.03, 0.04, -0.05], atol=3e-3)
    turns = [quat_to_rotvec(pose[3:])[2] for pose in after]
    assert turns[0] == pytest.approx(0.2, abs=0.05)
    assert abs(turns[1]) == pytest.approx(np.pi - 0.2, abs=0.05)
    assert rig.arms.position[[6, 13]].tolist() == [0.5, 0.5]
    rig.drive(60, left=ArmInput(clutch=False))
    rest = rig.arms.position.copy()
    assert rig.drive(left=ArmInput(clutch=False)).engaged == (False, False)
    rig.engage(left=hand(0.4))
    rig.drive(20, left=hand(0.4))
    assert np.abs(rig.arms.position - rest).max() < 5e-3, "no jump at a new clutch"


def test_with_symmetry_a_hand_of_its_own_takes_the_second_arm():
    rig = Rig(symmetry=True, filter=False)
    rig.engage(left=hand(), right=ArmInput(clutch=False))
    rig.drive(20, left=hand(), right=ArmInput(clutch=False))
    rig.drive(2, left=hand(), right=hand(2.0))
    before = rig.poses()
    for k in range(60):
        rig.drive(left=hand(), right=hand(2.0, 0.0005 * k))
    assert rig.poses()[1][1] - before[1][1] > 0.01
    assert np.abs(rig.poses()[0] - before[0]).max() < 2e-3


def test_precision_mode_through_the_loop_does_not_jump():
    rig = Rig(filter=False)
    rig.engage(left=hand())
    for k in range(60):
        rig.drive(left=hand(0.001 * k))
    before = rig.poses()[0]
    rig.drive(100, left=hand(0.059, precise=True))
    assert abs(rig.poses()[0][0] - before[0]) < 0.02  # only what it was behind
    settled = rig.poses()[0]
    for k in range(100):
        rig.drive(left=hand(0.059 + 0.0004 * k, precise=True))
    rig.drive(60, left=hand(0.099, precise=True))
    assert rig.poses()[0][0] - settled[0] == pytest.approx(0.25 * 0.04, abs=2e-3)


def test_the_mapping_is_published_only_while_somebody_watches():
    rig = Rig()
    rig.engage(left=hand())
    rig.drive(20, left=hand(0.01))
    assert rig.loop.take_streams(rig.clock.now_ns()) == []
    rig.loop.watch_mapping(0.5, rig.clock.now_ns())
    heard = []
    for k in range(150):
        rig.drive(left=hand(0.0005 * k))
        heard += rig.loop.take_streams(rig.clock.now_ns())
    assert isinstance(heard[0], StreamSetup) and heard[0].name == "vr/left/mapping"
    batches = [message for message in heard if isinstance(message, StreamBatch)]
    rows = np.concatenate([batch.values for batch in batches])
    stamps = np.concatenate([batch.capture_ns for batch in batches])
    assert 90 <= len(rows) <= 102
    assert (np.diff(stamps) > 0).all()
    assert [batch.seq for batch in batches] == np.cumsum([0, *(len(b.values) for b in batches[:-1])]).tolist()
    assert np.allclose(np.diff(rows[:, 0]), 0.0005)
    assert (rows[20:, 3] < rows[20:, 0]).all(), "the filter lags"


def test_yaw_is_found_from_a_hand_that_need_not_be_engaged():
    rig = Rig()
    motion = YawMotion("vr", "left", 0.0)
    with pytest.raises(StationError, match="'vr' sent no pose of a hand for arm 'left'"):
        motion.yaw_deg()
    for k in range(100):
        pose = np.array([0.0, 0.003 * k, 0.0, 1.0, 0, 0, 0])
        rig.drive(left=ArmInput(clutch=False, pose=pose))
        motion.look(rig.loop)
        motion.look(rig.loop)
    assert motion.yaw_deg() == pytest.approx(-90.0)


class Base:
    """Hears what a body beside the arms would be told."""

    def __init__(self):
        self.told = []

    at_rest = True

    def watch(self, sample):
        """Nothing is calibrated."""

    def tick(self, sample, engaged, now_ns, stopped):
        self.told.append((sample.source if sample else "", engaged, stopped))
        return ()


def test_other_bodies_are_told_who_drives_and_when_to_stop():
    rig = Rig()
    rig.loop.bodies = base = Base()
    rig.tick()
    rig.engage(left=hand())
    rig.loop.estop("test", rig.clock.now_ns())
    rig.tick()
    assert base.told == [("", (), False), ("", (), False), ("vr", ["left"], False), ("", (), True)]
