"""One chosen policy over its life: opened, checked, asked, refused, lost, and opened anew."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from teleop_app.autonomy.delay import DelayEstimator
from teleop_app.autonomy.inference import InferenceSchedule, Ticket
from teleop_app.autonomy.inquiry import Answer, Inquiry, Opened, Question, RefusedError, UnseenError
from teleop_app.autonomy.job_thread import JobThread, Outcome
from teleop_app.autonomy.policy_file import Execution, PolicyFile
from teleop_app.autonomy.view import StationView
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, Clock
from teleop_app.core.errors import ConfigError, PolicyError, TeleopError
from teleop_app.core.types import PolicyCheck, PolicyState

logger = logging.getLogger(__name__)

OPEN_LIMIT_S: Final = 300.0
"""Large models take minutes to load."""
FIRST_ANSWER_LIMIT_S: Final = 180.0
"""Servers compile their model at the first request."""
ANSWER_LIMIT_S: Final = 45.0
"""Beyond the policy's own time limit: one that hangs for so long is left behind."""
_SLOW_S: Final = 3.0
_REOPEN_S: Final = (0.5, 1.0, 2.0, 5.0)
_HANGS: Final = 5
"""Each hang costs a thread that cannot be ended; so many, and the policy must be chosen anew."""
_LATENCIES: Final = 200
_TELL_NS: Final = 30 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Proposal:
    """A chunk to be published.

    Attributes:
        answer: Decoded and checked.
        ticket: Of its request.
        execution: How it was asked for.
        latency_ns: From the request to the answer.
        made_ns: When the answer was here, host clock.
    """

    answer: Answer
    ticket: Ticket
    execution: Execution
    latency_ns: int
    made_ns: int


@dataclass(frozen=True, slots=True)
class Happening:
    """Something to be told as an event.

    Attributes:
        kind: `policy.loaded`, `policy.fault` or `policy.refused`.
        text: A sentence.
        fields: For machines.
    """

    kind: str
    text: str
    fields: dict[str, object] = field(default_factory=dict)


class PolicySession:
    """One policy. `attend` is called often and never blocks; what blocks runs in a thread that may hang.

    Args:
        file: Its policy file.
        make: Makes an inquiry of it, not yet opened; called in the thread.
        clock: The station's clock.
        answer_limit_s: See `ANSWER_LIMIT_S`.

    Attributes:
        file: As given.
        state: CONNECTING, READY or FAULT.
        text: A sentence when something is off, else empty.
        opened: What is known of the policy, None before.
        chunks: Answers taken.
        refused: Answers refused.
        uncertainty: Of the last answer.
        novelty: Likewise.
        happenings: To be told; whoever tells them removes them.
    """

    def __init__(
        self,
        file: PolicyFile,
        make: Callable[[], Inquiry],
        clock: Clock,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        self.file = file
        self.state = PolicyState.CONNECTING
        self.text = ""
        self.opened: Opened | None = None
        self.chunks = 0
        self.refused = 0
        self.uncertainty = self.novelty = float("nan")
        self.happenings: deque[Happening] = deque(maxlen=50)
        self._make = make
        self._clock = clock
        self._limit_s = answer_limit_s
        self._delay = DelayEstimator()
        self._samples = file.samples
        self._execute = min(file.execute, file.horizon)
        self._wanted = file.execution
        self.step_ns = round(NS_PER_S / file.rate_hz)
        self._schedule = InferenceSchedule(file.execution, self._execute, self.step_ns, self._delay)
        self._inquiry: Inquiry | None = None
        self._opening: Inquiry | None = None
        self._thread = self._new_thread()
        self._job = ""
        self._ticket: Ticket | None = None
        self._reset_due = False
        self._refusing = False
        self._told_ns = -_TELL_NS
        self._told_version: str | None = None
        self._failures = 0
        self._hangs = 0
        self._closed = False
        self._reopen_ns = 0
        self._latencies: deque[int] = deque(maxlen=_LATENCIES)

    # What it is told.

    def set_execution(self, execution: Execution, execute: int, samples: int) -> None:
        """Change how chunks are joined; the running chunk goes on until the next answer.

        Args:
            execution: How.
            execute: Actions executed before the next chunk is wanted; 0 keeps it.
            samples: Chunks drawn at a time; 0 keeps it.
        """
        self._wanted = execution
        self._execute = min(execute or self._execute, self.file.horizon)
        self._samples = samples or self._samples
        self._schedule.pace(self.execution, self._execute)

    def reset(self) -> None:
        """A rollout begins, or the robot was given back: nothing asked before counts, the policy forgets."""
        self._schedule.restart()
        self._reset_due = True
        self.uncertainty = self.novelty = float("nan")

    def close(self) -> None:
        """Let go of the policy; does not wait for one that hangs. May be called twice."""
        if not self._closed:
            self._closed = True
            self._leave()

    # What it tells.

    @property
    def ready(self) -> bool:
        """Whether it may be asked."""
        return self.state is PolicyState.READY

    @property
    def execution(self) -> Execution:
        """How chunks are joined: real-time chunking only where the policy offers it, else switching over."""
        if self._wanted is Execution.RTC and self.opened is not None and not self.opened.facts.prefix:
            return Execution.SWITCH
        return self._wanted

    @property
    def execute(self) -> int:
        """Actions executed before the next chunk is wanted."""
        return self._execute

    @property
    def version(self) -> str:
        """Of the checkpoint, empty while unknown."""
        return self.opened.facts.version if self.opened else self.file.version

    @property
    def delay_steps(self) -> int:
        """Expected steps from an observation to its answer."""
        return self._schedule.delay_steps

    @property
    def checks(self) -> tuple[PolicyCheck, ...]:
        """What it expects against what the station offers, and how it is run."""
        if self.opened is None:
            return ()
        checks = list(self.opened.checks)
        # Of what its file asks for, `checks` have told already.
        if self.execution is not self._wanted is not self.file.execution:
            text = (
                "The policy does not take the beginning of its next chunk; chunks are switched over instead."
            )
            checks.append(PolicyCheck("execution", self._wanted, self.execution, "warning", text))
        if self._samples > max(self.file.samples, 1) and not self.opened.facts.samples:
            text = "The policy draws one chunk at a time; its uncertainty is not judged by their spread."
            checks.append(PolicyCheck("samples", str(self._samples), "1", "warning", text))
        return tuple(checks)

    @property
    def cameras(self) -> frozenset[str]:
        """Cameras whose pictures it is given."""
        return frozenset(image.camera for image in self.file.observation.images)

    def latency_ms(self, quantile: float) -> float:
        """Of the last answers; NaN before the first."""
        if not self._latencies:
            return float("nan")
        return float(np.quantile(np.array(self._latencies), quantile)) / NS_PER_MS

    def sentence(self) -> str:
        """What is off now, empty when nothing is."""
        if self._job == "ask" and self._thread.age_s > _SLOW_S:
            return f"The policy '{self.file.name}' has not answered for {self._thread.age_s:.0f} s."
        return self.text

    # The turn.

    def attend(
        self, policy_ns: int, wanted: bool, look: Callable[[frozenset[str]], StationView | None]
    ) -> Proposal | None:
        """Take what the thread has done, and give it what is next.

        Args:
            policy_ns: `AutonomyTick.policy_ns` of the newest tick.
            wanted: The policy is in use, so that chunks are wanted.
            look: The station now, with the pictures of these cameras; None while nothing is known of it.

        Returns:
            A chunk to be published, None without.
        """
        if self._closed:
            return None
        proposal = None
        if (outcome := self._thread.take()) is not None:
            taken = self._take(outcome, policy_ns)
            proposal = taken if wanted else None
        elif self._thread.busy and self._thread.age_s > self._limit():
            self._hung()
        if not self._thread.busy and not self._closed:
            self._next(policy_ns, wanted, look)
        return proposal

    def _next(
        self, policy_ns: int, wanted: bool, look: Callable[[frozenset[str]], StationView | None]
    ) -> None:
        now_ns = self._clock.now_ns()
        if self._inquiry is None:
            if now_ns >= self._reopen_ns and not self._gave_up():
                self._start("open", self._open)
        elif not self.ready:
            return
        elif self._reset_due:
            self._reset_due = False
            self._start("reset", self._inquiry.reset)
        elif wanted and self._schedule.due(policy_ns, now_ns) and (view := look(self.cameras)) is not None:
            self._ask(self._inquiry, view, now_ns)

    def _ask(self, inquiry: Inquiry, view: StationView, now_ns: int) -> None:
        self._ticket = ticket = self._schedule.ask(view.policy_ns)
        continued = self.execution is Execution.RTC
        leftover = self._schedule.leftover(view.policy_ns) if continued else None
        question = Question(view, now_ns, leftover, ticket.delay_steps, self._samples, self._execute)
        self._start("ask", lambda: inquiry.ask(question))

    def _start(self, job: str, run: Callable[[], Any]) -> None:
        self._job = job
        self._thread.start(run)

    def _open(self) -> tuple[Inquiry, Opened]:
        thread = self._thread
        inquiry = self._make()
        if thread is self._thread:
            self._opening = inquiry  # so that it can be closed while it hangs
        try:
            opened = inquiry.open()
        except BaseException:
            inquiry.close()
            raise
        if thread is not self._thread or self._closed:  # left behind meanwhile
            inquiry.close()
        return inquiry, opened

    # How jobs end.

    def _take(self, outcome: Outcome, policy_ns: int) -> Proposal | None:
        job, self._job = self._job, ""
        if job == "open":
            self._opened(outcome)
        elif job == "ask":
            return self._answered(outcome, policy_ns)
        elif outcome.error is not None:
            self._lost(outcome.error)
        return None

    def _opened(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._failures += 1
            self._fault(outcome.error.sentence)
            if isinstance(outcome.error, ConfigError):
                self._hangs = _HANGS  # its file is wrong: trying again would not help
            return
        opened: Opened
        self._inquiry, opened = outcome.value
        self._opening = None
        self.opened = opened
        self._delay.restart()
        self._schedule.pace(self.execution, self._execute)
        self._schedule.restart()
        self._reset_due = False
        if count := opened.mismatches:
            wrong = next(check.text for check in opened.checks if check.level == "mismatch")
            more = f" ({count - 1} more)." if count > 1 else ""
            text = f"The policy '{self.file.name}' does not fit this station: {wrong}{more}"
            self._fault(f"{text} Then choose it again.")
            return
        self.state, self.text = PolicyState.READY, ""
        if self._told_version != self.version:  # one that comes back as it was is not told anew
            self._told_version = self.version
            fields: dict[str, object] = {"policy": self.file.name, "version": self.version}
            self._tell("policy.loaded", f"The policy '{self.file.name}' is ready.", fields)

    def _answered(self, outcome: Outcome, policy_ns: int) -> Proposal | None:
        ticket, self._ticket = self._ticket, None
        if outcome.error is not None:
            self._failed(outcome.error, outcome.ended_ns)
            return None
        self._hangs = self._failures = 0
        self._refusing = False
        self._told_ns = -_TELL_NS
        self.text = ""
        latency_ns = outcome.ended_ns - outcome.began_ns
        self._latencies.append(latency_ns)
        if ticket is None or self._schedule.is_stale(ticket):
            return None
        answer: Answer = outcome.value
        self._schedule.take(ticket, policy_ns, answer.actions)
        self.chunks += 1
        self.uncertainty, self.novelty = answer.uncertainty, answer.novelty
        return Proposal(answer, ticket, self.execution, latency_ns, outcome.ended_ns)

    def _failed(self, error: TeleopError, now_ns: int) -> None:
        self._schedule.fail(now_ns)
        if isinstance(error, UnseenError):
            self.text = error.sentence
        elif isinstance(error, RefusedError):
            self.refused += 1
            self.text = error.sentence
            if not self._refusing:
                self._tell("policy.refused", error.sentence, {"why": error.what})
            self._refusing = True
        else:
            self._lost(error)

    def _lost(self, error: TeleopError) -> None:
        """The policy is gone: it is opened anew."""
        self._failures += 1
        self._fault(error.sentence)
        self._leave()
        self._thread = self._new_thread()

    def _hung(self) -> None:
        self._hangs += 1
        waited_s = self._thread.age_s
        then = " Choose it again." if self._gave_up() else ""
        self._lost(PolicyError(f"The policy '{self.file.name}' hangs: no answer for {waited_s:.0f} s{then}"))

    def _gave_up(self) -> bool:
        return self._hangs >= _HANGS

    def _fault(self, sentence: str) -> None:
        self.state, self.text = PolicyState.FAULT, sentence
        wait_s = _REOPEN_S[min(max(self._failures - 1, 0), len(_REOPEN_S) - 1)]
        now_ns = self._clock.now_ns()
        self._reopen_ns = now_ns + round(wait_s * NS_PER_S)
        if now_ns - self._told_ns >= _TELL_NS:  # one that comes and goes is not told each time
            self._told_ns = now_ns
            self._tell("policy.fault", sentence)

    def _leave(self) -> None:
        """Let go of the thread and of the policy, either of which may hang."""
        self._thread.end()
        for inquiry in (self._inquiry, self._opening):
            if inquiry is not None:
                threading.Thread(target=_close, args=(inquiry, self.file.name), daemon=True).start()
        self._inquiry = self._opening = None
        self._job = ""

    def _limit(self) -> float:
        if self._job != "ask":
            return OPEN_LIMIT_S
        return self._limit_s if self._latencies else max(FIRST_ANSWER_LIMIT_S, self._limit_s)

    def _tell(self, kind: str, text: str, fields: dict[str, object] | None = None) -> None:
        self.happenings.append(Happening(kind, text, fields or {}))

    def _new_thread(self) -> JobThread:
        return JobThread(f"policy {self.file.name}", self._clock)


def _close(inquiry: Inquiry, name: str) -> None:
    try:
        inquiry.close()
    except Exception:
        logger.exception("the policy %s did not close", name)
