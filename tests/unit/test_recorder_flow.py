"""The episode flow on a fake clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import StationError
from teleop_app.core.types import RecorderState
from teleop_app.station.episode_flow import EpisodeFlow, Step


def flow(
    countdown_s: float = 0.0, autosave_s: float = 5.0, max_s: float = 60.0
) -> tuple[EpisodeFlow, FakeClock]:
    clock = FakeClock()
    return EpisodeFlow(clock, countdown_s, autosave_s, max_s), clock


def reviewed() -> tuple[EpisodeFlow, FakeClock]:
    f, clock = flow()
    f.record()
    f.stop()
    f.stored()
    return f, clock


def test_record_stop_save() -> None:
    f, clock = flow()
    assert f.record() == (Step.BEGIN,)
    clock.advance(2.5)
    assert f.elapsed_s == 2.5
    assert f.stop() == (Step.END,)
    assert f.state is RecorderState.FINALISING
    f.stored()
    assert f.state is RecorderState.REVIEW
    assert f.countdown_s == 5.0
    assert f.save() == (Step.SAVE,)
    f.judged()
    assert f.state is RecorderState.IDLE
    assert f.countdown_s == -1.0


def test_the_countdown_runs_before_the_start_and_can_be_stopped() -> None:
    f, clock = flow(countdown_s=3.0)
    assert f.record() == ()
    clock.advance(2.9)
    assert f.poll() == ()
    assert f.countdown_s == pytest.approx(0.1)
    clock.advance(0.1)
    assert f.poll() == (Step.BEGIN,)
    assert f.state is RecorderState.RECORDING
    g, _ = flow(countdown_s=3.0)
    g.record()
    assert g.stop() == ()
    assert g.state is RecorderState.IDLE


def test_nobody_answers_and_the_episode_is_saved() -> None:
    f, clock = reviewed()
    clock.advance(4.99)
    assert f.poll() == ()
    clock.advance(0.01)
    assert f.poll() == (Step.AUTOSAVE,)
    assert f.state is RecorderState.IDLE
    assert f.poll() == ()


def test_a_held_verdict_waits_for_somebody() -> None:
    f, clock = reviewed()
    f.hold_verdict()
    assert f.countdown_s == -1.0
    clock.advance(1000.0)
    assert f.poll() == ()
    assert f.state is RecorderState.REVIEW
    assert f.save() == (Step.SAVE,)
    f.judged()
    with pytest.raises(StationError, match="no countdown to stop"):
        f.hold_verdict()


def test_a_hold_counts_for_one_episode_and_not_for_its_next_review() -> None:
    f, clock = reviewed()
    f.hold_verdict()
    f.save()
    f.judged()
    f.undo()
    f.reopened()
    assert f.countdown_s == 5.0
    clock.advance(5.0)
    assert f.poll() == (Step.AUTOSAVE,)


def test_an_episode_ends_by_itself_at_full_length() -> None:
    f, clock = flow(max_s=60.0)
    f.record()
    clock.advance(60.0)
    assert f.poll() == (Step.END,)
    assert f.text == "The recording ended by itself after 60 s."


def test_a_verdict_while_recording_stops_first() -> None:
    for request, step in (("save", Step.SAVE), ("discard", Step.DISCARD)):
        f, _ = flow()
        f.record()
        assert getattr(f, request)() == (Step.END, step)
        f.stored()
        f.judged()
        assert f.state is RecorderState.IDLE


def test_redo_discards_and_records_the_same_scene_again() -> None:
    f, _ = reviewed()
    assert f.redo() == (Step.DISCARD, Step.PREPARE_SAME)
    f.judged()
    assert f.begins_after_prepare
    assert f.prepared() == (Step.BEGIN,)
    assert f.state is RecorderState.RECORDING
    assert f.redo() == (Step.END, Step.DISCARD, Step.PREPARE_SAME)


def test_a_scene_prepared_by_itself_starts_nothing() -> None:
    f, _ = flow()
    assert f.next() == (Step.PREPARE_NEXT,)
    assert f.prepared() == ()
    assert f.state is RecorderState.IDLE


def test_record_and_next_save_what_waits() -> None:
    f, _ = reviewed()
    assert f.record() == (Step.SAVE, Step.BEGIN)
    f.judged()
    assert f.state is RecorderState.RECORDING
    g, _ = reviewed()
    assert g.next() == (Step.SAVE, Step.PREPARE_NEXT)
    assert g.state is RecorderState.IDLE


def test_undo_reopens_the_review() -> None:
    f, clock = reviewed()
    f.save()
    f.judged()
    assert f.undo() == (Step.UNDO,)
    clock.advance(100.0)
    f.reopened()
    assert f.state is RecorderState.REVIEW
    assert f.countdown_s == 5.0


def test_a_fault_keeps_its_sentence_until_the_next_record() -> None:
    f, _ = flow()
    f.record()
    f.failed("The disk is full.")
    assert f.state is RecorderState.FAULT
    assert f.text == "The disk is full."
    assert f.record() == (Step.BEGIN,)
    assert f.text == ""


@pytest.mark.parametrize(
    ("request_name", "sentence"),
    [
        ("stop", "There is nothing to stop: nothing is being recorded."),
        ("save", "There is nothing to save: nothing is being recorded."),
        ("discard", "There is nothing to discard: nothing is being recorded."),
        ("redo", "There is nothing to do again: nothing is being recorded."),
    ],
)
def test_requests_that_do_not_fit_say_why(request_name: str, sentence: str) -> None:
    f, _ = flow()
    with pytest.raises(StationError) as caught:
        getattr(f, request_name)()
    assert caught.value.sentence == sentence
    assert f.state is RecorderState.IDLE
    assert not f.begins_after_prepare


REQUESTS = ("record", "stop", "save", "discard", "redo", "undo", "next", "poll", "prepared", "failed")


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.floats(0.0, 10.0)), max_size=40), st.booleans())
def test_files_open_and_close_in_turn_whatever_is_pressed(
    pressed: list[tuple[str, float]], counts_down: bool
) -> None:
    f, clock = flow(countdown_s=1.0 if counts_down else 0.0, max_s=20.0)
    open_file, waiting = False, False
    for name, wait_s in pressed:
        clock.advance(wait_s)
        if name == "failed":
            f.failed("x")
            open_file = waiting = False  # the recorder closes what there is
            continue
        request: Callable[[], tuple[Step, ...]] = getattr(f, name)
        try:
            steps = request()
        except StationError:
            continue
        for step in steps:
            if step is Step.BEGIN:
                assert not open_file
                open_file = True
            elif step is Step.END:
                assert open_file
                open_file, waiting = False, True
                f.stored()
            elif step in (Step.SAVE, Step.AUTOSAVE, Step.DISCARD):
                assert waiting
                waiting = False
                f.judged()
        assert (f.state is RecorderState.RECORDING) == open_file
        assert (f.state is RecorderState.REVIEW) == waiting
