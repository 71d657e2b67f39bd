"""The live plot of a joint: what is remembered, what lies ahead, and when it draws."""

from dataclasses import replace

import numpy as np
import pytest

from teleop_app.core.types import AuthorityMode, AutonomyPhase, AutonomyTick, PolicyChunk
from ui.viewmodels.chunk_trace import AHEAD_S, PAST_S, ChunkTrace
from ui.widgets.chunk_plot import ChunkPlot

NAMES = ("left/waist", "left/elbow", "left/gripper", "right/waist", "right/elbow", "right/gripper")
SECOND = 1_000_000_000


def policy_tick(make_tick, seq, proposed=None, sent=None, human=None, *, chunk=0, index=-1.0, speed=1.0):
    base = make_tick(seq)
    autonomy = AutonomyTick(
        AuthorityMode.SUPERVISED,
        AutonomyPhase.POLICY,
        0,
        1.0,
        chunk,
        index,
        base.tick_ns,
        speed=speed,
        human=human,
    )
    vector = np.zeros(6) if sent is None else sent
    return replace(base, policy=proposed, sent=vector, autonomy=autonomy)


def chunk_of(actions, **changes):
    return replace(PolicyChunk("p", "v", 1, 0, 0, 0, SECOND // 10, actions, ("left",)), **changes)


def ramp(steps: int = 30) -> np.ndarray:
    actions = np.zeros((steps, 6))
    actions[:, 1] = np.arange(steps)
    return actions


def test_the_past_is_kept_for_some_seconds_with_holes_where_nothing_was_known(make_tick):
    trace = ChunkTrace(NAMES)
    assert not trace.started
    for seq in range(0, 4000, 4):  # 20 s
        vector = np.full(6, seq / 4000)
        trace.add_tick(
            policy_tick(
                make_tick, seq, proposed=None if seq < 3600 else vector, sent=vector, human=vector + 1
            )
        )
    joint = trace.joint(0)
    assert joint.at_s[-1] == 0.0 and joint.at_s[0] >= -PAST_S and joint.at_s[0] < -PAST_S + 0.1
    assert np.all(np.diff(joint.at_s) > 0)
    assert np.isnan(joint.proposed[0]) and joint.proposed[-1] == joint.sent[-1]
    np.testing.assert_allclose(joint.human, joint.sent + 1)


def test_the_queue_lies_to_the_right_of_now_at_the_speed_of_the_policys_clock(make_tick):
    trace = ChunkTrace(NAMES)
    trace.add_chunk(chunk_of(ramp()))
    trace.add_tick(policy_tick(make_tick, 0, chunk=1, index=4.5))
    joint = trace.joint(1)
    np.testing.assert_allclose(joint.ahead_s[:2], (0.05, 0.15))
    assert joint.queue[0] == 5.0 and joint.ahead_s[-1] <= AHEAD_S
    trace.add_tick(policy_tick(make_tick, 10, chunk=1, index=4.5, speed=0.5))
    np.testing.assert_allclose(trace.joint(1).ahead_s[:2], (0.1, 0.3))
    trace.add_tick(policy_tick(make_tick, 20, chunk=1, index=29.5))
    assert len(trace.joint(1).queue) == 0


def test_what_does_not_fit_the_station_is_left_out(make_tick):
    trace = ChunkTrace(NAMES)
    trace.add_chunk(chunk_of(np.zeros((5, 7))))
    trace.add_chunk(chunk_of(np.full((5, 6), np.inf)))
    trace.add_tick(make_tick(0))  # of a station with 14 values
    assert not trace.started
    trace.add_tick(policy_tick(make_tick, 1, proposed=np.zeros(3)))
    assert np.isnan(trace.joint(0).proposed).all() and len(trace.joint(0).queue) == 0


def test_a_station_that_starts_anew_starts_the_plot_anew(make_tick):
    trace = ChunkTrace(NAMES)
    trace.add_tick(policy_tick(make_tick, 500))
    trace.add_tick(policy_tick(make_tick, 0))
    assert len(trace.joint(0).at_s) == 1


def test_the_joint_that_moves_most_is_an_arms(make_tick):
    trace = ChunkTrace(NAMES)
    for seq in range(0, 200, 5):
        moving = np.zeros(6)
        moving[3], moving[2] = 0.001 * seq, seq / 200
        trace.add_tick(policy_tick(make_tick, seq, sent=moving))
    assert trace.busiest() == 3
    still = ChunkTrace(NAMES)
    assert still.busiest() == 0


@pytest.fixture
def plot(qtbot):
    plot = ChunkPlot(NAMES)
    qtbot.addWidget(plot)
    plot.resize(600, 240)
    return plot


def test_it_draws_only_while_it_is_seen(plot, make_tick, qtbot):
    plot.add_tick(policy_tick(make_tick, 0))
    assert not plot.running
    plot.show()
    qtbot.waitUntil(plot.isVisible)
    assert plot.running
    plot.hide()
    assert not plot.running


def test_it_says_what_will_be_here(plot, make_tick):
    plot.refresh()
    assert plot._stack.currentWidget() is plot.empty and plot.empty.text()
    plot.add_tick(policy_tick(make_tick, 0))
    plot.refresh()
    assert plot._stack.currentWidget() is not plot.empty


def test_the_lines_are_those_of_the_joint_chosen(plot, make_tick):
    plot.add_chunk(chunk_of(ramp()))
    for seq in range(0, 400, 5):
        vector = np.full(6, seq / 400)
        plot.add_tick(policy_tick(make_tick, seq, proposed=vector * 2, sent=vector, chunk=1, index=2.0))
    plot.joint.setCurrentIndex(1 + NAMES.index("left/elbow"))
    assert plot.shown_joint == "left/elbow"
    _, sent = plot._sent.getData()
    _, proposed = plot._proposed.getData()
    at_s, queue = plot._queue.getData()
    np.testing.assert_allclose(proposed, 2 * sent)
    assert at_s[0] >= 0.0 and queue[0] == 2.0
    low, high = plot._item.getViewBox().viewRange()[1]
    assert low <= sent.min() and high >= queue.max()
    plot.joint.setCurrentIndex(1 + NAMES.index("left/gripper"))
    low, high = plot._item.getViewBox().viewRange()[1]
    assert (low, high) == pytest.approx((-0.05, 1.05))


def test_left_to_itself_it_follows_the_joint_that_moves(plot, make_tick):
    for seq in range(0, 400, 5):
        moving = np.zeros(6)
        moving[4] = seq / 400
        plot.add_tick(policy_tick(make_tick, seq, sent=moving))
    plot.refresh()
    assert plot.shown_joint == "right/elbow" and plot._shown.text() == "right elbow"


def test_it_follows_the_theme(plot, qapp):
    from ui import theme

    theme.apply(qapp, "dark")
    dark = plot._legend.text()
    try:
        theme.apply(qapp, "light")
        assert plot._legend.text() != dark
    finally:
        theme.apply(qapp, "dark")
