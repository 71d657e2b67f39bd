"""Reading streams off at other instants than their own."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recorders.resample import (
    NEVER_NS,
    hold,
    hold_index,
    interpolate,
    nearest_index,
    resample,
    slerp_quat_wxyz,
    to_seconds,
    usual_gap_ns,
)
from teleop_app.core.types import Resampling

UPTIME_NS = 40 * 24 * 3600 * 1_000_000_000  # forty days: beyond what a float64 holds to the ns

times = st.lists(st.integers(0, 10**10), min_size=1, max_size=40, unique=True).map(
    lambda values: np.array(sorted(values), np.int64) + UPTIME_NS
)
queries = st.lists(st.integers(-(10**9), 11 * 10**9), min_size=1, max_size=40).map(
    lambda values: np.array(values, np.int64) + UPTIME_NS
)


@given(times, queries)
def test_the_nearest_sample_is_nearest(sample_ns, query_ns):
    chosen = sample_ns[nearest_index(sample_ns, query_ns)]
    for query, near in zip(query_ns, chosen, strict=True):
        assert abs(query - near) == np.abs(sample_ns - query).min()


@given(times, queries)
def test_a_held_value_never_comes_from_the_future(sample_ns, query_ns):
    index = hold_index(sample_ns, query_ns)
    for query, held in zip(query_ns, index, strict=True):
        earlier = np.flatnonzero(sample_ns <= query)
        assert held == (earlier[-1] if len(earlier) else 0)


@given(times, queries)
def test_interpolation_stays_between_its_neighbours(sample_ns, query_ns):
    value = np.sin(np.arange(len(sample_ns)))[:, None] * [1.0, -2.0]
    result = interpolate(sample_ns, value, query_ns)
    assert result.value.shape == (len(query_ns), 2)
    assert (result.value >= value.min(axis=0) - 1e-12).all()
    assert (result.value <= value.max(axis=0) + 1e-12).all()
    assert (result.distance_ns == np.abs(sample_ns[nearest_index(sample_ns, query_ns)] - query_ns)).all()


def test_a_straight_line_is_interpolated_exactly_after_forty_days_of_uptime():
    sample_ns = np.arange(0, 10**9, 5_000_000, dtype=np.int64) + UPTIME_NS
    query_ns = sample_ns[:-1] + 1_250_000
    slope = to_seconds(sample_ns - UPTIME_NS)[:, None] * [[1.0, -3.0]]
    result = interpolate(sample_ns, slope, query_ns)
    np.testing.assert_allclose(
        result.value, to_seconds(query_ns - UPTIME_NS)[:, None] * [[1.0, -3.0]], atol=1e-12
    )
    assert (result.distance_ns == 1_250_000).all()


def test_a_command_is_in_force_from_its_own_instant_on():
    sample_ns = np.array([100, 200], np.int64)
    result = hold(sample_ns, np.array([[1.0], [2.0]]), np.array([50, 100, 199, 200, 900], np.int64))
    assert result.value[:, 0].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]
    assert result.distance_ns.tolist() == [50, 0, 99, 0, 700]


def test_nothing_to_interpolate_keeps_its_shape():
    result = interpolate(np.array([5], np.int64), np.zeros((1, 0)), np.array([1, 9], np.int64))
    assert result.value.shape == (2, 0)


@pytest.mark.parametrize("query", [-10, 0, 10])
def test_a_single_sample_answers_everything(query):
    result = interpolate(np.array([0], np.int64), np.array([[4.0]]), np.array([query], np.int64))
    assert result.value.tolist() == [[4.0]]


@st.composite
def native_streams(draw):
    """A stream at its native rate with jitter and holes, perhaps empty or of a single sample."""
    rate_hz = draw(st.sampled_from([1000, 200, 90, 60, 30]))
    count = draw(st.sampled_from([0, 1, 2, 60]))
    period = 10**9 // rate_hz
    jitter = draw(st.lists(st.integers(-period // 3, period // 3), min_size=count, max_size=count))
    kept = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    sample_ns = np.arange(count, dtype=np.int64) * period + np.array(jitter, np.int64) + UPTIME_NS
    sample_ns = sample_ns[np.array(kept, bool)] if count > 2 else sample_ns
    angle = np.linspace(0, 9, len(sample_ns))
    turn = np.stack([np.cos(angle / 2), np.zeros_like(angle), np.zeros_like(angle), np.sin(angle / 2)], 1)
    sign = np.where(np.arange(len(sample_ns)) % 2, -1.0, 1.0)[:, None]
    return sample_ns, np.concatenate([np.sin(angle)[:, None] * [1, 2, 3], sign * turn], axis=1)


frame_grids = st.tuples(st.sampled_from([30, 60]), st.integers(-(10**8), 10**8)).map(
    lambda grid: UPTIME_NS + grid[1] + np.arange(40, dtype=np.int64) * 10**9 // grid[0]
)


@given(native_streams(), frame_grids, st.sampled_from(list(Resampling)))
def test_every_cell_tells_how_far_it_is_from_a_real_sample(stream, query_ns, how):
    sample_ns, value = stream
    result = resample(how, sample_ns, value, query_ns)
    assert result.value.shape == (len(query_ns), 7)
    if not len(sample_ns):
        assert np.isnan(result.value).all()
        assert result.gap.all()
        assert (result.distance_ns == NEVER_NS).all()
        return
    away = np.abs(query_ns[:, None] - sample_ns)
    at = np.searchsorted(sample_ns, query_ns, side="right") - 1
    if how is Resampling.PREVIOUS:
        held = np.maximum(at, 0)
        np.testing.assert_array_equal(result.value, value[held])
        assert (result.distance_ns == np.abs(query_ns - sample_ns[held])).all()
        assert result.gap[query_ns < sample_ns[0]].all()
    else:
        assert (result.distance_ns == away.min(axis=1)).all()
    if how is Resampling.NEAREST:
        np.testing.assert_array_equal(result.value, value[away.argmin(axis=1)])
    if how is Resampling.SLERP:
        np.testing.assert_allclose(np.linalg.norm(result.value[:, 3:], axis=1), 1.0, atol=1e-9)
    outside = (query_ns < sample_ns[0] - usual_gap_ns(sample_ns)) | (
        query_ns > sample_ns[-1] + usual_gap_ns(sample_ns)
    )
    assert result.gap[outside].all()
    exact = np.isin(query_ns, sample_ns)
    assert not result.gap[exact].any()


@given(st.floats(-3.1, 3.1), st.floats(-3.1, 3.1), st.floats(0, 1), st.booleans())
def test_a_rotation_turns_along_the_shortest_arc(first, second, share, flipped):
    def about_z(angle):
        return np.array([[np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)]])

    turn = (second - first + np.pi) % (2 * np.pi) - np.pi
    found = slerp_quat_wxyz(about_z(first), about_z(second) * (-1 if flipped else 1), np.array([share]))
    expected = about_z(first + share * turn)
    assume(abs(abs(turn) - np.pi) > 1e-3)
    assert abs(abs((found * expected).sum()) - 1) < 1e-9


def test_a_hole_is_a_gap_only_between_its_edges():
    sample_ns = np.array([0, 10, 20, 100, 110], np.int64)
    query_ns = np.array([5, 20, 21, 99, 100, 140, 141], np.int64)
    result = resample(Resampling.LINEAR, sample_ns, np.zeros((5, 1)), query_ns)
    assert result.gap.tolist() == [False, False, True, True, False, False, True]
    held = resample(Resampling.PREVIOUS, sample_ns, np.zeros((5, 1)), query_ns, max_gap_ns=15)
    assert held.gap.tolist() == [False, False, False, True, False, True, True]
