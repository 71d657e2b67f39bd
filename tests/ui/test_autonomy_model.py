"""What the Autonomy page says and does: who drives, the policy's desk, takeovers, labels, rollouts, help."""

from dataclasses import replace

import pytest

from teleop_app.autonomy.interventions import TAKEOVER_REASONS
from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import PolicyError, StationError
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlState,
    Event,
    PolicyCheck,
    PolicyState,
    PolicyStatus,
    RecorderState,
    RecorderStatus,
)
from ui.actions import ACTIONS, ActionRegistry, Scope
from ui.sounds import Cue
from ui.viewmodels.autonomy import AutonomyModel
from ui.viewmodels.autonomy_policy import EXECUTIONS
from ui.viewmodels.autonomy_state import Who
from ui.viewmodels.autonomy_takeovers import MOST, REASONS, TakeoverLog
from ui.viewmodels.collect import CollectModel

M, P = AuthorityMode, AutonomyPhase
MISMATCH = PolicyCheck("state", "8", "14", "mismatch", "Name the parts of one arm.")


@pytest.fixture
def model(qapp, direct_port):
    key = ActionRegistry().key_label
    collect = CollectModel(direct_port, StationConfig(), key)
    model = AutonomyModel(direct_port, collect, key, now_ns=lambda: model_now[0])
    model_now = [1_000_000_000]
    model.now = model_now
    collect.on_link(True)
    model.on_link(True)
    model.notes = []
    model.undos = []
    model.cues = []
    model.told.connect(lambda text, undo: (model.notes.append(text), model.undos.append(undo)))
    model.cue.connect(model.cues.append)
    direct_port.calls.clear()
    return model


@pytest.fixture
def tick(make_tick):
    def make(phase=P.POLICY, mode=M.SUPERVISED, takeover=0, alpha=1.0, speed=1.0, seq=0, **fields):
        autonomy = AutonomyTick(mode, phase, takeover, alpha, 1, 0.0, 0, speed)
        return replace(make_tick(seq, **fields), autonomy=autonomy)

    return make


def status(state=PolicyState.READY, **fields):
    return PolicyStatus(state, 0, **{"policy": "pi0", "title": "pi0 cubes", "version": "abc", **fields})


def recorder(state=RecorderState.IDLE, **fields):
    return RecorderStatus(state, 0, **{"session": "s", "task": "pick-place", **fields})


def event(kind, text="", **fields):
    return Event(kind, 2_000_000_000, "control", text, fields)


def drives(make, **fields):
    return make(actor=Actor.POLICY, engaged=(True, True), state=ControlState.ENGAGED, **fields)


# Who drives


@pytest.mark.parametrize(
    ("fields", "who", "driver"),
    [
        ({"phase": P.POLICY, "actor": Actor.POLICY, "engaged": (True, True)}, Who.POLICY, "policy"),
        ({"phase": P.CORRECT, "actor": Actor.HUMAN, "engaged": (True, False)}, Who.YOU, "human"),
        ({"phase": P.RECOVER, "actor": Actor.HUMAN, "engaged": (True, False)}, Who.YOU, "human"),
        ({"phase": P.BLEND, "mode": M.BLENDED, "actor": Actor.BLEND}, Who.BOTH, "blend"),
        ({"phase": P.HOLD, "state": ControlState.HOLD}, Who.HOLD, None),
        ({"phase": P.HOLD, "mode": M.PAUSED}, Who.PAUSED, None),
        ({"phase": P.REWIND}, Who.REWINDING, None),
        ({"phase": P.RETURN}, Who.RETURNING, "policy"),
        ({"phase": P.IDLE, "mode": M.MANUAL}, Who.NOBODY, None),
        ({"phase": P.POLICY, "state": ControlState.ESTOP}, Who.ESTOP, None),
        ({"phase": P.POLICY, "state": ControlState.FAULT}, Who.FAULT, None),
    ],
)
def test_one_word_says_who_drives(model, tick, fields, who, driver):
    model.on_ticks([tick(**fields)])
    view = model.view().who
    assert (view.who, view.driver) == (who, driver)
    assert view.reason


def test_what_to_press_names_the_keys(model, tick):
    model.on_policy(status())
    model.on_ticks([drives(tick, speed=0.4)])
    view = model.view().who
    assert view.press == "Space takes over, P pauses."
    assert "pi0 cubes" in view.reason and "40%" in view.reason
    model.on_ticks([tick(P.RECOVER, takeover=1, actor=Actor.HUMAN, engaged=(True, False))])
    assert model.view().who.press.startswith("T when it is there.")
    assert model.view().recovering


def test_without_a_station_nothing_is_claimed(model, tick):
    model.on_ticks([drives(tick)])
    model.on_link(False)
    assert model.view().who.who is Who.OFFLINE
    assert model.view().takeovers == ()


# The policy


def test_a_policy_that_does_not_fit_may_not_move_and_says_why(model, direct_port, tick):
    ok = PolicyCheck("prompt", "prompt", "the instruction", "ok")
    warning = PolicyCheck("rate", "15", "20", "warning", "Slower.")
    model.on_policy(status(checks=(ok, warning, MISMATCH)))
    assert [check.level for check in model.desk.checks] == ["mismatch", "warning", "ok"]
    assert not model.view().ready
    model.on_ticks([tick(P.IDLE, M.MANUAL)])
    model.toggle_policy()
    model.toggle_rollout()
    model.set_mode(M.SUPERVISED)
    assert not {"authority", "resume", "record"} & set(direct_port.commands)
    assert all("expects one thing" in note for note in model.notes) and len(model.notes) == 3


def test_the_list_of_policies_is_asked_for_and_broken_rows_are_passed_over(model, direct_port):
    answers = {"policies": [{"name": "pi0", "driver": "openpi", "kind": "client"}, {"title": "x"}, 3]}
    direct_port.call = lambda *_, done=None, **__: done(answers)
    model.desk.list()
    assert [(choice.name, choice.words) for choice in model.desk.choices] == [("pi0", "pi0")]


def test_a_refused_choice_is_told_and_can_be_tried_again(model, direct_port):
    direct_port.errors["choose"] = PolicyError("There is no policy 'x'", next_step="See its file")
    model.desk.choose("x")
    assert model.desk.fault == "There is no policy 'x'. See its file."
    direct_port.errors.clear()
    model.desk.try_again()
    assert direct_port.calls[-1] == ("policy", "choose", {"name": "x"})
    assert model.desk.fault == ""


def test_while_it_is_blind_nothing_tells_which_policy_runs(model, tick):
    model.on_policy(
        status(policy="", title="", version="", label="B", rate_hz=15.0, horizon=50, latency_p50_ms=80.0)
    )
    model.on_ticks([drives(tick)])
    assert model.desk.blind and model.desk.facts == ""
    assert model.desk.shown_name == "Policy B"
    assert "Policy B" in model.view().who.reason
    model.on_policy(status(label="B"))
    assert not model.desk.blind and model.desk.shown_name == "pi0 cubes (B)"


def test_revealing_tells_both_names(model, direct_port):
    direct_port.call = lambda *_, done=None, **__: done({"policies": {"A": "pi0", "B": "act"}})
    model.desk.reveal()
    assert model.notes == ["A is pi0, B is act"]


def test_every_execution_has_a_word_and_is_passed_on(model, direct_port):
    assert set(EXECUTIONS) == set(Execution)
    model.desk.set_execution(Execution.RTC)
    assert direct_port.calls[-1] == (
        "policy",
        "set_execution",
        {"execution": "rtc", "execute": 0, "samples": 0},
    )


# Giving and taking


def test_giving_lets_go_of_the_arms_before_the_policy_gets_them(model, direct_port, tick):
    model.on_policy(status())
    model.on_ticks([tick(P.CORRECT, takeover=1, actor=Actor.HUMAN, engaged=(True, False))])
    model.collect.driving.toggle_clutch()
    model.toggle_policy()
    assert model.collect.driving.engaged is None
    assert direct_port.samples and not any(arm.clutch for arm in direct_port.samples[-1].arms.values())
    assert direct_port.calls[-1] == ("control", "resume", {})


def test_from_manual_the_policy_is_given_its_last_mode(model, direct_port, tick):
    model.on_policy(status())
    model.on_ticks([tick(P.IDLE, M.MANUAL)])
    model.toggle_policy()
    assert direct_port.calls[-1] == ("control", "authority", {"mode": "supervised"})
    model.set_mode(M.CORRECTIVE)
    model.toggle_policy()
    assert direct_port.calls[-1] == ("control", "authority", {"mode": "corrective"})


def test_the_same_key_pauses_a_policy_that_drives(model, direct_port, tick):
    model.on_policy(status())
    model.on_ticks([drives(tick)])
    assert model.view().driving
    model.toggle_policy()
    assert direct_port.commands[-1] == "pause"


def test_weight_and_speed_stay_within_their_range(model, direct_port):
    for _ in range(12):
        model.step_blend(1)
    assert direct_port.calls[-1] == ("control", "set_blend", {"alpha": 1.0})
    model.set_speed(0.0)
    assert direct_port.calls[-1] == ("control", "set_policy_speed", {"speed": 0.05})
    assert model.view().speed == 0.05


# Takeovers


def test_reasons_are_those_of_control_and_each_has_a_key():
    assert tuple(REASONS) == tuple(TAKEOVER_REASONS)
    assert {spec.id for spec in ACTIONS if spec.id.startswith("reason.")} == {f"reason.{r}" for r in REASONS}


def test_a_takeover_is_listed_explained_and_closed(model, direct_port, tick):
    model.on_recorder(recorder(RecorderState.RECORDING, elapsed_s=7.5))
    model.on_event(event("autonomy.takeover", takeover=1, source="keyboard", phase="recover"))
    assert model.cues == [Cue.SEIZE]
    (takeover,) = model.view().takeovers
    assert (takeover.source, takeover.at_s, takeover.running) == ("keyboard", 7.5, True)
    assert model.view().unexplained == 1
    model.explain("grasp")
    assert direct_port.calls[-1] == ("control", "takeover_reason", {"reason": "grasp", "takeover": 1})
    assert model.view().unexplained == 0
    model.on_event(event("autonomy.returned", takeover=1, seconds=2.25, outcome="resumed"))
    (takeover,) = model.view().takeovers
    assert (takeover.seconds, takeover.outcome, takeover.reason) == (2.25, "resumed", "grasp")
    assert model.cues[-1] is Cue.RETURN


def test_a_changed_reason_is_taken_back_by_undo(model, direct_port):
    model.on_event(event("autonomy.takeover", takeover=4))
    model.explain("grasp")
    model.explain("stuck")
    model.undo()
    assert model.view().takeovers[0].reason == "grasp"
    assert direct_port.calls[-1][2] == {"reason": "grasp", "takeover": 4}
    model.undo()
    assert direct_port.calls[-1][:2] == ("recorder", "undo")


def test_a_refused_reason_is_not_shown_as_given(model, direct_port):
    model.on_event(event("autonomy.takeover", takeover=1))
    direct_port.errors["takeover_reason"] = StationError("There was no takeover 1")
    model.explain("lost")
    assert model.view().takeovers[0].reason == ""


def test_a_reason_without_a_takeover_is_answered_with_a_sentence(model, direct_port):
    model.explain("grasp")
    assert "takeover_reason" not in direct_port.commands
    assert "Nobody has taken over yet" in model.notes[0]


def test_a_window_opened_meanwhile_learns_of_a_takeover_from_its_ticks(model, tick):
    for seq in (0, 200):
        model.on_ticks([tick(P.CORRECT, takeover=3, seq=seq, actor=Actor.HUMAN, engaged=(True, False))])
    (takeover,) = model.view().takeovers
    assert (takeover.number, takeover.seconds) == (3, 1.0)


def test_the_list_is_bounded_and_garbage_is_passed_over():
    log = TakeoverLog()
    for number in range(1, MOST + 51):
        log.on_event(event("autonomy.takeover", takeover=number), None)
    assert len(log.newest_first) == MOST and log.newest_first[0].number == MOST + 50
    for bad in ("x", None, -1, 0):
        log.on_event(event("autonomy.returned", takeover=bad, seconds="long"), None)
    assert len(log.newest_first) == MOST


# Labels of the episode


def test_an_outcome_belongs_to_an_episode_and_can_be_undone(model, direct_port):
    model.judge("success")
    assert "set_outcome" not in direct_port.commands and "no episode" in model.notes[-1]
    model.on_recorder(recorder(RecorderState.RECORDING))
    model.judge("success")
    model.judge("failure")
    assert model.view().outcome == "failure"
    model.undos[-1]()
    assert model.view().outcome == "success"
    assert direct_port.calls[-1] == ("recorder", "set_outcome", {"outcome": "success"})
    model.judge("success")
    assert direct_port.calls[-1][2] == {"outcome": "unknown"} and model.view().outcome == ""


def test_the_next_recording_begins_without_an_outcome(model):
    model.on_recorder(recorder(RecorderState.RECORDING))
    model.judge("success")
    model.on_recorder(recorder(RecorderState.REVIEW))
    assert model.view().outcome == "success"
    model.on_recorder(recorder(RecorderState.IDLE))
    model.on_recorder(recorder(RecorderState.RECORDING))
    assert model.view().outcome == ""


# Rollouts


def test_a_rollout_waits_for_the_recording_and_both_end_together(model, direct_port, tick):
    model.on_policy(status())
    model.on_recorder(recorder())
    model.on_ticks([tick(P.IDLE, M.MANUAL)])
    model.toggle_rollout()
    assert direct_port.commands == ["record"] and model.view().starting
    model.on_recorder(recorder(RecorderState.COUNTDOWN))
    assert direct_port.commands == ["record"]
    model.on_recorder(recorder(RecorderState.RECORDING))
    assert direct_port.commands[-1] == "authority" and model.view().rollout
    model.toggle_rollout()
    assert direct_port.commands[-2:] == ["pause", "stop"] and not model.view().rollout


def test_a_recording_that_ends_by_itself_ends_the_rollout(model, direct_port):
    model.on_policy(status())
    model.on_recorder(recorder())
    model.toggle_rollout()
    model.on_recorder(recorder(RecorderState.RECORDING))
    model.on_recorder(recorder(RecorderState.FINALISING))
    assert direct_port.commands[-1] == "pause" and not model.view().rollout


def test_a_rollout_that_is_refused_starts_nothing(model, direct_port):
    model.on_policy(status())
    model.on_recorder(recorder(session=""))
    model.toggle_rollout()
    assert "Start one on Home" in model.notes[-1]
    model.on_recorder(recorder())
    direct_port.errors["record"] = StationError("The disk is full")
    model.toggle_rollout()
    assert not model.view().starting
    model.on_recorder(recorder(RecorderState.RECORDING))
    assert "authority" not in direct_port.commands


# Calls for help


def test_a_call_for_help_is_heard_shown_and_answered_by_a_takeover(model, tick):
    calls = []
    model.helpCalled.connect(calls.append)
    model.on_policy(status(PolicyState.RUNNING))
    model.on_ticks([tick(P.HOLD)])
    model.on_event(event("autonomy.help", "The policy is unsure."))
    model.on_event(event("autonomy.help", "The policy is unsure."))
    assert model.cues == [Cue.HELP]
    assert model.view().who.who is Who.HELP and "Space takes over" in model.view().who.press
    model.on_event(event("autonomy.takeover", takeover=1))
    assert calls == ["The policy is unsure.", ""] and model.view().help_text == ""


@pytest.mark.parametrize("answer", ["autonomy.resumed", "human", "lost"])
def test_help_is_also_answered_by(model, tick, answer):
    model.on_event(event("autonomy.help", "Help."))
    if answer == "human":
        model.on_ticks([tick(P.CORRECT, actor=Actor.HUMAN, engaged=(True, False))])
    elif answer == "lost":
        model.on_link(False)
    else:
        model.on_event(event(answer))
    assert model.view().help_text == ""


# Keys


def test_on_autonomy_driving_and_labels_take_turns(qapp):
    from PyQt6.QtWidgets import QWidget

    registry, widget = ActionRegistry(), QWidget()
    grip = registry.bind("gripper.toggle", lambda: None, widget)
    fail = registry.bind("outcome.failure", lambda: None, widget)
    registry.activate(Scope.AUTONOMY)
    assert (grip.isEnabled(), fail.isEnabled()) == (False, True)
    registry.set_driving(True)
    assert (grip.isEnabled(), fail.isEnabled()) == (True, False)
    registry.activate(Scope.COLLECT)
    registry.set_driving(False)
    assert (grip.isEnabled(), fail.isEnabled()) == (True, False)
