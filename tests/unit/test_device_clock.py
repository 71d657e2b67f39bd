"""Device clocks: mapped to the host within stated bounds, whatever they do; never after the arrival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop_app.core.device_clock import DeviceClock

MS = 1_000_000
S = 1000 * MS
UPTIME_NS = 12 * 24 * 3600 * S
SHORTEST_MS = 1.0
UNIX_NS = 1_800_000_000 * S


def _samples(
    seed: int, seconds: float, *, drift_ppm: float = 0.0, offset_ns: int = UNIX_NS, rate_hz: float = 30.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True, device and receive times of samples with delays of 1 ms and exponential ones of mean 1 ms."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    true_ns = UPTIME_NS + np.round(np.arange(count) * S / rate_hz).astype(np.int64)
    elapsed = (true_ns - UPTIME_NS).astype(np.float64)
    device_ns = offset_ns + np.round(elapsed / (1 + drift_ppm * 1e-6)).astype(np.int64)
    delays = np.round((SHORTEST_MS + rng.exponential(1.0, count)) * MS).astype(np.int64)
    return true_ns, device_ns, np.maximum.accumulate(true_ns + delays)


def _run(clock: DeviceClock, device_ns: np.ndarray, receive_ns: np.ndarray) -> np.ndarray:
    return np.array([clock.stamp(int(d), int(r)) for d, r in zip(device_ns, receive_ns, strict=True)])


def _errors_ms(capture_ns: np.ndarray, true_ns: np.ndarray) -> np.ndarray:
    return (capture_ns - true_ns) / MS - SHORTEST_MS


@settings(max_examples=120)
@given(st.integers(0, 2**32), st.floats(-200, 200), st.integers(-UNIX_NS, UNIX_NS))
def test_the_error_is_bounded_for_any_offset_and_drift(seed, drift_ppm, offset_ns):
    true_ns, device_ns, receive_ns = _samples(seed, 20, drift_ppm=drift_ppm, offset_ns=offset_ns or 1)
    clock = DeviceClock("camera")
    errors = _errors_ms(_run(clock, device_ns, receive_ns), true_ns)
    assert np.abs(errors[:6]).max() <= 25.0  # by their arrival
    assert np.abs(errors[6:90]).max() <= 2.0
    assert np.abs(errors[90:]).max() <= 0.6
    assert clock.epochs == 1


@settings(max_examples=12)
@given(st.integers(0, 2**32), st.floats(-200, 200))
def test_bursts_and_dropouts_do_no_harm(seed, drift_ppm):
    true_ns, device_ns, receive_ns = _samples(seed, 40, drift_ppm=drift_ppm)
    rng = np.random.default_rng(seed)
    for start in rng.integers(120, len(true_ns) - 30, 6):  # held up, then all at once
        stop = start + int(rng.integers(2, 25))
        receive_ns[start:stop] = receive_ns[stop]
    receive_ns = np.maximum.accumulate(receive_ns)
    there = np.ones(len(true_ns), bool)
    there[500:800] = False  # ten seconds of nothing
    there &= rng.random(len(true_ns)) > 0.1
    clock = DeviceClock("camera")
    errors = _errors_ms(_run(clock, device_ns[there], receive_ns[there]), true_ns[there])
    assert np.abs(errors[true_ns[there] > UPTIME_NS + 4 * S]).max() <= 0.8


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(-(2**62), 2**62)), st.integers(1, 10 * S)), max_size=80
    ),
    st.integers(0, 300 * MS),
)
def test_whatever_a_device_says_times_rise_and_are_never_after_the_arrival(stamps, latency_ns):
    clock = DeviceClock("camera", latency_ns)
    receive_ns, last_ns = UPTIME_NS, 0
    for device_ns, elapsed_ns in stamps:
        receive_ns += elapsed_ns
        capture_ns = clock.stamp(device_ns, receive_ns)
        assert last_ns < capture_ns <= receive_ns
        last_ns = capture_ns


def test_a_device_without_a_clock_goes_by_the_arrival():
    clock = DeviceClock("camera", latency_ns=20 * MS)
    assert clock.stamp(None, UPTIME_NS) == UPTIME_NS - 20 * MS
    assert clock.stamp(0, UPTIME_NS + 33 * MS) == UPTIME_NS + 13 * MS
    assert clock.take_fit(UPTIME_NS + S) is None


@pytest.mark.parametrize(
    "restart_ns", [1 * S, UNIX_NS + 3600 * S, UNIX_NS - 3600 * S, UNIX_NS + 10 * S + 400 * MS]
)
def test_a_clock_that_is_set_anew_begins_an_epoch_with_the_rate_known(restart_ns):
    true_ns, device_ns, receive_ns = _samples(3, 10, drift_ppm=150)
    true2, device2, receive2 = _samples(4, 10, drift_ppm=150, offset_ns=restart_ns)
    shift = true_ns[-1] - true2[0] + 33 * MS
    clock = DeviceClock("camera")
    _run(clock, device_ns, receive_ns)
    errors = _errors_ms(_run(clock, device2, receive2 + shift), true2 + shift)
    assert clock.epochs == 2
    assert np.abs(errors[:6]).max() <= 20.0  # by their arrival
    assert np.abs(errors[6:]).max() <= 2.0


@pytest.mark.parametrize("step_ms", [20, 300, 1500])
def test_a_clock_that_steps_back_is_followed_within_a_second(step_ms):
    true_ns, device_ns, receive_ns = _samples(5, 20)
    device_ns[300:] -= step_ms * MS
    clock = DeviceClock("camera")
    errors = _errors_ms(_run(clock, device_ns, receive_ns), true_ns)
    assert errors.min() >= -step_ms - 0.5
    assert np.abs(errors[300 + 36 :]).max() <= 2.5


def test_a_wrapping_counter_goes_on():
    true_ns, device_ns, receive_ns = _samples(6, 20, offset_ns=(1 << 32) * 1000 - 7 * S)
    clock = DeviceClock("camera", wrap_ns=(1 << 32) * 1000)
    errors = _errors_ms(_run(clock, device_ns % ((1 << 32) * 1000), receive_ns), true_ns)
    assert clock.epochs == 1
    assert np.abs(errors[90:]).max() <= 0.6


def test_a_clock_that_stands_still_is_not_believed():
    true_ns, device_ns, receive_ns = _samples(7, 10)
    device_ns[150:] = device_ns[150]
    errors = _errors_ms(_run(DeviceClock("camera"), device_ns, receive_ns), true_ns)
    assert errors.min() >= -0.6
    assert errors.max() <= 20.0  # the delay of the arrival


@settings(max_examples=12)
@given(st.integers(0, 2**32))
def test_single_mad_stamps_move_nothing(seed):
    true_ns, device_ns, receive_ns = _samples(seed, 20)
    rng = np.random.default_rng(seed)
    mad = rng.random(len(true_ns)) < 0.02
    mad[:90] = False
    device_ns[mad] += rng.integers(-3600 * S, 3600 * S, int(mad.sum()))
    clock = DeviceClock("camera")
    errors = _errors_ms(_run(clock, device_ns, receive_ns), true_ns)
    assert clock.epochs == 1
    assert np.abs(errors[~mad][90:]).max() <= 20.0
    assert np.quantile(np.abs(errors[~mad][90:]), 0.95) <= 0.6


def test_a_fast_stream_that_comes_in_packets():
    true_ns, device_ns, receive_ns = _samples(8, 8, rate_hz=1000, drift_ppm=-80)
    receive_ns = receive_ns[np.minimum(np.arange(len(receive_ns)) // 20 * 20 + 19, len(receive_ns) - 1)]
    clock = DeviceClock("force")
    errors = _errors_ms(_run(clock, device_ns, receive_ns), true_ns)
    assert np.abs(errors[3000:]).max() <= 0.6


def test_the_fit_comes_once_a_second_and_says_how_the_clocks_lie():
    true_ns, device_ns, receive_ns = _samples(9, 30, drift_ppm=120)
    clock, fits = DeviceClock("camera", latency_ns=7 * MS), []
    for device, receive in zip(device_ns.tolist(), receive_ns.tolist(), strict=True):
        clock.stamp(device, receive)
        if (fit := clock.take_fit(receive)) is not None:
            fits.append(fit)
    assert len(fits) == 30
    last = fits[-1]
    assert last.stream == "camera" and last.samples > 800
    assert last.drift_ppm == pytest.approx(120, abs=15)
    assert 1 * MS < last.spread_ns < 5 * MS
    at = int(np.flatnonzero(device_ns == last.device_ref_ns)[0])
    assert last.host_ref_ns == pytest.approx(true_ns[at] + 1 * MS - 7 * MS, abs=0.6 * MS)
