"""Whatever the inputs, the clock and the followers do, what is sent stays safe.

Random and adversarial traces through the whole control loop with real kinematics, shapes and a follower that
goes where it is sent. `TELEOP_TRACES=5000 pytest -s tests/contract/test_safety_invariants.py` plays more of
them and ends with their number and that of violations.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.loop import ControlLoop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import MappingSection, SafetySection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import quat_angle, quat_from_rotvec
from teleop_app.core.types import Actor, ArmInput, ControlState, ControlTick, InputSample
from teleop_app.mapping.clearance import Clearance
from teleop_app.mapping.collision_model import collision_model
from teleop_app.mapping.dexterity import ArmDexterity
from teleop_app.mapping.ik import ArmChain, CellKinematics
from teleop_app.mapping.ik_model import arms_only
from teleop_app.mapping.nudge import NUDGE_AXES
from teleop_app.mapping.symmetry import MirrorPlane
from teleop_app.safety.collision import CollisionSlowDown
from teleop_app.safety.limits import ArmLimits, CellLimits
from teleop_app.safety.singularity import SingularitySlowDown
from teleop_app.safety.supervisor import ADOPT_RAD, SafetySupervisor
from teleop_app.safety.workspace import REST_TOLERANCE_M

TRACES = int(os.environ.get("TELEOP_TRACES", "60"))
SEEN = Counter()
PERIOD_S = 0.005
SAFETY = SafetySection()
MS = 1_000_000
HOME = np.array([value for arm in ARMS for value in arm.home_q])
# Full speed with full acceleration on top, braked within acceleration and jerk, and one tick.
STOP_S = 2 * SAFETY.max_joint_acceleration_rad_s2 / SAFETY.max_joint_jerk_rad_s3 + (
    SAFETY.max_joint_velocity_rad_s / SAFETY.max_joint_acceleration_rad_s2
)
STOP_TICKS = int(STOP_S / PERIOD_S) + 2
# A clutch holds the pose of the end effector; near the wrist singularity the posture task may slowly turn
# two joints against each other within it.
STILL_M, STILL_RAD = 0.003, 0.03
NAMES = [name for arm in ARMS for name in arm.joint_names]
CHAINS = [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS]


@functools.cache
def kinematics() -> CellKinematics:
    return CellKinematics(
        arms_only(build_spec("primitive"), NAMES),
        CHAINS,
        period_s=PERIOD_S,
        max_velocity_rad_s=SAFETY.max_joint_velocity_rad_s,
        margin_rad=SAFETY.joint_margin_rad,
    )


@functools.cache
def limits() -> CellLimits:
    arms = [
        ArmLimits(
            arm.side,
            np.array(arm.lower_rad),
            np.array(arm.upper_rad),
            np.array(section.workspace_min),
            np.array(section.workspace_max),
        )
        for arm, section in zip(ARMS, StationConfig().arms, strict=True)
    ]
    return CellLimits(arms, SAFETY)


@functools.cache
def shapes() -> Clearance:
    return Clearance(collision_model(build_spec("primitive"), NAMES, HOME), NAMES, SAFETY.collision_slow_m)


@functools.cache
def dexterity() -> ArmDexterity:
    return ArmDexterity(arms_only(build_spec("primitive"), NAMES), CHAINS)


class Echo:
    """A follower that is where it was last sent, and can be frozen, moved away or made to lie."""

    joint_names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.position = np.zeros(14)
        self.position[limits().joint_at] = HOME
        self.position[limits().gripper_at] = 1.0
        self.frozen_ns: int | None = None
        self.nan = False
        self.sends = 0

    @dataclass
    class State:
        position: np.ndarray
        velocity: np.ndarray
        effort: np.ndarray
        capture_ns: int

    def read(self) -> State:
        position = np.full(14, np.nan) if self.nan else self.position.copy()
        stamp = self.clock.now_ns() if self.frozen_ns is None else self.frozen_ns
        return self.State(position, np.zeros(14), np.zeros(14), stamp)

    def send(self, target: np.ndarray) -> None:
        assert target.shape == (14,)
        assert np.isfinite(target).all(), "a number that is not finite reached the device"
        self.sends += 1
        if self.frozen_ns is None:
            self.position = target.copy()


@dataclass
class Hand:
    """A source and where its hand is."""

    name: str
    actor: Actor
    kind: str = "pose"
    clutch: bool = False
    position: np.ndarray = field(default_factory=lambda: np.array([0.1, 0.2, 0.3]))
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    turn: np.ndarray = field(default_factory=lambda: np.zeros(3))
    gripper: float = 1.0
    precise: bool = False
    arms: tuple[str, ...] = ("left", "right")
    leader: np.ndarray | None = None
    last: InputSample | None = None
    newest_ns: int = 0
    # The oracle: when the hand last asked for motion with a sample that is in order, fresh and held.
    asked_ns: int = -(10**18)
    held: frozenset[str] = frozenset()
    must_let_go: frozenset[str] = frozenset()


class Rig:
    """Loop, follower, hands and clock, with every invariant checked at every tick."""

    def __init__(self, *, pedal: bool = False) -> None:
        self.clock = FakeClock()
        self.follower = Echo(self.clock)
        self.supervisor = SafetySupervisor(
            limits(),
            SAFETY,
            kinematics(),
            [self.follower],
            self.clock,
            PERIOD_S,
            singularities=SingularitySlowDown(limits(), SAFETY, dexterity()),
            collisions=CollisionSlowDown(limits(), SAFETY, shapes()),
        )
        safety = SAFETY.model_copy(update={"deadman": "pedal"}) if pedal else SAFETY
        self.pedal_held: bool | None = True if pedal else None  # None: the station has none
        self.pedal_silent = False
        self.pedal_ns = -(10**18)
        self.nudge_ns = -(10**18)
        self.mapping = MappingSection()
        self.clear_m = -np.inf
        poses = kinematics().poses(HOME)
        homes = [HOME[:6], HOME[6:]]
        self.loop = ControlLoop(
            ["left", "right"],
            homes,
            [float(pose[2]) for pose in poses],
            self.supervisor,
            self.mapping,
            safety,
            PERIOD_S,
            plane=MirrorPlane(np.array([1.0, 0.0, 0.0])),
        )
        self.hands = {
            "human": Hand("human", Actor.HUMAN),
            "script": Hand("script", Actor.SCRIPT, position=np.array([2.0, 0.0, 1.0])),
        }
        self.seq = 0
        self.history: list[np.ndarray] = []
        self.idle = 0
        self.estopped = 0
        self.homing = False
        self.ticks: list[ControlTick] = []
        self.outside = np.zeros(12, dtype=bool)
        self.allowed_m = np.full(2, REST_TOLERANCE_M)

    # What happens to the inputs.

    def sample(
        self, hand: Hand, *, age_ms: float = 1.0, spoil: float | None = None, valid: bool = True
    ) -> None:
        capture_ns = self.clock.now_ns() - round(age_ms * MS)
        pose = np.concatenate([hand.position, quat_from_rotvec(hand.turn)])
        twist = np.concatenate([hand.velocity, hand.turn])
        joints = np.concatenate([hand.position, hand.turn]) if hand.leader is None else hand.leader.copy()
        if spoil is not None:
            for values in (pose, twist, joints):
                values[self.seq % len(values)] = spoil
        arm = ArmInput(
            clutch=hand.clutch,
            valid=valid,
            pose=pose if hand.kind == "pose" else None,
            twist=twist if hand.kind == "twist" else None,
            joints=joints if hand.kind == "joints" else None,
            gripper=hand.gripper if spoil is None else spoil,
            precise=hand.precise,
        )
        arms = {name: arm if name in hand.arms else ArmInput(clutch=False) for name in ("left", "right")}
        hand.last = InputSample(hand.name, hand.actor, self.seq, capture_ns, arms)
        self.offer(hand, hand.last)

    def offer(self, hand: Hand, sample: InputSample) -> None:
        self.seq += 1
        now_ns = self.clock.now_ns()
        fresh = now_ns - sample.capture_ns <= SAFETY.stale_hold_ms * MS
        if sample.capture_ns > hand.newest_ns and sample.capture_ns <= now_ns + 20 * MS:
            hand.newest_ns = sample.capture_ns
            held = [arm for arm in sample.arms.values() if arm.clutch]
            hand.held = frozenset(name for name, arm in sample.arms.items() if arm.clutch)
            hand.must_let_go &= hand.held
            if not held:
                hand.asked_ns = -(10**18)
            elif fresh and held[0].valid:
                hand.asked_ns = sample.capture_ns
        self.loop.offer(sample, now_ns)

    # The tick and its checks.

    def tick(self, missed: int = 0) -> ControlTick:
        if self.pedal_held is not None and not self.pedal_silent:
            self.pedal_ns = self.clock.now_ns() - MS
            buttons = ("enable",) if self.pedal_held else ()
            self.loop.offer(
                InputSample("pedal", Actor.HUMAN, 0, self.pedal_ns, {}, buttons), self.clock.now_ns()
            )
        if not self.enabled:
            self.interrupt(people_only=True)
        tick = self.loop.tick(self.clock.now_ns(), None, missed)
        self.ticks.append(tick)
        self.check(tick)
        for event in self.loop.take_events():
            if event.kind in ("control.homed", "control.home_failed"):
                self.homing = False
        self.clock.advance(PERIOD_S)
        return tick

    @property
    def enabled(self) -> bool:
        """Whether a person may move the robot."""
        fresh = self.clock.now_ns() - self.pedal_ns <= SAFETY.stale_hold_ms * MS
        return self.pedal_held is None or (self.pedal_held and fresh)

    def check(self, tick: ControlTick) -> None:
        if not tick.sent_ns:
            assert not self.history, "a tick sent nothing"
            return
        sent = tick.sent
        assert np.isfinite(sent).all()
        joints = sent[limits().joint_at]
        below, above = joints < limits().lower - 1e-6, joints > limits().upper + 1e-6
        assert not ((below | above) & ~self.outside).any(), "outside the joint limits"
        self.outside &= below | above
        grippers = sent[limits().gripper_at]
        assert ((grippers >= 0.0) & (grippers <= 1.0)).all()
        self.history.append(sent)
        self.check_rates()
        self.check_enable(tick)
        self.check_workspace(tick)
        self.check_clearance(joints)

    def check_clearance(self, joints: np.ndarray) -> None:
        """What starts outside the stop distance stays there; what starts inside goes no nearer.

        Depths of bodies that overlap are known to about a micrometre.
        """
        nearest = float(shapes().distances(joints).min())
        assert nearest >= min(self.clear_m - 1e-5, SAFETY.collision_stop_m) - 1e-9, (
            "nearer than the stop distance"
        )
        self.clear_m = max(self.clear_m, nearest)

    def check_rates(self) -> None:
        recent = np.array(self.history[-4:])
        joints = recent[:, limits().joint_at]
        slack = 1.0 + 1e-6
        if len(recent) > 1:
            step = np.abs(np.diff(recent[:, limits().gripper_at], axis=0)[-1]).max()
            assert step <= SAFETY.max_gripper_speed_per_s * PERIOD_S * slack
            velocity = np.diff(joints, axis=0) / PERIOD_S
            assert np.abs(velocity[-1]).max() <= SAFETY.max_joint_velocity_rad_s * slack
        if len(recent) > 2:
            acceleration = np.diff(velocity, axis=0) / PERIOD_S
            assert np.abs(acceleration[-1]).max() <= SAFETY.max_joint_acceleration_rad_s2 * slack + 1e-6
        if len(recent) > 3:
            jerk = np.diff(acceleration, axis=0) / PERIOD_S
            assert np.abs(jerk[-1]).max() <= SAFETY.max_joint_jerk_rad_s3 * slack + 1e-2

    def check_enable(self, tick: ControlTick) -> None:
        now_ns = tick.tick_ns
        wanted = any(
            now_ns - h.asked_ns <= SAFETY.stale_hold_ms * MS and (self.enabled or h.actor is Actor.SCRIPT)
            for h in self.hands.values()
        )
        latched = self.supervisor.estopped
        assert (tick.state is ControlState.ESTOP) == latched
        if latched:
            assert not any(tick.engaged)
        if tick.source in self.hands:
            engaged = {name for name, on in zip(("left", "right"), tick.engaged, strict=True) if on}
            hand = self.hands[tick.source]
            assert not engaged & hand.held & hand.must_let_go, "drives again without a new edge"
            assert self.enabled or tick.actor is Actor.SCRIPT, "a person drives without the enabling device"
        if latched or tick.state is ControlState.FAULT:
            self.interrupt()
        nudging = now_ns - self.nudge_ns <= 11 * 10**9
        may_move = (wanted or self.homing or nudging) and not latched and tick.state is not ControlState.FAULT
        if tick.state in (ControlState.ENGAGED, ControlState.ALIGNING):
            assert wanted
        self.idle = 0 if may_move else self.idle + 1
        if self.idle > STOP_TICKS and len(self.history) > 1:
            step = np.abs(self.history[-1] - self.history[-2]).max()
            assert step < 1e-9, "moves without enable and fresh input"

    def interrupt(self, *, people_only: bool = False) -> None:
        """Whoever holds the engage control now must let go before it counts again."""
        for hand in self.hands.values():
            if hand.actor is Actor.HUMAN or not people_only:
                hand.must_let_go |= hand.held

    def check_workspace(self, tick: ControlTick) -> None:
        rest = kinematics().poses(self.supervisor._limiter.state.rest)[:, :3]
        over = np.maximum(np.maximum(limits().workspace_min - rest, rest - limits().workspace_max), 0.0)
        outside_m = np.linalg.norm(over, axis=1)
        assert (outside_m <= self.allowed_m + 1e-6).all(), "an arm goes to rest outside its workspace"
        # An arm that was switched on outside may come back, not go farther out.
        self.allowed_m = np.maximum(REST_TOLERANCE_M, np.minimum(self.allowed_m, outside_m))

    def adopted(self) -> None:
        """The follower was moved by hand: the next command starts there, within the limits or not."""
        self.history.clear()
        self.outside[:] = True
        self.clear_m = -np.inf
        self.allowed_m[:] = np.inf


KINDS = (
    "move reach twist joints grip still clutch release nan inf huge invalid jump drop freeze duplicate "
    "reorder delay future gap estop reset home let_go mapping lost lie away script takeover preempt "
    "leader push one_arm precise symmetry nudge pedal_up pedal_down pedal_silent"
).split()


def play(rig: Rig, kind: str, ticks: int, x: float, y: float) -> None:
    """One segment of a trace; x and y lie in -1 .. 1."""
    human, script = rig.hands["human"], rig.hands["script"]
    hand = script if script.clutch else human
    hand.velocity = np.zeros(3)
    vector = np.array([x, y, x * y])
    if kind not in ("leader", "push"):
        hand.leader = None
    if kind == "clutch":
        hand = human
        human.clutch = False
        rig.sample(human)
        rig.tick()
        human.clutch = True
    elif kind in ("script", "takeover"):
        human.clutch = script.clutch = False
        rig.sample(human)
        rig.sample(script)
        rig.tick()
        script.clutch, hand = True, script
    elif kind == "preempt":
        human.clutch = False
        rig.sample(human)
        seen = human.newest_ns == rig.clock.now_ns() - MS  # else a future stamp went before it
        rig.tick()
        human.clutch, hand = True, human
        rig.sample(human)
        fine = seen and rig.supervisor.ready and not rig.supervisor.estopped and rig.enabled
        tick = rig.tick()
        assert not fine or tick.state is ControlState.FAULT or tick.source == "human"
        script.clutch = False
    elif kind == "release":
        human.clutch = script.clutch = False
    elif kind == "jump":
        hand.position = hand.position + vector
    elif kind in ("twist", "joints"):
        hand.kind, hand.velocity = kind, 2.0 * vector
    elif kind in ("move", "reach"):
        hand.kind = "pose"
    elif kind == "grip":
        hand.gripper = abs(x)
    elif kind == "gap":
        gap_s = abs(x) * 2.0
        rig.clock.advance(gap_s)
        rig.tick(int(gap_s / PERIOD_S))
    elif kind == "estop":
        rig.loop.estop("test", rig.clock.now_ns())
        assert rig.tick().state is ControlState.ESTOP
    elif kind == "reset":
        before = rig.history[-1].copy() if rig.history else None
        was = rig.supervisor.estopped
        rig.loop.reset_estop(rig.clock.now_ns())
        tick = rig.tick()
        if was and before is not None and rig.idle > STOP_TICKS:
            assert np.abs(tick.sent - before).max() < 1e-9, "a reset moved the robot"
    elif kind == "home":
        try:
            rig.loop.start_home(rig.clock.now_ns())
            rig.homing = True
        except StationError:
            pass
    elif kind == "let_go":
        rig.loop.release(rig.clock.now_ns())
        rig.interrupt()
    elif kind == "mapping":
        rig.mapping = MappingSection(
            scale=0.1 + 4.0 * abs(x), yaw_deg=180.0 * y, symmetry=rig.mapping.symmetry
        )
        rig.loop.set_mapping(rig.mapping)
    elif kind == "symmetry":
        rig.mapping = rig.mapping.model_copy(update={"symmetry": x > 0.0})
        rig.loop.set_mapping(rig.mapping)
    elif kind == "one_arm":
        hand.arms = ("left",) if x > 0.0 else ("right",) if y > 0.0 else ("left", "right")
    elif kind == "precise":
        hand.precise = not hand.precise
    elif kind == "nudge":
        nudge(rig, x, y)
    elif kind in ("pedal_up", "pedal_down", "pedal_silent") and rig.pedal_held is not None:
        rig.pedal_held, rig.pedal_silent = kind != "pedal_up", kind == "pedal_silent"
    elif kind in ("leader", "push"):
        hand.kind = "joints"
        hand.leader = rig.supervisor.rest(0) + 0.5 * y * np.array([1.0, -1, 1, -1, 1, -1])
    elif kind == "lost":
        rig.follower.frozen_ns = rig.clock.now_ns()
    elif kind == "lie":
        rig.follower.nan = True
    for k in range(ticks):
        if kind in ("move", "reach"):
            hand.position = hand.position + vector * (0.002 if kind == "move" else 0.015)
            hand.turn = hand.turn + vector * 0.004
        if hand.leader is not None:
            # Two leaders that go forward and down together push the arms together or into the table.
            way = [0.0, 1.0, -0.7, 0.0, 0.2, 0.0] if kind == "push" else [x, y, -x, y, x * y, -y]
            hand.leader = hand.leader + 0.02 * abs(x) * np.array(way)
        elif kind == "joints":
            hand.position = hand.position + 0.02 * vector
        if kind in ("nan", "inf", "huge"):
            rig.sample(hand, spoil={"nan": np.nan, "inf": np.inf, "huge": 1e300}[kind])
        elif kind == "invalid":
            rig.sample(hand, valid=False)
        elif kind == "drop":
            pass
        elif kind in ("freeze", "duplicate") and hand.last is not None:
            rig.offer(hand, hand.last)
        elif kind == "reorder":
            rig.sample(hand, age_ms=1.0 if k % 2 else 12.0)
        elif kind == "delay":
            rig.sample(hand, age_ms=300.0 * abs(x))
        elif kind == "future":
            rig.sample(hand, age_ms=-50.0 * abs(x))
        else:
            rig.sample(hand)
        rig.tick()
    if kind in ("lost", "lie"):
        stale = ticks * PERIOD_S * 1000 > SAFETY.follower_stale_ms + 10
        assert kind == "lost" or rig.ticks[-1].state in (ControlState.FAULT, ControlState.ESTOP)
        if stale:
            assert rig.ticks[-1].state in (ControlState.FAULT, ControlState.ESTOP)
        rig.follower.nan = False
        rig.follower.frozen_ns = None
        rig.follower.position = rig.history[-1].copy()
    if kind == "away":
        rig.follower.nan = True
        rig.tick()
        rig.follower.nan = False
        low, high = limits().lower, limits().upper
        moved = low + (high - low) * (0.5 + 0.52 * x)
        if np.abs(moved - rig.history[-1][limits().joint_at]).max() <= ADOPT_RAD:
            return  # so near that it is taken for the servo's own error
        rig.follower.position[limits().joint_at] = moved
        rig.adopted()
        rig.homing = False
        tick = rig.tick()
        assert np.abs(tick.sent[limits().joint_at] - moved).max() < 1e-9 or tick.state is ControlState.FAULT


def nudge(rig: Rig, x: float, y: float) -> None:
    axis = NUDGE_AXES[int((x + 1.0) * 2.99)]
    try:
        rig.loop.nudge("left" if y > 0.0 else "right", axis, 1 if x > y else -1, rig.clock.now_ns())
        rig.nudge_ns = rig.clock.now_ns()
    except StationError:
        pass


segments = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(1, 40),
        st.floats(-1.0, 1.0, width=32),
        st.floats(-1.0, 1.0, width=32),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=TRACES,
    deadline=None,
    derandomize=TRACES <= 1000,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking whole traces takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(engaged=st.sampled_from(["clutch", "script", "still"]), pedal=st.booleans(), trace=segments)
def test_sent_is_safe_whatever_happens(engaged, pedal, trace):
    SEEN["traces"] += 1
    rig = Rig(pedal=pedal)
    try:
        live_through(rig, engaged, trace)
    except AssertionError:
        SEEN["violations"] += 1
        raise
    finally:
        SEEN["ticks"] += len(rig.ticks)


def live_through(rig: Rig, engaged: str, trace: list[tuple[str, int, float, float]]) -> None:
    rig.tick()
    play(rig, engaged, 5, 0.5, 0.5)
    for kind, ticks, x, y in trace:
        play(rig, kind, ticks, x, y)
    rig.hands["human"].clutch = rig.hands["script"].clutch = False
    rig.homing = False
    rig.nudge_ns = -(10**18)
    rig.loop.release(rig.clock.now_ns())
    for _ in range(STOP_TICKS + 25):
        rig.tick()
    assert rig.loop.at_rest


CHANGES = "engage release other precise symmetry scale gap pause pedal stop joints".split()


@settings(
    max_examples=max(TRACES // 3, 10),
    deadline=None,
    derandomize=TRACES <= 1000,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    start=st.tuples(*[st.floats(-1.0, 1.0)] * 3),
    changes=st.lists(st.sampled_from(CHANGES), min_size=2, max_size=14),
)
def test_nothing_jumps_while_the_hands_rest(start, changes):
    """Engage, re-engage, hand-over, modes, pauses and stops move nothing by themselves."""
    SEEN["still traces"] += 1
    rig = Rig(pedal=True)
    rig.tick()
    play(rig, "clutch", 3, 0.0, 0.0)
    play(rig, "move", 40, start[0], start[1])
    rig.hands["human"].clutch = False
    for _ in range(STOP_TICKS + 25):
        rig.sample(rig.hands["human"])
        rig.tick()
    before, first = rig.history[-1][limits().joint_at], len(rig.history)
    hand = rig.hands["human"]
    for change in changes:
        if change == "other":
            hand.clutch = False
            rig.sample(hand)
            rig.tick()
            hand = rig.hands["script" if hand.name == "human" else "human"]
        hand.clutch = change != "release"
        hand.kind, hand.leader = "pose", None
        if change == "joints":  # a leader that stands as its follower does
            hand.clutch = False
            rig.sample(hand)
            rig.tick()
            hand.clutch, hand.kind, hand.arms, hand.leader = True, "joints", ("left",), rig.supervisor.rest(0)
        elif change == "precise":
            hand.precise = not hand.precise
        elif change in ("symmetry", "scale"):
            update = {"symmetry": not rig.mapping.symmetry, "scale": 0.5 + abs(start[2])}
            rig.mapping = rig.mapping.model_copy(update=update)
            rig.loop.set_mapping(rig.mapping)
            hand.arms = ("left",)
        elif change == "gap":
            rig.clock.advance(0.05)
            rig.tick(10)
        elif change == "pause":
            for _ in range(30):
                rig.tick()
            hand.position = hand.position + 0.05 * np.array(start)
        elif change == "pedal":
            rig.pedal_held = not rig.pedal_held
        elif change == "stop":
            rig.loop.estop("test", rig.clock.now_ns())
            rig.tick()
            rig.loop.reset_estop(rig.clock.now_ns())
        for _ in range(12):
            rig.sample(hand)
            rig.tick()
    was = kinematics().poses(before)
    for row in rig.history[first:]:
        for old, new in zip(was, kinematics().poses(row[limits().joint_at]), strict=True):
            assert np.linalg.norm(new[:3] - old[:3]) < STILL_M
            assert quat_angle(new[3:], old[3:]) < STILL_RAD


@pytest.fixture(scope="module", autouse=True)
def report():
    """Say how many traces were played; seen with `pytest -s`."""
    yield
    print({**SEEN, "violations": SEEN["violations"]})
