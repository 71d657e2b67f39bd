"""A policy on a cell in lockstep: asked on the cell's own clock, answered after a delay of choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teleop_app.autonomy.delay import DelayEstimator
from teleop_app.autonomy.fit import fit
from teleop_app.autonomy.inference import InferenceSchedule, Ticket
from teleop_app.autonomy.inquiry import Answer, Inquiry, Question
from teleop_app.autonomy.policy_file import Execution, PolicyFile
from teleop_app.autonomy.view import StationView
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import Policy
from teleop_app.core.types import AuthorityMode, AutonomyPhase, ControlTick, InputSample, PolicyChunk
from teleop_app.station.lockstep import LockstepCell
from teleop_app.station.policy_cell import PolicyCell


class LockstepPolicy:
    """Runs a policy as the policy process does, in the caller's thread; call `tick` instead of the cell's.

    It sees joints and the truth of the cell; there are no cameras.

    Args:
        rig: The cell under its control loop.
        policy: Not yet opened.
        file: Its policy file.
        delay_s: From a question to its answer, on the cell's clock.
        samples: Chunks drawn at a time.

    Raises:
        PolicyError: The policy cannot be opened, or does not fit the cell.
    """

    def __init__(
        self, rig: LockstepCell, policy: Policy, file: PolicyFile, delay_s: float = 0.0, samples: int = 1
    ) -> None:
        self.rig = rig
        self._file = file
        self._delay_ns = round(delay_s * NS_PER_S)
        self._samples = samples
        sizes = {camera.name: (640, 480) for camera in rig.config.cameras}
        cell = PolicyCell(rig.config, rig.described, rig.spec, lambda: sizes)
        self._inquiry = Inquiry(file, policy, cell, lambda policy, facts, layout: fit(policy, layout, facts))
        opened = self._inquiry.open()
        if opened.mismatches:
            wrong = " ".join(check.text for check in opened.checks if check.level == "mismatch")
            raise PolicyError(f"The policy '{file.name}' does not fit the cell", why=wrong)
        self._facts = opened.facts
        execution = file.execution
        if execution is Execution.RTC and not self._facts.prefix:
            execution = Execution.SWITCH
        self._execution = execution
        self._step_ns = round(NS_PER_S / file.rate_hz)
        self._schedule = InferenceSchedule(execution, file.execute, self._step_ns, DelayEstimator())
        self._pending: tuple[int, int, Ticket, Answer] | None = None
        self._chunks = 0
        self._phase = AutonomyPhase.IDLE
        self.last = rig.tick()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a reader of figures needs to repeat a run."""
        return {
            "policy": self._file.name,
            "version": self._facts.version,
            "execution": self._execution.value,
            "rate_hz": self._file.rate_hz,
            "delay_ms": self._delay_ns / 1e6,
        }

    def drive(self, mode: AuthorityMode = AuthorityMode.SUPERVISED) -> None:
        """Give the policy the robot; it drives from its first answer on."""
        self.rig.loop.authority.set_mode(mode, self.rig.clock.now_ns())

    def tick(self, *samples: InputSample) -> ControlTick:
        """Deliver what is due, ask what is due, and run one tick of the cell."""
        self._deliver()
        self.last = self.rig.tick(*samples)
        part = self.last.autonomy
        phase = part.phase if part is not None else AutonomyPhase.IDLE
        if phase is AutonomyPhase.RETURN and self._phase is not AutonomyPhase.RETURN:
            self._inquiry.reset()
            self._schedule.restart()
            self._pending = None
        self._phase = phase
        self._ask(part.policy_ns if part is not None else 0)
        return self.last

    def close(self) -> None:
        """Let go of the policy."""
        self._inquiry.close()

    def _ask(self, policy_ns: int) -> None:
        asked_ns = self.rig.clock.now_ns()
        if self._pending is not None or not self._schedule.due(policy_ns, asked_ns):
            return
        ticket = self._schedule.ask(policy_ns)
        leftover = self._schedule.leftover(policy_ns) if self._execution is Execution.RTC else None
        question = Question(
            self._view(policy_ns), asked_ns, leftover, ticket.delay_steps, self._samples, self._file.execute
        )
        self._pending = (asked_ns, asked_ns + self._delay_ns, ticket, self._inquiry.ask(question))

    def _deliver(self) -> None:
        now_ns = self.rig.clock.now_ns()
        if self._pending is None or now_ns < self._pending[1]:
            return
        (asked_ns, _, ticket, answer), self._pending = self._pending, None
        part = self.last.autonomy
        actions = answer.actions
        if self._execution is Execution.SYNC:
            actions = actions[: self._file.execute]
        self._schedule.take(ticket, part.policy_ns if part is not None else 0, answer.actions)
        self._chunks += 1
        chunk = PolicyChunk(
            policy=self._file.name,
            version=self._facts.version,
            chunk=self._chunks,
            observation_ns=answer.observation_ns,
            made_ns=now_ns,
            start_policy_ns=ticket.policy_ns,
            step_ns=self._step_ns,
            actions=actions,
            arms=answer.arms,
            latency_ns=now_ns - asked_ns,
            delay_steps=ticket.delay_steps,
            frozen_steps=answer.frozen_steps,
            execution=self._execution.value,
            uncertainty=answer.uncertainty,
        )
        self.rig.loop.policy.offer(chunk, now_ns)

    def _view(self, policy_ns: int) -> StationView:
        tick, task = self.last, self.rig.task_status()
        return StationView(
            capture_ns=tick.measured_ns,
            policy_ns=policy_ns,
            measured=tick.measured,
            measured_velocity=tick.measured_velocity,
            sent=tick.sent,
            instruction=task.instruction,
            task=task.task,
            truth=task.truth,
        )
