"""Whatever a policy, a person and the station do to each other, what is sent stays safe.

Random traces of chunks (hostile ones too), engages, releases, returns, blends, corrections, rewinds, e-stops
and gaps through the whole control loop. With `TELEOP_TRACES=5000` and `pytest -s` it plays more of them and
ends with their number and that of violations.
"""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from teleop_app.core.errors import StationError
from teleop_app.core.types import Actor, AuthorityMode, AutonomyPhase, ControlState, ControlTick, Event
from tests.unit.policy_rig import HOME, MS, PolicyRig

TRACES = int(os.environ.get("TELEOP_TRACES", "30"))
SEEN = Counter()
PERIOD_S = 0.005
STOP_TICKS = 60
JOINTS = [*range(6), *range(7, 13)]
POLICY_MODES = (AuthorityMode.SUPERVISED, AuthorityMode.BLENDED, AuthorityMode.CORRECTIVE)
KINDS = (
    "supervised blended corrective manual pause resume engage release swing far still fast starve nan shape "
    "huge late repeat short help rewind estop reset lost gap speed blend leader reach grip silent home "
    "engage engage engage leader reach reach release resume resume resume swing swing still still supervised"
).split()


class Rig(PolicyRig):
    """Every invariant is checked at every tick."""

    def __init__(self, **settings) -> None:
        self.checked = 0
        self.quiet = 0
        self.edge_due = False
        self.highest = 0
        self.seen, self.seen_s = HOME, 0.0
        super().__init__(**settings)
        self.every = 16

    def chunk(self, start_ns: int, **fields):
        self.seen, self.seen_s = self.arms.position.copy(), start_ns / 1e9
        return super().chunk(start_ns, **fields)

    def onward(self, amplitude: float, period_s: float):
        """A plan: from where the robot was seen, every joint swings on."""

        def plan(t: float) -> np.ndarray:
            wave = np.sin(2 * np.pi * t / period_s) - np.sin(2 * np.pi * self.seen_s / period_s)
            wanted = self.seen.copy()
            wanted[JOINTS] += amplitude * wave
            return wanted

        return plan

    def tick(self, times: int = 1) -> ControlTick:
        for _ in range(times):
            tick = super().tick()
            self.check(tick)
        return tick

    def check(self, tick: ControlTick) -> None:
        self.check_limits()
        self.check_rest(tick)
        part = tick.autonomy
        SEEN[f"{part.phase.value} {tick.actor.value}" if part is not None else "no policy"] += 1
        if part is None:
            assert tick.policy is None
            return
        assert tick.policy is None or np.isfinite(tick.policy).all()
        assert 0.0 <= part.alpha <= 1.0
        person = tick.actor in (Actor.HUMAN, Actor.BLEND)
        if part.mode is not AuthorityMode.MANUAL and person:
            assert part.takeover >= 1, "a person drives beside a policy outside of a takeover"
        if part.mode is AuthorityMode.MANUAL:
            assert part.takeover == 0 and tick.actor not in (Actor.POLICY, Actor.BLEND)
        if part.mode is AuthorityMode.PAUSED:
            assert tick.actor is not Actor.POLICY and part.phase is not AutonomyPhase.POLICY
        if part.takeover:
            assert part.takeover >= self.highest, "numbers of takeovers go back"
            self.highest = part.takeover
        assert (tick.actor is Actor.POLICY) == (part.phase is AutonomyPhase.POLICY)
        assert (tick.actor is Actor.BLEND) == (part.phase is AutonomyPhase.BLEND)
        by_hand = (AutonomyPhase.RECOVER, AutonomyPhase.CORRECT, AutonomyPhase.DEMONSTRATE)
        assert (tick.actor is Actor.HUMAN) == (part.phase in by_hand)

    def check_limits(self) -> None:
        limits, safety = self.loop._supervisor.limits, self.config.safety
        recent = np.array(self.sent[-4:])
        assert np.isfinite(recent[-1]).all()
        joints, slack = recent[:, JOINTS], 1.0 + 1e-6
        assert (joints[-1] >= limits.lower - 1e-6).all() and (joints[-1] <= limits.upper + 1e-6).all()
        assert (recent[-1, [6, 13]] >= 0.0).all() and (recent[-1, [6, 13]] <= 1.0).all()
        if len(recent) > 1:
            step = np.abs(np.diff(recent[:, [6, 13]], axis=0)[-1]).max()
            assert step <= safety.max_gripper_speed_per_s * PERIOD_S * slack
            velocity = np.diff(joints, axis=0) / PERIOD_S
            assert np.abs(velocity[-1]).max() <= safety.max_joint_velocity_rad_s * slack
        if len(recent) > 2:
            acceleration = np.diff(velocity, axis=0) / PERIOD_S
            assert np.abs(acceleration[-1]).max() <= safety.max_joint_acceleration_rad_s2 * slack + 1e-6
        if len(recent) > 3:
            jerk = np.diff(acceleration, axis=0) / PERIOD_S
            assert np.abs(jerk[-1]).max() <= safety.max_joint_jerk_rad_s3 * slack + 1e-2

    def check_rest(self, tick: ControlTick) -> None:
        part = tick.autonomy
        phase = part.phase if part is not None else AutonomyPhase.IDLE
        still = phase in (AutonomyPhase.IDLE, AutonomyPhase.HOLD, AutonomyPhase.RETURN)
        quiet = still and tick.source == "" and tick.actor is Actor.NONE
        self.quiet = self.quiet + 1 if quiet or tick.state is ControlState.ESTOP else 0
        if self.quiet > STOP_TICKS:
            assert np.abs(self.sent[-1] - self.sent[-2]).max() < 1e-9, f"moves in {phase} with nobody driving"

    def edge(self, x: float, y: float, *, leader: bool) -> None:
        """A person engages: that very tick is theirs."""
        self.let_go()
        self.tick()
        if leader:
            here = self.loop._supervisor.rest(0)
            self.lead(here + 0.3 * x)
        else:
            self.hold(0.1 * x, 0.1 * y, arms=("left",) if y > 0.0 else ("left", "right"))
        ready = self.loop._supervisor.ready and not self.loop.estopped
        tick = self.tick()
        if ready and tick.state is not ControlState.FAULT:
            assert tick.actor in (Actor.HUMAN, Actor.BLEND), "the edge of a person does not count"
            if tick.autonomy is not None and tick.autonomy.mode is AuthorityMode.SUPERVISED:
                assert tick.actor is Actor.HUMAN
            assert tick.source == "vr"
            SEEN["edges"] += 1


def command(rig: Rig, kind: str, x: float) -> None:
    now_ns, authority = rig.clock.now_ns(), rig.loop.authority
    try:
        if kind in ("supervised", "blended", "corrective", "manual"):
            authority.set_mode(AuthorityMode(kind), now_ns)
        elif kind == "pause":
            authority.pause(now_ns)
        elif kind == "resume":
            authority.resume(now_ns)
        elif kind == "rewind":
            authority.rewind(0.1 + abs(x), now_ns)
        elif kind == "estop":
            rig.loop.estop("test", now_ns)
        elif kind == "reset":
            rig.loop.reset_estop(now_ns)
        elif kind == "home":
            rig.loop.start_home(now_ns)
        elif kind == "speed":
            rig.loop.policy.set_speed(0.05 + 0.95 * abs(x))
        elif kind == "blend":
            rig.loop.policy.set_blend(abs(x))
    except StationError:
        SEEN["refused commands"] += 1


def chunks(rig: Rig, kind: str, x: float) -> None:
    if rig.plan is None:
        rig.plan = rig.onward(0.2, 4.0)
    rows = (rig.horizon, 14)
    if kind == "nan":
        rig.offer(actions=np.where(np.random.default_rng(1).random(rows) < 0.1, np.nan, HOME))
    elif kind == "shape":
        rig.offer(actions=np.zeros((rig.horizon, 13)))
    elif kind == "huge":
        rig.offer(actions=np.full(rows, 1e300 * np.sign(x or 1.0)))
    elif kind == "late":
        rig.offer(observation_ns=rig.clock.now_ns() - 10_000 * MS)
    elif kind == "repeat":
        rig.offer(chunk=1, observation_ns=0)
    elif kind == "short":
        rig.offer(actions=HOME[None] + 0.1 * x, execution="sync")


def play(rig: Rig, kind: str, ticks: int, x: float, y: float) -> None:
    command(rig, kind, x)
    chunks(rig, kind, x)
    plans = {
        "swing": rig.onward(0.3 * abs(x), 1.0 + 3.0 * abs(y)),
        "far": lambda _t: HOME + 2.0 * x,
        "still": rig.onward(0.0, 1.0),
        "fast": rig.onward(1.0, 0.3 + abs(y)),
    }
    if kind in plans:
        rig.plan, rig.delay_ticks = plans[kind], int(10 * abs(x * y))
        rig.execution = ("switch", "ensemble", "sync", "rtc")[int(abs(x) * 3.99)]
        rig.uncertainty = abs(y) if x > 0.0 else float("nan")
    elif kind == "starve":
        rig.plan = None
    elif kind == "help":
        call = Event("autonomy.help", 0, "policy", "", {"kind": "stall"})
        rig.loop.policy.take_event(call, rig.clock.now_ns())
    elif kind == "engage":
        rig.edge(x, y, leader=False)
    elif kind == "leader":
        rig.edge(x, y, leader=True)
    elif kind == "release":
        rig.let_go()
    elif kind == "silent":
        rig.hand = {}
    elif kind == "gap":
        rig.clock.advance(abs(x))
    elif kind == "lost":
        rig.arms.frozen_ns = rig.clock.now_ns()
    for k in range(ticks):
        if kind == "reach" and any(arm.clutch and arm.pose is not None for arm in rig.hand.values()):
            rig.hold(0.004 * k * x, 0.004 * k * y, 0.002 * k)
        elif kind == "grip" and any(arm.clutch and arm.pose is not None for arm in rig.hand.values()):
            rig.hold(gripper=abs(x) if k else 1.0)
        rig.tick()
    rig.arms.frozen_ns = 0


segments = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(1, 50),
        st.floats(-1.0, 1.0, width=32),
        st.floats(-1.0, 1.0, width=32),
    ),
    min_size=2,
    max_size=14,
)


@settings(
    max_examples=TRACES,
    deadline=None,
    derandomize=TRACES <= 1000,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking whole traces takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    mode=st.sampled_from(POLICY_MODES),
    first=st.sampled_from(["engage", "leader", "swing"]),
    returns=st.booleans(),
    trace=segments,
)
def test_sent_is_safe_whoever_drives(mode, first, returns, trace):
    SEEN["traces"] += 1
    rig = Rig(return_on_release=returns, starve_pause_s=0.5)
    try:
        rig.plan = rig.onward(0.25, 2.0)
        rig.loop.authority.set_mode(mode, rig.clock.now_ns())
        rig.tick(30)
        play(rig, first, 20, 0.3, -0.3)
        for kind, ticks, x, y in trace:
            play(rig, kind, ticks, x, y)
        rig.let_go()
        rig.loop.release(rig.clock.now_ns())
        rig.tick(STOP_TICKS + 25)
        assert rig.loop.at_rest
    except AssertionError:
        SEEN["violations"] += 1
        raise
    finally:
        SEEN["ticks"] += rig.ticks


@pytest.fixture(scope="module", autouse=True)
def report():
    """Say how many traces were played; seen with `pytest -s`."""
    yield
    print({**SEEN, "violations": SEEN["violations"]})
