"""Lag between two records of one motion: finer than a sample, and refused where there is none to see."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop_app.core.errors import DeviceError
from teleop_app.station.latency_motion import motion_lag, path_lengths

MS = 1_000_000
UPTIME_NS = 12 * 24 * 3600 * 1000 * MS


def _motion(rng: np.random.Generator, joints: int):
    """A smooth random motion as a function of time [s], shape (n, joints)."""
    frequency, phase = rng.uniform(0.15, 1.3, (7, joints)), rng.uniform(0, 7, (7, joints))
    size = rng.uniform(0.1, 0.4, (7, joints))
    return lambda t: (size * np.sin(2 * np.pi * frequency * t[:, None, None] + phase)).sum(axis=1)


def _record(motion, rate_hz: float, seconds: float, lag_ms: float, rng, jitter_ms: float = 0.3):
    times = np.arange(0, seconds, 1 / rate_hz) + rng.normal(
        0, jitter_ms * 1e-3, int(np.ceil(seconds * rate_hz))
    )
    times = np.sort(times)
    return UPTIME_NS + np.round((times + lag_ms * 1e-3) * 1e9).astype(np.int64), motion(times)


@settings(max_examples=6)
@given(st.integers(0, 2**32), st.floats(-150, 150))
def test_a_follower_lags_behind_its_leader(seed, lag_ms):
    rng = np.random.default_rng(seed)
    motion = _motion(rng, 6)
    leader_ns, leader = _record(motion, 200, 12, 0, rng)
    follower_ns, follower = _record(motion, 125, 12, lag_ms, rng)
    found = motion_lag(leader_ns, leader, follower_ns, 0.7 * follower + rng.normal(0, 1e-4, follower.shape))
    assert found.lag_ms == pytest.approx(lag_ms, abs=1.0)
    assert found.confidence > 0.95
    assert found.spread_ms < 4.0


@settings(max_examples=6)
@given(st.integers(0, 2**32), st.floats(0, 120))
def test_a_camera_that_sees_an_arm_move(seed, lag_ms):
    """The change between pictures goes with the length of the path, on a ground of noise."""
    rng = np.random.default_rng(seed)
    motion = _motion(rng, 6)
    arm_ns, arm = _record(motion, 200, 20, 0, rng)
    camera_ns, seen = _record(motion, 30, 20, lag_ms, rng)
    shown = path_lengths(seen) @ [60, 50, 40, 5, 5, 1]  # the wrist turns unseen
    change = np.diff(shown, prepend=0.0) + np.abs(rng.normal(1.0, 0.3, len(seen)))
    found = motion_lag(arm_ns, path_lengths(arm), camera_ns, np.cumsum(change)[:, None])
    assert found.lag_ms == pytest.approx(lag_ms, abs=6.0)


def _straight(rate_hz: float, seconds: float = 10) -> tuple[np.ndarray, np.ndarray]:
    times = np.arange(0, seconds, 1 / rate_hz)
    return UPTIME_NS + np.round(times * 1e9).astype(np.int64), np.zeros((len(times), 2))


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_an_arm_that_rests_is_refused(noise):
    rng = np.random.default_rng(4)
    (first_ns, first), (second_ns, second) = _straight(200), _straight(100)
    with pytest.raises(DeviceError, match="do not agree") as caught:
        motion_lag(
            first_ns,
            first + rng.normal(0, noise, first.shape) if noise else first,
            second_ns,
            second + rng.normal(0, noise, second.shape) if noise else second,
        )
    assert "to and fro" in caught.value.next_step


def test_a_lag_that_changes_within_the_record_is_refused():
    rng = np.random.default_rng(6)
    motion = _motion(rng, 3)
    first_ns, first = _record(motion, 200, 20, 0, rng)
    second_ns, second = _record(motion, 100, 20, 0, rng)
    second_ns[1000:] += 200 * MS
    with pytest.raises(DeviceError, match="The lag changes by \\d+ ms|do not agree"):
        motion_lag(first_ns, first, second_ns, second)


def test_something_else_that_moves_is_refused():
    rng = np.random.default_rng(5)
    first_ns, first = _record(_motion(rng, 1), 200, 20, 0, rng)
    second_ns, second = _record(_motion(rng, 1), 30, 20, 0, rng)
    with pytest.raises(DeviceError, match="do not agree"):
        motion_lag(first_ns, first, second_ns, second)


@pytest.mark.parametrize("seconds", [0.0, 1.2])
def test_too_short_a_record_is_refused(seconds):
    with pytest.raises(DeviceError, match="samples of the two records"):
        motion_lag(*_straight(200, seconds), *_straight(30, seconds))
