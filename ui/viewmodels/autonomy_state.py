"""Who drives, why, and what to press: one large answer. No widgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    ControlState,
    ControlTick,
    PolicyState,
    PolicyStatus,
)
from ui.theme import Role
from ui.viewmodels.state_word import StateWord


class Who(StateWord):
    """The large word, its icon and its colour."""

    STANDBY = ("Not started", "power-standby", Role.MUTED)
    STARTING = ("Starting", "timer-sand", Role.MUTED)
    OFFLINE = ("Station lost", "lan-disconnect", Role.FAULT)
    NOBODY = ("Nobody", "circle-outline", Role.MUTED)
    POLICY = ("Policy", "robot", Role.POLICY)
    RETURNING = ("Handing over", "robot-outline", Role.POLICY)
    SCRIPT = ("Script", "script-text-outline", Role.POLICY)
    YOU = ("You", "hand-back-right", Role.HUMAN)
    BOTH = ("Both", "set-center", Role.POLICY)
    ALIGNING = ("Aligning", "vector-link", Role.WARNING)
    HELP = ("Needs help", "hand-wave", Role.POLICY)
    HOLD = ("Hold", "pause-octagon", Role.WARNING)
    PAUSED = ("Paused", "pause-circle-outline", Role.MUTED)
    REWINDING = ("Rewinding", "rewind", Role.WARNING)
    FAULT = ("Fault", "alert", Role.FAULT)
    ESTOP = ("E-stop", "octagon", Role.FAULT)


@dataclass(frozen=True, slots=True)
class WhoView:
    """Who drives.

    Attributes:
        who: The large word.
        reason: Why, or what goes on.
        press: What to press, empty when there is nothing to press.
        driver: `human`, `script`, `policy`, `blend` or None: colours the camera frames.
    """

    who: Who = Who.STANDBY
    reason: str = ""
    press: str = ""
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the answer depends on.

    Attributes:
        linked: The station is heard.
        was_linked: It was heard once.
        starting: Its processes are being started.
        tick: The newest control tick.
        policy: The newest word of the policy process.
        shown_name: What the policy is called now, `A` or `B` in a blind comparison.
        ready: The policy may move the robot.
        why_not: Why not, a sentence.
        help_text: The policy's call for help, empty without one.
    """

    linked: bool = False
    was_linked: bool = False
    starting: bool = False
    tick: ControlTick | None = None
    policy: PolicyStatus | None = None
    shown_name: str = ""
    ready: bool = False
    why_not: str = ""
    help_text: str = ""


def who_view(now: Situation, key: Callable[[str], str]) -> WhoView:
    """Returns who drives.

    Args:
        now: See `Situation`.
        key: Label of an action's key.
    """
    if not now.linked:
        return _without_station(now)
    tick = now.tick
    if tick is None:
        return WhoView(Who.NOBODY, "Waiting for the control process.")
    match tick.state:
        case ControlState.ESTOP:
            return WhoView(Who.ESTOP, tick.reason or "Everything is stopped.", "Reset it at the top right.")
        case ControlState.FAULT:
            return WhoView(
                Who.FAULT, tick.reason or "An arm does not answer.", "See the pre-flight on Setup."
            )
        case ControlState.ALIGNING:
            return WhoView(Who.ALIGNING, tick.reason or "Bring the leader to the arm's posture.")
        case _:
            return _with_autonomy(now, tick, key)


def _without_station(now: Situation) -> WhoView:
    if now.was_linked:
        return WhoView(Who.OFFLINE, "The station is not heard. The arms hold by themselves.")
    if now.starting:
        return WhoView(Who.STARTING, "The station is being started. This takes a few seconds.")
    return WhoView(Who.STANDBY, "The station starts with the first session.")


def _with_autonomy(now: Situation, tick: ControlTick, key: Callable[[str], str]) -> WhoView:
    autonomy = tick.autonomy
    phase = autonomy.phase if autonomy is not None else AutonomyPhase.IDLE
    mode = autonomy.mode if autonomy is not None else AuthorityMode.MANUAL
    takes, gives = f"{key('clutch')} takes over", f"{key('policy.toggle')} gives it to the policy"
    engaged = any(tick.engaged)
    if phase is AutonomyPhase.REWIND:
        return WhoView(Who.REWINDING, "Back along the path that it came.", f"{takes}.")
    if tick.actor is Actor.BLEND or phase is AutonomyPhase.BLEND:
        reason = "Your motion is added to the policy's."
        if mode is AuthorityMode.BLENDED and autonomy is not None:
            reason = f"{autonomy.alpha:.0%} policy, {1 - autonomy.alpha:.0%} you."
        return WhoView(Who.BOTH, reason, f"{key('clutch')} lets go, {key('policy.toggle')} pauses.", "blend")
    if tick.actor is Actor.HUMAN and engaged:
        return _you(phase, tick, key, gives)
    if tick.actor is Actor.SCRIPT and engaged:
        return WhoView(Who.SCRIPT, "The scripted operator shows the task.", f"{takes}.", "script")
    held = tick.state is ControlState.HOLD or phase is AutonomyPhase.HOLD
    if now.help_text and (held or phase is AutonomyPhase.POLICY):
        goes_on = f", {key('policy.toggle')} lets it go on" if held else ""
        return WhoView(Who.HELP, now.help_text, f"{takes}{goes_on}.", "policy")
    if mode is AuthorityMode.PAUSED:
        return WhoView(Who.PAUSED, tick.reason or "The arms hold.", _press(now, gives, takes, key))
    if held:
        let_go = autonomy is not None and autonomy.takeover > 0
        reason = tick.reason or ("You let go. The arms hold." if let_go else "It has no valid proposal.")
        return WhoView(Who.HOLD, reason, f"{takes}, {key('policy.toggle')} lets it go on.")
    if phase is AutonomyPhase.RETURN:
        return WhoView(Who.RETURNING, "Waiting for its next proposal.", f"{takes}.", "policy")
    if phase is AutonomyPhase.POLICY or tick.actor is Actor.POLICY:
        slow = autonomy is not None and autonomy.speed < 1.0
        reason = now.shown_name or "The policy drives"
        if slow and autonomy is not None:
            reason += f", at {autonomy.speed:.0%} of its speed"
        return WhoView(Who.POLICY, f"{reason}.", f"{takes}, {key('policy.toggle')} pauses.", "policy")
    return WhoView(Who.NOBODY, _nobody(now, mode), _press(now, gives, takes, key))


def _you(phase: AutonomyPhase, tick: ControlTick, key: Callable[[str], str], gives: str) -> WhoView:
    source = f" by {tick.source}" if tick.source else ""
    if phase is AutonomyPhase.RECOVER:
        return WhoView(
            Who.YOU,
            "Bring it back to where the policy knows its way.",
            f"{key('phase.correct')} when it is there. {key('policy.toggle')} gives it back.",
            "human",
        )
    if phase is AutonomyPhase.CORRECT:
        return WhoView(Who.YOU, "Show what it should have done.", f"{gives}.", "human")
    return WhoView(Who.YOU, f"You drive{source}.", f"{key('clutch')} lets go.", "human")


def _nobody(now: Situation, mode: AuthorityMode) -> str:
    state = now.policy.state if now.policy is not None else PolicyState.NONE
    if state is PolicyState.CONNECTING:
        return "The policy is being connected."
    if now.ready:
        return "People drive." if mode is AuthorityMode.MANUAL else "The policy waits."
    return now.why_not or "No policy is chosen."


def _press(now: Situation, gives: str, takes: str, key: Callable[[str], str]) -> str:
    """Returns what to press while the arms rest."""
    if now.ready:
        return f"{gives}, {takes.replace('takes over', 'drives')}."
    if now.policy is None or now.policy.state is PolicyState.NONE:
        return f"{key('policy.panel')} chooses one, {takes.replace('takes over', 'drives')}."
    return f"{takes.replace('takes over', 'drives')}."
