"""Jerk limits, workspace boxes, input guards and watchdogs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop_app.core.config import SafetySection
from teleop_app.core.errors import ConfigError
from teleop_app.core.types import Actor, ArmInput, InputSample, SafetyFlag
from teleop_app.safety.input_guard import SourceGuard
from teleop_app.safety.jerk_limiter import JerkLimiter
from teleop_app.safety.limits import ArmLimits, CellLimits
from teleop_app.safety.watchdog import FollowerWatchdog, Freshness, InputWatchdog
from teleop_app.safety.workspace import Workspace

DT = 0.005
V, A, J = 2.5, 15.0, 200.0
MS = 1_000_000


def limiter(n=3, bound=1.0) -> JerkLimiter:
    one = np.ones(n)
    return JerkLimiter(-bound * one, bound * one, V * one, A * one, J * one, DT)


def never(rest):
    return np.zeros(len(rest), dtype=bool)


targets = st.lists(
    st.tuples(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.integers(1, 40), st.integers(0, 7)),
    min_size=1,
    max_size=15,
)


@given(targets)
@settings(max_examples=60, deadline=None)
def test_safety_jerk_limiter_keeps_every_limit(trace):
    limited, positions = limiter(), [np.zeros(3)] * 3
    for target, ticks, moving in trace:
        mask = np.array([bool(moving & bit) for bit in (1, 2, 4)])
        for _ in range(ticks):
            positions.append(limited.step(np.array(target), mask, never)[0].position)
    q = np.array(positions)
    assert np.abs(q).max() <= 1.0 + 1e-9
    assert np.abs(np.diff(q, axis=0)).max() / DT <= V * (1 + 1e-9)
    assert np.abs(np.diff(q, 2, axis=0)).max() / DT**2 <= A * (1 + 1e-6)
    assert np.abs(np.diff(q, 3, axis=0)).max() / DT**3 <= J * (1 + 1e-6) + 1e-3


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_safety_jerk_limiter_brakes_where_it_said(target, ticks):
    limited = limiter()
    for _ in range(ticks):
        state, _ = limited.step(np.array(target), np.ones(3, dtype=bool), never)
    for _ in range(round((V / A + 2 * A / J) / DT) + 2):
        end, _ = limited.step(np.array(target), np.zeros(3, dtype=bool), never)
    assert limited.at_rest
    assert np.abs(end.position - state.rest).max() < 1e-6


def test_safety_jerk_limiter_brakes_for_a_wall_it_is_told_of():
    limited = limiter()
    for _ in range(400):
        state, braking = limited.step(np.ones(3), np.ones(3, dtype=bool), lambda rest: rest > 0.5)
    assert state.position.max() <= 0.5 + 1e-9
    assert state.position.min() > 0.45
    assert braking.all()


def test_safety_jerk_limiter_comes_back_from_outside_its_limits():
    limited = limiter(1)
    limited.reset(np.array([1.3]))
    positions = []
    for _ in range(300):
        positions.append(limited.step(np.array([5.0]), np.array([True]), never)[0].position[0])
    assert positions[-1] == pytest.approx(1.0)
    assert max(np.diff(positions)) <= 1e-12


def test_safety_limits_refuse_a_margin_that_leaves_no_range():
    arm = ArmLimits("left", np.array([-0.1]), np.array([0.1]), np.zeros(3), np.ones(3))
    with pytest.raises(ConfigError, match="joint_margin_rad 0.2 leaves a joint no range"):
        CellLimits([arm], SafetySection(joint_margin_rad=0.2))


BOX = Workspace(np.array([[0.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 1.0]]), 0.8, DT)
number = st.floats(-3, 3)


@given(st.tuples(number, number, number), st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_safety_workspace_clamps_to_the_box_and_the_speed(target, start):
    rotation = [1.0, 0.0, 0.0, 0.0]
    previous = np.array([*start, *rotation])
    limited = BOX.limit(0, np.array([*target, *rotation]), previous)
    assert (limited.pose[:3] >= 0.0).all()
    assert (limited.pose[:3] <= 1.0).all()
    assert np.linalg.norm(limited.pose[:3] - previous[:3]) <= 0.8 * DT + 1e-12
    assert limited.boxed == (min(target) < 0.0 or max(target) > 1.0)


def test_safety_workspace_lets_an_arm_outside_come_back_but_not_farther():
    outside = np.array([1.5, 0.5, 0.5, 1, 0, 0, 0])
    back = BOX.limit(0, np.array([0.5, 0.5, 0.5, 1, 0, 0, 0]), outside)
    away = BOX.limit(0, np.array([2.5, 0.5, 0.5, 1, 0, 0, 0]), outside)
    assert back.pose[0] < 1.5
    assert away.pose[0] == 1.5
    assert BOX.refuses(np.array([[1.6, 0.5, 0.5]]), np.array([[1.5, 0.5, 0.5]])).tolist() == [True]
    assert BOX.refuses(np.array([[1.4, 0.5, 0.5]]), np.array([[1.5, 0.5, 0.5]])).tolist() == [False]


def test_safety_watchdog_ages():
    watchdog = InputWatchdog(SafetySection(stale_hold_ms=100, stale_release_ms=500))
    now = 10_000 * MS
    ages = {0: Freshness.FRESH, 100: Freshness.FRESH, 101: Freshness.HOLD, 501: Freshness.LOST}
    assert {age: watchdog.judge(now - age * MS, now) for age in ages} == ages
    assert watchdog.judge(now + 100 * MS, now) is Freshness.LOST


def test_safety_watchdog_says_which_follower_and_how_old():
    watchdog = FollowerWatchdog(SafetySection())
    assert watchdog.complaint("left", None, 0) == "Follower 'left' has not reported its position."
    complaint = watchdog.complaint("left", 0, 250 * MS)
    assert complaint == "Follower 'left' last reported 250 ms ago (limit 100 ms)."
    assert watchdog.complaint("left", 0, 100 * MS) == ""


class Stream:
    """A hand on one arm, 10 ms a sample."""

    def __init__(self) -> None:
        self.guard = SourceGuard(("left",), SafetySection())
        self.now_ns = 10**12

    @property
    def arm(self):
        return self.guard.arms["left"]

    def send(self, x=0.0, *, clutch=True, valid=True, age_ms=0, step_ms=10, buttons=(), gripper=None):
        self.now_ns += step_ms * MS
        pose = np.array([x, 0, 0, 1.0, 0, 0, 0])
        arm = ArmInput(clutch, valid, pose, gripper=gripper)
        sample = InputSample("vr", Actor.HUMAN, 0, self.now_ns - age_ms * MS, {"left": arm}, buttons)
        return self.guard.offer(sample, self.now_ns)


def test_safety_guard_needs_the_clutch_released_first():
    stream = Stream()
    stream.send(clutch=True)
    assert not stream.arm.engaged
    stream.send(clutch=False)
    stream.send(clutch=True)
    assert stream.arm.engaged
    stream.arm.revoke()
    stream.send(clutch=True)
    assert not stream.arm.engaged


def test_safety_guard_rejects_one_jump_and_goes_on():
    stream = Stream()
    stream.send(clutch=False)
    stream.send(0.0)
    stream.send(0.5)
    assert stream.arm.rejection is not None
    assert stream.arm.rejection.flag is SafetyFlag.JUMP
    assert "0.500 m" in stream.arm.rejection.text
    stream.send(0.01)
    assert stream.arm.rejection is None
    assert stream.arm.freshness(stream.now_ns) is Freshness.FRESH
    assert stream.arm.ties == 1


def test_safety_guard_lets_go_of_a_hand_that_jumped_and_stays_away():
    stream = Stream()
    stream.send(clutch=False)
    stream.send(0.0)
    for _ in range(11):
        stream.send(0.5)
    assert stream.arm.freshness(stream.now_ns) is Freshness.LOST


def test_safety_guard_ties_anew_after_a_pause():
    stream = Stream()
    stream.send(clutch=False)
    stream.send(0.0)
    stream.send(0.5, step_ms=200)
    assert stream.arm.rejection is None
    assert stream.arm.ties == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_safety_guard_rejects_numbers_that_are_none(bad):
    stream = Stream()
    stream.send(clutch=False)
    stream.send(0.0)
    stream.send(bad)
    assert stream.arm.rejection is not None
    assert stream.arm.rejection.flag is SafetyFlag.NON_FINITE
    stream.send(0.0, gripper=bad)
    assert stream.arm.rejection is not None
    assert stream.arm.good is not None
    assert stream.arm.good.gripper is None


def test_safety_guard_an_invalid_sample_with_the_clutch_released_releases():
    stream = Stream()
    stream.send(clutch=False)
    stream.send(0.0)
    stream.send(clutch=False, valid=False)
    assert not stream.arm.engaged


def test_safety_guard_drops_old_repeated_and_future_samples():
    stream = Stream()
    stream.send()
    stream.send(age_ms=30)
    stream.send(step_ms=0, age_ms=-500)
    assert stream.guard.dropped == 2


def test_safety_guard_finds_button_edges():
    stream = Stream()
    assert stream.send(buttons=("record",)) == ("record",)
    assert stream.send(buttons=("record", "save")) == ("save",)
    assert stream.send() == ()
    assert stream.send(buttons=("record",)) == ("record",)
