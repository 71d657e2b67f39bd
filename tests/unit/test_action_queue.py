"""Chunks by the policy's clock: what is asked for when, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from teleop_app.autonomy.action_queue import MAX_CHUNKS, MAX_STEPS, ActionQueue
from teleop_app.core.errors import PolicyError
from teleop_app.core.types import PolicyChunk

MS = 1_000_000
NOW = 10_000 * MS
STEP = 50 * MS


def chunk(number=1, values=(0.0, 1.0, 2.0, 3.0), start=0, **fields) -> PolicyChunk:
    actions = np.tile(np.array(values, dtype=float)[:, None], (1, 4))
    made = PolicyChunk("toy", "v1", number, NOW - 100 * MS + number, NOW, start, STEP, actions, ("left",))
    return dataclasses.replace(made, **fields)


def queue(stale_ms=3000.0) -> ActionQueue:
    return ActionQueue(("left", "right"), 4, stale_ms)


def value(found):
    assert found is not None
    assert np.ptp(found.vector) < 1e-12
    return float(found.vector[0])


def test_actions_are_interpolated_and_the_last_one_is_held_for_its_step():
    actions = queue()
    assert actions.offer(chunk(), 0, NOW)
    assert value(actions.proposal(0, NOW)) == 0.0
    found = actions.proposal(STEP * 3 // 2, NOW)
    assert (value(found), found.index, found.chunk, found.arms) == (1.5, 1.5, 1, ("left",))
    assert value(actions.proposal(STEP * 7 // 2, NOW)) == 3.0
    assert actions.proposal(STEP * 4, NOW) is None
    assert actions.empty


def test_switch_goes_on_with_the_action_that_is_due_now():
    actions = queue()
    actions.offer(chunk(), 0, NOW)
    actions.offer(chunk(2, (10.0, 11.0, 12.0, 13.0), start=STEP), 3 * STEP, NOW)
    found = actions.proposal(3 * STEP, NOW)
    assert (found.chunk, value(found)) == (2, 12.0)
    actions.drop(2)
    assert value(actions.proposal(3 * STEP, NOW)) == 3.0, "the one before still holds"


def test_sync_begins_on_arrival_and_drops_what_was():
    actions = queue()
    actions.offer(chunk(), 0, NOW)
    actions.offer(chunk(2, (10.0, 11.0), start=0, execution="sync"), 2 * STEP, NOW)
    assert value(actions.proposal(2 * STEP, NOW)) == 10.0
    assert value(actions.proposal(3 * STEP, NOW)) == 11.0
    assert actions.proposal(4 * STEP, NOW) is None


def test_ensemble_averages_overlapping_chunks_the_oldest_weighs_most():
    actions = queue()
    actions.offer(chunk(1, (0.0,) * 8, execution="ensemble"), 0, NOW)
    actions.offer(chunk(2, (1.0,) * 8, start=STEP, execution="ensemble"), STEP, NOW)
    old = 1.0 / (1.0 + np.exp(-0.1))
    assert value(actions.proposal(2 * STEP, NOW)) == pytest.approx(1.0 - old)
    assert old > 0.5


def test_a_flush_forgets_and_takes_only_what_was_observed_later():
    actions = queue()
    actions.offer(chunk(), 0, NOW)
    actions.flush(5 * STEP)
    assert actions.proposal(0, NOW) is None
    assert not actions.offer(chunk(2, start=4 * STEP), 5 * STEP, NOW)
    assert not actions.offer(chunk(3, start=4 * STEP, execution="sync"), 5 * STEP, NOW)
    assert actions.offer(chunk(4, start=5 * STEP), 6 * STEP, NOW)


def test_a_chunk_grows_stale_while_it_is_executed():
    actions = queue(stale_ms=150.0)
    actions.offer(chunk(values=range(100)), 0, NOW)
    assert actions.proposal(MS, NOW + 40 * MS) is not None
    assert actions.proposal(2 * MS, NOW + 60 * MS) is None


def test_it_is_bounded():
    actions = queue()
    for number in range(1, 100):
        actions.offer(chunk(number), 0, NOW)
    assert len(actions._queued) == MAX_CHUNKS


def test_numbers_begin_anew_with_a_newer_observation():
    actions = queue()
    actions.offer(chunk(7), 0, NOW)
    assert actions.offer(chunk(1, observation_ns=NOW - 10 * MS), 0, NOW)


BAD = {
    "shape": {"actions": np.zeros((3, 5))},
    "no step": {"actions": np.zeros((0, 4))},
    "flat": {"actions": np.zeros(4)},
    "huge horizon": {"actions": np.zeros((MAX_STEPS + 1, 4))},
    "nan": {"actions": np.full((3, 4), np.nan)},
    "inf": {"actions": np.full((3, 4), np.inf)},
    "huge": {"actions": np.full((3, 4), 1e9)},
    "arm": {"arms": ("left", "tail")},
    "no arm": {"arms": ()},
    "arm twice": {"arms": ("left", "left")},
    "step 0": {"step_ns": 0},
    "step negative": {"step_ns": -STEP},
    "step long": {"step_ns": 60_000 * MS},
    "execution": {"execution": "yolo"},
    "old": {"observation_ns": NOW - 4000 * MS},
    "from the future": {"observation_ns": NOW + 500 * MS},
    "due in the future": {"start_policy_ns": 5000 * MS},
    "number": {"chunk": 0},
    "uncertainty": {"uncertainty": float("inf")},
}


@pytest.mark.parametrize("fields", BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_with_a_sentence(fields):
    actions = queue()
    with pytest.raises(PolicyError) as error:
        actions.offer(chunk(**fields), 0, NOW)
    assert "'toy'" in error.value.sentence and ": " in error.value.sentence
    assert actions.empty


def test_a_chunk_whose_actions_are_all_past_is_refused():
    actions = queue()
    with pytest.raises(PolicyError, match="it came 0.20 s after its observation and lasts only 0.20 s"):
        actions.offer(chunk(), 4 * STEP, NOW)


def test_a_repeated_chunk_is_refused():
    actions = queue()
    actions.offer(chunk(3), 0, NOW)
    for number in (3, 2):
        with pytest.raises(PolicyError, match="chunk 3 was here before it"):
            actions.offer(chunk(number), 0, NOW)
