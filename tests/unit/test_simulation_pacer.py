"""Physics against the host clock: locked, caught up, or honestly slow."""

from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.station.physics_pacer import PhysicsPacer

STEP_NS = 2 * NS_PER_MS


def _run(pacer: PhysicsPacer, now_ns: int, cost_ns: int, until_ns: int) -> int:
    """A machine that needs `cost_ns` for a step; returns its time at the end."""
    while now_ns < until_ns:
        now_ns = max(now_ns, pacer.next_due_ns)
        for _ in range(min(pacer.due(now_ns), 5)):
            pacer.advance()
            now_ns += cost_ns
    return now_ns


def test_a_fast_machine_keeps_up_and_loses_nothing() -> None:
    pacer = PhysicsPacer(STEP_NS)
    pacer.start(0)
    _run(pacer, 0, NS_PER_MS // 4, 10 * NS_PER_S)
    assert pacer.lost_ns == 0
    assert pacer.realtime_factor(10 * NS_PER_S) == 1.0
    assert abs(pacer.step - 5000) <= 1


def test_a_slow_machine_is_slow_by_its_own_measure_and_never_spirals() -> None:
    pacer = PhysicsPacer(STEP_NS)
    pacer.start(0)
    end_ns = _run(pacer, 0, 4 * NS_PER_MS, 10 * NS_PER_S)
    assert abs(pacer.realtime_factor(end_ns) - 0.5) < 0.05
    backlog_ns = end_ns - pacer.next_due_ns
    assert backlog_ns <= 21 * STEP_NS + 20 * NS_PER_MS


def test_a_short_stall_is_caught_up() -> None:
    pacer = PhysicsPacer(STEP_NS, max_backlog=20)
    pacer.start(0)
    assert pacer.due(30 * NS_PER_MS) == 15
    stamps = [pacer.advance() for _ in range(15)]
    assert stamps == [STEP_NS * (i + 1) for i in range(15)]
    assert pacer.lost_ns == 0


def test_a_long_stall_is_given_up_but_for_the_backlog() -> None:
    pacer = PhysicsPacer(STEP_NS, max_backlog=20)
    pacer.start(0)
    assert pacer.due(NS_PER_S) == 20
    assert pacer.lost_ns == NS_PER_S - 20 * STEP_NS
    assert pacer.advance() == NS_PER_S - 19 * STEP_NS
    assert pacer.realtime_factor(NS_PER_S) < 0.1
    assert pacer.realtime_factor(10 * NS_PER_S) == 1.0, "the window has moved on"


def test_a_planned_pause_is_not_lost_time() -> None:
    pacer = PhysicsPacer(STEP_NS)
    pacer.start(0)
    pacer.due(STEP_NS)
    pacer.advance()
    pacer.start(NS_PER_S)
    assert pacer.due(NS_PER_S) == 0
    assert pacer.due(NS_PER_S + STEP_NS) == 1
    assert pacer.realtime_factor(NS_PER_S + STEP_NS) == 1.0


@given(st.lists(st.integers(0, 200 * NS_PER_MS), max_size=60))
def test_stamps_rise_and_never_lie_in_the_future(waits_ns: list[int]) -> None:
    pacer = PhysicsPacer(STEP_NS)
    pacer.start(0)
    now_ns, last_ns = 0, 0
    for wait_ns in waits_ns:
        now_ns += wait_ns
        for _ in range(pacer.due(now_ns)):
            stamp_ns = pacer.advance()
            assert last_ns < stamp_ns <= now_ns
            last_ns = stamp_ns
    assert pacer.due(now_ns) == 0
