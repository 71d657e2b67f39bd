"""The frame grid: every frame nearest to its own index, no drift, no bursts."""

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


def test_a_little_late_is_taken_much_too_late_is_skipped() -> None:
    grid = FrameGrid(FPS, 0)
    assert grid.take(grid.due_ns + PERIOD_NS // 2 - NS_PER_MS) == (1, 0)
    assert grid.take(grid.due_ns + PERIOD_NS // 2 + NS_PER_MS) is None, "it waits for the next one"
    assert grid.index == 3
    assert grid.take(grid.due_ns) == (3, 1)


def test_a_long_stall_loses_its_frames_at_once() -> None:
    grid = FrameGrid(FPS, 0)
    assert grid.take(10 * NS_PER_S) == (300, 299)
    assert grid.take(10 * NS_PER_S) is None, "no burst"


@given(
    st.sampled_from([10, 15, 30, 60, 90]),
    st.lists(st.integers(0, 300 * NS_PER_MS), min_size=1, max_size=80),
)
def test_every_instant_is_taken_once_or_counted_as_skipped(fps: int, waits_ns: list[int]) -> None:
    grid = FrameGrid(fps, 0)
    now_ns, last = 0, 0
    for wait_ns in waits_ns:
        now_ns += wait_ns
        taken = grid.take(now_ns)
        if taken is None:
            continue
        index, skipped = taken
        assert index - last - 1 == skipped >= 0
        assert abs(now_ns - index * NS_PER_S / fps) <= NS_PER_S / fps / 2 + 1
        last = index
