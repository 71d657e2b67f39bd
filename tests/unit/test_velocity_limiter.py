"""Velocities of base and lift: never above a limit, never on stale input, never out of the stroke."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop_app.core.config import LiftSection, MobileBaseSection, SafetySection
from teleop_app.core.planar import advance, between, displacement, path
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.velocity_limiter import (
    REACTION_S,
    BaseVelocitySafety,
    LiftVelocitySafety,
    VelocityRequest,
)

PERIOD_S = 0.005
START_NS = 1_000_000_000_000
SAFETY = SafetySection()
BASE = MobileBaseSection()
LIFT = LiftSection()
WILD = st.one_of(
    st.floats(-1.0, 1.0), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 9.0, -9.0])
)
AGE_MS = st.one_of(st.integers(-40, 90), st.integers(90, 3000))
STEPS = st.lists(
    st.tuples(
        st.lists(WILD, min_size=3, max_size=3),
        AGE_MS,
        st.booleans(),  # asked at all
        st.sampled_from([False, False, False, True]),  # stopped
        st.integers(1, 30),  # ticks
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_a_base_keeps_its_limits_and_stops_without_good_input(trace):
    safety = BaseVelocitySafety(BASE, SAFETY, PERIOD_S)
    last, now_ns = np.zeros(3), START_NS
    for values, age_ms, asking, stopped, ticks in trace:
        for _ in range(ticks):
            now_ns += 5_000_000
            asked = VelocityRequest(np.array(values), "vr", now_ns - age_ms * 1_000_000) if asking else None
            sent, _ = safety.advance(asked, now_ns, now_ns, stopped=stopped)
            assert np.isfinite(sent).all()
            assert np.linalg.norm(sent[:2]) <= BASE.max_speed_m_s + 1e-12
            assert abs(sent[2]) <= BASE.max_turn_rad_s + 1e-12
            change = sent - last
            assert np.linalg.norm(change[:2]) <= BASE.max_acceleration_m_s2 * PERIOD_S + 1e-12
            assert abs(change[2]) <= BASE.max_turn_acceleration_rad_s2 * PERIOD_S + 1e-12
            usable = asking and not stopped and np.isfinite(values).all() and -20 <= age_ms <= 100
            if not usable:  # slower at each tick until it stands
                for part in (slice(0, 2), slice(2, 3)):
                    speed, before = np.linalg.norm(sent[part]), np.linalg.norm(last[part])
                    assert speed < before or speed == 0.0
            last = sent
    sent = last
    for _ in range(101):
        now_ns += 5_000_000
        sent, _ = safety.advance(None, now_ns, now_ns, stopped=True)
    assert not sent.any()


@settings(max_examples=30, deadline=None)
@given(STEPS, st.floats(0.0, 1.0), st.sampled_from([0.001, 0.05, 0.1, REACTION_S]))
def test_a_lift_never_leaves_its_stroke(trace, share, lag_s):
    """Closed over a plant without end stops that lags by any time constant that is allowed."""
    safety = LiftVelocitySafety(LIFT, SAFETY, PERIOD_S)
    height, speed = LIFT.lower_m + share * (LIFT.upper_m - LIFT.lower_m), 0.0
    last, now_ns = 0.0, START_NS
    decay = math.exp(-PERIOD_S / lag_s)
    for values, age_ms, asking, stopped, ticks in trace:
        for _ in range(ticks * 10):
            now_ns += 5_000_000
            velocity = np.array(values[:1])
            asked = VelocityRequest(velocity, "vr", now_ns - age_ms * 1_000_000) if asking else None
            sent, _ = safety.advance(asked, (height, speed, now_ns), now_ns, stopped=stopped)
            assert abs(sent) <= LIFT.max_speed_m_s + 1e-12
            assert abs(sent - last) <= LIFT.max_acceleration_m_s2 * PERIOD_S + 1e-12
            away = speed - sent
            height += sent * PERIOD_S + away * (1.0 - decay) * lag_s
            speed = sent + away * decay
            last = sent
            assert LIFT.lower_m - 1e-9 <= height <= LIFT.upper_m + 1e-9


def test_a_lift_reaches_its_end_and_says_why_it_slows():
    safety = LiftVelocitySafety(LIFT, SAFETY, PERIOD_S)
    height, now_ns, texts = 0.4, START_NS, []
    for _ in range(1600):
        now_ns += 5_000_000
        asked = VelocityRequest(np.array([0.1]), "vr", now_ns)
        sent, notes = safety.advance(asked, (height, 0.0, now_ns), now_ns, stopped=False)
        height += sent * PERIOD_S
        texts += [(note.flag, note.arm, note.text) for note in notes]
    assert height == pytest.approx(LIFT.upper_m, abs=1e-4)
    assert texts[0][:2] == (SafetyFlag.JOINT_LIMIT, "lift")
    assert texts[0][2].endswith("slows before its end at 0.500 m.")


@pytest.mark.parametrize(
    ("velocity", "age_ms", "feedback_ms", "flag", "text"),
    [
        (
            [math.nan, 0, 0],
            0,
            0,
            SafetyFlag.NON_FINITE,
            "The velocity [nan, 0, 0] of 'vr' for the base is not",
        ),
        ([1.0, 0], 0, 0, SafetyFlag.NON_FINITE, "is not 3 finite numbers; it stops."),
        ([1.0, 0, 0], 101, 0, SafetyFlag.STALE_INPUT, "No good input of 'vr' for the base since 101 ms; it"),
        ([1.0, 0, 0], 0, 101, SafetyFlag.FOLLOWER_STALE, "'base' last reported 101 ms ago (limit 100 ms)."),
        ([1.0, 0, 0], 0, None, SafetyFlag.FOLLOWER_STALE, "'base' has not reported its position."),
    ],
)
def test_what_is_not_good_is_refused_in_a_sentence(velocity, age_ms, feedback_ms, flag, text):
    safety = BaseVelocitySafety(BASE, SAFETY, PERIOD_S)
    asked = VelocityRequest(np.array(velocity, dtype=float), "vr", START_NS - age_ms * 1_000_000)
    feedback_ns = None if feedback_ms is None else START_NS - feedback_ms * 1_000_000
    sent, notes = safety.advance(asked, feedback_ns, START_NS, stopped=False)
    assert not sent.any()
    assert [note.flag for note in notes] == [flag]
    assert text in notes[0].text
    good = VelocityRequest(np.array([1.0, 0, 0]), "vr", START_NS)
    assert safety.advance(good, START_NS, START_NS, stopped=False)[0][0] > 0.0


TWIST = st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3).map(np.array)


@given(TWIST, st.floats(0.0, 2.0))
def test_a_displacement_is_what_many_small_steps_lead_to(twist, seconds):
    steps = np.array([displacement(twist, seconds / 64)] * 64)
    assert np.allclose(path(steps)[-1], displacement(twist, seconds), atol=1e-9)


@given(TWIST, TWIST)
def test_a_displacement_between_poses_leads_from_one_to_the_other(start, end):
    assert np.allclose(advance(start, between(start[None], end[None])[0]), end, atol=1e-12)
