"""States of the control loop and the only ways between them."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType

from teleop_app.core.types import ControlState


class Trigger(StrEnum):
    """What changes the state.

    ALIGN, ENGAGE: an input starts to match, or to move, the robot. PAUSE: engaged input is missing, stale
    or refused. RELEASE: nobody wants to move the robot any more. FAULT, RECOVER: a follower is lost, found.
    ESTOP, RESET: the e-stop is latched, unlatched.
    """

    ALIGN = "align"
    ENGAGE = "engage"
    PAUSE = "pause"
    RELEASE = "release"
    FAULT = "fault"
    RECOVER = "recover"
    ESTOP = "estop"
    RESET = "reset"


_S, _T = ControlState, Trigger

TRANSITIONS = MappingProxyType(
    {
        (_S.IDLE, _T.ALIGN): _S.ALIGNING,
        (_S.IDLE, _T.ENGAGE): _S.ENGAGED,
        (_S.IDLE, _T.PAUSE): _S.HOLD,
        (_S.IDLE, _T.FAULT): _S.FAULT,
        (_S.IDLE, _T.ESTOP): _S.ESTOP,
        (_S.ALIGNING, _T.ENGAGE): _S.ENGAGED,
        (_S.ALIGNING, _T.PAUSE): _S.HOLD,
        (_S.ALIGNING, _T.RELEASE): _S.IDLE,
        (_S.ALIGNING, _T.FAULT): _S.FAULT,
        (_S.ALIGNING, _T.ESTOP): _S.ESTOP,
        (_S.ENGAGED, _T.ALIGN): _S.ALIGNING,
        (_S.ENGAGED, _T.PAUSE): _S.HOLD,
        (_S.ENGAGED, _T.RELEASE): _S.IDLE,
        (_S.ENGAGED, _T.FAULT): _S.FAULT,
        (_S.ENGAGED, _T.ESTOP): _S.ESTOP,
        (_S.HOLD, _T.ALIGN): _S.ALIGNING,
        (_S.HOLD, _T.ENGAGE): _S.ENGAGED,
        (_S.HOLD, _T.RELEASE): _S.IDLE,
        (_S.HOLD, _T.FAULT): _S.FAULT,
        (_S.HOLD, _T.ESTOP): _S.ESTOP,
        (_S.FAULT, _T.RECOVER): _S.IDLE,
        (_S.FAULT, _T.ESTOP): _S.ESTOP,
        (_S.ESTOP, _T.RESET): _S.IDLE,
    }
)
"""Next state by (state, trigger). A pair that is not listed changes nothing.

Nothing leads from FAULT or ESTOP to ENGAGED: recovering and resetting never move the robot.
"""


class ControlStates:
    """The present state and its reason.

    Attributes:
        state: The state.
        reason: A sentence in ALIGNING, HOLD, FAULT and ESTOP, else empty.
    """

    def __init__(self) -> None:
        self.state = ControlState.IDLE
        self.reason = ""

    def fire(self, trigger: Trigger, reason: str = "") -> bool:
        """Follow the table; returns whether the state changed. An unchanged state takes the new reason."""
        following = TRANSITIONS.get((self.state, trigger))
        if following is not None:
            self.state = following
            self.reason = reason
            return True
        if reason and _RESULT.get(trigger) is self.state:
            self.reason = reason
        return False


_RESULT = {_T.ALIGN: _S.ALIGNING, _T.PAUSE: _S.HOLD, _T.FAULT: _S.FAULT, _T.ESTOP: _S.ESTOP}
