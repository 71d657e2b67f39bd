"""What is expected of the next answer."""

from teleop_app.autonomy.delay import WINDOW, DelayEstimator

STEP = 50_000_000


def test_nothing_is_expected_before_it_is_known_and_the_first_answer_does_not_count() -> None:
    delay = DelayEstimator()
    assert delay.steps(STEP) == 0
    delay.add(30 * STEP)  # compiled its model
    assert delay.steps(STEP) == 0
    delay.add(STEP)
    assert delay.steps(STEP) == 1


def test_the_longest_of_the_recent_delays_is_expected_in_whole_steps() -> None:
    delay = DelayEstimator()
    for value in (0, 10, 2 * STEP + 1, 5):
        delay.add(value)
    assert delay.steps(STEP) == 3
    for _ in range(WINDOW):
        delay.add(STEP)
    assert delay.steps(STEP) == 1 and delay.expected_ns == STEP


def test_a_policy_opened_anew_starts_anew() -> None:
    delay = DelayEstimator()
    for _ in range(3):
        delay.add(STEP)
    delay.restart()
    assert delay.steps(STEP) == 0
    delay.add(9 * STEP)
    assert delay.steps(STEP) == 0
