"""Client of StarVLA's policy servers: openpi's codec, requests with a type, answers with a state.

A question: `{type, request_id, payload: {examples: [{image: [...], lang, state}], unnorm_key}}`; releases
whose server hands the whole question to the model want the payload's keys beside the type (`layout`). The
answer: `{ok, status, data: {actions: (B, T, D)}, error}`. The server goes on after an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from teleop_app.autonomy.clients.answers import MOST_ACTIONS, checked_chunk, last_line, teleop_block
from teleop_app.autonomy.clients.channel import WebSocketChannel, WebSocketOptions
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyRequest,
)


class StarvlaOptions(WebSocketOptions):
    """Settings of the client.

    Attributes:
        port: TCP.
        unnorm_key: Statistics by which the server makes physical units of its actions; empty: its only ones.
        layout: `payload`: the question's content lies in `payload`. `flat`: beside its type.
        actions: Key of the actions in the answer; `normalized_actions` of releases that leave the units to us
            (the policy file then needs the statistics).
    """

    port: int = Field(default=10093, ge=1, le=65535)
    unnorm_key: str = Field(default="", max_length=200)
    layout: Literal["payload", "flat"] = "payload"
    actions: str = Field(default="actions", min_length=1, max_length=120)


class StarvlaPolicy:
    """A `Policy` on a StarVLA server.

    Of the observation, pictures become `image`, in their order; texts `lang`, of which there is one; numbers
    `state`, in their order behind one another. The keys do not matter.

    Args:
        context: Of the station.
        options: Where the server is, and how it is asked.
    """

    def __init__(self, context: PolicyContext, options: StarvlaOptions) -> None:
        self._options = options
        self._channel = WebSocketChannel(options, self._read_facts, context.clock)
        self._facts = PolicyFacts()
        self._asked = 0

    def open(self) -> PolicyFacts:
        """Connect; see `Policy.open`."""
        self._facts = self._channel.open()
        return self._facts

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Ask for a chunk; see `Policy.infer`."""
        self._asked += 1
        number = str(self._asked)
        answer = self._channel.ask(self._question(request.observation, number))
        server = self._channel.server
        if not isinstance(answer, dict):
            raise PolicyError(f"The answer of the policy server {server} is no map")
        if answer.get("ok") is not True:
            raise PolicyError(f"The policy server {server} answered with an error", why=_error(answer))
        if str(answer.get("request_id", number)) != number:
            raise PolicyError(f"The policy server {server} answered another question than it was asked")
        data = answer.get("data")
        if not isinstance(data, dict) or self._options.actions not in data:
            found = ", ".join(map(str, data))[:200] if isinstance(data, dict) else "nothing"
            raise PolicyError(
                f"The answer of the policy server {server} has no {self._options.actions!r}",
                why=f"there is: {found}",
                next_step="Name the key as option `actions` in the policy file",
            )
        batch = data[self._options.actions]
        if not isinstance(batch, np.ndarray) or batch.ndim != 3 or len(batch) != 1:
            shape = getattr(batch, "shape", type(batch).__name__)
            raise PolicyError(
                f"The answer of the policy server {server} is not a chunk of actions",
                why=f"its shape is {shape}, not (1, actions, channels)",
            )
        return PolicyAnswer(actions=checked_chunk(batch[0], self._facts, server))

    def reset(self) -> None:
        """Nothing: its policies keep no state."""

    def close(self) -> None:
        """Disconnect; see `Policy.close`."""
        self._channel.close()

    def _question(self, observation: Mapping[str, Any], number: str) -> dict[str, Any]:
        payload: dict[str, Any] = {"examples": [_example(observation)]}
        if self._options.unnorm_key:
            payload["unnorm_key"] = self._options.unnorm_key
        head = {"type": "infer", "request_id": number}
        return head | (payload if self._options.layout == "flat" else {"payload": payload})

    def _read_facts(self, metadata: Any) -> PolicyFacts:
        teleop_block(metadata, self._channel.server)
        steps = metadata.get("action_chunk_size")
        known = isinstance(steps, int) and not isinstance(steps, bool) and 1 <= steps <= MOST_ACTIONS
        return PolicyFacts(
            name=_text(metadata.get("env")),
            version=_text(metadata.get("ckpt_path")),
            metadata=metadata,
            horizon=steps if known else 0,
        )


def _example(observation: Mapping[str, Any]) -> dict[str, Any]:
    pictures = [value for value in observation.values() if isinstance(value, np.ndarray) and value.ndim == 3]
    numbers = [value for value in observation.values() if isinstance(value, np.ndarray) and value.ndim == 1]
    texts = [value for value in observation.values() if isinstance(value, str)]
    if len(pictures) + len(numbers) + len(texts) != len(observation) or len(texts) != 1:
        listed = ", ".join(f"{key} ({type(value).__name__})" for key, value in observation.items())
        raise PolicyError(
            "A StarVLA server takes pictures, numbers and one text, not this observation",
            why=f"it has {listed}",
            next_step="Set prompt, and leave out nested, task and truth in the policy file",
        )
    example: dict[str, Any] = {"image": pictures, "lang": texts[0]}
    if numbers:
        example["state"] = np.concatenate(numbers).astype(np.float32)[np.newaxis]
    return example


def _error(answer: dict[Any, Any]) -> str:
    error = answer.get("error")
    said = error.get("message", "") if isinstance(error, dict) else error
    return last_line(str(said)) if said else f"status {answer.get('status')!r:.60}"


def _text(value: Any) -> str:
    return value[-120:] if isinstance(value, str) else ""


DRIVER = PolicyDriver(
    name="starvla",
    title="StarVLA server (WebSocket)",
    kind=PolicyKind.CLIENT,
    make=StarvlaPolicy,
    options=StarvlaOptions,
    proof="Tested with an emulated server that speaks the bytes of StarVLA's.",
)
