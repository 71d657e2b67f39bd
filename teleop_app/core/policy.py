"""What a policy is to this program: one protocol, for servers of every kind and for Python objects.

A driver of the entry-point group `teleop_app.policies` makes one. An observation is a plain structure of
maps, lists, strings, numbers and arrays, laid out as the policy file says; actions are numbers in the
policy's own space. Both are turned from and into the station's by `teleop_app.autonomy`. Nothing that a
policy answers is trusted: who calls `infer` checks shapes, sizes and values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from teleop_app.core.clock import Clock
from teleop_app.core.geometry import Array


class PolicyOptions(BaseModel):
    """Base of a driver's settings: unknown and non-finite values are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What a policy tells of itself when it is opened. Unknown: 0, empty, or None.

    Attributes:
        name: Its own name.
        version: Checkpoint hash or another mark that changes with the weights.
        metadata: What its server said, as it came, for people.
        horizon: Actions of a chunk (H).
        action_dim: Channels of an action (K).
        rate_hz: Of its actions.
        observation_keys: Keys that it reads, slashes between levels; None when it does not tell.
        prefix: It takes the beginning of its next chunk (`PolicyRequest.prefix`).
        samples: It draws several chunks at once (`PolicyRequest.samples`).
    """

    name: str = ""
    version: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    horizon: int = 0
    action_dim: int = 0
    rate_hz: float = 0.0
    observation_keys: tuple[str, ...] | None = None
    prefix: bool = False
    samples: bool = False


@dataclass(frozen=True, slots=True)
class Prefix:
    """Beginning of the next chunk, for real-time chunking (arXiv 2506.07339).

    Attributes:
        actions: What is left of the chunk that is being executed, in the policy's space, relative to the
            new observation where the convention is relative, shape (n, K), n <= H.
        frozen: Leading actions that will have been executed when the answer is here (d).
        weights: How firmly each action of the new chunk is held to the prefix, shape (H,): 1 for i < d, then
            falling to 0.
    """

    actions: Array
    frozen: int
    weights: Array


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """A question to a policy.

    Attributes:
        observation: Laid out as the policy file says.
        prefix: Only for one whose facts say that it takes it.
        samples: Chunks wanted; more than 1 only for one whose facts say that it draws several.
    """

    observation: Mapping[str, Any]
    prefix: Prefix | None = None
    samples: int = 1


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """What a policy answered, unchecked but for being numbers.

    Attributes:
        actions: Shape (H, K).
        samples: Further chunks, shape (N, H, K), None without.
        server_ns: The server's own inference time, 0 when it does not tell.
        uncertainty: Of its own making, NaN when it does not tell.
    """

    actions: Array
    samples: Array | None = None
    server_ns: int = 0
    uncertainty: float = math.nan


class Policy(Protocol):
    """A policy. One thread calls it; `close` may come from another one and ends a call that blocks."""

    def open(self) -> PolicyFacts:
        """Connect, or load. Blocks; may be called again after `close`.

        Raises:
            PolicyError: It cannot be reached, or is of a wrong kind.
        """
        ...

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Ask for a chunk. Blocks, no longer than the policy's own time limit.

        Raises:
            PolicyError: It is gone, too slow, or answers with an error or nonsense.
        """
        ...

    def reset(self) -> None:
        """Forget the episode so far: a new one begins, or the robot was moved by others.

        Raises:
            PolicyError: It is gone.
        """
        ...

    def close(self) -> None:
        """Disconnect. May be called twice, and from any thread."""
        ...


class PolicyKind(StrEnum):
    """Where a policy runs: on a server by some protocol, or in this program."""

    CLIENT = "client"
    BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What a policy is given when it is made.

    Attributes:
        name: Of its policy file.
        arms: Of the station, in the order of the joint vector.
        joint_names: Of the joint vector, grippers included.
        rate_hz: Of its actions.
        horizon: Actions of a chunk wanted.
        clock: The station's clock.
    """

    name: str
    arms: tuple[str, ...]
    joint_names: tuple[str, ...]
    rate_hz: float
    horizon: int
    clock: Clock


@dataclass(frozen=True, slots=True)
class PolicyDriver:
    """What an entry point of `teleop_app.policies` names.

    Attributes:
        name: As in a policy file.
        title: For people.
        kind: Where it runs.
        make: Makes the policy, not yet opened; gets the context and the validated options.
        options: Its settings.
        proof: What proves it, as a sentence.
    """

    name: str
    title: str
    kind: PolicyKind
    make: Callable[[PolicyContext, Any], Policy]
    options: type[PolicyOptions] = PolicyOptions
    proof: str = ""
