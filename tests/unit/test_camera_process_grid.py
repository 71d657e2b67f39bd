"""The frame grid: every instant once or counted as skipped; late is caught up only a little."""

from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.station.frame_grid import FrameGrid

FPS = 30
PERIOD_NS = NS_PER_S // FPS


def test_instants_are_multiples_of_the_period_whenever_it_starts() -> None:
    early, late = FrameGrid(FPS, 10 * NS_PER_S + 1), FrameGrid(FPS, 10 * NS_PER_S + PERIOD_NS // 3)
    assert early.index == late.index == 301
    assert abs(early.due_ns - 301 * NS_PER_S / FPS) < 1


def test_nothing_is_taken_before_it_is_due() -> None:
    grid = FrameGrid(FPS, 0)
    assert grid.take(grid.due_ns - 1) is None
    assert grid.take(grid.due_ns) == (1, 0)
    assert grid.index == 2


def test_a_short_stall_costs_nothing() -> None:
    grid = FrameGrid(FPS, 0)
    now_ns = grid.due_ns + 2 * PERIOD_NS - NS_PER_MS
    assert grid.take(now_ns) == (1, 0)
    assert grid.take(now_ns) == (2, 0)
    assert grid.take(now_ns) is None


def test_a_long_stall_loses_its_frames_at_once() -> None:
    grid = FrameGrid(FPS, 0)
    assert grid.take(10 * NS_PER_S) == (300, 299)
    assert grid.take(10 * NS_PER_S) is None, "no burst"


def test_a_machine_that_is_too_slow_stays_within_the_slack() -> None:
    grid, now_ns, taken, lost = FrameGrid(FPS, 0), 0, 0, 0
    for _ in range(400):
        now_ns = max(now_ns, grid.due_ns)
        found = grid.take(now_ns)
        assert found is not None
        assert now_ns - grid.instant_ns(found[0]) <= 2 * PERIOD_NS + 2
        taken, lost = taken + 1, lost + found[1]
        now_ns += 3 * PERIOD_NS // 2
    assert abs(lost / (taken + lost) - 1.0 / 3.0) < 0.02


@given(
    st.sampled_from([10, 15, 30, 60, 90]),
    st.lists(st.integers(0, 300 * NS_PER_MS), min_size=1, max_size=80),
)
def test_every_instant_is_taken_once_or_counted_as_skipped(fps: int, waits_ns: list[int]) -> None:
    grid = FrameGrid(fps, 0)
    now_ns, last = 0, 0
    for wait_ns in waits_ns:
        now_ns += wait_ns
        while (taken := grid.take(now_ns)) is not None:
            index, skipped = taken
            assert index - last - 1 == skipped >= 0
            assert 0 <= now_ns - grid.instant_ns(index) <= 2 * NS_PER_S / fps + 2
            last = index
