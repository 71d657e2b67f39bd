"""A control loop with arms that go where they are sent, a hand, and a policy that asks what a test wants."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.geometry import quat_from_rotvec
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlTick,
    Event,
    InputSample,
    PolicyChunk,
)

MS = 1_000_000
STEP_NS = 50 * MS
SPEC = build_spec("primitive")
DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
HOME = np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])


class Arms:
    """A follower that goes where it is sent."""

    joint_names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.position = HOME.copy()
        self.velocity = self.effort = np.zeros(14)
        self.frozen_ns = 0

    @property
    def capture_ns(self) -> int:
        return self.frozen_ns or self.clock.now_ns()

    def read(self):
        return self

    def send(self, target):
        assert np.isfinite(target).all(), "a number that is not finite reached the device"
        self.position = target.copy()


class PolicyRig:
    """See the module. `plan` gives the joint vector that the policy wants at a time of its clock [s]."""

    def __init__(self, **settings) -> None:
        self.config = StationConfig()
        self.config.autonomy = self.config.autonomy.model_copy(update=settings)
        self.clock = FakeClock()
        self.arms = Arms(self.clock)
        self.loop = build_control_loop(self.config, DESCRIPTIONS, SPEC, [self.arms], self.clock)
        self.plan: Callable[[float], np.ndarray] | None = None
        self.driven: tuple[str, ...] = ("left", "right")
        self.execution = "switch"
        self.uncertainty = float("nan")
        self.horizon, self.every, self.delay_ticks = 16, 40, 10
        self.asked: list[tuple[int, PolicyChunk]] = []
        self.chunks = self.ticks = 0
        self.events: list[Event] = []
        self.sent: list[np.ndarray] = []
        self.hand: dict[str, ArmInput] = {}
        self.actor = Actor.HUMAN
        self.last = self.tick()

    # The policy.

    def chunk(self, start_ns: int, **fields) -> PolicyChunk:
        """What the policy answers to the station as it is now."""
        assert self.plan is not None
        self.chunks += 1
        times = (start_ns + np.arange(self.horizon) * STEP_NS) / 1e9
        actions = np.array([self.plan(t) for t in times])
        now_ns = self.clock.now_ns()
        made = PolicyChunk(
            "toy", "v1", self.chunks, now_ns, now_ns, start_ns, STEP_NS, actions, self.driven,
            execution=self.execution, uncertainty=self.uncertainty,
        )  # fmt: skip
        return dataclasses.replace(made, **fields)

    def ask(self) -> None:
        """The policy looks at the newest tick and answers some ticks later."""
        part = self.last.autonomy
        if self.plan is not None:
            made = self.chunk(part.policy_ns if part is not None else 0)
            self.asked.append((self.ticks + self.delay_ticks, made))

    def offer(self, **fields) -> None:
        """A chunk at once."""
        part = self.last.autonomy
        self.loop.policy.offer(self.chunk(part.policy_ns if part else 0, **fields), self.clock.now_ns())

    # The station.

    def tick(self, times: int = 1) -> ControlTick:
        for _ in range(times):
            now_ns = self.clock.now_ns()
            if self.plan is not None and self.ticks % self.every == 0:
                self.ask()
            for due, chunk in list(self.asked):
                if due <= self.ticks:
                    self.asked.remove((due, chunk))
                    self.loop.policy.offer(dataclasses.replace(chunk, made_ns=now_ns), now_ns)
            if self.hand:
                self.loop.offer(InputSample("vr", self.actor, 0, now_ns - MS, dict(self.hand)), now_ns)
            self.last = self.loop.tick(now_ns)
            self.ticks += 1
            self.sent.append(self.last.sent)
            self.events += self.loop.take_events()
            self.clock.advance(0.005)
        return self.last

    def until(self, phase: AutonomyPhase, limit: int = 400) -> ControlTick:
        """Tick until a phase is reached."""
        for _ in range(limit):
            if self.tick().autonomy is not None and self.phase is phase:
                return self.last
        raise AssertionError(f"never in {phase}, but in {self.phase}: {self.last.reason}")

    def drive(self, mode: AuthorityMode = AuthorityMode.SUPERVISED) -> None:
        """Let the policy drive."""
        self.loop.authority.set_mode(mode, self.clock.now_ns())
        self.until(AutonomyPhase.POLICY)

    # The hand.

    def hold(self, x=0.0, y=0.0, z=0.0, turn=(0.0, 0.0, 0.0), arms=("left",), **fields) -> None:
        """From now on the hand is there, with its clutch held."""
        pose = np.concatenate([[x, y, z], quat_from_rotvec(np.array(turn))])
        self.hand = {
            name: ArmInput(name in arms, pose=pose, **fields) if name in arms else ArmInput(False)
            for name in ("left", "right")
        }

    def lead(self, joints, arm="left", clutch=True) -> None:
        """From now on a leader stands there, with its clutch held."""
        self.hand = {arm: ArmInput(clutch, joints=np.asarray(joints, dtype=float))}

    def let_go(self) -> None:
        """The hand lets go of everything."""
        self.hand = {"left": ArmInput(False), "right": ArmInput(False)}

    def press(self, **where) -> ControlTick:
        """Let go, then hold: the tick of the edge."""
        self.let_go()
        self.tick()
        self.hold(**where)
        return self.tick()

    # What came of it.

    @property
    def autonomy(self) -> AutonomyTick:
        assert self.last.autonomy is not None
        return self.last.autonomy

    @property
    def phase(self) -> AutonomyPhase:
        return self.autonomy.phase

    def kinds(self, prefix="autonomy") -> list[str]:
        return [event.kind for event in self.events if event.kind.startswith(prefix)]

    def event(self, kind: str) -> Event:
        return next(event for event in reversed(self.events) if event.kind == kind)

    def velocity(self) -> np.ndarray:
        return np.diff(np.array(self.sent), axis=0) / 0.005


def swing(amplitude=0.2, period_s=4.0):
    """A plan: every joint swings about home, grippers stay open."""

    def plan(t: float) -> np.ndarray:
        wanted = HOME.copy()
        wanted[[*range(6), *range(7, 13)]] += amplitude * np.sin(2 * np.pi * t / period_s)
        return wanted

    return plan


def stand(t: float) -> np.ndarray:
    """A plan: stay at home."""
    return HOME.copy()
