"""Asks one policy: opens and checks it, builds its observation, and turns its answer into joint vectors.

Everything here may block, and runs in a thread of its own. What the policy answers is untrusted: what comes
out has been decoded and checked, or is a refusal with a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from teleop_app.autonomy.action_checks import LONGEST
from teleop_app.autonomy.actions import ActionDecoder
from teleop_app.autonomy.novelty import Novelty
from teleop_app.autonomy.observation import ObservationBuilder
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.autonomy.rtc import make_prefix
from teleop_app.autonomy.uncertainty import spread
from teleop_app.autonomy.view import ArmKinematics, CellLayout, StationView
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array
from teleop_app.core.policy import Policy, PolicyFacts, PolicyRequest, Prefix
from teleop_app.core.types import PolicyCheck

_MAX_SAMPLES: Final = 32
_MAX_MARK: Final = 120
_MAX_UNCERTAINTY: Final = 1e6


class UnseenError(PolicyError):
    """The station cannot give the policy what it wants to see, e.g. because a camera has stopped."""


class RefusedError(PolicyError):
    """The policy answered nonsense."""


class Station(Protocol):
    """What is known of a station; making it may take a second (robot model), and happens in the thread."""

    def layout(self) -> CellLayout:
        """What it offers."""
        ...

    def kinematics(self) -> ArmKinematics | None:
        """Of its arms, for one thread; None where it has no model of them."""
        ...


Check = Callable[[PolicyFile, PolicyFacts, CellLayout], Sequence[PolicyCheck]]
"""What a policy expects against what the station offers."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A policy is there.

    Attributes:
        facts: What it tells of itself, cut to what fits a screen.
        checks: Against the station.
    """

    facts: PolicyFacts
    checks: tuple[PolicyCheck, ...]

    @property
    def mismatches(self) -> int:
        """Checks because of which it may not move the robot."""
        return sum(check.level == "mismatch" for check in self.checks)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        view: The station. asked_ns: Host time. leftover: What the running chunk has left at the new chunk's
        steps, (m, n), to be continued; None does not. delay_steps: Steps expected until the answer. samples:
        Chunks wanted. execute: Actions that will be executed, of which the uncertainty is told.
    """

    view: StationView
    asked_ns: int
    leftover: Array | None = None
    delay_steps: int = 0
    samples: int = 1
    execute: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer.

    Attributes:
        actions: Joint vectors, shape (H, n).
        arms: That the policy drives.
        observation_ns: Capture time of the oldest part of what it saw.
        server_ns: The server's own share of the time.
        frozen_steps: Leading actions that repeat what was left.
        uncertainty: [rad], NaN when not known.
        novelty: NaN when not known.
    """

    actions: Array
    arms: tuple[str, ...]
    observation_ns: int
    server_ns: int
    frozen_steps: int
    uncertainty: float
    novelty: float


class Inquiry:
    """One policy and all that is needed to ask it. One thread, but for `close`.

    Args:
        file: Its policy file.
        policy: Not yet opened.
        station: What the station offers.
        check: Compares the two.
        novelty: Makes the picture statistics of the file, None where it names none.
    """

    def __init__(
        self,
        file: PolicyFile,
        policy: Policy,
        station: Station,
        check: Check,
        novelty: Callable[[], Novelty] | None = None,
    ) -> None:
        self._file = file
        self._policy = policy
        self._station = station
        self._check = check
        self._load_novelty = novelty
        self._novelty: Novelty | None = None
        self._builder: ObservationBuilder | None = None
        self._decoder: ActionDecoder | None = None
        self._layout: CellLayout | None = None
        self._facts = PolicyFacts()

    def open(self) -> Opened:
        """Connect, and compare. Blocks.

        Raises:
            PolicyError: The policy cannot be reached, or is of a wrong kind.
        """
        self._builder = self._decoder = None
        self._facts = facts = _tidy(self._policy.open(), self._file)
        self._layout = layout = self._station.layout()
        opened = Opened(facts, tuple(self._check(self._file, facts, layout)))
        if opened.mismatches == 0:
            kinematics = self._station.kinematics()
            self._builder = ObservationBuilder(self._file, layout, kinematics)
            self._decoder = ActionDecoder(self._file, layout, kinematics)
            if self._load_novelty is not None:
                self._novelty = self._load_novelty()
        return opened

    def reset(self) -> None:
        """Make the policy forget the episode so far. Blocks.

        Raises:
            PolicyError: It is gone.
        """
        self._policy.reset()

    def ask(self, question: Question) -> Answer:
        """Ask for a chunk. Blocks.

        Raises:
            UnseenError: The station cannot show what the policy wants to see.
            RefusedError: Its answer makes no sense.
            PolicyError: The policy is gone, or failed.
        """
        builder, decoder = self._builder, self._decoder
        if builder is None or decoder is None:
            raise PolicyError(f"The policy '{self._file.name}' does not fit this station")
        try:
            observation = builder.build(question.view, question.asked_ns)
            prefix = self._prefix(decoder, question)
        except PolicyError as error:
            raise UnseenError(error.what, why=error.why, next_step=error.next_step) from error
        samples = question.samples if self._facts.samples else 1
        answer = self._policy.infer(PolicyRequest(observation, prefix, samples))
        try:
            actions = decoder.decode(answer.actions, question.view)
            uncertainty = self._uncertainty(decoder, answer.samples, actions, question)
        except PolicyError as error:
            raise RefusedError(error.what, why=error.why, next_step=error.next_step) from error
        if math.isnan(uncertainty) and 0.0 <= answer.uncertainty < _MAX_UNCERTAINTY:
            uncertainty = float(answer.uncertainty)
        return Answer(
            actions,
            decoder.arms,
            builder.oldest_ns(question.view),
            max(0, int(answer.server_ns)),
            prefix.frozen if prefix is not None else 0,
            uncertainty,
            self._novelty_of(question.view),
        )

    def close(self) -> None:
        """Disconnect; may block as long as the policy does. From any thread."""
        self._policy.close()

    def _prefix(self, decoder: ActionDecoder, question: Question) -> Prefix | None:
        if question.leftover is None or len(question.leftover) == 0 or not self._facts.prefix:
            return None
        horizon = min(self._facts.horizon or self._file.horizon, LONGEST * self._file.horizon)
        leftover = decoder.encode(question.leftover[:horizon], question.view)
        return make_prefix(leftover, horizon, question.delay_steps)

    def _uncertainty(
        self, decoder: ActionDecoder, samples: object, actions: Array, question: Question
    ) -> float:
        if samples is None or self._layout is None or question.samples < 2:
            return math.nan
        if not isinstance(samples, np.ndarray) or samples.ndim != 3 or len(samples) > _MAX_SAMPLES:
            raise PolicyError("The policy's further chunks are not an array of at most 32 chunks")
        decoded = [actions, *(decoder.decode(each, question.view) for each in samples)]
        if len({len(each) for each in decoded}) > 1:
            raise PolicyError("The policy's chunks are of different lengths")
        counted = np.zeros(actions.shape[1], dtype=bool)
        for arm in decoder.arms:
            counted[self._layout.joints_of[arm]] = True
        return spread(np.stack(decoded), counted, question.execute)

    def _novelty_of(self, view: StationView) -> float:
        if self._novelty is None:
            return math.nan
        return self._novelty.score({name: camera.picture for name, camera in view.cameras.items()})


def _tidy(facts: PolicyFacts, file: PolicyFile) -> PolicyFacts:
    """What a server tells of itself, printable and bounded; version from the file if it does not tell."""

    def mark(text: object) -> str:
        return "".join(c for c in str(text)[:_MAX_MARK] if c.isprintable())

    return replace(facts, name=mark(facts.name), version=mark(facts.version) or file.version)
