"""The mistakes of the scripted expert: its plan, changed so that the attempt goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from devices.inputs.plans.view import Action, Grip, Move, Pause, PlanView, Script, Target
from teleop_app.core.types import Array

GRASP_OFFSET_M: Final = (0.03, 0.05)
WRONG_PLACE_M: Final = (0.11, 0.15)
STALL_S: Final = 30.0
_STALL_AFTER_STEPS: Final = 5
_CLOSED: Final = 0.5


class MistakeKind(StrEnum):
    """What goes wrong.

    GRASP_OFFSET: The fingers close 3 to 5 cm beside the thing. EARLY_RELEASE: They open on the way.
    STALL: The arms stand still for half a minute. WRONG_PLACE: The thing is put down 11 to 15 cm off.
    """

    GRASP_OFFSET = "grasp-offset"
    EARLY_RELEASE = "early-release"
    STALL = "stall"
    WRONG_PLACE = "wrong-place"


@dataclass(slots=True)
class Attempt:
    """What goes wrong in one attempt.

    Attributes:
        kind: None: nothing.
        shift: Of a grasp or place, world frame [m], shape (3,).
        stall_at: Step before which it stalls.
        alarm: It feels unsure of its approach for no reason.
        told: It feels unsure while it errs.
        risky: The present step is a mistake, or feels like one.
    """

    kind: MistakeKind | None
    shift: Array
    stall_at: int = 0
    alarm: bool = False
    told: bool = True
    risky: bool = False

    @property
    def felt(self) -> bool:
        """It feels unsure now."""
        return self.risky and (self.told or self.alarm)


@dataclass(frozen=True, slots=True)
class Mistakes:
    """Draws what goes wrong.

    Attributes:
        rate: Share of attempts that go wrong.
        kinds: Drawn from evenly.
        tell: Share of the mistakes during which it feels unsure; of the good attempts, half the rest of it
            feels unsure for no reason.
        rng: Of the draws.
    """

    rate: float
    kinds: Sequence[MistakeKind]
    tell: float
    rng: np.random.Generator

    def draw(self) -> Attempt:
        """The next attempt's."""
        rng = self.rng
        errs = bool(self.kinds) and bool(rng.random() < self.rate)
        kind = self.kinds[int(rng.integers(len(self.kinds)))] if errs else None
        told, alarm = bool(rng.random() < self.tell), bool(rng.random() < 0.5 * (1.0 - self.tell))
        heading = rng.uniform(0.0, 2.0 * np.pi)
        low, high = WRONG_PLACE_M if kind is MistakeKind.WRONG_PLACE else GRASP_OFFSET_M
        shift = rng.uniform(low, high) * np.array([np.cos(heading), np.sin(heading), 0.0])
        stall_at = int(rng.integers(1, _STALL_AFTER_STEPS))
        return Attempt(kind, shift, stall_at, alarm=alarm and kind is None, told=told)

    def spoil(self, script: Script, view: PlanView, begun: Callable[[Attempt], None]) -> Script:
        """A script with its mistakes.

        Args:
            script: Without.
            view: Its view, which counts the attempts.
            begun: Called with each attempt's draw.
        """
        number, attempt, step_of_attempt = -1, self.draw(), 0
        carrier, carried = "", 0
        for step in script:
            if view.attempt != number:
                number, step_of_attempt, carrier, carried = view.attempt, 0, "", 0
                attempt = self.draw()
                begun(attempt)
            if attempt.kind is MistakeKind.STALL and step_of_attempt == attempt.stall_at:
                attempt.risky = True
                yield (Pause(STALL_S),)
            carried += bool(carrier)
            spoilt = _spoilt(step, attempt, carrier, carried)
            attempt.risky = spoilt is not step or (attempt.alarm and not carrier)
            yield spoilt
            carrier = carrier or next(
                (each.arm for each in step if isinstance(each, Grip) and each.opening < _CLOSED), ""
            )
            step_of_attempt += 1


def _spoilt(step: tuple[Action, ...], attempt: Attempt, carrier: str, carried: int) -> tuple[Action, ...]:
    """The step as the mistake has it. `carried`: steps since the fingers closed; the first is the lift."""
    if attempt.kind is MistakeKind.GRASP_OFFSET and not carrier:
        return _shifted(step, attempt.shift)
    if attempt.kind is MistakeKind.EARLY_RELEASE and carried == 2:
        return (*step, Grip(carrier, 1.0))
    if attempt.kind is MistakeKind.WRONG_PLACE and carried > 1:
        return _shifted(step, attempt.shift)
    return step


def _shifted(step: tuple[Action, ...], shift: Array) -> tuple[Action, ...]:
    if not any(isinstance(each, Move) for each in step):
        return step
    return tuple(
        replace(each, to=_shifted_target(each.to, shift)) if isinstance(each, Move) else each for each in step
    )


def _shifted_target(target: Target, shift: Array) -> Target:
    if callable(target):
        return lambda now_ns: _shifted_pose(target(now_ns), shift)
    return _shifted_pose(target, shift)


def _shifted_pose(pose: Array, shift: Array) -> Array:
    return np.concatenate([pose[:3] + shift, pose[3:]])
