"""The policy that stays where the robot is: it repeats the state that it is sent. To try everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from pydantic import Field

from teleop_app.core.errors import PolicyError
from teleop_app.core.geometry import Array
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyOptions,
    PolicyRequest,
)

NAME: Final = "hold"
_MAX_CHANNELS: Final = 512


class HoldOptions(PolicyOptions):
    """Settings of the policy that holds.

    Attributes:
        key: Of the state in the observation, slashes between levels.
    """

    key: str = Field(default="state", min_length=1, max_length=120)


class HoldPolicy:
    """See `teleop_app.core.policy.Policy`.

    Args:
        context: Of the station.
        options: Its settings.
    """

    def __init__(self, context: PolicyContext, options: HoldOptions) -> None:
        self._horizon = context.horizon
        self._rate_hz = context.rate_hz
        self._key = options.key

    def open(self) -> PolicyFacts:
        """Nothing to load."""
        return PolicyFacts(
            name=NAME,
            version="1",
            horizon=self._horizon,
            rate_hz=self._rate_hz,
            observation_keys=(self._key,),
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """The state as every action.

        Raises:
            PolicyError: The observation has no state.
        """
        state = _state(request.observation, self._key)
        return PolicyAnswer(np.tile(state, (self._horizon, 1)), uncertainty=0.0)

    def reset(self) -> None:
        """It remembers nothing."""

    def close(self) -> None:
        """Nothing to close."""


def _state(observation: Mapping[str, Any], key: str) -> Array:
    found: Any = observation.get(key)
    if found is None:
        found = observation
        for part in key.split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
    try:
        state = np.asarray(found, np.float64).ravel()
    except (TypeError, ValueError):
        state = np.zeros(0)
    if found is None or not 0 < len(state) <= _MAX_CHANNELS or not np.isfinite(state).all():
        raise PolicyError(
            "The policy 'hold' cannot repeat the state",
            why=f"the observation's {key!r} is not an array of 1 to {_MAX_CHANNELS} finite numbers",
            next_step="Name the state's key in the option key",
        )
    return state


DRIVER: Final = PolicyDriver(
    name=NAME,
    title="Hold still",
    kind=PolicyKind.BUILT_IN,
    make=HoldPolicy,
    options=HoldOptions,
    proof="Its answer is what it was sent.",
)
