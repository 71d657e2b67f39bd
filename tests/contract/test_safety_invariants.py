"""Whatever the inputs, the clock and the followers do, what is sent stays safe.

Random and adversarial traces through the whole control loop with real kinematics and a follower that goes
where it is sent. `TELEOP_TRACES=5000 pytest tests/contract/test_safety_invariants.py` runs more of them.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.loop import ControlLoop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import MappingSection, SafetySection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import quat_from_rotvec
from teleop_app.core.types import Actor, ArmInput, ControlState, ControlTick, InputSample
from teleop_app.mapping.ik import ArmChain, CellKinematics
from teleop_app.mapping.ik_model import arms_only
from teleop_app.safety.limits import ArmLimits, CellLimits
from teleop_app.safety.supervisor import ADOPT_RAD, SafetySupervisor
from teleop_app.safety.workspace import REST_TOLERANCE_M

TRACES = int(os.environ.get("TELEOP_TRACES", "80"))
PERIOD_S = 0.005
SAFETY = SafetySection()
MS = 1_000_000
HOME = np.array([value for arm in ARMS for value in arm.home_q])
# Full speed with full acceleration on top, braked within acceleration and jerk, and one tick.
STOP_S = 2 * SAFETY.max_joint_acceleration_rad_s2 / SAFETY.max_joint_jerk_rad_s3 + (
    SAFETY.max_joint_velocity_rad_s / SAFETY.max_joint_acceleration_rad_s2
)
STOP_TICKS = int(STOP_S / PERIOD_S) + 2


@functools.cache
def kinematics() -> CellKinematics:
    names = [name for arm in ARMS for name in arm.joint_names]
    chains = [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS]
    return CellKinematics(
        arms_only(build_spec("primitive"), names),
        chains,
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
    last: InputSample | None = None
    newest_ns: int = 0
    # The oracle: when the hand last asked for motion with a sample that is in order, fresh and held.
    asked_ns: int = -(10**18)
    held: bool = False
    must_let_go: bool = False


class Rig:
    """Loop, follower, hands and clock, with every invariant checked at every tick."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.follower = Echo(self.clock)
        self.supervisor = SafetySupervisor(
            limits(), SAFETY, kinematics(), [self.follower], self.clock, PERIOD_S
        )
        poses = kinematics().poses(HOME)
        homes = [HOME[:6], HOME[6:]]
        self.loop = ControlLoop(
            ["left", "right"],
            homes,
            [float(pose[2]) for pose in poses],
            self.supervisor,
            MappingSection(),
            SAFETY,
            PERIOD_S,
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
        joints = np.concatenate([hand.position, hand.turn])
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
        )
        self.offer(
            hand, InputSample(hand.name, hand.actor, self.seq, capture_ns, {"left": arm, "right": arm})
        )
        hand.last = InputSample(hand.name, hand.actor, self.seq, capture_ns, {"left": arm, "right": arm})

    def offer(self, hand: Hand, sample: InputSample) -> None:
        self.seq += 1
        now_ns = self.clock.now_ns()
        fresh = now_ns - sample.capture_ns <= SAFETY.stale_hold_ms * MS
        if sample.capture_ns > hand.newest_ns and sample.capture_ns <= now_ns + 20 * MS:
            hand.newest_ns = sample.capture_ns
            hand.held = sample.arms["left"].clutch
            hand.must_let_go &= hand.held
            if not sample.arms["left"].clutch:
                hand.asked_ns = -(10**18)
            elif fresh and sample.arms["left"].valid:
                hand.asked_ns = sample.capture_ns
        self.loop.offer(sample, now_ns)

    # The tick and its checks.

    def tick(self, missed: int = 0) -> ControlTick:
        tick = self.loop.tick(self.clock.now_ns(), None, missed)
        self.ticks.append(tick)
        self.check(tick)
        for event in self.loop.take_events():
            if event.kind in ("control.homed", "control.home_failed"):
                self.homing = False
        self.clock.advance(PERIOD_S)
        return tick

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
        wanted = any(now_ns - h.asked_ns <= SAFETY.stale_hold_ms * MS for h in self.hands.values())
        latched = self.supervisor.estopped
        assert (tick.state is ControlState.ESTOP) == latched
        if latched:
            assert not any(tick.engaged)
        if tick.source in self.hands:
            assert not self.hands[tick.source].must_let_go, "drives again without a new edge"
        if latched or tick.state is ControlState.FAULT:
            self.interrupt()
        may_move = (wanted or self.homing) and not latched and tick.state is not ControlState.FAULT
        if tick.state is ControlState.ENGAGED:
            assert wanted
        self.idle = 0 if may_move else self.idle + 1
        if self.idle > STOP_TICKS and len(self.history) > 1:
            step = np.abs(self.history[-1] - self.history[-2]).max()
            assert step < 1e-9, "moves without enable and fresh input"

    def interrupt(self) -> None:
        """Whoever holds the engage control now must let go before it counts again."""
        for hand in self.hands.values():
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
        self.allowed_m[:] = np.inf


KINDS = (
    "move reach twist joints grip still clutch release nan inf huge invalid jump drop freeze duplicate "
    "reorder delay future gap estop reset home let_go mapping lost lie away script takeover preempt"
).split()


def play(rig: Rig, kind: str, ticks: int, x: float, y: float) -> None:
    """One segment of a trace; x and y lie in -1 .. 1."""
    human, script = rig.hands["human"], rig.hands["script"]
    hand = script if script.clutch else human
    hand.velocity = np.zeros(3)
    vector = np.array([x, y, x * y])
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
        fine = seen and rig.supervisor.ready and not rig.supervisor.estopped
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
        rig.loop.set_mapping(MappingSection(scale=0.1 + 4.0 * abs(x), yaw_deg=180.0 * y))
    elif kind == "lost":
        rig.follower.frozen_ns = rig.clock.now_ns()
    elif kind == "lie":
        rig.follower.nan = True
    for k in range(ticks):
        if kind in ("move", "reach"):
            hand.position = hand.position + vector * (0.002 if kind == "move" else 0.015)
            hand.turn = hand.turn + vector * 0.004
        if kind == "joints":
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
@given(engaged=st.sampled_from(["clutch", "script", "still"]), trace=segments)
def test_sent_is_safe_whatever_happens(engaged, trace):
    rig = Rig()
    rig.tick()
    play(rig, engaged, 5, 0.5, 0.5)
    for kind, ticks, x, y in trace:
        play(rig, kind, ticks, x, y)
    rig.hands["human"].clutch = rig.hands["script"].clutch = False
    rig.homing = False
    rig.loop.release(rig.clock.now_ns())
    for _ in range(STOP_TICKS + 25):
        rig.tick()
    assert rig.loop.at_rest
