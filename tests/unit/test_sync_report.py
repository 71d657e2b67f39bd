"""The sync report: nearest distances of every pair of streams, exact where it matters, bounded in work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.schema import SyncPair
from recorders.sync_report import MAX_SAMPLES, MAX_STREAMS, sync_lines, sync_matrix, sync_pairs, sync_rows

MS = 1_000_000
UPTIME_NS = 40 * 24 * 3600 * 1_000_000_000

stamps = st.lists(st.integers(0, 10**10), min_size=1, max_size=50).map(
    lambda values: np.array(values, np.int64) + UPTIME_NS
)


def _grid(period_ms: float, count: int, offset_ms: float = 0.0) -> np.ndarray:
    return UPTIME_NS + np.round((np.arange(count) * period_ms + offset_ms) * MS).astype(np.int64)


@given(stamps, stamps)
def test_the_figures_are_those_of_the_definition(first, second):
    (pair,) = sync_pairs({"a": first, "b": second})
    slow, fast = (first, second) if pair.slower == "a" else (second, first)
    assert len(slow) <= len(fast)
    distances = np.array([np.abs(fast - each).min() for each in slow]) / MS
    assert pair.max_ms == pytest.approx(distances.max(), abs=1e-3)
    assert distances.min() - 1e-3 <= pair.p50_ms <= pair.p95_ms <= pair.p99_ms <= pair.max_ms
    assert abs(pair.offset_ms) <= distances.mean() + 1e-3


def test_a_camera_beside_control_ticks():
    pairs = sync_pairs({"overhead": _grid(40, 250), "control": _grid(5, 2000, offset_ms=2)})
    assert pairs == (SyncPair("overhead", "control", 2.0, 2.0, 2.0, 2.0, 2.0),)


def test_the_offset_has_a_sign():
    (pair,) = sync_pairs({"a": _grid(40, 100), "b": _grid(40, 100, offset_ms=-7)})
    assert (pair.slower, pair.faster, pair.offset_ms) == ("a", "b", -7.0)
    matrix = sync_matrix((pair,), "offset_ms")
    assert matrix.cells == ((None, -7.0), (7.0, None))


def test_every_pair_is_there_once_and_empty_streams_are_not():
    names = [f"s{number}" for number in range(MAX_STREAMS + 3)]
    times = {"none": np.zeros(0, np.int64)} | {name: _grid(10, 20) for name in names}
    pairs = sync_pairs(times)
    assert len(pairs) == MAX_STREAMS * (MAX_STREAMS - 1) // 2
    assert {name for pair in pairs for name in (pair.slower, pair.faster)} == set(names[:MAX_STREAMS])
    assert sync_pairs({"alone": _grid(10, 20)}) == ()


@pytest.mark.parametrize("at", [0.0, 0.37, 1.0])
def test_an_outage_of_a_long_stream_is_not_missed(at):
    frames = _grid(1000 / 30, MAX_SAMPLES * 5)
    ticks = _grid(5, int(len(frames) * 1000 / 30 / 5))
    middle = int(frames[0] + at * (frames[-1] - frames[0]))
    ticks = ticks[np.abs(ticks - middle) > 60 * MS]  # shorter than the spacing of the measured frames
    (pair,) = sync_pairs({"camera": frames, "control": ticks})
    exact = np.abs(ticks[np.searchsorted(ticks, frames).clip(0, len(ticks) - 1)] - frames)
    before = np.abs(ticks[(np.searchsorted(ticks, frames) - 1).clip(0)] - frames)
    assert pair.max_ms == pytest.approx(np.minimum(exact, before).max() / MS, abs=1e-3)
    assert pair.p99_ms <= 2.6


def test_people_get_a_matrix_and_tables_get_rows():
    pairs = sync_pairs(
        {"overhead": _grid(40, 250), "left_wrist": _grid(40, 250, 1.5), "control": _grid(5, 2000)}
    )
    lines = sync_lines(pairs)
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["overhead", "left_wrist", "control"]
    assert lines[1].split() == ["overhead", "-", "1.50", "0.00"]
    assert lines[2].split() == ["left_wrist", "1.50", "-", "1.50"]
    assert sync_rows(pairs)[0] == {
        "slower": "overhead",
        "faster": "left_wrist",
        "p50_ms": 1.5,
        "p95_ms": 1.5,
        "p99_ms": 1.5,
        "max_ms": 1.5,
        "offset_ms": 1.5,
    }
    assert sync_lines(()) == []
