"""Slow-down towards singularities and before collisions: distances, slopes, and what becomes of motions."""

from __future__ import annotations

import functools

import mujoco
import numpy as np
import pytest

from devices.sim.arms import ARMS
from devices.sim.model import build_spec
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.types import Actor, ArmInput, InputSample, SafetyFlag
from teleop_app.mapping.clearance import Clearance
from teleop_app.mapping.collision_model import CollisionModel, collision_model
from teleop_app.mapping.dexterity import ArmDexterity
from teleop_app.mapping.ik import ArmChain
from teleop_app.mapping.ik_model import arms_only

SPEC = build_spec("primitive")
NAMES = [name for arm in ARMS for name in arm.joint_names]
HOME = np.array([value for arm in ARMS for value in arm.home_q])
LOWER = np.array([value for arm in ARMS for value in arm.lower_rad])
UPPER = np.array([value for arm in ARMS for value in arm.upper_rad])
CHAINS = [ArmChain(a.side, a.joint_names, a.tcp_site_name, np.array(a.home_q)) for a in ARMS]
DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
STOP_M, SLOW_M = 0.005, 0.03


@functools.cache
def shapes() -> CollisionModel:
    return collision_model(SPEC, NAMES, HOME)


def postures(count):
    rng = np.random.default_rng(3)
    return [rng.uniform(LOWER, UPPER) for _ in range(count)]


def test_collision_model_watches_links_and_the_table_but_not_fingers_or_objects():
    watched = {body for pair in shapes().names for body in pair}
    assert {"left/gripper_link", "right/lower_forearm_link", "table"} <= watched
    assert not any("finger" in body or body in ("bar", "tray", "cube_red") for body in watched)
    assert ("left/gripper_link", "right/gripper_link") in {tuple(sorted(pair)) for pair in shapes().names}
    assert not any({"left/wrist_link", "left/gripper_link"} == set(pair) for pair in shapes().names)


def test_clearance_culls_nothing_that_is_near_and_its_gradient_is_the_slope():
    clearance = Clearance(shapes(), NAMES, SLOW_M)
    model, data = shapes().model, mujoco.MjData(shapes().model)
    at = [int(model.joint(name).qposadr[0]) for name in NAMES]
    checked = 0
    for q in postures(60):
        data.qpos[at] = q
        mujoco.mj_kinematics(model, data)
        plain = [mujoco.mj_geomDistance(model, data, a, b, SLOW_M, None) for a, b in shapes().pairs]
        here = clearance.at(q)
        assert np.allclose(np.minimum(plain, SLOW_M), here.distance_m, atol=1e-9)
        step = np.sin(np.arange(12)) * 1e-5
        ahead, behind = clearance.distances(q + step), clearance.distances(q - step)
        for row, pair in zip(here.gradient, here.near, strict=True):
            if here.distance_m[pair] > 1e-3 and max(ahead[pair], behind[pair]) < SLOW_M:
                assert (ahead[pair] - behind[pair]) / 2 == pytest.approx(row @ step, abs=1e-8)
                checked += 1
    assert checked > 30
    assert clearance.at(HOME) is clearance.at(HOME.copy())


def test_dexterity_is_the_smallest_singular_value_and_its_slope():
    dexterity = ArmDexterity(arms_only(SPEC, NAMES), CHAINS)
    step = np.cos(np.arange(12)) * 1e-5
    for q in postures(30):
        here, ahead, behind = (dexterity.at(at, [0, 1], 9.0) for at in (q, q + step, q - step))
        for arm in (0, 1):
            slope = here[arm].gradient @ step[6 * arm : 6 * arm + 6]
            assert (ahead[arm].smallest - behind[arm].smallest) / 2 == pytest.approx(slope, abs=1e-9)
    assert dexterity.at(HOME, [0], 0.06)[0].smallest > 0.15
    assert not dexterity.at(HOME, [0], 0.06)[0].gradient.any()
    stretched = HOME.copy()
    stretched[1:3] = [0.2, -1.371 + 0.2]  # shoulder and elbow on one line with the wrist
    values = [dexterity.at(stretched + np.eye(12)[2] * k, [0], 0.0)[0].smallest for k in (-0.3, 0.0)]
    assert min(values) < 0.16


class Bench:
    """The loop with followers that go where they are sent, and the distances at every tick."""

    joint_names = tuple(name for arm in ARMS for name in (*arm.joint_names, arm.gripper_name))

    def __init__(self, **safety):
        config = StationConfig()
        for key, value in safety.items():
            setattr(config.safety, key, value)
        for arm in config.arms:
            arm.workspace_min, arm.workspace_max = [-1.5, -1.0, -0.5], [1.5, 2.0, 1.5]
        self.clock = FakeClock()
        self.position = np.array([v for arm in ARMS for v in (*arm.home_q, 1.0)])
        self.velocity = self.effort = np.zeros(14)
        self.loop = build_control_loop(config, DESCRIPTIONS, SPEC, [self], self.clock)
        self.clearance = Clearance(shapes(), NAMES, 1.0)
        self.dexterity = ArmDexterity(arms_only(SPEC, NAMES), CHAINS)
        self.flags = SafetyFlag(0)
        self.nearest: list[float] = []
        self.smallest: list[float] = []
        self.texts: list[str] = []

    @property
    def capture_ns(self):
        return self.clock.now_ns()

    def read(self):
        return self

    def send(self, target):
        self.position = target.copy()

    @property
    def q(self):
        return self.position[[*range(6), *range(7, 13)]]

    def tick(self, **arms: ArmInput):
        now_ns = self.clock.now_ns()
        self.loop.offer(InputSample("vr", Actor.HUMAN, 0, now_ns - 1_000_000, arms), now_ns)
        tick = self.loop.tick(now_ns)
        self.clock.advance(0.005)
        self.flags |= SafetyFlag(tick.flags)
        self.nearest.append(float(self.clearance.distances(self.q).min()))
        self.smallest.append(self.dexterity.at(self.q, [0], 0.0)[0].smallest)
        self.texts += [event.text for event in self.loop.take_events() if event.kind == "safety.limit"]
        return tick

    def push(self, ticks, **velocity):
        """Move hands by so much a tick, from a new clutch on."""
        self.tick(**{arm: ArmInput(clutch=False) for arm in velocity})
        for k in range(ticks):
            moved = {arm: np.array([*(np.array(v) * k), 1.0, 0, 0, 0]) for arm, v in velocity.items()}
            tick = self.tick(**{arm: ArmInput(clutch=True, pose=pose) for arm, pose in moved.items()})
        return tick


@pytest.mark.parametrize(
    "velocity",
    [
        {"left": (0.004, 0, 0), "right": (-0.004, 0, 0)},
        {"left": (0.004, 0, 0)},
        {"left": (0, 0, -0.004)},
        {"left": (-0.003, 0, -0.003)},
        {"left": (-0.003, 0, -0.003), "right": (0.003, 0.002, -0.003)},
    ],
)
def test_collision_stop_distance_is_kept_whatever_a_hand_pushes_for(velocity):
    bench = Bench()
    bench.push(300, **velocity)
    assert min(bench.nearest) >= STOP_M
    assert bench.flags & SafetyFlag.COLLISION
    assert any("is held back" in text and "(stop at 5 mm)" in text for text in bench.texts)


def test_collision_moving_away_and_along_is_free():
    bench = Bench()
    bench.push(300, left=(0, 0, -0.004))
    near = bench.nearest[-1]
    assert near < 0.012
    at = bench.q.copy()
    bench.push(100, left=(0, 0, 0.002))
    assert bench.nearest[-1] > near + 0.05
    assert np.abs(bench.q - at).max() > 0.1


def test_collision_leaders_cannot_push_the_arms_into_each_other_either():
    bench = Bench()
    posture = np.array(ARMS[0].home_q)
    bench.tick(**{side: ArmInput(clutch=False) for side in ("left", "right")})
    for k in range(400):
        reach = posture + np.array([0.0, 1.2, -0.9, 0.0, 0.0, 0.0]) * min(1.0, k / 100)
        bench.tick(left=ArmInput(clutch=True, joints=reach), right=ArmInput(clutch=True, joints=reach))
    assert min(bench.nearest) >= STOP_M
    assert bench.flags & SafetyFlag.COLLISION


def test_singularity_stretching_the_arm_slows_down_stops_and_comes_back():
    bench = Bench(singularity_slow=0.12, singularity_stop=0.05)
    bench.push(200, left=(0, 0.001, 0.004))
    for _ in range(3):
        bench.push(200, left=(0, 0.001, 0.004))
    assert bench.flags & SafetyFlag.SINGULARITY
    assert min(bench.smallest) > 0.05 - 2e-3
    assert any("towards a singularity" in text for text in bench.texts)
    stretched = bench.smallest[-1]
    bench.push(150, left=(0, 0, -0.002))
    assert bench.smallest[-1] > stretched + 0.03
