"""A plan of the scripted expert, rolled ahead on the expectation that arms and things do as foreseen.

Its time is that of its own reference: actions follow each other by one step whatever a clock says, because
control may execute them slowly, late, or not at all. Where the robot is in it, is found by what it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from devices.inputs.expert_world import TARGET, Seen, WorldModel
from devices.inputs.hand import HandStyle
from devices.inputs.kinematics import ToolKinematics
from devices.inputs.motion import ArmReference, StepMotion
from devices.inputs.plans import PLANS
from devices.inputs.plans.view import Move, PlanFailedError, PlanView, Script, near
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.types import Array, TaskStatus

LAG_S: Final = 0.1
"""By how much measured arms trail their targets."""
_FINE_M: Final = 0.005
"""A reach as careful as this must be seen to have arrived; others are trusted to."""
_MOST_RAD_S: Final = 1.8
_KEPT_S: Final = 1.0
_CLOSED: Final = 0.5
_MATCH_M: Final = 0.01
_MATCH_S: Final = 0.4
_ON_TIME_S: Final = 0.1
"""Robots trail by more or less than `LAG_S`; so near to where it is due, the plan is not shifted."""
_TELLING_M: Final = 0.02
_PACE_GAIN: Final = 0.5
_SLOWEST: Final = 0.1
_BLOCKED_S: Final = 1.5
_GRID_S: Final = 0.01
_STILL_S: Final = 0.35
_STILL_M: Final = 0.006
_TOOL_OFF_M: Final = 0.07
_THING_OFF_M: Final = 0.035
_THING_LATE_S: Final = 0.15
"""Poses of things may be a tenth of a second older than those of the arms."""


@dataclass(slots=True)
class _View(PlanView):
    """The foreseen world, and which reaches were seen to have arrived.

    Attributes:
        seen_s: When the newest observation was made.
        seen_tools: Tool poses of it.
        waits: A reach must be seen to have arrived before the plan goes on.
    """

    seen_s: float = 0.0
    seen_tools: dict[str, Array] = field(default_factory=dict)
    waits: bool = False

    def reached(self, move: Move, target: Array, late_s: float) -> bool:
        """See `PlanView`."""
        if move.tolerance_m > _FINE_M:
            return True
        seen_late_s = self.seen_s - (self.now_ns / NS_PER_S - late_s)
        arrived = seen_late_s >= 0.0 and (
            near(self.seen_tools[move.arm], move, target) or seen_late_s >= move.patience_s
        )
        self.waits = self.waits or not arrived
        return arrived


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The reference at one step, and what should be seen then.

    Attributes:
        joints: Joint vector, grippers included.
        places: Of the tools, shape (arms, 3).
        target: Pose of the target.
        held: Some fingers hold it.
        loose: Where it is, is not foreseen: it falls.
        felt: The expert feels unsure.
    """

    joints: Array
    places: Array
    target: Array
    held: bool
    loose: bool
    felt: bool


class RolledPlan:
    """One plan from one world on.

    Args:
        kinematics: Of the arms.
        seen: The world.
        step_s: Time between actions.
        rng: Of the person's style.
        sway: Called once a step and arm for its noise [m], shape (3,).
        spoil: Puts the mistakes into a script.
        felt: Whether the expert feels unsure in the present step of the script.
        pace: Time of the plan carried out in a second, as far as known.

    Raises:
        PlanFailedError: There is no plan for the task.

    Attributes:
        task: Name of the task.
        now_s: Time of the plan at the newest observation.
        pace: As learnt.
    """

    def __init__(
        self,
        kinematics: ToolKinematics,
        seen: Seen,
        step_s: float,
        rng: np.random.Generator,
        sway: Callable[[str], Array],
        spoil: Callable[[Script, PlanView], Script],
        felt: Callable[[], bool],
        pace: float = 1.0,
    ) -> None:
        self._kinematics = kinematics
        self._step_s = step_s
        self._sway = sway
        self._felt = felt
        self._world = WorldModel(seen)
        self._references = {
            arm: ArmReference(seen.tools[arm].copy(), seen.grippers[arm]) for arm in seen.tools
        }
        self._start = {arm: reference.pose for arm, reference in self._references.items()}
        self._view = _View(kinematics, rng, HandStyle.draw(rng))
        self._look_ahead(0.0)
        if seen.task not in PLANS:
            raise PlanFailedError(f"The scripted expert has no plan for the task '{seen.task}'.")
        self._script: Script | None = spoil(PLANS[seen.task](self._view), self._view)
        self._motion: StepMotion | None = None
        self._first = 0
        self._steps: list[Foreseen] = [self._foreseen(seen.joints)]
        self.task = seen.task
        self.now_s = 0.0
        self.pace = pace
        self._blocked_s = 0.0

    @property
    def over(self) -> bool:
        """The plan has come to its end, and the robot too."""
        return self._script is None and self.now_s >= self._step_s * (self._first + len(self._steps) - 1)

    def locate(self, seen: Seen, elapsed_s: float) -> str:
        """Find where in the plan the robot is, and whether the world is as foreseen.

        Args:
            seen: The newest observation.
            elapsed_s: About how long ago the one before was made.

        Returns:
            Why the plan no longer fits, empty if it does.
        """
        places = np.stack([seen.tools[arm][:3] for arm in self._references])
        due_s = self.now_s + self.pace * elapsed_s
        times = np.arange(self.now_s, self.now_s + 1.5 * elapsed_s + 0.2, _GRID_S)
        missed = self._places(times - LAG_S) - places
        late = (times - due_s) / _MATCH_S
        cost = (missed**2).sum(axis=(1, 2)) / _MATCH_M**2 + late**2
        best = int(np.argmin(cost))
        passed_s = float(times[best]) - self.now_s
        self._keep_pace(passed_s, elapsed_s)
        self._blocked_s = self._blocked_s + elapsed_s if passed_s < _SLOWEST * elapsed_s else 0.0
        self.now_s = due_s if abs(times[best] - due_s) < _ON_TIME_S else float(times[best])
        self._world.see(seen, self.now_s)
        self._view.seen_s = self.now_s
        self._view.seen_tools = dict(seen.tools)
        if float(np.linalg.norm(missed[best], axis=1).max()) > _TOOL_OFF_M:
            return "the arms are elsewhere"
        if self._blocked_s > _BLOCKED_S:
            return "the arms are held up"
        if seen.task != self.task:
            return "the task is another one"
        if self.still and self._at(self.now_s).held:
            self._world.look_at_fingers()
        return self._surprise(seen)

    @property
    def still(self) -> bool:
        """The reference has been standing for a while, so that the arms should."""
        times = np.array([self.now_s - _STILL_S, self.now_s - LAG_S, self.now_s])
        return float(np.ptp(self._places(times), axis=0).max()) < _STILL_M

    def roll(self, steps: int) -> None:
        """Roll on until `steps` actions after the present are known, or the plan waits for what it sees."""
        present = int(self.now_s / self._step_s)
        while self._first + len(self._steps) <= present:  # it has been waiting
            self._steps.append(self._steps[-1])
        self._drop(present)
        while self._first + len(self._steps) <= present + steps + 1 and self._advance():
            pass

    def actions(self, steps: int) -> Array:
        """Joint vectors from the present on, one a step, shape (steps, 7 n)."""
        times = self.now_s + self._step_s * np.arange(steps, dtype=np.float64)
        return self._between(times, np.stack([each.joints for each in self._steps]))

    def expected_joints(self) -> Array:
        """Where the arms should be seen now."""
        return self._between(np.array([self.now_s - LAG_S]), np.stack([s.joints for s in self._steps]))[0]

    def feels_unsure(self, steps: int) -> bool:
        """Whether a mistake, or what feels like one, is among the next actions."""
        present = int(self.now_s / self._step_s) - self._first
        return any(each.felt for each in self._steps[present : present + steps])

    # Inside.

    def _keep_pace(self, passed_s: float, elapsed_s: float) -> None:
        """Learn how fast the plan is carried out, where the arms moved far enough to tell."""
        span = np.array([self.now_s, self.now_s + passed_s]) - LAG_S
        if elapsed_s > 0.0 and float(np.ptp(self._places(span), axis=0).max()) > _TELLING_M:
            share = min(1.0, passed_s / elapsed_s)
            self.pace += _PACE_GAIN * (max(_SLOWEST, share) - self.pace)

    def _surprise(self, seen: Seen) -> str:
        foreseen = self._at(self.now_s - LAG_S)
        if foreseen.loose:
            return ""
        speed = np.ptp(self._places(np.array([self.now_s - 2 * LAG_S, self.now_s])), axis=0)
        room_m = _THING_OFF_M + _THING_LATE_S / (2 * LAG_S) * float(np.linalg.norm(speed, axis=1).max())
        off_m = float(np.linalg.norm(seen.truth[TARGET][:3] - foreseen.target[:3]))
        if off_m > room_m:
            return "the thing is elsewhere"
        return ""

    def _advance(self) -> bool:
        """One step more; False where the plan waits to see."""
        if self._script is None:
            return False
        at_s = self._step_s * (self._first + len(self._steps))
        self._look_ahead(at_s)
        self._view.waits = False
        before = {arm: (reference.pose, reference.opening) for arm, reference in self._references.items()}
        openings = {arm: opening for arm, (_, opening) in before.items()}
        while self._motion is None or self._motion.advance(self._view):
            self._feel_fingers(at_s, openings)
            self._look_ahead(at_s)
            try:
                actions = None if self._world.seen.solved else next(self._script, None)
            except PlanFailedError:
                actions = None
            if actions is None:
                self._script = self._motion = None
                return False
            self._motion = StepMotion.begin(actions, self._references, self._view)
        self._feel_fingers(at_s, openings)
        if self._view.waits and all(
            reference.opening == before[arm][1] and np.array_equal(reference.pose, before[arm][0])
            for arm, reference in self._references.items()
        ):
            return False
        wanted = {}
        for arm, reference in self._references.items():
            wanted[arm] = reference.pose.copy()
            # An arm that has nothing to do lies still: in its straight wrist a little sway would be a lot.
            if not np.array_equal(reference.pose, self._start[arm]):
                wanted[arm][:3] += self._sway(arm)
        self._steps.append(
            self._foreseen(self._kinematics.reach(self._steps[-1].joints, wanted, _MOST_RAD_S * self._step_s))
        )
        return True

    def _feel_fingers(self, at_s: float, openings: dict[str, float]) -> None:
        tools = {arm: reference.pose for arm, reference in self._references.items()}
        for arm, reference in self._references.items():
            was, now = openings[arm], reference.opening
            if now <= _CLOSED < was:
                self._world.close(arm, at_s, tools)
            elif was <= _CLOSED < now:
                self._world.open(arm, at_s, tools)
            openings[arm] = now

    def _look_ahead(self, at_s: float) -> None:
        """Set the view to the foreseen world."""
        view, tools = self._view, {arm: reference.pose for arm, reference in self._references.items()}
        poses = self._world.poses(at_s, tools)
        view.now_ns = round(at_s * NS_PER_S)
        view.tools = tools
        view.grippers = {arm: reference.opening for arm, reference in self._references.items()}
        view.task = TaskStatus(
            task=self._world.seen.task,
            seed=0,
            scene=0,
            instruction="",
            success=self._world.seen.solved,
            failed=False,
            capture_ns=view.now_ns,
            truth={name: pose.tolist() for name, pose in poses.items()},
        )

    def _foreseen(self, joints: Array) -> Foreseen:
        joints = joints.copy()
        for number, reference in enumerate(self._references.values()):
            joints[7 * number + 6] = reference.opening
        return Foreseen(
            joints=joints,
            places=np.stack([reference.pose[:3] for reference in self._references.values()]),
            target=self._view.pose(TARGET),
            held=bool(self._world.holding),
            loose=self._world.loose,
            felt=self._felt(),
        )

    def _drop(self, present: int) -> None:
        """Forget steps of long ago."""
        old = max(0, present - round(_KEPT_S / self._step_s) - self._first)
        if old:
            del self._steps[:old]
            self._first += old

    def _at(self, time_s: float) -> Foreseen:
        number = round(time_s / self._step_s) - self._first
        return self._steps[min(max(number, 0), len(self._steps) - 1)]

    def _places(self, times_s: Array) -> Array:
        """Places of the tools at times, shape (k, arms, 3)."""
        return self._between(times_s, np.stack([each.places for each in self._steps]))

    def _between(self, times_s: Array, values: Array) -> Array:
        """Values of the steps, interpolated; those of the first and last beyond them."""
        at = np.clip(times_s / self._step_s - self._first, 0.0, len(values) - 1.0)
        before = np.floor(at).astype(np.intp)
        after = np.minimum(before + 1, len(values) - 1)
        share = (at - before).reshape(-1, *[1] * (values.ndim - 1))
        return values[before] + share * (values[after] - values[before])
