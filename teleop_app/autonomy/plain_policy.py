"""Python objects of other makes as policies: whatever answers an observation with actions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from teleop_app.autonomy.clients.answers import facts_of, number_or_nan
from teleop_app.autonomy.wire import WireError, numbers_of
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.policy import Policy, PolicyAnswer, PolicyFacts, PolicyRequest

_PARTS = ("open", "infer", "reset", "close")


class PlainPolicy:
    """A `Policy` of an object with `infer(observation) -> {"actions": (H, K)}`, as openpi's are.

    What the object may have besides: `metadata`, told to clients (its key `teleop` as facts), `reset()` and
    `close()`. The answer may be the array alone, and have `teleop/samples` and `teleop/uncertainty`.

    Args:
        inner: The object, or a function in place of its `infer`.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._infer = getattr(inner, "infer", inner)

    def open(self) -> PolicyFacts:
        """What it tells of itself."""
        metadata = getattr(self._inner, "metadata", None)
        return facts_of(dict(metadata) if isinstance(metadata, Mapping) else {}, "here")

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Its answer.

        Raises:
            PolicyError: It has no actions.
        """
        observation = dict(request.observation)
        if request.samples > 1:
            observation["teleop/samples"] = request.samples
        if request.prefix is not None:
            observation["teleop/prefix"] = request.prefix.actions
            observation["teleop/frozen"] = request.prefix.frozen
            observation["teleop/weights"] = request.prefix.weights
        answer: Any = self._infer(observation)
        found = answer if isinstance(answer, Mapping) else {"actions": answer}
        if "actions" not in found:
            raise PolicyError(
                "The policy's answer has no actions", why=f"it has {', '.join(map(str, found)) or 'nothing'}"
            )
        try:
            actions = numbers_of(_on_the_host(found["actions"]), "the actions")
            samples = found.get("teleop/samples")
            return PolicyAnswer(
                actions=actions,
                samples=None if samples is None else numbers_of(_on_the_host(samples), "the sampled actions"),
                uncertainty=number_or_nan(found.get("teleop/uncertainty")),
            )
        except WireError as error:
            raise PolicyError("The policy's answer is not a chunk of actions", why=str(error)) from error

    def reset(self) -> None:
        """Passed on, where there is something to pass it to."""
        self._pass_on("reset")

    def close(self) -> None:
        """Passed on, where there is something to pass it to."""
        self._pass_on("close")

    def _pass_on(self, name: str) -> None:
        method = getattr(self._inner, name, None)
        if callable(method):
            method()


def policy_of_factory(place: str, options: Mapping[str, Any]) -> Policy:
    """The policy that a Python function makes; its module is also looked for in the working folder.

    Args:
        place: `module:function`.
        options: Its keyword arguments.

    Raises:
        ConfigError: There is no such function.
        PolicyError: It fails, or makes no policy.
    """
    module, _, name = place.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        factory = getattr(importlib.import_module(module), name)
    except Exception as error:  # the module's own code runs here
        raise ConfigError(
            f"There is no policy at {place!r}",
            why=f"{type(error).__name__}: {error}",
            next_step="Give a Python function as module:function",
        ) from error
    try:
        made = factory(**options)
    except PolicyError:
        raise
    except Exception as error:
        raise PolicyError(f"{place} made no policy", why=f"{type(error).__name__}: {error}") from error
    if all(callable(getattr(made, part, None)) for part in _PARTS):
        return made
    if not callable(getattr(made, "infer", made)):
        raise PolicyError(
            f"{place} made no policy",
            why=f"{type(made).__name__} has no infer(observation)",
            next_step="See docs/policies.md for what a policy needs",
        )
    return PlainPolicy(made)


def _on_the_host(values: Any) -> Any:
    """An array in this process's memory, also of a tensor on an accelerator."""
    for step in ("detach", "cpu", "numpy"):
        method = getattr(values, step, None)
        if callable(method) and not isinstance(values, np.ndarray):
            values = method()
    return values
