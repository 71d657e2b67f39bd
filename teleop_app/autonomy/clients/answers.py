"""What servers say of themselves and answer, checked: they are not trusted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from teleop_app.autonomy.wire import WireError, numbers_of
from teleop_app.core.config import field_problems
from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array
from teleop_app.core.policy import PolicyFacts

MOST_ACTIONS = 1024
MOST_CHANNELS = 1024
MOST_SAMPLES = 64
_LONGEST_LINE = 300
_MODULE = re.compile(r"^(?:[a-z_]\w*\.)+(?=[A-Z]\w*: )")
_LONGEST_INFERENCE_MS = 3_600_000.0


class TeleopBlock(BaseModel):
    """Key `teleop` of a server's metadata: what it tells and offers beyond openpi's protocol.

    Attributes:
        name: Its own name.
        version: Changes with the weights.
        horizon: Actions of a chunk, 0 not told.
        action_dim: Channels of an action, 0 not told.
        rate_hz: Of its actions, 0 not told.
        observation_keys: Keys that it reads; None not told.
        prefix: It takes `teleop/prefix`, `teleop/frozen` and `teleop/weights`.
        samples: It takes `teleop/samples`.
        reset: It takes `teleop/reset`.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, frozen=True)

    name: str = Field(default="", max_length=120)
    version: str = Field(default="", max_length=120)
    horizon: int = Field(default=0, ge=0, le=MOST_ACTIONS)
    action_dim: int = Field(default=0, ge=0, le=MOST_CHANNELS)
    rate_hz: float = Field(default=0.0, ge=0.0, le=1000.0)
    observation_keys: tuple[str, ...] | None = Field(default=None, max_length=256)
    prefix: bool = False
    samples: bool = False
    reset: bool = False


def teleop_block(metadata: Any, server: str) -> TeleopBlock:
    """The block of a server's metadata; an empty one when there is none.

    Raises:
        PolicyError: The metadata is no map, or the block is wrong.
    """
    if not isinstance(metadata, dict):
        raise PolicyError(
            f"The policy server {server} does not begin with its metadata",
            why=f"it sent {type(metadata).__name__}",
            next_step="Check that the driver of the policy file is the server's protocol",
        )
    try:
        return TeleopBlock.model_validate(metadata.get("teleop", {}))
    except ValidationError as error:
        listed = "; ".join(f"{place}: {problem}" for place, problem in field_problems(error).items())
        raise PolicyError(
            f"What the policy server {server} tells of itself is wrong", why=f"teleop: {listed}"
        ) from error


def facts_of(metadata: Any, server: str) -> PolicyFacts:
    """Facts told by a server of openpi's protocol.

    Raises:
        PolicyError: As of `teleop_block`.
    """
    block = teleop_block(metadata, server)
    told = block.model_dump(exclude={"reset"})
    return PolicyFacts(metadata=metadata, **told)


def checked_chunk(value: Any, facts: PolicyFacts, server: str) -> Array:
    """A chunk of finite numbers, shape (H, K), that fits what the server told.

    Raises:
        PolicyError: It is not one.
    """
    numbers = _numbers(value, "the actions", server)
    if numbers.ndim != 2 or not 1 <= numbers.shape[0] <= MOST_ACTIONS or not 1 <= numbers.shape[1]:
        raise _refused(server, f"the actions have the shape {numbers.shape}, not (actions, channels)")
    if numbers.shape[1] > MOST_CHANNELS:
        raise _refused(server, f"an action has {numbers.shape[1]} channels, more than {MOST_CHANNELS}")
    if facts.action_dim and numbers.shape[1] != facts.action_dim:
        raise _refused(
            server, f"an action has {numbers.shape[1]} channels, but the server told {facts.action_dim}"
        )
    if facts.horizon and numbers.shape[0] > facts.horizon:
        raise _refused(server, f"{numbers.shape[0]} actions came, but the server told {facts.horizon}")
    return numbers


def checked_samples(value: Any, chunk: Array, server: str) -> Array | None:
    """Further chunks of the same shape as `chunk`, shape (N, H, K); None when there are none.

    Raises:
        PolicyError: They are not such.
    """
    if value is None:
        return None
    numbers = _numbers(value, "the sampled actions", server)
    if numbers.ndim != 3 or numbers.shape[1:] != chunk.shape or not 1 <= numbers.shape[0] <= MOST_SAMPLES:
        raise _refused(
            server, f"the sampled actions have the shape {numbers.shape}, not (samples, *{chunk.shape})"
        )
    return numbers


def server_ns(answer: Mapping[Any, Any]) -> int:
    """The server's own inference time [ns] of openpi's `server_timing`, 0 when it does not tell."""
    timing = answer.get("server_timing")
    told = number_or_nan(timing.get("infer_ms")) if isinstance(timing, dict) else math.nan
    return round(told * 1e6) if 0.0 <= told <= _LONGEST_INFERENCE_MS else 0


def number_or_nan(value: Any) -> float:
    """A finite number as it came, NaN for anything else."""
    if isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value):
        return float(value)
    return math.nan


def last_line(text: str) -> str:
    """The last line of a traceback that says something: the error itself, without its module's path."""
    lines = text[-64 * _LONGEST_LINE :].strip().splitlines()
    return _MODULE.sub("", lines[-1].strip())[:_LONGEST_LINE] if lines else "without a word"


def _numbers(value: Any, what: str, server: str) -> Array:
    try:
        return numbers_of(value, what)
    except WireError as error:
        raise _refused(server, str(error)) from error


def _refused(server: str, why: str) -> PolicyError:
    return PolicyError(f"The answer of the policy server {server} is not a chunk of actions", why=why)
