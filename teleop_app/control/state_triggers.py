"""What was seen at a tick, turned into triggers of the state machine and into events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from teleop_app.control.states import ControlStates, Trigger
from teleop_app.core.types import ControlState


@dataclass(frozen=True, slots=True)
class Seen:
    """What decides the state of a tick; sentences are empty when they do not hold.

    Attributes:
        estop: Why the e-stop is latched.
        fault: Of the followers.
        driven: An input or a policy moves the robot.
        aligning: Which arms are on their way to their leaders.
        held: Why input is held.
        waiting: Why a policy holds the arms; it tells of that itself.
    """

    estop: str
    fault: str
    driven: bool
    aligning: str
    held: str
    waiting: str


def follow_states(states: ControlStates, seen: Seen, note: Callable[[str, str], None]) -> None:
    """Follow the table; `note` is given kind and text of an event where people must know."""
    before = states.state
    if seen.estop:
        states.fire(Trigger.ESTOP, f"E-stop {seen.estop}. Reset it, then engage anew.")
    else:
        states.fire(Trigger.RESET)
        if seen.fault:
            states.fire(Trigger.FAULT, f"{seen.fault} The arms are held.")
        else:
            states.fire(Trigger.RECOVER)
            if seen.driven and seen.aligning:
                states.fire(Trigger.ALIGN, seen.aligning)
            elif seen.driven:
                states.fire(Trigger.ENGAGE)
            elif seen.held or seen.waiting:
                states.fire(Trigger.PAUSE, seen.held or seen.waiting)
            else:
                states.fire(Trigger.RELEASE)
    after = states.state
    if after is before:
        return
    if after is ControlState.HOLD and seen.held:
        note("safety.hold", states.reason)
    elif after is ControlState.FAULT:
        note("safety.fault", states.reason)
    elif before is ControlState.FAULT and after is ControlState.IDLE:
        note("safety.recovered", "The followers are back. Engage to move.")
