"""Which policy is in use, what it expects against what the station offers, and how it is run. No widgets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PyQt6.QtCore import QObject, pyqtSignal

from teleop_app.autonomy.policy_file import Execution
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import PolicyCheck, PolicyState, PolicyStatus

PROCESS = "policy"
BUILT_IN = "scripted"
"""What an empty page offers to try."""

EXECUTIONS = {
    Execution.SYNC: ("Wait", "Executes a chunk, rests until the next one is here."),
    Execution.SWITCH: ("Switch", "Asks ahead, and changes to the new chunk at the action that is then due."),
    Execution.ENSEMBLE: ("Average", "Asks ahead, and averages the chunks that overlap."),
    Execution.RTC: ("Real-time", "Asks ahead, and the policy continues the chunk that is being executed."),
}
"""Word and meaning of each way to join chunks."""

_FIELDS = ("name", "title", "driver", "kind", "problem")
_ORDER = {"mismatch": 0, "warning": 1, "ok": 2}


class PolicyPort(Protocol):
    """What the desk needs to act: the bridge has it."""

    def call(
        self,
        process: str,
        command: str,
        /,
        done: Callable[[dict[str, Any]], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
        **args: Any,
    ) -> None:
        """Runs a command without blocking."""
        ...


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """One policy to choose.

    Attributes:
        name: Of its file.
        title: For people.
        driver: What runs it.
        kind: `client` or `built-in`.
        problem: Why it cannot be used, empty when it can.
    """

    name: str
    title: str
    driver: str
    kind: str
    problem: str = ""

    @property
    def words(self) -> str:
        """One line of a list."""
        return self.title or self.name


class PolicyDesk(QObject):
    """Follows the policy process and passes wishes on to it. GUI thread only.

    Args:
        port: Where commands go.
        parent: Owner.
    """

    changed = pyqtSignal()
    told = pyqtSignal(str)
    """A note for a toast."""

    def __init__(self, port: PolicyPort, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._port = port
        self._wanted: tuple[str, ...] = ()
        self.choices: tuple[PolicyChoice, ...] = ()
        self.listed = False
        self.problem = ""
        self.status: PolicyStatus | None = None

    # What is known

    @property
    def state(self) -> PolicyState:
        """What the policy process does; NONE before it was heard."""
        return self.status.state if self.status is not None else PolicyState.NONE

    @property
    def blind(self) -> bool:
        """Whether which policy runs is hidden."""
        return self.status is not None and bool(self.status.label) and not self.status.policy

    @property
    def shown_name(self) -> str:
        """What to call the policy everywhere: `A` or `B` while it is hidden."""
        status = self.status
        if status is None or status.state is PolicyState.NONE:
            return ""
        if self.blind:
            return f"Policy {status.label}"
        label = f" ({status.label})" if status.label else ""
        return f"{status.title or status.policy}{label}"

    @property
    def facts(self) -> str:
        """Version, rate and horizon in a line; nothing of them while it is hidden which one runs."""
        status = self.status
        if status is None or status.state is PolicyState.NONE or self.blind:
            return ""
        parts = [f"version {_short(status.version)}"] if status.version else []
        if status.rate_hz > 0:
            parts.append(f"{status.rate_hz:g} Hz")
        if status.horizon > 0:
            parts.append(f"{status.horizon} actions a chunk")
        if math.isfinite(status.latency_p50_ms):
            parts.append(f"answers in {status.latency_p50_ms:.0f} ms")
        return ", ".join(parts)

    @property
    def checks(self) -> tuple[PolicyCheck, ...]:
        """What it expects against what is offered, what keeps it from moving first."""
        checks = self.status.checks if self.status is not None else ()
        return tuple(sorted(checks, key=lambda check: _ORDER.get(check.level, 0)))

    @property
    def mismatches(self) -> int:
        """How many of the checks keep it from moving."""
        return sum(check.level not in ("ok", "warning") for check in self.checks)

    @property
    def warnings(self) -> int:
        """How many of the checks only warn."""
        return sum(check.level == "warning" for check in self.checks)

    @property
    def ready(self) -> bool:
        """Whether it may move the robot."""
        return self.state in (PolicyState.READY, PolicyState.RUNNING) and not self.mismatches

    @property
    def why_not(self) -> str:
        """Why it may not move the robot, empty when it may."""
        if self.ready:
            return ""
        match self.state:
            case PolicyState.NONE:
                return self.problem or "No policy is chosen."
            case PolicyState.CONNECTING:
                return "The policy is being connected."
            case PolicyState.FAULT:
                return self.fault
            case _:
                count = self.mismatches
                things = "one thing" if count == 1 else f"{count} things"
                return f"The policy expects {things} that the station does not offer."

    @property
    def fault(self) -> str:
        """What is wrong as a sentence, empty when nothing is."""
        if self.problem:
            return self.problem
        if self.status is not None and self.status.state is PolicyState.FAULT:
            return self.status.text or "The policy has failed."
        return ""

    @property
    def remark(self) -> str:
        """What is off while it runs all the same."""
        status = self.status
        return status.text if status is not None and status.state is not PolicyState.FAULT else ""

    @property
    def first_run(self) -> bool:
        """Whether this version has never driven this station, and therefore starts slowly."""
        return self.status is not None and self.ready and not self.status.seen

    # What comes in

    def on_link(self, linked: bool) -> None:
        """The station was found or lost."""
        self.status = None
        self.problem = ""
        self.listed = False
        if linked:
            self.list()
        self.changed.emit()

    def on_status(self, status: PolicyStatus) -> None:
        """The newest word of the policy process."""
        before, self.status = self.status, status
        if before is None or before.state is not status.state:
            self.problem = ""
        if not self.listed:
            self.list()
        self.changed.emit()

    # What is wished

    def list(self) -> None:
        """Asks which policies there are."""
        self._port.call(PROCESS, "policies", done=self._on_list, failed=self._on_failed)

    def _on_list(self, answer: dict[str, Any]) -> None:
        self.listed = True
        rows: Sequence[Any] = answer.get("policies") or ()
        self.choices = tuple(
            PolicyChoice(
                *(str(row.get(field, "")) for field in ("name", "title", "driver", "kind", "problem"))
            )
            for row in rows
            if isinstance(row, dict) and row.get("name")
        )
        self.changed.emit()

    def choose(self, name: str) -> None:
        """Connects a policy and has it checked; it moves nothing yet."""
        self._wanted = (name,)
        self._call("choose", name=name)

    def choose_blind(self, first: str, second: str) -> None:
        """Compares two policies without telling which runs."""
        self._wanted = (first, second)
        self._call("choose_blind", names=[first, second])

    def try_again(self) -> None:
        """Asks anew for what was asked for last."""
        names = self._wanted
        if not names and self.status is not None and self.status.policy:
            names = (self.status.policy,)
        if len(names) == 2:
            self.choose_blind(*names)
        elif names:
            self.choose(names[0])
        else:
            self.problem = ""
            self.list()
            self.changed.emit()

    def reveal(self) -> None:
        """Ends a blind comparison."""
        self._port.call(PROCESS, "reveal", done=self._on_revealed, failed=self._on_failed)

    def _on_revealed(self, answer: dict[str, Any]) -> None:
        pairs = answer.get("policies")
        if isinstance(pairs, dict):
            titles = {choice.name: choice.words for choice in self.choices}
            self.told.emit(", ".join(f"{label} is {titles.get(name, name)}" for label, name in pairs.items()))

    def dismiss(self) -> None:
        """Lets go of the policy."""
        self._wanted = ()
        self._call("dismiss")

    def set_execution(self, execution: Execution) -> None:
        """Joins chunks in another way; what else belongs to it stays as it is."""
        self._call("set_execution", execution=str(execution), execute=0, samples=0)

    def _call(self, command: str, **args: Any) -> None:
        self.problem = ""
        self.changed.emit()
        self._port.call(PROCESS, command, failed=self._on_failed, **args)

    def _on_failed(self, error: TeleopError) -> None:
        self.problem = error.sentence
        self.changed.emit()


def _short(version: str) -> str:
    """Returns a hash as far as people compare it."""
    return f"{version[:10]}…" if len(version) > 16 else version
