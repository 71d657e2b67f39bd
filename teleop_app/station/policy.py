"""The policy process: asks the chosen policy, and hands its chunks to control as joint vectors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final, Protocol

from teleop_app.autonomy.blind import BlindComparison
from teleop_app.autonomy.help_calls import HelpCalls, StallMeter
from teleop_app.autonomy.inquiry import Inquiry
from teleop_app.autonomy.policy_file import Execution, PolicyFile
from teleop_app.core.bus import CommandServer, Publisher
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import PolicyError, StationError
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    Event,
    PolicyChunk,
    PolicyState,
    PolicyStatus,
    ProcessState,
)
from teleop_app.station.policy_rollouts import RolloutWatch
from teleop_app.station.policy_seen import SeenVersions
from teleop_app.station.policy_session import PolicySession, Proposal
from teleop_app.station.policy_status import Signs, disguised, policy_state, policy_status
from teleop_app.station.policy_view import CameraSizes, StationWatch
from teleop_app.station.process import Heartbeat, ProcessContext

logger = logging.getLogger(__name__)

_IDLE_S: Final = 0.2
_READY_S: Final = 0.05
_RUNNING_S: Final = 0.02
_STATUS_NS: Final = 200 * NS_PER_MS
_IDLE_STATUS_NS: Final = NS_PER_S
_DRIVES: Final = (AutonomyPhase.POLICY, AutonomyPhase.BLEND)


class PolicyShelf(Protocol):
    """The policies that this station may choose from."""

    def listing(self) -> list[dict[str, Any]]:
        """Name, title, driver, kind and, of one that cannot be used, the problem."""
        ...

    def load(self, name: str) -> PolicyFile:
        """A policy file.

        Raises:
            PolicyError: There is none of that name, or it is wrong.
        """
        ...

    def inquiry(self, file: PolicyFile, cameras: Callable[[], CameraSizes]) -> Inquiry:
        """All that is needed to ask a policy, not yet opened. Called in a thread; may take seconds.

        Args:
            file: Its file.
            cameras: Those that deliver, as far as is known now.

        Raises:
            TeleopError: Its driver is not there, or its options are wrong.
        """
        ...


class PolicyProcess:
    """Asks the chosen policy while it is in use: whenever the authority mode is not MANUAL, or in its shadow.

    Until a policy is chosen, it only answers commands. What a policy does, or does not do, holds up a thread;
    this process goes on.

    Args:
        context: The process's context.
        shelf: The policies to choose from.
    """

    def __init__(self, context: ProcessContext, shelf: PolicyShelf) -> None:
        self._context = context
        self._shelf = shelf
        self._sessions: dict[str, PolicySession] = {}
        self._active = ""
        self._blind: BlindComparison | None = None
        self._hidden = False
        self._shadow = False
        self._watch: StationWatch | None = None
        self._rollouts = RolloutWatch()
        self._stall = StallMeter()
        self._help = HelpCalls(context.config.autonomy.help_per_minute)
        self._chunks = 0
        self._status_due_ns = 0
        self._told: tuple[object, ...] = ()
        self._running = False
        self._phase = AutonomyPhase.IDLE
        self._publisher: Publisher | None = None

    def run(self) -> None:
        """Run until the context is stopping. Blocks."""
        self.open()
        try:
            while not self._context.stopping:
                self.turn()
        finally:
            self.close()

    def open(self) -> None:
        """Open the sockets."""
        self._seen = SeenVersions(self._context.data.policies / "seen.json")
        self._commands: CommandServer = self._context.commands(
            {
                "policies": self.policies,
                "choose": self.choose,
                "choose_blind": self.choose_blind,
                "reveal": self.reveal,
                "dismiss": self.dismiss,
                "set_execution": self.set_execution,
                "shadow": self.shadow,
                "status": self.status,
            }
        )
        self._inputs = Publisher(self._context.endpoints.inputs(), connect=True, queue=20)
        self._publisher = self._context.publisher()
        self._heartbeat = Heartbeat(self._context, self._publisher)

    def close(self) -> None:
        """Let go of the policy and close the sockets. May be called twice."""
        if self._publisher is None:
            return
        self._leave()
        self._heartbeat.beat(ProcessState.STOPPED)
        for socket in (self._commands, self._inputs, self._publisher):
            socket.close()
        self._publisher = None

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        self._wait()
        self._commands.serve()
        if self._watch is not None:
            self._attend(self._watch)
        self._publish_status()
        session = self._session
        self._heartbeat.beat(
            ProcessState.RUNNING,
            self._disguised(session.sentence(), session) if session else "",
            self._metrics,
        )

    # Commands.

    def policies(self) -> dict[str, Any]:
        """The policies to choose from."""
        return {"policies": self._shelf.listing()}

    def choose(self, name: str) -> dict[str, Any]:
        """Connect to a policy and check it; the status tells how that goes on.

        Raises:
            PolicyError: There is none of that name, or its file is wrong.
            StationError: A policy drives.
        """
        self._refuse_while_driving()
        file = self._shelf.load(name)
        self._take([file])
        return self.status()

    def choose_blind(self, names: Sequence[str], seed: int | None = None) -> dict[str, Any]:
        """Compare two policies: each rollout is driven by one of them, and nobody is told by which.

        Args:
            names: Of the two.
            seed: Of the draws.

        Raises:
            PolicyError: They are not two, or a file is wrong.
            StationError: A policy drives.
        """
        self._refuse_while_driving()
        blind = BlindComparison(names, seed)
        files = [self._shelf.load(name) for name in names]
        self._take(files)
        self._blind, self._hidden, self._active = blind, True, blind.name
        return self.status()

    def reveal(self) -> dict[str, Any]:
        """End the hiding: which policy is `A` and which `B`.

        Raises:
            PolicyError: Nothing is compared.
        """
        if self._blind is None:
            raise PolicyError("There is nothing to reveal", why="no blind comparison goes on")
        self._hidden = False
        return {"policies": self._blind.reveal()}

    def dismiss(self) -> dict[str, Any]:
        """Let go of the policy; control holds as soon as its last chunk ends."""
        self._leave()
        return {}

    def set_execution(self, execution: str, execute: int = 0, samples: int = 0) -> dict[str, Any]:
        """Change how chunks are joined, how many actions are executed, how many are drawn; 0 keeps.

        Raises:
            PolicyError: No policy is chosen, or a value is out of range.
        """
        if not self._sessions:
            raise PolicyError("There is no policy to be set up", next_step="Choose one first")
        if execution not in list(Execution):
            known = ", ".join(Execution)
            raise PolicyError(f"There is no execution {execution!r}", next_step=f"Choose one of: {known}")
        if not 0 <= execute <= 256 or not 0 <= samples <= 32:
            raise PolicyError(
                f"{execute} actions (up to 256) or {samples} chunks (up to 32) are out of range"
            )
        for session in self._sessions.values():
            session.set_execution(Execution(execution), execute, samples)
        return self.status()

    def shadow(self, on: bool) -> dict[str, Any]:
        """Ask the policy while people drive, or no longer."""
        self._shadow = bool(on)
        return {}

    def status(self) -> dict[str, Any]:
        """As published, as a plain map."""
        return asdict(self._status()) | {"shadow": self._shadow}

    # The turn.

    @property
    def _session(self) -> PolicySession | None:
        return self._sessions.get(self._active)

    def _wait(self) -> None:
        if self._watch is None:
            self._commands.socket.poll(round(_IDLE_S * 1000))
        elif self._running:
            self._watch.wait(_RUNNING_S)  # the next tick
        else:
            self._commands.socket.poll(round(_READY_S * 1000))

    def _attend(self, watch: StationWatch) -> None:
        watch.look()
        now_ns = self._context.clock.now_ns()
        self._follow(watch, now_ns)
        active = self._session
        for session in list(self._sessions.values()):
            wanted = session is active and self._running
            proposal = session.attend(watch.policy_ns, wanted, watch.view)
            if proposal is not None:
                self._publish_chunk(session, proposal)
                self._help.answered(now_ns, proposal.answer.uncertainty, proposal.answer.novelty)
            self._tell(session)
        self._judge(watch, now_ns)

    def _follow(self, watch: StationWatch, now_ns: int) -> None:
        """Rollouts that begin and end, and when the policy begins to be asked anew."""
        autonomy = watch.tick.autonomy if watch.tick else None
        phase = autonomy.phase if autonomy else AutonomyPhase.IDLE
        in_use = watch.mode is not AuthorityMode.MANUAL or self._shadow
        running = in_use and watch.is_fresh(now_ns)
        anew = (running and not self._running) or (
            phase is AutonomyPhase.RETURN and self._phase is not AutonomyPhase.RETURN
        )
        self._running, self._phase = running, phase
        drives = watch.tick is not None and watch.tick.actor in (Actor.POLICY, Actor.BLEND)
        self._rollouts.see(recording=watch.recording, drives=drives, stopped=watch.stopped)
        if self._rollouts.began:
            anew = anew or running
            if self._blind is not None:
                self._blind.next_rollout()
                self._active = self._blind.name
        session = self._session
        if session is None:
            return
        if self._rollouts.ended_well and not self._seen.has(session.file.name, session.version):
            self._seen.add(session.file.name, session.version)
            self._introduce(session)
        if anew:
            session.reset()
            self._help.forget()
            self._stall = StallMeter()

    def _judge(self, watch: StationWatch, now_ns: int) -> None:
        """Whether the policy needs help."""
        tick = watch.tick
        if tick is None or self._phase is AutonomyPhase.HOLD:
            return  # between chunks it may rest without starting anew
        driving = self._running and self._phase in _DRIVES
        self._stall.see(now_ns, tick.measured, driving=driving)
        call = self._help.judge(now_ns, self._stall.stalled_s, driving=driving)
        if call is None or self._publisher is None:
            return
        fields: dict[str, object] = {"score": round(call.score, 3), "kind": call.kind.value}
        event = Event("autonomy.help", now_ns, self._context.name, call.sentence, fields)
        self._publisher.send("event", event)
        self._inputs.send("event", event)

    def _publish_chunk(self, session: PolicySession, proposal: Proposal) -> None:
        if self._publisher is None:
            return
        answer = proposal.answer
        self._chunks += 1
        actions = answer.actions
        if proposal.execution is Execution.SYNC:
            actions = actions[: session.execute]  # the robot rests after these
        chunk = PolicyChunk(
            policy=session.file.name,
            version=session.version,
            chunk=self._chunks,
            observation_ns=answer.observation_ns,
            made_ns=proposal.made_ns,
            start_policy_ns=proposal.ticket.policy_ns,
            step_ns=session.step_ns,
            actions=actions,
            arms=answer.arms,
            latency_ns=proposal.latency_ns,
            server_ns=min(answer.server_ns, proposal.latency_ns),
            delay_steps=proposal.ticket.delay_steps,
            frozen_steps=answer.frozen_steps,
            execution=proposal.execution.value,
            uncertainty=answer.uncertainty,
            novelty=answer.novelty,
        )
        self._inputs.send("chunk", chunk)
        self._publisher.send("chunk", chunk)

    def _tell(self, session: PolicySession) -> None:
        while session.happenings and self._publisher is not None:
            each = session.happenings.popleft()
            text = self._disguised(each.text, session)
            fields = {
                key: self._disguised(value, session) if isinstance(value, str) else value
                for key, value in each.fields.items()
            }
            logger.info("%s: %s", each.kind, each.text)
            self._publisher.send("event", self._context.event(each.kind, text, **fields))
            if each.kind == "policy.loaded":
                self._introduce(session)

    def _introduce(self, session: PolicySession) -> None:
        """Tell control whether the policy has driven here before: one that has not starts slowly."""
        text = self._disguised(f"The policy '{session.file.name}' is ready.", session)
        self._inputs.send("event", self._context.event("policy.loaded", text, seen=self._is_seen(session)))

    def _is_seen(self, session: PolicySession) -> bool:
        """Of two that are compared blindly, only both: else the speed would tell which one drives."""
        sessions = self._sessions.values() if self._hidden else (session,)
        return all(self._seen.has(each.file.name, each.version) for each in sessions)

    # Status.

    def _publish_status(self) -> None:
        now_ns = self._context.clock.now_ns()
        session = self._session
        state = policy_state(session, running=self._running)
        mark = (state, self._active, self._hidden, session.sentence() if session else "")
        if self._publisher is None or (now_ns < self._status_due_ns and mark == self._told):
            return
        self._told = mark
        self._status_due_ns = now_ns + (_STATUS_NS if session else _IDLE_STATUS_NS)
        self._publisher.send("policy", self._status())

    def _status(self) -> PolicyStatus:
        now_ns = self._context.clock.now_ns()
        session = self._session
        if session is None:
            return PolicyStatus(PolicyState.NONE, now_ns)
        signs = Signs(
            running=self._running,
            label=self._blind.label if self._blind else "",
            hidden=self._hidden,
            stalled_s=self._stall.stalled_s,
            help=self._help.score,
            seen=self._is_seen(session),
        )
        return policy_status(session, signs, now_ns)

    def _disguised(self, text: str, session: PolicySession) -> str:
        if not self._hidden or self._blind is None:
            return text
        label = next(label for label, name in self._blind.reveal().items() if name == session.file.name)
        return disguised(text, session, label)

    def _metrics(self) -> dict[str, float]:
        session = self._session
        if session is None:
            return {}
        return {
            "chunks": float(session.chunks),
            "refused": float(session.refused),
            "latency_p50_ms": session.latency_ms(0.5),
            "delay_steps": float(session.delay_steps),
        }

    # Choosing.

    def _take(self, files: Sequence[PolicyFile]) -> None:
        self._leave()
        watch = self._watch = StationWatch(self._context.endpoints, self._context.rings)

        def session(file: PolicyFile) -> PolicySession:
            return PolicySession(file, lambda: self._shelf.inquiry(file, watch.sizes), self._context.clock)

        self._sessions = {file.name: session(file) for file in files}
        self._active = files[0].name

    def _leave(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions = {}
        self._active, self._blind, self._hidden = "", None, False
        self._running, self._phase = False, AutonomyPhase.IDLE
        self._rollouts = RolloutWatch()
        self._stall = StallMeter()
        self._help = HelpCalls(self._context.config.autonomy.help_per_minute)
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _refuse_while_driving(self) -> None:
        if self._watch is not None:
            self._watch.look()  # it may have been paused since the last turn
            self._follow(self._watch, self._context.clock.now_ns())
        if self._running and self._phase in _DRIVES:
            raise StationError(
                "Another policy cannot be chosen now", why="one drives", next_step="Pause it first"
            )
