"""Who has the robot: a person, a policy, both, or nobody. Modes are set by people; stages follow the table.

It knows no clock, robot or chunk: triggers are fired, the stage and the takeover are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from teleop_app.core.types import Actor, AuthorityMode, AutonomyPhase


class Stage(StrEnum):
    """What goes on, finer than `AutonomyPhase`.

    IDLE: manual mode, nobody drives. DEMONSTRATE: manual mode, a person does. POLICY: the policy drives.
    STARVED: it would, but has no valid proposal. WAITING: the arms hold until somebody says how to go on.
    TAKEN: a person drives instead of the policy. SHARED: a person and the policy drive together. FADING: the
    person let go, and the policy takes the rest over gradually. RETURN: the policy was given the robot, and
    has not proposed anew yet. REWIND: the robot goes back along its path.
    """

    IDLE = "idle"
    DEMONSTRATE = "demonstrate"
    POLICY = "policy"
    STARVED = "starved"
    WAITING = "waiting"
    TAKEN = "taken"
    SHARED = "shared"
    FADING = "fading"
    RETURN = "return"
    REWIND = "rewind"


class Trigger(StrEnum):
    """What changes the stage.

    SEIZE, RELEASE: an input engages, has let go of every arm. RESUME: the policy is given the robot. PROPOSE,
    STARVE: there is a valid proposal, there is none. FADED: nothing is left of what the person added. WAIT:
    hold until somebody says how to go on. REWIND: a rewind begins; WAIT ends it.
    """

    SEIZE = "seize"
    RELEASE = "release"
    RESUME = "resume"
    PROPOSE = "propose"
    STARVE = "starve"
    FADED = "faded"
    WAIT = "wait"
    REWIND = "rewind"


_M, _S, _T = AuthorityMode, Stage, Trigger
_Table = dict[tuple[Stage, Trigger], Stage]


def _each(stages: Iterable[Stage], trigger: Trigger, following: Stage) -> _Table:
    return {(stage, trigger): following for stage in stages}


_POLICY_MODES: Final = (_M.SUPERVISED, _M.BLENDED, _M.CORRECTIVE)
_ANY_POLICY: Final = {
    (_S.POLICY, _T.STARVE): _S.STARVED,
    (_S.STARVED, _T.PROPOSE): _S.POLICY,
    (_S.RETURN, _T.PROPOSE): _S.POLICY,
    (_S.TAKEN, _T.RELEASE): _S.WAITING,
    **_each((_S.POLICY, _S.STARVED, _S.RETURN, _S.REWIND), _T.WAIT, _S.WAITING),
    **_each((_S.TAKEN, _S.WAITING, _S.STARVED, _S.REWIND), _T.RESUME, _S.RETURN),
    **_each((_S.POLICY, _S.STARVED, _S.RETURN, _S.WAITING), _T.REWIND, _S.REWIND),
    **_each((_S.RETURN, _S.WAITING, _S.STARVED, _S.REWIND), _T.SEIZE, _S.TAKEN),
}
_TOGETHER: Final = {
    **_ANY_POLICY,
    **_each((_S.POLICY, _S.FADING), _T.SEIZE, _S.SHARED),
    (_S.SHARED, _T.RELEASE): _S.FADING,
    (_S.SHARED, _T.RESUME): _S.FADING,
    (_S.FADING, _T.FADED): _S.POLICY,
    (_S.FADING, _T.STARVE): _S.STARVED,
    (_S.FADING, _T.REWIND): _S.REWIND,
    **_each((_S.SHARED, _S.FADING), _T.WAIT, _S.WAITING),
}

TRANSITIONS: Final = MappingProxyType(
    {
        _M.MANUAL: {
            **_each((_S.IDLE, _S.REWIND), _T.SEIZE, _S.DEMONSTRATE),
            (_S.DEMONSTRATE, _T.RELEASE): _S.IDLE,
            (_S.IDLE, _T.REWIND): _S.REWIND,
            (_S.REWIND, _T.WAIT): _S.IDLE,
        },
        _M.SUPERVISED: {**_ANY_POLICY, (_S.POLICY, _T.SEIZE): _S.TAKEN},
        _M.BLENDED: _TOGETHER,
        _M.CORRECTIVE: _TOGETHER,
        _M.PAUSED: {
            **_each((_S.WAITING, _S.REWIND), _T.SEIZE, _S.TAKEN),
            (_S.TAKEN, _T.RELEASE): _S.WAITING,
            (_S.WAITING, _T.REWIND): _S.REWIND,
            (_S.REWIND, _T.WAIT): _S.WAITING,
        },
    }
)
"""Next stage by mode, stage and trigger. What is not listed changes nothing.

Only RESUME and, after a short gap in its proposals, PROPOSE lead back to the policy; in PAUSED nothing does.
A person may seize the robot in every mode.
"""

_PHASES: Final = MappingProxyType(
    {
        _S.IDLE: AutonomyPhase.IDLE,
        _S.DEMONSTRATE: AutonomyPhase.DEMONSTRATE,
        _S.POLICY: AutonomyPhase.POLICY,
        _S.STARVED: AutonomyPhase.HOLD,
        _S.WAITING: AutonomyPhase.HOLD,
        _S.SHARED: AutonomyPhase.BLEND,
        _S.FADING: AutonomyPhase.BLEND,
        _S.RETURN: AutonomyPhase.RETURN,
        _S.REWIND: AutonomyPhase.REWIND,
    }
)
_BY_HAND: Final = (_S.DEMONSTRATE, _S.TAKEN, _S.SHARED)


class Authority:
    """The present mode, stage and takeover.

    A takeover lasts from the moment a person seizes the robot until the policy drives again, or the mode ends
    it: letting go in between to move the hand back does not end it.

    Args:
        first_phase: Of a takeover, RECOVER or CORRECT.

    Attributes:
        mode: As set by people, or PAUSED when the robot was stopped.
        stage: See `Stage`.
        takeover: Number of the present takeover, 0 outside of one.
        outcome: How the last takeover ended: `resumed`, `finished` or `aborted`.
    """

    def __init__(self, first_phase: AutonomyPhase = AutonomyPhase.CORRECT) -> None:
        self._first_phase = first_phase
        self._taken_phase = first_phase
        self._resumed_mode = _M.SUPERVISED
        self._takeovers = 0
        self.mode = _M.MANUAL
        self.stage = _S.IDLE
        self.takeover = 0
        self.outcome = ""

    @property
    def phase(self) -> AutonomyPhase:
        """The stage as ticks tell it."""
        return self._taken_phase if self.stage is _S.TAKEN else _PHASES[self.stage]

    @property
    def policy_may_move(self) -> bool:
        """Whether the mode lets a policy drive, now or as soon as it proposes."""
        return self.mode in _POLICY_MODES and self.stage is not _S.WAITING

    @property
    def policy_drives(self) -> bool:
        """Whether what is commanded comes from the policy, at least in part."""
        return self.stage in (_S.POLICY, _S.SHARED, _S.FADING)

    def actor(self, person: Actor) -> Actor:
        """Who drives, given who holds the engage control (NONE for nobody)."""
        if self.stage is _S.POLICY:
            return Actor.POLICY
        return Actor.BLEND if self.stage in (_S.SHARED, _S.FADING) else person

    def fire(self, trigger: Trigger) -> bool:
        """Follow the table; returns whether the stage changed."""
        following = TRANSITIONS[self.mode].get((self.stage, trigger))
        if following is None:
            return False
        self.stage = following
        if trigger is _T.SEIZE and self.mode is not _M.MANUAL and not self.takeover:
            self._takeovers += 1
            self.takeover = self._takeovers
            self._taken_phase = self._first_phase
        if following is _S.POLICY:
            self._end_takeover("resumed")
        return True

    def set_mode(self, mode: AuthorityMode) -> bool:
        """Change the mode; returns whether it changed. Whoever is engaged must be made to let go.

        A policy mode that follows MANUAL or PAUSED gives the policy the robot.
        """
        if mode is self.mode:
            return False
        before, self.mode = self.mode, mode
        if mode not in _POLICY_MODES:
            self._end_takeover("finished")
            self.stage = _S.IDLE if mode is _M.MANUAL else _S.WAITING
            if mode is _M.PAUSED and before in _POLICY_MODES:
                self._resumed_mode = before
        elif before not in _POLICY_MODES:
            self.stage = _S.RETURN
        elif self.stage in (*_BY_HAND, _S.FADING):
            self.stage = _S.WAITING
        return True

    def resume(self) -> bool:
        """Give the policy the robot, in the mode of before; False when it has it, or the mode is MANUAL."""
        if self.mode is _M.PAUSED:
            return self.set_mode(self._resumed_mode)
        return self.fire(_T.RESUME)

    def stop(self) -> bool:
        """The robot was stopped: the policy is paused, nobody drives. Returns whether anything changed."""
        if self.mode is _M.MANUAL:
            changed, self.stage = self.stage is not _S.IDLE, _S.IDLE
            return changed
        changed = self.mode is not _M.PAUSED or self.stage is not _S.WAITING
        self._end_takeover("aborted")
        if self.mode is not _M.PAUSED:
            self._resumed_mode, self.mode = self.mode, _M.PAUSED
        self.stage = _S.WAITING
        return changed

    def mark(self, phase: AutonomyPhase) -> bool:
        """Say whether the present takeover recovers or corrects; False outside of one."""
        if not self.takeover:
            return False
        self._taken_phase = phase
        return True

    def _end_takeover(self, outcome: str) -> None:
        if self.takeover:
            self.takeover, self.outcome = 0, outcome
