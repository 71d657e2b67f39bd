"""Any policy checkpoint of LeRobot, hosted in a worker process in the user's own interpreter.

Its observation has LeRobot's feature names as keys (`observation.state`, `observation.images.top`): numbers,
and pictures either uint8 or 0..1, height first or channels first, of any size. The instruction is `prompt`.
Its actions are what LeRobot's post-processors give, in the units of its training data.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import Field

from devices.lerobot.process import WorkerProcess
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyOptions,
    PolicyRequest,
)
from teleop_app.core.types import Array

NAME: Final = "lerobot"
PROMPT_KEYS: Final = ("prompt", "task")
_RESET_S: Final = 10.0
_MOST_ARRAYS: Final = 64
_MOST_BYTES: Final = 1 << 26
_MOST_SAMPLES: Final = 64
_PLAIN: Final = "uif"


class LerobotPolicyOptions(PolicyOptions):
    """Settings of a LeRobot policy.

    Attributes:
        checkpoint: Folder of the checkpoint (with `config.json` and `model.safetensors`), or its name on the
            Hugging Face hub.
        python: Interpreter that has LeRobot, e.g. `~/lerobot/.venv/bin/python`; its packages clash with ours.
        device: Of torch, e.g. `cuda`; empty: the checkpoint's own, or what there is.
        timeout_s: Longest time for a chunk.
        load_s: Longest time to load it, its first answer included.
    """

    checkpoint: str = Field(min_length=1, max_length=4000)
    python: str = Field(min_length=1, max_length=400)
    device: str = Field(default="", max_length=40)
    timeout_s: float = Field(default=10.0, ge=0.05, le=120.0)
    load_s: float = Field(default=300.0, ge=1.0, le=3600.0)


class LerobotPolicy:
    """See `teleop_app.core.policy.Policy`.

    Args:
        context: Of the station.
        options: Its settings.
    """

    def __init__(self, context: PolicyContext, options: LerobotPolicyOptions) -> None:
        self._options = options
        self._rate_hz = context.rate_hz
        name = options.checkpoint.rstrip("/").rsplit("/", 1)[-1]
        self._name = name
        ours, theirs = f"LeRobot policy {name!r}", f"LeRobot's policy {name!r}"
        self._worker = WorkerProcess(options.python, ours, theirs, PolicyError, ("policy",))
        self._calls = threading.Lock()
        self._closed = True
        self._features: dict[str, tuple[int, ...]] = {}
        self._chunk_shape = (0, 0)

    def open(self) -> PolicyFacts:
        """Start the worker and load the checkpoint there. Takes seconds to minutes.

        Raises:
            PolicyError: There is no such interpreter, it has no LeRobot, or the checkpoint does not load.
        """
        options, checkpoint = self._options, self._options.checkpoint
        if _is_path(checkpoint):
            checkpoint = str(Path(checkpoint).expanduser())
            if not Path(checkpoint).is_dir():
                raise PolicyError(
                    f"There is no folder {checkpoint}",
                    why="the LeRobot policy's checkpoint shall be there",
                    next_step="Correct checkpoint in the options of the policy",
                )
        with self._calls:
            self._worker.stop()
            self._closed = False
            self._worker.spawn()
            try:
                told = self._ask("load", options.load_s, checkpoint=checkpoint, device=options.device)[0]
            except PolicyError:
                self._worker.stop()
                raise
        self._features = {name: tuple(shape) for name, shape in told["features"].items()}
        self._chunk_shape = int(told["horizon"]), int(told["action_dim"])
        return PolicyFacts(
            name=f"{told['type']} {self._name}",
            version=str(told["version"]),
            metadata=told,
            horizon=self._chunk_shape[0],
            action_dim=self._chunk_shape[1],
            rate_hz=self._rate_hz,
            observation_keys=(*self._features, *(PROMPT_KEYS[:1] if told["reads_prompt"] else ())),
            samples=bool(told["draws"]),
        )

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Ask for a chunk, or for several.

        Raises:
            PolicyError: The observation does not fit, the worker is gone or too slow, or the answer is no
                chunk of finite numbers.
        """
        arrays, blob = self._packed(request.observation)
        prompt = next((request.observation[key] for key in PROMPT_KEYS if key in request.observation), "")
        samples = min(max(1, request.samples), _MOST_SAMPLES)
        with self._calls:
            told, chunks = self._ask(
                "infer",
                self._options.timeout_s,
                blob=blob,
                arrays=arrays,
                prompt=str(prompt),
                samples=samples,
            )
        found = self._unpacked(told, chunks, samples)
        return PolicyAnswer(
            actions=found[0],
            samples=found[1:] if samples > 1 else None,
            server_ns=max(0, int(told.get("server_ns", 0))),
        )

    def reset(self) -> None:
        """Forget the episode so far.

        Raises:
            PolicyError: The worker is gone.
        """
        with self._calls:
            self._ask("reset", _RESET_S)

    def close(self) -> None:
        """End the worker. May be called twice, and from any thread."""
        self._closed = True
        self._worker.kill()
        with self._calls:
            self._worker.stop()

    # Inside.

    def _ask(
        self, do: str, within_s: float, blob: bytes = b"", **arguments: Any
    ) -> tuple[dict[str, Any], bytes]:
        try:
            return self._worker.ask_bytes(do, within_s, blob=blob, **arguments)
        except PolicyError as error:
            if self._closed:
                raise PolicyError(f"The LeRobot policy {self._name!r} is closed") from error
            raise

    def _packed(self, observation: Mapping[str, Any]) -> tuple[list[tuple[str, str, list[int]]], bytes]:
        """The arrays that the policy reads, and their bytes."""
        arrays: list[tuple[str, str, list[int]]] = []
        parts: list[bytes] = []
        for name in self._features:
            if name not in observation:
                raise PolicyError(
                    f"The LeRobot policy {self._name!r} cannot see",
                    why=f"the observation has no {name!r}",
                    next_step=f"Name its inputs in the policy file; it reads {', '.join(self._features)}",
                )
            value = np.ascontiguousarray(observation[name])
            if value.dtype.kind not in _PLAIN or not np.isfinite(value).all():
                raise PolicyError(f"The observation's {name!r} is not an array of finite numbers")
            arrays.append((name, value.dtype.str, list(value.shape)))
            parts.append(value.tobytes())
        blob = b"".join(parts)
        if len(blob) > _MOST_BYTES or len(arrays) > _MOST_ARRAYS:
            raise PolicyError(f"The observation for the LeRobot policy {self._name!r} is beyond the limits")
        return arrays, blob

    def _unpacked(self, told: Mapping[str, Any], chunks: bytes, samples: int) -> Array:
        """Chunks of the answer, shape (samples, H, K)."""
        wanted = (samples, *self._chunk_shape)
        if tuple(told.get("shape", ())) != wanted or len(chunks) != 4 * int(np.prod(wanted)):
            raise PolicyError(
                f"The LeRobot policy {self._name!r} gave no chunk",
                why=f"its answer has the shape {told.get('shape')} instead of {list(wanted)}",
            )
        found = np.frombuffer(chunks, np.float32).reshape(wanted).astype(np.float64)
        if not np.isfinite(found).all():
            raise PolicyError(f"The LeRobot policy {self._name!r} gave actions that are not finite numbers")
        return found


def _is_path(checkpoint: str) -> bool:
    """Whether it can be no name on the hub, which has one slash at most."""
    return checkpoint.startswith(("/", ".", "~")) or checkpoint.count("/") > 1


DRIVER: Final = PolicyDriver(
    name=NAME,
    title="Any policy of LeRobot",
    kind=PolicyKind.BUILT_IN,
    make=LerobotPolicy,
    options=LerobotPolicyOptions,
    proof="LeRobot 0.4.4 itself in its own environment, with an ACT policy of random weights.",
)
