"""The scripted operator: solves the tasks of the simulated cell through the interface people use."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Final

import mujoco
import numpy as np

from devices.inputs.hand import HandStyle, Tremor
from devices.inputs.kinematics import ToolKinematics
from devices.inputs.motion import ArmReference, StepMotion
from devices.inputs.plans import PLANS
from devices.inputs.plans.view import PlanFailedError, PlanView, Script
from devices.inputs.virtual_hand import VirtualHand
from devices.protocols import Verification
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.config import MappingSection
from teleop_app.core.types import (
    Actor,
    ArmInput,
    ControlTick,
    InputSample,
    TaskStatus,
)

logger = logging.getLogger(__name__)

NAME: Final = "scripted"
_RELEASED_NS: Final = 150 * NS_PER_MS
_ENGAGE_NS: Final = 1500 * NS_PER_MS
_ENGAGE_ATTEMPTS: Final = 6
_STALE_NS: Final = 300 * NS_PER_MS
_LONGEST_STEP_S: Final = 0.1


class OperatorState(StrEnum):
    """What the scripted operator is doing.

    WAITING: nobody asked it to work. CLUTCHING: it asks control for the arms. WORKING: it moves them.
    DONE: the task is solved. TAKEN_OVER: a person took the arms. FAILED: it gave up.
    """

    WAITING = "waiting"
    CLUTCHING = "clutching"
    WORKING = "working"
    DONE = "done"
    TAKEN_OVER = "taken-over"
    FAILED = "failed"


_BUSY: Final = (OperatorState.CLUTCHING, OperatorState.WORKING)


class ScriptedOperator:
    """A virtual person with a controller in each hand. An `InputDevice`; one thread.

    It sees the measured arms and the poses of the task's objects, moves its controllers along
    minimum-jerk reaches, and works only between `go` and `halt`. Losing the arms to a person ends its
    work; `go` makes it start anew from whatever the world then looks like.

    Args:
        model: The compiled cell, for forward kinematics.
        arms: Arm names in the order of the joint vector.
        clock: The station's clock, for `poll`.
        mapping: The station's mapping, which a person would have got used to.
        seed: Of the variation; with the same seed and world it does the same.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        arms: tuple[str, ...],
        clock: Clock,
        mapping: MappingSection | None = None,
        seed: int = 0,
    ) -> None:
        mapping = mapping or MappingSection()
        self._arms = arms
        self._clock = clock
        self._kinematics = ToolKinematics(model, arms)
        self._hands = {arm: VirtualHand(mapping.scale, mapping.yaw_deg) for arm in arms}
        self._rng = np.random.default_rng(seed)
        self._view = PlanView(self._kinematics, self._rng, HandStyle.draw(self._rng))
        self._tremors = {arm: Tremor(self._rng) for arm in arms}
        self._references: dict[str, ArmReference] = {}
        self._script: Script | None = None
        self._motion: StepMotion | None = None
        self._seq = 0
        self._last_ns = 0
        self._phase_ns = 0
        self._attempts = 0
        self._solved = False
        self._at_rest = True
        self._tick: ControlTick | None = None
        self._task: TaskStatus | None = None
        self.state = OperatorState.WAITING
        self.text = ""

    # The InputDevice side.

    @property
    def name(self) -> str:
        """Source name in samples."""
        return NAME

    @property
    def verification(self) -> Verification:
        """It exists only in simulation."""
        return Verification.SIMULATED

    def start(self) -> None:
        """Nothing to open."""

    def stop(self) -> None:
        """Stop working."""
        self.halt()

    def cue(self, kind: str) -> None:
        """It feels nothing."""

    def observe(self, value: object) -> None:
        """See a message of the station: control ticks and the task."""
        if isinstance(value, ControlTick):
            self._tick = value
        elif isinstance(value, TaskStatus):
            self._task = value

    def poll(self) -> InputSample | None:
        """The sample of the present moment from what was observed; None while it rests with open hands."""
        if self._at_rest and self.state not in _BUSY:
            return None
        sample = self.step(self._clock.now_ns(), self._tick, self._task)
        self._at_rest = not any(arm.clutch for arm in sample.arms.values())
        return sample

    # What it is told.

    def go(self) -> None:
        """Work on the present task, from the world as it is."""
        self._set(OperatorState.CLUTCHING)
        self._view.style = HandStyle.draw(self._rng)
        self._attempts = 0
        self._solved = False
        self._phase_ns = -1

    def halt(self) -> None:
        """Let go of the arms and wait."""
        self._set(OperatorState.WAITING)

    @property
    def report(self) -> tuple[str, str]:
        """State, and a sentence when something is off, else empty."""
        return self.state.value, self.text

    # One moment.

    def step(self, now_ns: int, tick: ControlTick | None, task: TaskStatus | None) -> InputSample:
        """What the hands do now.

        Args:
            now_ns: Present time.
            tick: Newest control tick.
            task: Newest task status.
        """
        dt_s = min(_LONGEST_STEP_S, (now_ns - self._last_ns) / NS_PER_S) if self._last_ns else 0.0
        self._last_ns = now_ns
        held = False
        if tick is not None and task is not None and now_ns - tick.tick_ns < _STALE_NS:
            self._see(now_ns, tick, task)
            if self.state is OperatorState.CLUTCHING:
                held = self._clutch(now_ns, tick)
            if self.state is OperatorState.WORKING:
                held = self._work(now_ns, tick, dt_s)
        self._seq += 1
        arms = {arm: self._arm_input(arm, held, dt_s) for arm in self._arms}
        return InputSample(source=NAME, actor=Actor.SCRIPT, seq=self._seq, capture_ns=now_ns, arms=arms)

    def _see(self, now_ns: int, tick: ControlTick, task: TaskStatus) -> None:
        self._view.now_ns = now_ns
        self._view.task = task
        self._view.tools = self._kinematics.tools(tick.measured)
        self._view.grippers = {arm: float(tick.measured[7 * i + 6]) for i, arm in enumerate(self._arms)}

    def _clutch(self, now_ns: int, tick: ControlTick) -> bool:
        """Open hands first, then closed ones, until control says that they hold the arms."""
        if tick.actor is Actor.HUMAN:
            self._set(OperatorState.TAKEN_OVER, "A person holds the arms.")
            return False
        if self._phase_ns < 0:
            self._phase_ns = now_ns
        waited_ns = now_ns - self._phase_ns
        if waited_ns < _RELEASED_NS:
            self._take_up()
            return False
        if tick.source == NAME and all(tick.engaged):
            self._begin()
            return True
        if waited_ns > _ENGAGE_NS:
            self._phase_ns = now_ns
            self._attempts += 1
            if self._attempts >= _ENGAGE_ATTEMPTS:
                reason = tick.reason or "control did not say why."
                self._set(OperatorState.FAILED, f"The scripted operator was not given the arms: {reason}")
            return False
        return True

    def _take_up(self) -> None:
        """Put the controllers, in open hands, where the measured tools are."""
        for arm in self._arms:
            tool = self._view.tools[arm]
            self._hands[arm].clutch(tool)
            self._references[arm] = ArmReference(tool.copy(), self._view.grippers[arm])

    def _begin(self) -> None:
        task = self._view.task
        plan = PLANS.get(task.task) if task is not None else None
        if plan is None:
            name = task.task if task is not None else "none"
            self._set(OperatorState.FAILED, f"The scripted operator has no plan for the task '{name}'.")
            return
        self._script, self._motion = plan(self._view), None
        self._set(OperatorState.WORKING)

    def _work(self, now_ns: int, tick: ControlTick, dt_s: float) -> bool:
        if tick.source != NAME or not all(tick.engaged):
            self._lost(now_ns, tick)
            return False
        if self._view.task is not None and self._view.task.failed:
            self._set(OperatorState.FAILED, "The task can no longer be solved.")
            return False
        try:
            self._carry_on()
        except PlanFailedError as error:
            self._set(OperatorState.FAILED, str(error))
            return False
        for arm, reference in self._references.items():
            if reference.arrived:
                self._hands[arm].watch(reference.pose, self._view.tools[arm], dt_s)
        return self.state is OperatorState.WORKING

    def _carry_on(self) -> None:
        if self._script is None:
            return
        self._solved = self._solved or self._view.solved
        while self._motion is None or self._motion.advance(self._view):
            actions = None if self._solved else next(self._script, None)
            if actions is None:
                self._set(OperatorState.DONE)
                return
            self._motion = StepMotion.begin(actions, self._references, self._view)

    def _lost(self, now_ns: int, tick: ControlTick) -> None:
        """The arms are gone: to a person for good, to a safety hold until the next try."""
        if tick.actor is Actor.HUMAN:
            self._set(OperatorState.TAKEN_OVER, "A person took over.")
            return
        self._attempts += 1
        if self._attempts >= _ENGAGE_ATTEMPTS:
            self._set(OperatorState.FAILED, f"The scripted operator lost the arms too often: {tick.reason}")
            return
        logger.info("the arms were lost, clutching anew: %s", tick.reason or "no news of control for a while")
        self._set(OperatorState.CLUTCHING)
        self._phase_ns = now_ns

    def _arm_input(self, arm: str, held: bool, dt_s: float) -> ArmInput:
        reference = self._references.get(arm)
        if reference is None:
            return ArmInput(clutch=False, valid=False)
        wanted = reference.pose.copy()
        wanted[:3] += self._tremors[arm].sample(dt_s)
        pose = self._hands[arm].controller(wanted)
        return ArmInput(clutch=held, pose=pose, gripper=reference.opening if held else None)

    def _set(self, state: OperatorState, text: str = "") -> None:
        if text and text != self.text:
            logger.info("%s", text)
        self.state, self.text = state, text
        if state is not OperatorState.WORKING:
            self._script = self._motion = None
