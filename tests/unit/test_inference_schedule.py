"""When a policy is asked, what is stale, and what is left of a chunk; the thread that may hang."""

import threading

import numpy as np
import pytest

from teleop_app.autonomy.delay import DelayEstimator
from teleop_app.autonomy.inference import InferenceSchedule
from teleop_app.autonomy.job_thread import JobThread, Outcome
from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.clock import FakeClock, MonotonicClock
from teleop_app.core.errors import PolicyError

STEP, S = 50_000_000, 1_000_000_000


def schedule(execution: Execution, execute: int = 8, delay_steps: int = 0) -> InferenceSchedule:
    delay = DelayEstimator()
    for _ in range(2):
        delay.add(delay_steps * STEP)
    return InferenceSchedule(execution, execute, STEP, delay)


def steps_until_due(made: InferenceSchedule, start: int) -> int:
    return next(k for k in range(100) if made.due(start + k * STEP, 0))


def test_without_a_chunk_it_asks_at_once() -> None:
    assert schedule(Execution.SYNC).due(0, 0) and schedule(Execution.RTC).due(0, 0)


def test_sync_asks_when_the_actions_are_done_counted_from_the_arrival() -> None:
    made = schedule(Execution.SYNC, delay_steps=4)
    ticket = made.ask(10 * STEP)
    made.take(ticket, 14 * STEP, np.zeros((16, 2)))
    assert steps_until_due(made, 14 * STEP) == 8


@pytest.mark.parametrize("execution", [Execution.SWITCH, Execution.ENSEMBLE, Execution.RTC])
def test_the_others_ask_so_early_that_the_answer_is_in_time(execution: Execution) -> None:
    for delay_steps in (0, 2, 5):
        made = schedule(execution, delay_steps=delay_steps)
        ticket = made.ask(10 * STEP)
        assert ticket.delay_steps == delay_steps
        made.take(ticket, (10 + delay_steps) * STEP, np.zeros((16, 2)))
        assert steps_until_due(made, 10 * STEP) == 8 - delay_steps
    made = schedule(execution, delay_steps=12)
    made.take(made.ask(10 * STEP), 22 * STEP, np.zeros((16, 2)))
    assert made.due(22 * STEP, 0)  # slower than the actions: always asking


def test_after_a_restart_what_was_asked_before_is_stale() -> None:
    made = schedule(Execution.SWITCH)
    ticket = made.ask(0)
    assert not made.is_stale(ticket)
    made.take(ticket, STEP, np.zeros((16, 2)))
    made.restart()
    assert made.is_stale(ticket) and made.due(STEP, 0) and len(made.leftover(0)) == 0


def test_failures_are_followed_by_longer_and_longer_pauses() -> None:
    made, now_ns, waits = schedule(Execution.SWITCH), 0, []
    for _ in range(7):
        made.fail(now_ns)
        begun = now_ns
        while not made.due(0, now_ns):
            now_ns += S // 100
        waits.append((now_ns - begun) / S)
    assert waits == sorted(waits) and waits[0] == pytest.approx(0.2) and waits[-1] == pytest.approx(5.0)
    made.take(made.ask(0), 0, np.zeros((4, 1)))
    made.fail(now_ns)
    assert made.due(8 * STEP, now_ns + S // 4)


def test_leftover_is_read_at_the_steps_of_the_next_chunk() -> None:
    made = schedule(Execution.RTC)
    actions = np.arange(10.0)[:, None] * [1.0, 10.0]
    made.take(made.ask(100 * STEP), 101 * STEP, actions)
    assert np.allclose(made.leftover(103 * STEP), actions[3:])
    between = made.leftover(103 * STEP + STEP // 4)
    assert len(between) == 6 and np.allclose(between[:, 0], np.arange(6) + 3.25)
    assert len(made.leftover(110 * STEP)) == 0


def wait_for(thread: JobThread) -> Outcome:
    gate = threading.Event()
    for _ in range(2000):
        if (outcome := thread.take()) is not None:
            return outcome
        gate.wait(0.005)
    pytest.fail("the job did not end")


def test_a_job_ends_with_a_value_or_a_sentence() -> None:
    thread = JobThread("test", MonotonicClock())
    thread.start(lambda: 7)
    assert wait_for(thread).value == 7 and not thread.busy

    def refuse() -> None:
        raise PolicyError("No", next_step="Ask again")

    thread.start(refuse)
    error = wait_for(thread).error
    assert error is not None and error.sentence == "No. Ask again."
    thread.start(lambda: [][1])
    error = wait_for(thread).error
    assert error is not None and "IndexError" in error.sentence
    thread.end()
    assert thread.join(10.0)


def test_a_job_that_hangs_holds_up_nobody() -> None:
    clock, gate = FakeClock(), threading.Event()
    thread = JobThread("test", clock)
    thread.start(gate.wait)
    clock.advance(12.0)
    assert thread.busy and thread.age_s == 12.0 and thread.take() is None
    with pytest.raises(RuntimeError, match="has a job"):
        thread.start(gate.wait)
    thread.end()
    assert not thread.join(0.0)
    gate.set()
    assert thread.join(10.0)
