"""What the Collect page says and does for each state of the station."""

import numpy as np
import pytest

from teleop_app.core.config import StationConfig
from teleop_app.core.errors import BusError
from teleop_app.core.types import (
    Actor,
    ControlState,
    Event,
    ForceBatch,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
    StationStatus,
    TaskStatus,
)
from ui.actions import ActionRegistry
from ui.sounds import Cue
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.collect_view import Chip
from ui.viewmodels.strip_history import BINS, StripHistory
from ui.viewmodels.verdict_remarks import Mood, Remark


@pytest.fixture
def model(qapp, direct_port):
    model = CollectModel(direct_port, StationConfig(), ActionRegistry().key_label)
    model.on_link(True)
    return model


def recorder(state=RecorderState.IDLE, **fields):
    return RecorderStatus(state, 0, **{"session": "s", "task": "pick-place", **fields})


@pytest.mark.parametrize(
    ("state", "actor", "chip"),
    [
        (ControlState.IDLE, Actor.NONE, Chip.IDLE),
        (ControlState.ALIGNING, Actor.HUMAN, Chip.ALIGNING),
        (ControlState.ENGAGED, Actor.HUMAN, Chip.ENGAGED),
        (ControlState.ENGAGED, Actor.SCRIPT, Chip.SCRIPT),
        (ControlState.ENGAGED, Actor.POLICY, Chip.POLICY),
        (ControlState.HOLD, Actor.HUMAN, Chip.HOLD),
        (ControlState.FAULT, Actor.NONE, Chip.FAULT),
        (ControlState.ESTOP, Actor.NONE, Chip.ESTOP),
    ],
)
def test_each_control_state_has_its_chip(model, make_tick, state, actor, chip):
    model.on_ticks([make_tick(state=state, actor=actor, engaged=(True, False))])
    assert model.view().chip is chip
    assert model.view().explanation


def test_without_a_station_the_chip_says_so(model):
    model.on_link(False)
    assert model.view().chip is Chip.OFFLINE


def test_a_station_that_was_never_started_is_no_fault(qapp, direct_port):
    model = CollectModel(direct_port, StationConfig(), ActionRegistry().key_label)
    assert model.view().chip is Chip.STANDBY
    model.set_starting(True)
    assert model.view().chip is Chip.STARTING
    model.on_link(True)
    model.on_recorder(recorder())
    model.on_link(False)
    assert model.view().chip is Chip.OFFLINE
    assert not model.view().session


def with_operator(model, state=ProcessState.RUNNING):
    model.on_station(StationStatus("s", 0, (ProcessStatus("operator", 1, state, 0),), 10**9))


def script_drives(make_tick, seq):
    return make_tick(seq, state=ControlState.ENGAGED, actor=Actor.SCRIPT, engaged=(True, True))


def test_the_script_is_offered_only_where_there_is_one(model, direct_port):
    model.demonstrate()
    assert direct_port.calls == []
    assert not model.view().can_demonstrate
    with_operator(model, ProcessState.FAULT)
    assert not model.view().can_demonstrate
    with_operator(model)
    assert model.view().can_demonstrate


def test_the_script_shows_the_task_until_it_is_told_to_stop(model, direct_port, make_tick):
    with_operator(model)
    model.demonstrate()
    assert direct_port.calls == [("operator", "go", {"now": True})]
    model.on_ticks([make_tick(0)])
    assert model.view().demonstrating, "it takes a moment to be given the arms"
    model.on_ticks([script_drives(make_tick, 1)])
    assert model.view().chip is Chip.SCRIPT
    model.demonstrate()
    assert direct_port.calls[-1] == ("operator", "halt", {})
    assert not model.view().demonstrating


def test_a_demonstration_ends_with_the_task_or_with_a_hand_on_the_clutch(model, direct_port, make_tick):
    with_operator(model)
    model.demonstrate()
    model.on_ticks([script_drives(make_tick, 1)])
    model.on_ticks([make_tick(2, state=ControlState.ENGAGED, actor=Actor.HUMAN, engaged=(True, False))])
    assert not model.view().demonstrating
    model.demonstrate()
    assert direct_port.commands == ["go", "go"]
    model.on_ticks([script_drives(make_tick, 3)])
    model.on_ticks([make_tick(4)])
    assert model.view().demonstrating, "it engages anew after an interruption"
    model.on_ticks([make_tick(4 + 3 * 200)])
    assert not model.view().demonstrating


def test_asking_the_script_lets_go_of_the_keys_clutch(model, make_tick):
    with_operator(model)
    model.driving.toggle_clutch()
    model.demonstrate()
    assert model.driving.engaged is None


def test_a_script_that_gives_up_says_why(model, direct_port, make_tick):
    told = []
    model.told.connect(lambda text, undo: told.append(text))
    with_operator(model)
    model.demonstrate()
    sentence = "The scripted operator was not given the arms: stopped."
    model.on_process(ProcessStatus("operator", 1, ProcessState.RUNNING, 0, sentence))
    model.on_process(ProcessStatus("operator", 1, ProcessState.RUNNING, 0, sentence))
    assert told == [sentence]
    assert not model.view().demonstrating


def test_a_script_that_never_gets_the_arms_is_given_up_after_a_while(model, make_tick):
    with_operator(model)
    model.demonstrate()
    model.on_ticks([make_tick(0)])
    model.on_ticks([make_tick(13 * 200)])
    assert not model.view().demonstrating


def test_a_latched_stop_does_not_leave_a_clutch_behind(model, make_tick):
    told = []
    model.told.connect(lambda text, undo: told.append(text))
    model.on_ticks([make_tick(0, state=ControlState.ESTOP)])
    model.toggle_clutch()
    assert model.driving.engaged is None
    assert "Reset it" in told[0]
    model.on_ticks([make_tick(1)])
    model.toggle_clutch()
    assert model.driving.engaged == "left"


def test_a_clutch_that_control_does_not_take_is_let_go_with_a_sentence(model, make_tick):
    told = []
    model.told.connect(lambda text, undo: told.append(text))
    model.toggle_clutch()
    model.on_ticks([make_tick(0)])
    model.on_ticks([make_tick(200)])
    assert model.driving.engaged == "left"
    model.on_ticks([make_tick(400)])
    assert model.driving.engaged is None
    assert told == ["The left arm could not be engaged. Try again."]


def test_recording_shows_while_driving_but_never_hides_a_hold(model, make_tick):
    model.on_recorder(recorder(RecorderState.RECORDING))
    model.on_ticks([make_tick(state=ControlState.ENGAGED, actor=Actor.HUMAN, engaged=(True, False))])
    assert model.view().chip is Chip.RECORDING
    model.on_ticks([make_tick(1, state=ControlState.HOLD, reason="The pose is stale.")])
    view = model.view()
    assert view.chip is Chip.HOLD
    assert view.explanation == "The pose is stale. Press Space to resume."


def test_a_short_hold_keeps_the_clutch_and_a_revoked_one_is_let_go(model, make_tick):
    model.on_ticks([make_tick()])
    model.driving.toggle_clutch()
    model.on_ticks([make_tick(1)])
    assert model.driving.engaged == "left"
    model.on_ticks([make_tick(2, state=ControlState.ENGAGED, engaged=(True, False))])
    model.on_ticks([make_tick(3, state=ControlState.HOLD, engaged=(True, False))])
    assert model.driving.engaged == "left"
    model.on_ticks([make_tick(4, state=ControlState.HOLD, engaged=(False, False))])
    assert model.driving.engaged is None


def test_who_drives_is_told_by_word_and_colour_role(model, make_tick):
    model.on_ticks(
        [make_tick(state=ControlState.ENGAGED, actor=Actor.HUMAN, engaged=(False, True), source="keyboard")]
    )
    view = model.view()
    assert view.driver == "human"
    assert view.explanation == "You drive: right by keyboard"


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (RecorderState.IDLE, "record"),
        (RecorderState.REVIEW, "record"),
        (RecorderState.RECORDING, "stop"),
        (RecorderState.COUNTDOWN, "stop"),
        (RecorderState.FINALISING, None),
    ],
)
def test_the_record_key_does_what_the_state_allows(model, direct_port, state, command):
    model.on_recorder(recorder(state))
    model.record_or_stop()
    assert direct_port.commands == ([command] if command else [])


@pytest.mark.parametrize("name", ["save", "discard", "redo"])
def test_verdict_keys_act_only_on_an_episode(model, direct_port, name):
    model.on_recorder(recorder(RecorderState.IDLE))
    getattr(model, name)()
    assert direct_port.commands == []
    model.on_recorder(recorder(RecorderState.REVIEW))
    getattr(model, name)()
    assert direct_port.commands == [name]


def test_any_key_stops_the_automatic_save_once_it_counts(model, direct_port):
    model.on_recorder(recorder(RecorderState.REVIEW, countdown_s=-1.0))
    assert not model.stop_autosave()
    model.on_recorder(recorder(RecorderState.REVIEW, countdown_s=3.0))
    assert model.stop_autosave()
    assert direct_port.commands == ["hold_verdict"]


def test_a_refused_command_is_shown_not_raised(model, direct_port, qtbot):
    direct_port.errors["record"] = BusError("The disk is full")
    with qtbot.waitSignal(model.refused) as shown:
        model.record_or_stop()
    assert shown.args[0].what == "The disk is full"


def test_the_estop_lets_go_and_tells_control(model, direct_port):
    model.driving.toggle_clutch()
    model.estop()
    assert model.driving.engaged is None
    assert direct_port.calls[0][:2] == ("control", "estop")
    model.reset_estop()
    assert direct_port.commands[-1] == "reset_estop"


def test_cues_follow_the_recorder_and_control(model, make_tick, qtbot):
    cues = []
    model.cue.connect(cues.append)
    model.on_recorder(recorder(RecorderState.IDLE))
    model.on_recorder(recorder(RecorderState.RECORDING))
    model.on_recorder(recorder(RecorderState.FINALISING))
    model.on_ticks([make_tick()])
    model.on_ticks([make_tick(1, state=ControlState.HOLD)])
    model.on_ticks([make_tick(2, state=ControlState.HOLD)])
    model.on_event(Event("recorder.saved", 0, "recorder"))
    assert cues == [Cue.RECORD, Cue.STOP, Cue.HOLD, Cue.SAVED]


def test_saved_and_discarded_can_be_undone(model):
    told = []
    model.told.connect(lambda text, undo: told.append((text, undo)))
    model.on_event(Event("recorder.saved", 0, "recorder"))
    model.on_event(Event("recorder.discarded", 0, "recorder"))
    assert told == [("Episode saved", True), ("Episode discarded", True)]


def test_the_reviewed_episode_is_summed_up(model):
    model.on_recorder(
        recorder(
            RecorderState.REVIEW,
            elapsed_s=12.34,
            size_bytes=4_200_000,
            frames={"overhead": 370},
            lost={"overhead": 5},
            verdict_reasons=("overhead lost 5 frames",),
        )
    )
    view = model.view()
    assert view.summary == "12.3 s, 4.2 MB, 5 of 375 frames lost"
    assert view.remarks == (Remark("overhead lost 5 frames", Mood.CONCERN),)


def test_a_new_scene_is_announced_once(model):
    scenes = []
    model.sceneChanged.connect(lambda: scenes.append(1))
    for success in (False, True):
        model.on_task(TaskStatus("pick-place", 1, 1, "Pick it up", success, False, 0))
    model.on_task(TaskStatus("pick-place", 2, 2, "Pick it up", False, False, 0))
    assert len(scenes) == 2
    assert model.view().instruction == "Pick it up"


def test_lost_frames_and_force_reach_the_strip(model, make_tick):
    model.on_ticks([make_tick()])
    start_ns = 10_000_000_000
    model.on_lost("overhead", 3, start_ns)
    model.on_force([ForceBatch(("finger",), np.array([start_ns]), np.array([[[0.0, 3.0, 4.0]]]), 0)])
    assert model.history.lost.sum() == 3
    assert np.nanmax(model.history.force) == pytest.approx(5.0)


def test_the_strip_keeps_twenty_seconds_and_leaves_gaps_empty():
    history = StripHistory(1)
    history.add_speed(0, 0.4)
    history.add_speed(int(10e9), 0.1)
    history.add_speed(int(10e9), 0.3)
    assert history.speed[-1] == pytest.approx(0.3)
    assert np.isfinite(history.speed).sum() == 2
    assert history.speed[BINS // 2 - 1] == pytest.approx(0.4)
    history.add_speed(int(40e9), 0.2)
    assert np.isfinite(history.speed).sum() == 1
    history.add_speed(int(10e9), 9.0)
    assert np.nanmax(history.speed) == pytest.approx(0.2)


def test_the_keyboard_is_heard_before_it_is_needed(model, direct_port):
    for ms in range(0, 1000, 16):
        assert not model.send_sample(10**12 + ms * 1_000_000)
    assert 8 <= len(direct_port.samples) <= 10
    assert not any(arm.clutch for sample in direct_port.samples for arm in sample.arms.values())
    model.on_link(False)
    model.send_sample(2 * 10**12)
    assert len(direct_port.samples) <= 10


def test_the_note_to_stop_goes_with_the_recording(model):
    told, outdated = [], []
    model.told.connect(lambda text, _undo: told.append(text))
    model.outdated.connect(outdated.append)
    model.on_recorder(RecorderStatus(RecorderState.RECORDING, 0))
    model.on_event(Event("task.success", 0, "simulation"))
    assert told and outdated == []
    model.on_recorder(RecorderStatus(RecorderState.FINALISING, 0))
    assert outdated == told
