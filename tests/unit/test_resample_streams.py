"""Reading streams off at other instants than their own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.resample import hold, hold_index, interpolate, nearest_index, to_seconds

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
