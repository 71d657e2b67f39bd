"""One-Euro filters."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.geometry import quat_angle, quat_from_rotvec
from teleop_app.mapping.filters import OneEuroFilter, PoseFilter, QuaternionOneEuroFilter

DT = 1 / 90


def test_filters_quieten_noise_at_rest():
    rng = np.random.default_rng(1)
    noisy = rng.normal(0.0, 0.0005, (900, 3))
    one_euro = OneEuroFilter(2.0, 20.0)
    out = np.array([one_euro.update(value, DT) for value in noisy])
    assert out[90:].std() < 0.35 * noisy[90:].std()


def test_filters_lag_little_in_a_reach():
    t = np.arange(0, 1.0, DT)
    s = np.clip(t / 0.8, 0, 1)
    reach = 0.4 * (10 * s**3 - 15 * s**4 + 6 * s**5)
    one_euro = OneEuroFilter(2.0, 20.0)
    out = np.array([one_euro.update(np.array([x, 0, 0]), DT)[0] for x in reach])
    middle = (s > 0.3) & (s < 0.7)
    speed = np.gradient(reach, DT)[middle]
    lag_s = ((reach - out)[middle] / speed).mean()
    assert lag_s < 0.02


def test_filters_pass_the_first_value_after_a_reset():
    one_euro = OneEuroFilter()
    one_euro.update(np.zeros(3), DT)
    one_euro.reset()
    assert np.allclose(one_euro.update(np.ones(3), DT), 1.0)


def test_filters_ignore_time_that_stands_still():
    one_euro = OneEuroFilter()
    one_euro.update(np.zeros(3), DT)
    assert np.allclose(one_euro.update(np.ones(3), 0.0), 0.0)


@given(
    axis=st.tuples(*[st.floats(-1, 1, width=32)] * 3).map(np.array),
    flips=st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_filters_rotation_does_not_care_for_the_sign_of_a_quaternion(axis, flips):
    plain, flipped = QuaternionOneEuroFilter(), QuaternionOneEuroFilter()
    for k, flip in enumerate(flips):
        q = quat_from_rotvec(axis * 0.05 * k)
        a, b = plain.update(q, DT), flipped.update(-q if flip else q, DT)
        assert quat_angle(a, b) < 1e-6
        assert abs(float(a @ a) - 1.0) < 1e-9


def test_filters_pose_repeats_are_not_filtered_twice():
    pose_filter = PoseFilter()
    rest = np.array([0, 0, 0, 1.0, 0, 0, 0])
    moved = np.array([0.1, 0, 0, 1.0, 0, 0, 0])
    pose_filter.update(rest, 0)
    first = pose_filter.update(moved, 11_000_000)
    assert np.allclose(pose_filter.update(moved, 11_000_000), first)
