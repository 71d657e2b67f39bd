"""Who has the robot: the table of stages, takeovers and their numbers, and the record of takeovers."""

from __future__ import annotations

import pytest

from teleop_app.autonomy.authority import TRANSITIONS, Authority, Stage, Trigger
from teleop_app.autonomy.interventions import TAKEOVER_REASONS, TakeoverLog
from teleop_app.core.errors import StationError
from teleop_app.core.types import Actor, AuthorityMode, AutonomyPhase

M, S, T = AuthorityMode, Stage, Trigger
POLICY_MODES = (M.SUPERVISED, M.BLENDED, M.CORRECTIVE)


def driving(mode=M.SUPERVISED) -> Authority:
    authority = Authority()
    authority.set_mode(mode)
    authority.fire(T.PROPOSE)
    assert authority.stage is S.POLICY
    return authority


def test_a_mode_gives_the_policy_the_robot_only_when_it_proposes():
    authority = Authority()
    assert authority.phase is AutonomyPhase.IDLE
    assert authority.set_mode(M.SUPERVISED)
    assert (authority.phase, authority.actor(Actor.NONE)) == (AutonomyPhase.RETURN, Actor.NONE)
    assert authority.fire(T.PROPOSE)
    assert (authority.phase, authority.actor(Actor.NONE)) == (AutonomyPhase.POLICY, Actor.POLICY)


@pytest.mark.parametrize("mode", list(M))
def test_a_person_may_seize_in_every_mode_and_nearly_every_stage(mode):
    for stage in S:
        after = TRANSITIONS[mode].get((stage, T.SEIZE))
        by_hand = stage in (S.TAKEN, S.SHARED, S.DEMONSTRATE)
        reachable = stage in {key[0] for key in TRANSITIONS[mode]} | set(TRANSITIONS[mode].values())
        if reachable and not by_hand:
            assert after in (S.TAKEN, S.SHARED, S.DEMONSTRATE), (mode, stage)


@pytest.mark.parametrize("mode", [M.MANUAL, M.PAUSED])
def test_without_a_policy_mode_no_trigger_leads_to_the_policy(mode):
    assert not {S.POLICY, S.RETURN, S.SHARED, S.FADING} & set(TRANSITIONS[mode].values())


def test_only_resume_and_a_gap_that_ends_lead_back_to_the_policy():
    for mode in POLICY_MODES:
        for (stage, trigger), after in TRANSITIONS[mode].items():
            if after is S.POLICY:
                assert (stage, trigger) in {
                    (S.STARVED, T.PROPOSE),
                    (S.RETURN, T.PROPOSE),
                    (S.FADING, T.FADED),
                }
            if after is S.RETURN:
                assert trigger is T.RESUME


def test_a_takeover_lasts_from_the_edge_until_the_policy_drives_again():
    authority = driving()
    authority.fire(T.SEIZE)
    assert (authority.phase, authority.takeover) == (AutonomyPhase.CORRECT, 1)
    assert authority.actor(Actor.HUMAN) is Actor.HUMAN
    authority.fire(T.RELEASE)
    assert (authority.phase, authority.takeover) == (AutonomyPhase.HOLD, 1)
    authority.fire(T.SEIZE)  # the hand was only moved back
    assert authority.takeover == 1
    authority.fire(T.RELEASE)
    authority.resume()
    assert (authority.phase, authority.takeover) == (AutonomyPhase.RETURN, 1)
    authority.fire(T.PROPOSE)
    assert (authority.takeover, authority.outcome) == (0, "resumed")
    authority.fire(T.SEIZE)
    assert authority.takeover == 2


@pytest.mark.parametrize("mode", [M.BLENDED, M.CORRECTIVE])
def test_together_the_policy_goes_on_and_the_rest_fades(mode):
    authority = driving(mode)
    authority.fire(T.SEIZE)
    assert (authority.phase, authority.takeover) == (AutonomyPhase.BLEND, 1)
    assert authority.actor(Actor.HUMAN) is Actor.BLEND
    assert not authority.fire(T.STARVE), "the person keeps the robot"
    authority.fire(T.RELEASE)
    assert authority.stage is S.FADING
    authority.fire(T.SEIZE)
    assert (authority.stage, authority.takeover) == (S.SHARED, 1)
    authority.fire(T.RELEASE)
    authority.fire(T.FADED)
    assert (authority.stage, authority.takeover) == (S.POLICY, 0)


def test_modes_end_a_takeover_and_a_stop_aborts_it():
    for end, outcome in (
        (lambda a: a.set_mode(M.MANUAL), "finished"),
        (lambda a: a.set_mode(M.PAUSED), "finished"),
        (lambda a: a.stop(), "aborted"),
    ):
        authority = driving()
        authority.fire(T.SEIZE)
        assert end(authority)
        assert (authority.takeover, authority.outcome) == (0, outcome)
        assert not authority.policy_may_move


def test_paused_holds_until_resumed_in_the_mode_of_before():
    authority = driving(M.CORRECTIVE)
    assert authority.stop()
    assert not authority.stop()
    assert (authority.mode, authority.phase) == (M.PAUSED, AutonomyPhase.HOLD)
    for trigger in (T.PROPOSE, T.STARVE, T.RESUME):
        assert not authority.fire(trigger)
    authority.fire(T.SEIZE)
    assert (authority.phase, authority.takeover) == (AutonomyPhase.CORRECT, 1)
    authority.fire(T.RELEASE)
    assert authority.resume()
    assert (authority.mode, authority.stage) == (M.CORRECTIVE, S.RETURN)


def test_help_and_rewind_wait_for_a_word():
    authority = driving()
    authority.fire(T.WAIT)
    assert not authority.fire(T.PROPOSE)
    authority.fire(T.REWIND)
    assert authority.phase is AutonomyPhase.REWIND
    authority.fire(T.WAIT)
    assert authority.phase is AutonomyPhase.HOLD
    assert authority.resume()


def test_a_takeover_can_recover_first():
    authority = Authority(AutonomyPhase.RECOVER)
    assert not authority.mark(AutonomyPhase.CORRECT)
    authority.set_mode(M.SUPERVISED)
    authority.fire(T.SEIZE)
    assert authority.phase is AutonomyPhase.RECOVER
    assert authority.mark(AutonomyPhase.CORRECT)
    assert authority.phase is AutonomyPhase.CORRECT
    authority.set_mode(M.MANUAL)
    authority.set_mode(M.SUPERVISED)
    authority.fire(T.SEIZE)
    assert authority.phase is AutonomyPhase.RECOVER


def test_the_log_of_takeovers_takes_reasons_and_is_bounded():
    log = TakeoverLog()
    with pytest.raises(StationError, match="Nobody has taken over yet"):
        log.explain(0, "grasp")
    for number in range(1, 600):
        log.begin(number, "vr", AutonomyPhase.CORRECT, 0)
    assert log.end(1, "resumed", 5) is None
    ended = log.end(599, "resumed", 2_500_000_000)
    assert ended is not None and (ended.seconds, ended.outcome) == (2.5, "resumed")
    assert log.explain(0, "grasp").number == 599
    assert log.explain(598, "lost").reason == "lost"
    with pytest.raises(StationError, match="There was no takeover 3"):
        log.explain(3, "lost")
    with pytest.raises(StationError, match=f"Choose one of: {', '.join(TAKEOVER_REASONS)}"):
        log.explain(0, "boredom")
