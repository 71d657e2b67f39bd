"""The simulated tasks' expert as a policy: it solves them, and errs as often as it is told to.

It answers chunks of absolute joint vectors, so it needs no help of the station's kinematics. It reads

- `state`: the measured joint vector, for every arm of the station its 6 joints [rad] and its gripper
  (0 closed .. 1 open),
- `truth`: world poses of the simulated cell's objects by name, 7 numbers each (x y z [m] qw qx qy qz),
- `task`: the task's name,

and answers joint vectors of the same layout. The built-in policy file `scripted` says so to the station.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import Field

from devices.inputs.expert_mistakes import Attempt, MistakeKind, Mistakes
from devices.inputs.expert_plan import RolledPlan
from devices.inputs.expert_world import HAND_OVER, HANDED_BY, TARGET, Seen
from devices.inputs.hand import Tremor
from devices.inputs.kinematics import ToolKinematics
from devices.inputs.plans.view import PlanFailedError, PlanView, Script
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyOptions,
    PolicyRequest,
    Prefix,
)
from teleop_app.core.types import Array

NAME: Final = "scripted"
_FORGOTTEN_S: Final = 3.0
"""Not asked for so long, the policy begins anew."""
_SAG_GAIN: Final = 0.6
_MOST_SAG_RAD: Final = 0.05
_OPEN: Final = 0.9
_MAX_THINGS: Final = 100
_CALM: Final = 0.1
_UNSURE: Final = 0.8
_SPREAD_RAD: Final = (0.002, 0.08)
"""Of sampled chunks at their end: sure of itself, and not."""


class ScriptedOptions(PolicyOptions):
    """Settings of the expert.

    Attributes:
        error_rate: Share of attempts that go wrong.
        error_kinds: What goes wrong, drawn evenly.
        tell: Share of the mistakes during which it reports a high uncertainty. Half of what is missing to 1
            is the share of good attempts in which it does so for no reason.
        seed: Of everything random.
        noise_m: Sway of its tools [m], standard deviation.
        latency_ms: Waited before each answer.
    """

    error_rate: float = Field(default=0.3, ge=0.0, le=1.0)
    error_kinds: list[MistakeKind] = Field(default_factory=lambda: list(MistakeKind), min_length=1)
    tell: float = Field(default=0.8, ge=0.0, le=1.0)
    seed: int = Field(default=0, ge=0)
    noise_m: float = Field(default=0.0005, ge=0.0, le=0.05)
    latency_ms: float = Field(default=0.0, ge=0.0, le=5000.0)


class ScriptedPolicy:
    """See `teleop_app.core.policy.Policy`.

    Args:
        context: Of the station; both arms of the simulated cell.
        options: Its settings.
    """

    def __init__(self, context: PolicyContext, options: ScriptedOptions) -> None:
        self._context = context
        self._options = options
        self._kinematics: ToolKinematics | None = None
        self._reset_rng()

    def open(self) -> PolicyFacts:
        """Load the cell's model.

        Raises:
            PolicyError: The station has other arms than the simulated cell.
        """
        context = self._context
        try:
            self._kinematics = ToolKinematics.of_cell(context.arms)
        except KeyError as error:
            raise PolicyError(
                "The scripted expert only knows the simulated cell",
                why=str(error.args[0]),
                next_step="Run a station with the simulated arms, or choose another policy",
            ) from error
        self._reset_rng()
        told = self._options.model_dump_json().encode()
        return PolicyFacts(
            name=NAME,
            version=hashlib.blake2s(told, digest_size=6).hexdigest(),
            metadata=self._options.model_dump(mode="json"),
            horizon=context.horizon,
            action_dim=7 * len(context.arms),
            rate_hz=context.rate_hz,
            observation_keys=("state", "task", "truth"),
            prefix=True,
            samples=True,
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """The next actions.

        Raises:
            PolicyError: The observation lacks what the expert reads, or it was closed meanwhile.
        """
        started_ns = self._context.clock.now_ns()
        seen = self._see(request.observation)
        elapsed_s, self._asked_ns = (started_ns - self._asked_ns) / NS_PER_S, started_ns
        steps = self._context.horizon
        actions, unsure = self._think(seen, elapsed_s, steps)
        if request.prefix is not None:
            actions = _joined(actions, request.prefix)
        uncertainty = float(np.clip((_UNSURE if unsure else _CALM) * self._rng.normal(1.0, 0.15), 0.0, 1.0))
        samples = self._samples(actions, uncertainty, request.samples - 1) if request.samples > 1 else None
        self._context.clock.sleep_until(started_ns + round(self._options.latency_ms * NS_PER_MS))
        if self._kinematics is None:
            raise PolicyError("The scripted expert was closed while it was thinking")
        return PolicyAnswer(actions, samples, self._context.clock.now_ns() - started_ns, uncertainty)

    def reset(self) -> None:
        """Plan anew from whatever is seen next."""
        self._plan: RolledPlan | None = None
        self._held: Array | None = None
        self._sag = np.zeros(7 * len(self._context.arms))

    def close(self) -> None:
        """Forget everything."""
        self._kinematics = None
        self._plan = None

    # Inside.

    def _reset_rng(self) -> None:
        options = self._options
        self._rng = np.random.default_rng(options.seed)
        self._tremors = {arm: Tremor(self._rng, options.noise_m) for arm in self._context.arms}
        self._mistakes = Mistakes(options.error_rate, options.error_kinds, options.tell, self._rng)
        self._attempt: Attempt | None = None
        self._asked_ns = 0
        self._pace = 1.0
        self.reset()

    def _see(self, observation: Mapping[str, Any]) -> Seen:
        kinematics = self._kinematics
        if kinematics is None:
            raise PolicyError("The scripted expert is not open")
        count = 7 * len(self._context.arms)
        state = _numbers(observation.get("state"), count)
        if state is None:
            raise PolicyError(
                "The scripted expert cannot see the arms",
                why=f"'state' must be {count} finite numbers, the joints and the gripper of each arm",
            )
        told = observation.get("truth")
        task = str(observation.get("task", ""))
        needed = {TARGET, "goal", *(HANDED_BY if task == HAND_OVER else ())}
        if not isinstance(told, Mapping) or not needed <= told.keys() or len(told) > _MAX_THINGS:
            raise PolicyError(
                "The scripted expert cannot see the objects",
                why=f"the observation's 'truth' lacks poses of {', '.join(sorted(needed))}",
                next_step="Use it with the simulated cell; a real cell does not tell where its objects are",
            )
        truth = {str(name): _numbers(pose, 7) for name, pose in told.items()}
        wrong = [name for name, pose in truth.items() if pose is None]
        if wrong:
            raise PolicyError(f"The pose of '{wrong[0]}' in the observation is not 7 finite numbers")
        poses = {name: pose for name, pose in truth.items() if pose is not None}
        grippers = {arm: float(state[7 * i + 6]) for i, arm in enumerate(self._context.arms)}
        return Seen(state, kinematics.tools(state), grippers, task, poses)

    def _think(self, seen: Seen, elapsed_s: float, steps: int) -> tuple[Array, bool]:
        """The next actions, and whether it feels unsure of them."""
        plan = self._plan
        if plan is not None and (elapsed_s > _FORGOTTEN_S or plan.locate(seen, elapsed_s) or plan.over):
            self._pace, plan, self._plan = plan.pace, None, None
        if plan is None:
            if seen.solved:
                return self._stand(seen, steps), False
            try:
                plan = self._plan = self._begin(seen)
            except PlanFailedError as error:
                raise PolicyError("The scripted expert does not know what to do", why=str(error)) from error
        elif plan.still:
            missing = plan.expected_joints() - seen.joints
            missing[6::7] = 0.0
            self._sag = np.clip(self._sag + _SAG_GAIN * missing, -_MOST_SAG_RAD, _MOST_SAG_RAD)
        plan.roll(steps)
        self._held = plan.actions(1)[0]
        return plan.actions(steps) + self._sag, plan.feels_unsure(steps)

    def _begin(self, seen: Seen) -> RolledPlan:
        step_s = 1.0 / self._context.rate_hz
        kinematics = self._kinematics
        if kinematics is None:
            raise PolicyError("The scripted expert is not open")
        self._attempt = None

        def begun(attempt: Attempt) -> None:
            self._attempt = attempt

        def spoil(script: Script, view: PlanView) -> Script:
            return self._mistakes.spoil(script, view, begun)

        return RolledPlan(
            kinematics,
            seen,
            step_s,
            self._rng,
            lambda arm: self._tremors[arm].sample(step_s),
            spoil,
            lambda: self._attempt is not None and self._attempt.felt,
            self._pace,
        )

    def _stand(self, seen: Seen, steps: int) -> Array:
        """Stay where it last wanted to be, or where the arms are; fingers that hold something go on."""
        if self._held is None:
            self._held = seen.joints.copy()
            self._held[6::7] = np.where(seen.joints[6::7] < _OPEN, 0.0, seen.joints[6::7])
        return np.tile(self._held + self._sag, (steps, 1))

    def _samples(self, actions: Array, uncertainty: float, count: int) -> Array:
        """Chunks that part from the answer, the further the less sure it is, shape (count, H, 7 n)."""
        calm, unsure = _SPREAD_RAD
        spread = calm + uncertainty * (unsure - calm)
        aside = self._rng.normal(0.0, spread, (count, 1, actions.shape[1]))
        aside[..., 6::7] = 0.0
        return actions + aside * np.linspace(0.0, 1.0, len(actions))[:, None]


def _joined(actions: Array, prefix: Prefix) -> Array:
    """The chunk, held to its prefix by the weights."""
    given = np.asarray(prefix.actions, np.float64)
    weights = np.asarray(prefix.weights, np.float64).ravel()
    count = min(len(given), len(weights), len(actions))
    if given.ndim != 2 or given.shape[1] != actions.shape[1] or not np.isfinite(given).all():
        raise PolicyError(
            f"The scripted expert refuses a prefix of shape {given.shape}",
            why=f"its actions have {actions.shape[1]} finite channels",
        )
    share = np.clip(weights[:count, None], 0.0, 1.0)
    joined = actions.copy()
    joined[:count] += share * (given[:count] - actions[:count])
    return joined


def _numbers(value: Any, count: int) -> Array | None:
    """`count` finite numbers, or None."""
    try:
        found = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError):
        return None
    return found if found.shape == (count,) and np.isfinite(found).all() else None


DRIVER: Final = PolicyDriver(
    name=NAME,
    title="Expert of the simulated tasks",
    kind=PolicyKind.BUILT_IN,
    make=ScriptedPolicy,
    options=ScriptedOptions,
    proof="It solves the tasks on the simulated cell's physics, asked for chunks as a model is.",
)
