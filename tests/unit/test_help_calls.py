"""When a policy asks for help, and how spread becomes uncertainty."""

import math

import numpy as np
import pytest

from teleop_app.autonomy.help_calls import STALL_S, HelpCall, HelpCalls, HelpKind, StallMeter
from teleop_app.autonomy.uncertainty import spread

S = 1_000_000_000


def run(
    calls: HelpCalls, uncertainties: np.ndarray, per_s: float = 2.0, start_s: float = 0.0
) -> list[HelpCall]:
    made = []
    for index, value in enumerate(uncertainties):
        now_ns = round((start_s + index / per_s + 1.0) * S)
        calls.answered(now_ns, float(value), math.nan)
        if (call := calls.judge(now_ns, 0.0, driving=True)) is not None:
            made.append(call)
    return made


@pytest.mark.parametrize("per_minute", [0.5, 2.0])
@pytest.mark.parametrize("heavy", [False, True])
def test_calls_keep_to_the_budget_whatever_the_uncertainty_is_like(per_minute: float, heavy: bool) -> None:
    rng = np.random.default_rng(4)
    minutes = 40
    noise = rng.standard_cauchy(120 * minutes) if heavy else rng.normal(0.0, 0.3, 120 * minutes)
    made = run(HelpCalls(per_minute), np.abs(0.1 * noise))
    assert 0.2 * per_minute * minutes < len(made) <= 1.3 * per_minute * minutes
    assert {call.kind for call in made} == {HelpKind.UNCERTAIN} and all(call.score >= 1.0 for call in made)


def test_a_budget_of_nothing_never_calls_but_scores() -> None:
    calls = HelpCalls(0.0)
    assert run(calls, np.linspace(0.0, 1.0, 200)) == []
    assert calls.score >= 1.0


def test_what_lasts_is_called_once() -> None:
    calls = HelpCalls(5.0)
    made = [calls.judge(i * S // 5, STALL_S + 1.0, driving=True) for i in range(1, 300)]
    assert [call.kind for call in made if call] == [HelpKind.STALLED]
    assert calls.judge(61 * S, 0.0, driving=True) is None  # it moves again
    assert calls.judge(75 * S, 3.0 * STALL_S, driving=True) is not None


def test_calls_keep_a_distance_of_ten_seconds() -> None:
    calls, made = HelpCalls(20.0), []
    for index in range(1, 400):
        now_ns = index * S // 10
        calls.answered(now_ns, math.nan, 30.0 if index % 10 < 5 else 0.0)
        if calls.judge(now_ns, 0.0, driving=True):
            made.append(now_ns)
    assert len(made) >= 3 and min(np.diff(made)) >= 10 * S


def test_the_unfamiliar_is_called_unless_a_person_drives() -> None:
    calls = HelpCalls(1.0)
    calls.answered(S, math.nan, 1.2)
    assert calls.judge(S, 0.0, driving=False) is None and math.isnan(calls.score)
    call = calls.judge(2 * S, 0.0, driving=True)
    assert (
        call is not None and call.kind is HelpKind.UNFAMILIAR and call.sentence.startswith("The policy sees")
    )
    calls.forget()
    calls.judge(3 * S, 0.0, driving=True)
    assert calls.score == 0.0


def test_uncertainty_is_not_judged_before_it_is_known_what_is_usual() -> None:
    calls = HelpCalls(20.0)
    assert run(calls, np.full(29, 5.0)) == []
    assert calls.score == 0.0


def test_the_stall_meter_sees_progress_of_any_joint_and_only_while_the_policy_drives() -> None:
    meter, q = StallMeter(), np.zeros(7)
    for second in range(5):
        meter.see(second * S, q + 0.001 * second, driving=True)
    assert meter.stalled_s == 4.0
    q[3] = 0.2
    meter.see(5 * S, q, driving=True)
    assert meter.stalled_s == 0.0
    meter.see(8 * S, q, driving=True)
    assert meter.stalled_s == 3.0
    meter.see(9 * S, q, driving=False)
    meter.see(12 * S, q, driving=True)
    assert meter.stalled_s == 0.0


def test_spread_is_the_deviation_of_the_joints_that_count() -> None:
    rng = np.random.default_rng(0)
    chunks = np.zeros((400, 8, 7))
    chunks[:, :, :3] = rng.normal(0.0, 0.2, (400, 1, 3))
    chunks[:, 4:, :3] = 9.0 * rng.normal(size=(400, 4, 3))
    joints = np.array([True, True, True, False, False, False, False])
    assert spread(chunks, joints, 4) == pytest.approx(0.2, rel=0.1)
    assert spread(chunks, ~joints, 4) == 0.0
    assert math.isnan(spread(chunks[:1], joints, 4)) and math.isnan(spread(chunks, joints & False, 4))
