"""A policy through the whole control loop: seizing, returning, blending, correcting, holding, rewinding."""

from __future__ import annotations

import numpy as np
import pytest

from teleop_app.core.errors import StationError
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    ControlState,
    Event,
    SafetyFlag,
)
from tests.unit.policy_rig import HOME, MS, PolicyRig, stand, swing

JOINTS = [*range(6), *range(7, 13)]


def driving(mode=AuthorityMode.SUPERVISED, plan=None, **settings) -> PolicyRig:
    rig = PolicyRig(**settings)
    rig.plan = plan or swing()
    rig.drive(mode)
    return rig


def tcp(rig, vector=None):
    position = rig.arms.position if vector is None else vector
    return rig.loop._supervisor.poses(position[JOINTS])


# Driving.


def test_without_a_policy_ticks_say_nothing_of_one():
    rig = PolicyRig()
    assert rig.tick(3).autonomy is None
    assert rig.press().actor is Actor.HUMAN
    assert rig.last.autonomy is None and rig.last.policy is None


def test_a_policy_drives_in_supervised_mode_and_each_tick_tells_so():
    rig = driving()
    tick = rig.tick(100)
    assert (tick.actor, tick.source, tick.state) == (Actor.POLICY, "policy", ControlState.ENGAGED)
    assert not any(tick.engaged)
    part = rig.autonomy
    assert (part.mode, part.takeover, part.alpha, part.human) == (AuthorityMode.SUPERVISED, 0, 1.0, None)
    assert part.chunk >= 2 and 0.0 <= part.index <= rig.horizon
    assert np.abs(tick.policy - rig.plan(part.policy_ns / 1e9)).max() < 0.01
    assert np.abs(tick.commanded - tick.policy).max() < 1e-9
    rig.tick(400)
    assert np.abs(rig.arms.position - HOME).max() > 0.05
    assert np.abs(np.array(rig.sent[-300:]) - HOME)[:, [6, 13]].max() < 1e-9


def test_who_gives_a_policy_the_robot_is_told_what_is_waited_for():
    rig = PolicyRig()
    rig.loop.authority.set_mode(AuthorityMode.SUPERVISED, rig.clock.now_ns())
    tick = rig.tick()
    assert rig.phase is AutonomyPhase.RETURN
    assert tick.reason == "Waits for the policy's next proposal."


def test_a_shadow_proposes_in_manual_mode_and_moves_nothing():
    rig = PolicyRig()
    rig.plan = swing()
    rig.tick(200)
    assert rig.last.policy is not None and rig.phase is AutonomyPhase.IDLE
    assert rig.last.actor is Actor.NONE
    assert np.abs(rig.velocity()).max() == 0.0
    assert rig.press().actor is Actor.HUMAN
    assert (rig.phase, rig.autonomy.takeover) == (AutonomyPhase.DEMONSTRATE, 0)
    assert rig.last.policy is not None


def test_arms_that_the_policy_does_not_drive_keep_their_place():
    rig = PolicyRig()
    rig.plan, rig.driven = swing(), ("left",)
    rig.drive()
    rig.tick(300)
    moved = np.abs(np.array(rig.sent) - HOME).max(axis=0)
    assert moved[:6].min() > 0.05 and moved[7:].max() == 0.0


def test_a_policy_keeps_its_own_tighter_limits():
    rig = driving(plan=swing(0.6, 1.5), max_joint_velocity_rad_s=0.5, max_jump_rad=3.0)
    rig.tick(600)
    assert 0.4 < np.abs(rig.velocity()).max() <= 0.5 * (1 + 1e-6)

    rig = driving(plan=swing(0.3, 2.0), max_tcp_speed_m_s=0.05, max_jump_rad=3.0)
    rig.tick(400)
    path = np.array([tcp(rig, row)[:, :3] for row in rig.sent[::10]])
    speed = np.linalg.norm(np.diff(path, axis=0), axis=2) / 0.05
    assert 0.03 < speed.max() < 0.06
    assert rig.last.flags & SafetyFlag.TCP_SPEED


def test_a_version_that_never_drove_here_starts_slowly():
    rig = PolicyRig(first_run_speed=0.3, speed=0.9)
    assert rig.loop.policy.status()["speed"] == 0.9
    for seen, speed in ((False, 0.3), (True, 0.9)):
        rig.loop.policy.take_event(Event("policy.loaded", 0, "policy", "", {"seen": seen}), 0)
        assert rig.loop.policy.status()["speed"] == speed


def test_a_slow_run_slows_the_policys_clock():
    rig = driving()
    rig.loop.policy.set_speed(0.5)
    before = rig.autonomy.policy_ns
    rig.tick(100)
    assert rig.autonomy.policy_ns - before == 100 * 5 * MS // 2
    assert rig.autonomy.speed == 0.5
    rig.press()
    before = rig.autonomy.policy_ns
    rig.tick(100)
    assert rig.autonomy.policy_ns - before == 100 * 5 * MS


# Taking over and giving back.


def test_a_hand_seizes_at_the_very_tick_without_a_jump():
    rig = driving(plan=swing(0.4, 2.0))
    rig.tick(150)
    before = np.diff(np.array(rig.sent[-2:]), axis=0)[0]
    assert np.abs(before).max() > 1e-3, "it moves when it is seized"
    rig.let_go()
    rig.tick()
    rig.hold()
    tick = rig.tick()
    assert (tick.actor, tick.source) == (Actor.HUMAN, "vr")
    assert (rig.phase, rig.autonomy.takeover, rig.autonomy.alpha) == (AutonomyPhase.CORRECT, 1, 0.0)
    assert tick.policy is None and rig.autonomy.chunk == 0, "the queue was flushed"
    rig.tick(200)
    acceleration = np.diff(rig.velocity(), axis=0) / 0.005
    assert np.abs(acceleration[-205:]).max() <= 15.0 + 1e-6
    assert np.abs(rig.velocity()[-50:]).max() < 2e-3, "it came to rest under the resting hand"
    assert rig.last.policy is not None, "the policy proposes on, for the labels"
    taken = rig.event("autonomy.takeover")
    assert taken.fields == {"takeover": 1, "source": "vr", "phase": "correct"}
    rig.hold(0.05)
    rig.tick(100)
    assert tcp(rig)[0, 0] - tcp(rig, HOME)[0, 0] != 0.0


def test_after_a_release_the_arms_hold_until_the_policy_is_resumed():
    rig = driving()
    rig.tick(50)
    rig.press()
    rig.tick(50)
    rig.let_go()
    tick = rig.tick(100)
    assert (rig.phase, rig.autonomy.takeover, tick.actor) == (AutonomyPhase.HOLD, 1, Actor.NONE)
    assert tick.state is ControlState.HOLD and tick.reason.startswith("You let go. Resume the policy")
    assert "safety.hold" not in rig.kinds("safety")
    still = len(rig.sent)
    rig.tick(100)
    assert np.abs(np.diff(np.array(rig.sent[still:]), axis=0)).max() == 0.0
    rig.press()
    assert rig.autonomy.takeover == 1, "the hand was only moved back"
    rig.loop.authority.resume(rig.clock.now_ns())
    chunk = rig.chunks
    tick = rig.tick()
    assert (rig.phase, rig.autonomy.takeover, tick.actor) == (AutonomyPhase.RETURN, 1, Actor.NONE)
    rig.until(AutonomyPhase.POLICY)
    assert rig.autonomy.chunk > chunk, "only a chunk that was observed after the return"
    assert rig.autonomy.takeover == 0
    ended = rig.event("autonomy.returned").fields
    assert (ended["takeover"], ended["outcome"]) == (1, "resumed") and ended["seconds"] > 0.9
    rig.tick(200)
    assert rig.last.actor is Actor.POLICY, "the clutch that is still held does not count"
    assert np.abs(rig.velocity()).max() <= 1.5 * (1 + 1e-6)
    assert rig.press().actor is Actor.HUMAN
    assert rig.autonomy.takeover == 2


def test_return_on_release_gives_back_by_itself_but_not_when_input_is_lost():
    rig = driving(return_on_release=True)
    rig.press()
    rig.let_go()
    rig.tick()
    assert rig.phase is AutonomyPhase.RETURN
    rig.until(AutonomyPhase.POLICY)
    rig.press()
    rig.tick(5)
    rig.hand = {}
    rig.tick(200)
    assert rig.phase is AutonomyPhase.HOLD
    assert "input from 'vr' was lost" in rig.last.reason


def test_an_episodes_takeovers_get_reasons_and_phases():
    rig = driving(takeover="recover")
    with pytest.raises(StationError, match="Nobody has taken over"):
        rig.loop.policy.mark("correct", 0)
    rig.press()
    assert rig.phase is AutonomyPhase.RECOVER
    rig.loop.policy.mark("correct", rig.clock.now_ns())
    rig.loop.policy.explain("grasp", 0, rig.clock.now_ns())
    assert rig.tick().autonomy.phase is AutonomyPhase.CORRECT
    assert rig.event("autonomy.phase").fields == {"phase": "correct"}
    assert rig.event("autonomy.reason").fields == {"takeover": 1, "reason": "grasp"}


def test_a_leader_seizes_and_ticks_carry_what_it_asks():
    rig = driving(plan=stand)
    rig.lead(HOME[:6], clutch=False)
    rig.tick()
    rig.lead(HOME[:6] + 0.03)
    tick = rig.tick()
    assert tick.actor is Actor.HUMAN
    assert np.allclose(rig.autonomy.human[:6], HOME[:6] + 0.03)
    assert np.isnan(rig.autonomy.human[7:]).all()


# Together.


@pytest.mark.parametrize("mode", [AuthorityMode.CORRECTIVE, AuthorityMode.BLENDED])
def test_together_the_policy_goes_on_with_the_arms_that_are_not_held(mode):
    rig = driving(mode)
    rig.tick(20)
    tick = rig.press()
    assert (tick.actor, rig.phase, rig.autonomy.takeover) == (Actor.BLEND, AutonomyPhase.BLEND, 1)
    assert tick.policy is not None, "the queue goes on"
    rig.tick(300)
    wanted = rig.plan(rig.autonomy.policy_ns / 1e9)
    assert np.abs(rig.arms.position - wanted)[7:13].max() < 0.05
    assert np.abs(rig.velocity()).max() <= 1.5 * (1 + 1e-6)


def test_a_correction_is_added_and_fades_when_the_hand_lets_go():
    rig = driving(AuthorityMode.CORRECTIVE, plan=stand)
    rig.press()
    rig.tick(20)
    assert np.abs(rig.arms.position - HOME).max() < 2e-3
    for k in range(40):
        rig.hold(0.001 * (k + 1))
        rig.tick()
    rig.tick(100)
    away = tcp(rig)[0, :3] - tcp(rig, HOME)[0, :3]
    assert np.linalg.norm(away) == pytest.approx(0.04, abs=0.004)
    assert rig.autonomy.alpha == 1.0
    rig.let_go()
    tick = rig.tick()
    assert (tick.actor, rig.phase, rig.autonomy.takeover) == (Actor.BLEND, AutonomyPhase.BLEND, 1)
    rig.until(AutonomyPhase.POLICY)
    assert rig.autonomy.takeover == 0
    rig.tick(200)
    assert np.abs(rig.arms.position - HOME).max() < 0.01
    assert np.abs(np.diff(rig.velocity(), axis=0) / 0.005).max() <= 15.0 + 1e-6


def test_a_correction_does_not_run_away_when_the_policy_starts_from_where_it_sees_the_robot():
    rig = driving(AuthorityMode.CORRECTIVE, plan=stand)
    rig.plan = lambda _t: rig.last.sent.copy()
    rig.press()
    for k in range(40):
        rig.hold(0.001 * (k + 1))
        rig.tick()
    rig.tick(600)
    away = tcp(rig)[0, :3] - tcp(rig, HOME)[0, :3]
    assert np.linalg.norm(away) == pytest.approx(0.04, abs=0.006)


def test_blending_weighs_both_and_hands_over_gradually():
    rig = driving(AuthorityMode.BLENDED, plan=stand, blend=0.25)
    rig.press()
    assert rig.autonomy.alpha == pytest.approx(1.0 - 0.005)
    for k in range(50):
        rig.hold(0.0016 * (k + 1))
        rig.tick()
    rig.tick(300)
    assert rig.autonomy.alpha == pytest.approx(0.25)
    away = np.linalg.norm(tcp(rig)[0, :3] - tcp(rig, HOME)[0, :3])
    assert away == pytest.approx(0.75 * 0.08, abs=0.006)
    rig.loop.policy.set_blend(1.0)
    rig.tick(300)
    assert np.linalg.norm(tcp(rig)[0, :3] - tcp(rig, HOME)[0, :3]) < 0.006
    rig.let_go()
    rig.tick(10)
    assert rig.phase is AutonomyPhase.POLICY


def test_the_weight_follows_confidence():
    rig = driving(AuthorityMode.BLENDED, plan=stand, blend=0.8, blend_by_confidence=True)
    rig.uncertainty = 0.1
    rig.tick(60)
    rig.press()
    rig.tick(200)
    assert rig.autonomy.alpha == pytest.approx(0.4)


def test_a_gripper_waits_until_its_control_is_moved():
    def closed(_t):
        wanted = HOME.copy()
        wanted[6] = 0.2
        return wanted

    rig = driving(AuthorityMode.CORRECTIVE, plan=closed)
    rig.tick(200)
    rig.press(gripper=1.0)
    rig.tick(50)
    assert rig.arms.position[6] == pytest.approx(0.2), "the trigger rests open"
    rig.hold(gripper=0.5)
    rig.tick(100)
    assert rig.arms.position[6] == pytest.approx(0.5)
    rig.let_go()
    rig.until(AutonomyPhase.POLICY)
    rig.tick(50)
    assert rig.arms.position[6] == pytest.approx(0.2)


@pytest.mark.parametrize("mode", [AuthorityMode.CORRECTIVE, AuthorityMode.BLENDED])
def test_a_leader_far_from_its_arm_adds_only_its_motion(mode):
    rig = driving(mode, plan=stand, blend=0.0)
    far = HOME[:6] + 1.0
    rig.lead(far, clutch=False)
    rig.tick()
    rig.lead(far)
    assert rig.tick().actor is Actor.BLEND
    for k in range(40):
        rig.lead(far + 0.0025 * (k + 1))
        rig.tick()
    rig.tick(300)
    assert np.abs(rig.arms.position[:6] - HOME[:6] - 0.1).max() < 0.01


# Holding.


def test_starvation_holds_and_then_pauses():
    rig = driving(starve_pause_s=1.0)
    rig.plan = None
    rig.until(AutonomyPhase.HOLD)
    rig.tick(80)
    assert rig.last.state is ControlState.HOLD and "no valid proposal" in rig.last.reason
    assert rig.kinds().count("autonomy.hold") == 1
    rig.tick(200)
    assert rig.autonomy.mode is AuthorityMode.PAUSED
    assert "it had no valid proposal for 1 s" in rig.event("autonomy.paused").text
    here = rig.arms.position.copy()
    rig.plan = lambda _t: here
    rig.tick(100)
    assert rig.phase is AutonomyPhase.HOLD, "a paused policy does not come back by itself"
    rig.loop.authority.resume(rig.clock.now_ns())
    rig.until(AutonomyPhase.POLICY)


def test_a_short_gap_ends_by_itself():
    rig = driving()
    plan, rig.plan = rig.plan, None
    rig.until(AutonomyPhase.HOLD)
    rig.plan = plan
    rig.until(AutonomyPhase.POLICY)
    assert "autonomy.paused" not in rig.kinds()


@pytest.mark.parametrize("stop", ["estop", "follower"])
def test_whatever_stops_the_robot_pauses_the_policy(stop):
    rig = driving()
    rig.tick(50)
    if stop == "estop":
        rig.loop.estop("test", rig.clock.now_ns())
        rig.tick(100)
        rig.loop.reset_estop(rig.clock.now_ns())
    else:
        rig.arms.frozen_ns = rig.clock.now_ns()
        rig.tick(60)
        assert rig.last.state is ControlState.FAULT
        rig.arms.frozen_ns = 0
    rig.tick(100)
    assert rig.autonomy.mode is AuthorityMode.PAUSED
    why = "e-stop test" if stop == "estop" else "Follower"
    assert rig.last.reason.startswith(f"The policy is paused: {why}")
    still = len(rig.sent)
    rig.tick(100)
    assert np.abs(np.diff(np.array(rig.sent[still:]), axis=0)).max() == 0.0
    rig.loop.authority.resume(rig.clock.now_ns())
    rig.until(AutonomyPhase.POLICY)


def test_jumps_are_refused_and_three_in_a_row_pause():
    rig = driving(plan=stand)
    rig.tick(20)
    rig.plan = lambda _t: HOME + 0.5
    rig.tick(40 * 4)
    refused = [event for event in rig.events if event.kind == "policy.refused"]
    assert refused
    assert "of arm 'left' to be 0.50 rad from where it is commanded (limit 0.35 rad)" in refused[0].text
    assert rig.autonomy.mode is AuthorityMode.PAUSED
    assert "3 of its chunks in a row were refused" in rig.event("autonomy.paused").text
    assert np.abs(np.array(rig.sent) - HOME).max() < 1e-9


def test_malformed_chunks_move_nothing_and_pause():
    rig = driving(plan=stand)
    rig.every = 10**9
    for _ in range(3):
        rig.offer(actions=np.full((16, 14), np.nan))
        rig.tick(60)
    assert rig.autonomy.mode is AuthorityMode.PAUSED
    assert np.abs(np.array(rig.sent) - HOME).max() < 1e-9


def test_a_call_for_help_holds_until_resumed_or_taken_over():
    rig = driving()
    call = Event("autonomy.help", 0, "policy", "", {"score": 1.4, "kind": "stall"})
    rig.loop.policy.take_event(call, rig.clock.now_ns())
    rig.tick(100)
    assert rig.phase is AutonomyPhase.HOLD
    assert rig.last.reason == "The policy asks for help (stall). Take over, or resume it."
    rig.press()
    assert (rig.phase, rig.autonomy.takeover) == (AutonomyPhase.CORRECT, 1)

    rig = driving(help_holds=False)
    rig.loop.policy.take_event(call, rig.clock.now_ns())
    rig.tick(5)
    assert rig.phase is AutonomyPhase.POLICY


# Going back.


def test_a_rewind_goes_back_along_the_path_and_holds():
    rig = driving(plan=swing(0.3, 4.0))
    rig.tick(600)
    target = rig.sent[-200]
    rig.plan = None
    rig.loop.authority.rewind(1.0, rig.clock.now_ns())
    rig.tick()
    assert (rig.phase, rig.last.source, rig.last.actor) == (AutonomyPhase.REWIND, "rewind", Actor.NONE)
    begin = len(rig.sent)
    rig.until(AutonomyPhase.HOLD, 1000)
    assert np.abs(rig.arms.position - target).max() < 0.02
    assert np.abs(rig.velocity()[begin:]).max() <= 1.5 * (1 + 1e-6)
    assert rig.last.reason.startswith("The robot went back. Resume the policy")
    assert rig.event("autonomy.rewind").fields == {"seconds": 1.0}
    further = rig.arms.position.copy()
    rig.loop.authority.rewind(0.5, rig.clock.now_ns())
    rig.until(AutonomyPhase.REWIND)
    rig.until(AutonomyPhase.HOLD, 1000)
    assert np.abs(rig.arms.position - further).max() > 0.02, "the next one goes on from there"


def test_a_rewind_never_runs_against_a_person():
    rig = driving()
    rig.tick(300)
    rig.press()
    with pytest.raises(StationError, match="an input drives it"):
        rig.loop.authority.rewind(None, rig.clock.now_ns())
    rig.let_go()
    rig.tick(2)
    rig.loop.authority.rewind(None, rig.clock.now_ns())
    rig.tick(20)
    assert rig.phase is AutonomyPhase.REWIND
    rig.hold()
    tick = rig.tick()
    assert (tick.actor, rig.phase) == (Actor.HUMAN, AutonomyPhase.CORRECT)
    rig.let_go()
    rig.tick(2)
    rig.loop.authority.rewind(None, rig.clock.now_ns())
    rig.tick(5)
    rig.loop.estop("test", rig.clock.now_ns())
    rig.tick(50)
    assert rig.last.source == ""
    rig.loop.reset_estop(rig.clock.now_ns())
    rig.tick()
    with pytest.raises(StationError, match="it has not moved"):
        rig.loop.authority.rewind(None, rig.clock.now_ns())


def test_other_motions_wait_while_a_policy_has_the_robot():
    rig = driving()
    with pytest.raises(StationError, match="a policy has the robot. Pause it first"):
        rig.loop.start_home(rig.clock.now_ns())
    with pytest.raises(StationError, match="a policy has the robot"):
        rig.loop.nudge("left", "x", 1, rig.clock.now_ns())
    rig.loop.authority.pause(rig.clock.now_ns())
    rig.tick()
    assert rig.autonomy.mode is AuthorityMode.PAUSED
    rig.loop.start_home(rig.clock.now_ns())
    for _ in range(1500):
        rig.tick()
        if "control.homed" in rig.kinds("control"):
            break
    assert np.abs(rig.arms.position - HOME).max() < 0.01


def test_manual_mode_takes_the_robot_from_the_policy():
    rig = driving(plan=swing(0.4, 2.0))
    rig.tick(100)
    rig.press()
    rig.loop.authority.set_mode(AuthorityMode.MANUAL, rig.clock.now_ns())
    rig.tick(100)
    assert rig.phase is AutonomyPhase.IDLE and rig.last.actor is Actor.NONE
    assert rig.event("autonomy.returned").fields["outcome"] == "finished"
    still = len(rig.sent)
    rig.tick(100)
    assert np.abs(np.diff(np.array(rig.sent[still:]), axis=0)).max() == 0.0
    with pytest.raises(StationError, match="the mode is manual"):
        rig.loop.authority.resume(rig.clock.now_ns())
