"""Client of Isaac-GR00T's policy servers (ZMQ REQ/REP), releases N1.5 and N1.6 to N1.7.

An observation's keys are those of the policy file: `video.NAME`, `state.NAME`, and `annotation...` or
`language.NAME` for the instruction. Since N1.6 they are sent as `{"video": {NAME: (B, T, H, W, 3)}, "state":
{NAME: (B, T, D)}, "language": {NAME: [[text]]}}`, and N1.5 takes them as they are, without the batch. Actions
come by name, in physical units; they are put behind one another in an order that the policy file gives.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import Field

from teleop_app.autonomy.clients.answers import checked_chunk, last_line
from teleop_app.autonomy.clients.requester import Requester
from teleop_app.autonomy.wire_groot import ModalityConfig
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

_KINDS = ("video", "state", "action", "language")
_LANGUAGE = ("annotation.", "language.")


class GrootOptions(PolicyOptions):
    """Settings of the client.

    Attributes:
        host: Name or address of the server.
        port: TCP.
        release: Of the server; `auto` tells N1.5 by its keys, which begin with their kind.
        actions: Names of the actions in the order of the policy file's parts; empty: in the server's own.
        api_key_env: Environment variable with the token that the server wants; empty: it wants none.
        timeout_s: Longest wait for an answer.
        open_timeout_s: Longest wait for the server's first answer.
    """

    host: str = Field(default="127.0.0.1", min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:-]+$")
    port: int = Field(default=5555, ge=1, le=65535)
    release: Literal["auto", "n1.5", "n1.6"] = "auto"
    actions: list[str] = Field(default_factory=list, max_length=32)
    api_key_env: str = Field(default="", max_length=200)
    timeout_s: float = Field(default=5.0, gt=0.0, le=120.0)
    open_timeout_s: float = Field(default=10.0, gt=0.0, le=120.0)

    @property
    def address(self) -> str:
        """Of ZMQ."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


class GrootPolicy:
    """A `Policy` on a GR00T server.

    Args:
        context: Of the station.
        options: Where the server is, and the order of its actions.
    """

    def __init__(self, context: PolicyContext, options: GrootOptions) -> None:
        self._options = options
        self._requester = Requester(options.address)
        self._facts = PolicyFacts()
        self._old = False
        self._order: tuple[str, ...] = ()

    def open(self) -> PolicyFacts:
        """Connect, and read the server's modality configuration; see `Policy.open`."""
        self._requester.open(self._token())
        try:
            self._requester.call("ping", timeout_s=self._options.open_timeout_s)
            config = self._requester.call("get_modality_config", timeout_s=self._options.open_timeout_s)
            modalities = self._modalities(config)
        except PolicyError:
            self._requester.close()
            raise
        prefixed = any(key.startswith(f"{kind}.") for kind in _KINDS for key in modalities[kind].keys)
        self._old = self._options.release == "n1.5" or (self._options.release == "auto" and prefixed)
        self._order = tuple(self._options.actions) or _bare("action", modalities["action"])
        self._facts = PolicyFacts(
            name="GR00T N1.5" if self._old else "GR00T",
            metadata={
                kind: {"keys": list(one.keys), "steps": len(one.steps)} for kind, one in modalities.items()
            },
            horizon=len(modalities["action"].steps),
            observation_keys=_observation_keys(modalities),
        )
        return self._facts

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Ask for a chunk; see `Policy.infer`."""
        observation = _sorted(request.observation)
        data = _flat(observation) if self._old else {"observation": _batched(observation), "options": None}
        answer = self._requester.call("get_action", data, timeout_s=self._options.timeout_s)
        if not self._old:
            if not isinstance(answer, list) or len(answer) != 2:
                raise self._wrong("it is no pair of actions and remarks", "Set release = 'n1.5' if it is one")
            answer = answer[0]
        if not isinstance(answer, dict):
            raise self._wrong("it has no actions by name", "")
        return PolicyAnswer(actions=checked_chunk(self._joined(answer), self._facts, self._requester.server))

    def reset(self) -> None:
        """Begin anew; N1.5 has nothing to reset."""
        if not self._old:
            self._requester.call("reset", {"options": None}, timeout_s=self._options.timeout_s)

    def close(self) -> None:
        """Disconnect; see `Policy.close`."""
        self._requester.close()

    def _token(self) -> str:
        name = self._options.api_key_env
        token = os.environ.get(name, "") if name else ""
        if name and not token:
            raise PolicyError(
                f"There is no token for the policy server {self._options.address}",
                why=f"the environment variable {name} is not set",
                next_step="Set it where the station is started, or remove api_key_env from the policy file",
            )
        return token

    def _modalities(self, config: Any) -> dict[str, ModalityConfig]:
        """By kind; what is not told is empty, and only the present may be asked for."""
        found: dict[str, ModalityConfig] = {kind: ModalityConfig((), ()) for kind in _KINDS}
        for kind in config if isinstance(config, dict) else ():
            # N1.5 lists the instruction as `annotation` or `language`.
            place = "language" if kind == "annotation" else kind
            if place in found and isinstance(config[kind], ModalityConfig):
                found[place] = config[kind]
        if not found["action"].keys:
            raise PolicyError(
                f"The policy server {self._requester.server} does not tell its modalities",
                why="there are no actions among them",
                next_step="Check that the driver of the policy file is the server's protocol",
            )
        for kind in ("video", "state"):
            if len(found[kind].steps) > 1:
                raise PolicyError(
                    f"The policy server {self._requester.server} asks for the past of {kind}",
                    why=f"it wants {len(found[kind].steps)} time steps, and only the present is sent",
                    next_step="Use a policy that was trained with one",
                )
        return found

    def _joined(self, actions: Mapping[Any, Any]) -> Array:
        """The named actions behind one another, shape (H, K)."""
        named = {str(key).removeprefix("action."): value for key, value in actions.items()}
        missing = [name for name in self._order if name.removeprefix("action.") not in named]
        if missing:
            raise self._wrong(
                f"there is no action {', '.join(missing)}",
                f"Name in `actions` what it has: {', '.join(named)}",
            )
        parts = [self._part(name, named[name.removeprefix("action.")]) for name in self._order]
        if len({len(part) for part in parts}) != 1:
            raise self._wrong(f"its parts have {', '.join(str(len(part)) for part in parts)} actions", "")
        return np.concatenate(parts, axis=1)

    def _part(self, name: str, value: Any) -> Array:
        """Of a batch of one; N1.5 also drops the batch, and the channel where there is one."""
        array = np.asarray(value) if isinstance(value, np.ndarray | list) else None
        if array is None or array.dtype.kind not in "iuf":
            raise self._wrong(f"action {name} is no array of numbers", "")
        if array.ndim == 3 and array.shape[0] == 1:
            array = array[0]
        elif self._old and array.ndim == 1:
            array = array[:, np.newaxis]
        if array.ndim != 2:
            raise self._wrong(f"action {name} has the shape {array.shape}, not (1, actions, channels)", "")
        return array.astype(np.float64)

    def _wrong(self, why: str, next_step: str) -> PolicyError:
        server = self._requester.server
        return PolicyError(
            f"The answer of the policy server {server} is not a chunk of actions",
            why=last_line(why),
            next_step=next_step,
        )


def _sorted(observation: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An observation's values by kind and name.

    Raises:
        PolicyError: A key is of no kind, or its value not of that kind.
    """
    found: dict[str, dict[str, Any]] = {"video": {}, "state": {}, "language": {}}
    for key, value in observation.items():
        kind, _, name = key.partition(".")
        if isinstance(value, str) and key.startswith(_LANGUAGE):
            found["language"][key if kind == "annotation" else name] = value
        elif kind == "video" and isinstance(value, np.ndarray) and value.ndim == 3:
            found["video"][name] = value
        elif kind == "state" and isinstance(value, np.ndarray) and value.ndim == 1:
            found["state"][name] = value
        else:
            raise PolicyError(
                f"The observation {key!r} has no place in a question to a GR00T server",
                why="pictures are named video.NAME, numbers state.NAME, the instruction annotation...",
                next_step="Correct the keys in the policy file",
            )
    return found


def _batched(observation: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """As of N1.6: a batch of one, one time step."""
    return {
        "video": {name: np.asarray(value)[None, None] for name, value in observation["video"].items()},
        "state": {
            name: np.asarray(value, np.float32)[None, None] for name, value in observation["state"].items()
        },
        "language": {name: [[text]] for name, text in observation["language"].items()},
    }


def _flat(observation: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """As N1.5 takes it: one time step, no batch."""
    return (
        {f"video.{name}": np.asarray(value)[None] for name, value in observation["video"].items()}
        | {f"state.{name}": np.asarray(value)[None] for name, value in observation["state"].items()}
        | {name: [text] for name, text in observation["language"].items()}
    )


def _bare(kind: str, modality: ModalityConfig) -> tuple[str, ...]:
    return tuple(key.removeprefix(f"{kind}.") for key in modality.keys)


def _observation_keys(modalities: Mapping[str, ModalityConfig]) -> tuple[str, ...]:
    """As a policy file names them."""
    keys = [f"{kind}.{name}" for kind in ("video", "state") for name in _bare(kind, modalities[kind])]
    for name in modalities["language"].keys:
        keys.append(name if name.startswith(_LANGUAGE) else f"language.{name}")
    return tuple(keys)


DRIVER = PolicyDriver(
    name="groot",
    title="Isaac-GR00T server (ZMQ)",
    kind=PolicyKind.CLIENT,
    make=GrootPolicy,
    options=GrootOptions,
    proof="Tested with an emulated server that speaks the bytes of GR00T N1.5 and N1.6.",
)
