"""The control loop drives the real physics of the cell, in lock step and simulated time."""

from __future__ import annotations

import numpy as np
import pytest

from devices.protocols import FollowerState
from devices.sim.arms import ARMS, JOINT_NAMES
from devices.sim.cell import TIMESTEP_S, Cell
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.geometry import quat_angle, quat_from_rotvec, quat_multiply
from teleop_app.core.types import Actor, ArmInput, ControlState, InputSample

DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]


class CellFollower:
    """The cell as a follower, without rings: the command acts at the next physics step."""

    joint_names = JOINT_NAMES

    def __init__(self, cell: Cell, clock: FakeClock) -> None:
        self.cell, self.clock = cell, clock

    def read(self) -> FollowerState:
        return FollowerState(*self.cell.read(), self.clock.now_ns())

    def send(self, target: np.ndarray) -> None:
        self.cell.set_targets(target)


class Bench:
    """Loop, cell and clock; `run` ticks at 200 Hz with 2.5 physics steps each."""

    def __init__(self, config: StationConfig | None = None) -> None:
        self.config = config or StationConfig()
        self.clock = FakeClock()
        self.cell = Cell("primitive", "pick-place", 1)
        self.loop = build_control_loop(
            self.config,
            DESCRIPTIONS,
            build_spec("primitive"),
            [CellFollower(self.cell, self.clock)],
            self.clock,
        )
        self.seq = 0
        self.physics_s = 0.0
        self.ticks = []

    def sample(self, arms: dict[str, ArmInput], *, source="vr", actor=Actor.HUMAN, buttons=()) -> None:
        self.seq += 1
        now_ns = self.clock.now_ns()
        self.loop.offer(InputSample(source, actor, self.seq, now_ns - 1_000_000, arms, buttons), now_ns)

    def tick(self):
        tick = self.loop.tick(self.clock.now_ns())
        self.ticks.append(tick)
        self.clock.advance(0.005)
        self.physics_s += 0.005
        while self.physics_s >= TIMESTEP_S - 1e-9:
            self.cell.step()
            self.physics_s -= TIMESTEP_S
        return tick


@pytest.fixture(scope="module")
def circled():
    """Two seconds of a hand on a circle with a turn, then one second of rest."""
    bench = Bench()
    start = bench.cell.tcp_pose("left")
    hand0 = np.array([1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0])
    lost = ArmInput(clutch=False, pose=hand0)
    bench.sample({"left": lost})
    bench.tick()
    errors = []
    for k in range(600):
        t = min(k * 0.005, 2.0)
        offset = np.array([0.05 * np.sin(np.pi * t), 0.0, 0.06 * (np.cos(np.pi * t) - 1.0) + 0.02 * t])
        turn = quat_from_rotvec(np.array([0.0, 0.0, 0.15 * t]))
        bench.sample(
            {"left": ArmInput(clutch=True, pose=np.concatenate([hand0[:3] + offset, turn]), gripper=1.0)}
        )
        tick = bench.tick()
        wanted = start[:3] + offset
        errors.append(np.linalg.norm(bench.cell.tcp_pose("left")[:3] - wanted))
    return bench, start, turn, errors, tick


def test_control_on_cell_follows_the_hand(circled):
    bench, start, turn, errors, tick = circled
    assert tick.state is ControlState.ENGAGED
    assert tick.engaged == (True, False)
    assert errors[-1] < 0.01
    pose = bench.cell.tcp_pose("left")
    assert quat_angle(pose[3:], quat_multiply(turn, start[3:])) < 0.05


def test_control_on_cell_lags_little_under_way(circled):
    _, _, _, errors, _ = circled
    assert max(errors) < 0.04


def test_control_on_cell_leaves_the_other_arm_alone(circled):
    bench, *_ = circled
    sent = np.array([tick.sent for tick in bench.ticks])
    assert np.ptp(sent[:, 7:], axis=0).max() < 1e-9


def test_control_on_cell_goes_home_by_itself(circled):
    bench, *_ = circled
    bench.sample({"left": ArmInput(clutch=False)})
    bench.tick()
    bench.loop.start_home(bench.clock.now_ns())
    for _ in range(1200):
        bench.tick()
        if any(event.kind == "control.homed" for event in bench.loop.take_events()):
            break
    else:
        pytest.fail("the arms did not get home")
    home = np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])
    assert np.abs(bench.cell.read()[0] - home).max() < 0.02


def test_a_source_that_claims_to_be_a_policy_moves_nothing_even_under_a_known_name():
    bench = Bench()
    for actor in (Actor.HUMAN, Actor.POLICY, Actor.NONE):
        bench.sample({"left": ArmInput(clutch=False)}, actor=actor)
        bench.tick()
        if actor is not Actor.HUMAN:
            bench.sample({"left": ArmInput(clutch=True, twist=np.full(6, 0.1))}, actor=actor)
            assert not any(bench.tick().engaged)


def test_many_made_up_sources_do_not_lock_a_person_out():
    bench = Bench()
    for number in range(100):
        bench.sample({"left": ArmInput(clutch=False)}, source=f"made-up-{number}")
    for clutch in (False, True):
        bench.sample({"left": ArmInput(clutch=clutch, twist=np.zeros(6))}, source="keyboard")
        tick = bench.tick()
    assert tick.engaged == (True, False) and tick.source == "keyboard"
    for number in range(100):  # and nobody else pushes the driver out
        bench.sample({"left": ArmInput(clutch=False)}, source=f"late-{number}")
    assert bench.tick().source == "keyboard"


def test_an_estop_counts_whoever_presses_it():
    bench = Bench()
    bench.sample({}, source="stranger", actor=Actor.POLICY, buttons=("estop",))
    assert bench.tick().state is ControlState.ESTOP
