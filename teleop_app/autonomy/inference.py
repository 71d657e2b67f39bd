"""When to ask a policy for its next chunk, and which answers are too old to be taken.

Times are on the policy's clock (`AutonomyTick.policy_ns`), failures on the host's. One request is in flight
at a time; who owns the schedule runs it in a thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from teleop_app.autonomy.delay import DelayEstimator
from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.geometry import Array

_BACK_OFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request in flight.

    Attributes:
        epoch: Restarts before it.
        policy_ns: Of the tick that was observed.
        delay_steps: Steps that were expected to pass until its answer.
    """

    epoch: int
    policy_ns: int
    delay_steps: int


@dataclass(frozen=True, slots=True)
class Running:
    """The chunk that was taken last.

    Attributes:
        start_policy_ns: When its action 0 is due.
        actions: Joint vectors, shape (steps, n).
    """

    start_policy_ns: int
    actions: Array


class InferenceSchedule:
    """Decides when to ask.

    SYNC: when the first `execute` actions of the running chunk are done. The others: so early that by the
    delay expected the answer is here when they are done. After a failure: later and later.

    Args:
        execution: How chunks are joined.
        execute: Actions executed before the next chunk is wanted.
        step_ns: From one action to the next.
        delay: What is known of the policy's delay.
    """

    def __init__(self, execution: Execution, execute: int, step_ns: int, delay: DelayEstimator) -> None:
        self.execution = execution
        self._execute = execute
        self._step_ns = step_ns
        self._delay = delay
        self._epoch = 0
        self._running: Running | None = None
        self._failures = 0
        self._not_before_ns = 0

    def pace(self, execution: Execution, execute: int) -> None:
        """Ask in another way from now on."""
        self.execution, self._execute = execution, execute

    @property
    def delay_steps(self) -> int:
        """Expected steps from an observation to its answer."""
        return self._delay.steps(self._step_ns)

    def due(self, policy_ns: int, now_ns: int) -> bool:
        """Whether to ask now, if nothing is in flight."""
        if now_ns < self._not_before_ns:
            return False
        running = self._running
        if running is None:
            return True
        early = 0 if self.execution is Execution.SYNC else self.delay_steps
        return policy_ns - running.start_policy_ns >= max(1, self._execute - early) * self._step_ns

    def ask(self, policy_ns: int) -> Ticket:
        """A request leaves."""
        return Ticket(self._epoch, policy_ns, self.delay_steps)

    def is_stale(self, ticket: Ticket) -> bool:
        """Whether the policy was reset, or the robot given back to it, after this was asked."""
        return ticket.epoch != self._epoch

    def start_ns(self, ticket: Ticket, policy_ns: int) -> int:
        """When action 0 of an answer is due: at its observation, SYNC at its arrival (`policy_ns`)."""
        return policy_ns if self.execution is Execution.SYNC else ticket.policy_ns

    def take(self, ticket: Ticket, policy_ns: int, actions: Array) -> Running:
        """A good answer is here.

        Args:
            ticket: Of its request.
            policy_ns: Now.
            actions: Joint vectors, shape (steps, n).
        """
        self._failures, self._not_before_ns = 0, 0
        self._delay.add(policy_ns - ticket.policy_ns)
        self._running = Running(self.start_ns(ticket, policy_ns), actions)
        return self._running

    def fail(self, now_ns: int) -> None:
        """A request failed, or its answer was refused."""
        wait_s = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
        self._failures += 1
        self._not_before_ns = now_ns + round(wait_s * NS_PER_S)

    def restart(self) -> None:
        """The policy was reset: what was asked or taken before does not count."""
        self._epoch += 1
        self._running = None

    def leftover(self, policy_ns: int) -> Array:
        """Joint vectors that the running chunk has left for a chunk that starts at `policy_ns`, (m, n)."""
        running = self._running
        if running is None:
            return np.empty((0, 0))
        first = (policy_ns - running.start_policy_ns) / self._step_ns
        at = first + np.arange(len(running.actions))
        at = at[(at >= 0.0) & (at <= len(running.actions) - 1)]
        low = at.astype(int)
        high = np.minimum(low + 1, len(running.actions) - 1)
        share = (at - low)[:, None]
        return (1.0 - share) * running.actions[low] + share * running.actions[high]
