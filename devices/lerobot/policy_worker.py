"""Hosts one LeRobot policy in the interpreter that has LeRobot; worker.py carries the requests.

Needs nothing but NumPy, LeRobot and its torch there. Arrays of a request lie one after the other in its
bytes; the answer's are the chunks, float32.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

PROMPT = "prompt"
_WEIGHTS = "model.safetensors"
_READ_LANGUAGE = {"smolvla", "pi0", "pi05", "pi0_fast", "groot", "xvla", "wall_x"}
_DRAW = {"diffusion", "smolvla", "pi0", "pi05", "groot", "xvla"}
"""Policies whose chunks are drawn at random: several tell how sure they are."""
_REMEMBER = {"diffusion", "vqbet"}
"""Policies that leave it to their caller to keep the last observations."""
_SAMPLED_BLOCKS, _BLOCK_BYTES = 64, 1 << 16


class RefusalError(Exception):
    """What is wrong with a request, as a sentence."""


class HostedPolicy:
    """A policy with its pre- and post-processors, and what may be asked of it."""

    allowed = frozenset({"load", "infer", "reset"})

    def __init__(self) -> None:
        self.policy: Any = None
        self.before: Any = None
        self.after: Any = None
        self.config: Any = None

    def load(self, checkpoint: str, device: str = "") -> dict[str, Any]:
        """Load a checkpoint and let it answer once, which warms it up; what it expects and gives."""
        importlib.import_module("lerobot")
        torch = importlib.import_module("torch")
        factory = importlib.import_module("lerobot.policies.factory")
        configs = importlib.import_module("lerobot.configs.policies")
        utils = importlib.import_module("lerobot.utils.utils")
        if device and not utils.is_torch_device_available(device):
            raise RefusalError(f"there is no device {device!r} for torch {torch.__version__}")
        config = configs.PreTrainedConfig.from_pretrained(checkpoint)
        if config.use_peft:
            raise RefusalError("it is an adapter (PEFT); merge it into its base model first")
        config.device = device or config.device
        self.policy = factory.get_policy_class(config.type).from_pretrained(checkpoint, config=config)
        self.before, self.after = factory.make_pre_post_processors(
            config, checkpoint, preprocessor_overrides={"device_processor": {"device": config.device}}
        )
        self.config = config
        empty = {name: np.zeros(each.shape, np.float32) for name, each in config.input_features.items()}
        chunk = self._chunks(empty, "", 1)
        self.reset()
        return {
            "type": config.type,
            "device": str(config.device),
            "version": _version(checkpoint),
            "lerobot": str(getattr(importlib.import_module("lerobot"), "__version__", "")),
            "horizon": int(chunk.shape[1]),
            "action_dim": int(chunk.shape[2]),
            "features": {name: list(each.shape) for name, each in config.input_features.items()},
            "reads_prompt": config.type in _READ_LANGUAGE,
            "draws": config.type in _DRAW,
        }

    def infer(
        self, arrays: list[tuple[str, str, list[int]]], prompt: str, samples: int, blob: bytes = b""
    ) -> tuple[dict[str, Any], bytes]:
        """The next chunks, shape (samples, H, K).

        Args:
            arrays: Key, dtype and shape of each array.
            prompt: Instruction.
            samples: Chunks to draw.
            blob: Bytes of the arrays.
        """
        started = time.monotonic_ns()
        given: dict[str, Any] = {}
        offset = 0
        for name, dtype, shape in arrays:
            count = int(np.prod(shape, dtype=np.int64))
            given[name] = np.frombuffer(blob, np.dtype(dtype), count, offset).reshape(shape)
            offset += given[name].nbytes
        missing = sorted(set(self.config.input_features) - set(given))
        if missing:
            raise RefusalError(f"the observation lacks {', '.join(missing)}")
        seen = {name: self._fitting(name, given[name]) for name in self.config.input_features}
        chunks = np.ascontiguousarray(self._chunks(seen, prompt, samples), dtype=np.float32)
        told = {"shape": list(chunks.shape), "server_ns": time.monotonic_ns() - started}
        return told, chunks.tobytes()

    def reset(self) -> dict[str, Any]:
        """Forget the episode so far."""
        for part in (self.policy, self.before, self.after):
            if hasattr(part, "reset"):
                part.reset()
        return {}

    def watch(self) -> None:
        """Nothing to do between requests."""

    def end(self) -> None:
        """Nothing to let go of."""

    # Inside.

    def _fitting(self, name: str, value: Any) -> Any:
        """An array as LeRobot's feature has it: pictures (C, H, W), 0..1, in the feature's size."""
        shape = tuple(self.config.input_features[name].shape)
        if len(shape) != 3:
            if value.size != int(np.prod(shape)):
                raise RefusalError(f"{name} has {value.size} numbers; the policy reads {list(shape)}")
            return value.astype(np.float32).reshape(shape)
        if value.ndim != 3 or (value.shape[0] != shape[0] and value.shape[2] != shape[0]):
            raise RefusalError(f"{name} has the shape {list(value.shape)}; the policy reads {list(shape)}")
        scaled = value.astype(np.float32) / 255.0 if value.dtype == np.uint8 else value.astype(np.float32)
        picture = np.moveaxis(scaled, 2, 0) if value.shape[2] == shape[0] else scaled
        if picture.shape == shape:
            return np.ascontiguousarray(picture)
        torch = importlib.import_module("torch")
        batch = torch.from_numpy(np.ascontiguousarray(picture)).unsqueeze(0)
        sized = torch.nn.functional.interpolate(batch, size=shape[1:], mode="bilinear", align_corners=False)
        return sized[0].numpy()

    def _chunks(self, seen: dict[str, Any], prompt: str, samples: int) -> Any:
        torch = importlib.import_module("torch")
        with torch.inference_mode():
            batch: dict[str, Any] = {
                name: torch.from_numpy(value.copy()).unsqueeze(0).to(self.config.device)
                for name, value in seen.items()
            }
            batch = self.before({**batch, "task": prompt, "robot_type": ""})
            if self.config.type in _REMEMBER:
                batch = self._remember(batch)
            return np.concatenate([self._chunk(batch) for _ in range(samples)])

    def _chunk(self, batch: dict[str, Any]) -> Any:
        """One chunk, shape (1, H, K)."""
        torch = importlib.import_module("torch")
        actions = self.policy.predict_action_chunk(dict(batch))
        if actions.ndim == 2:
            actions = actions.unsqueeze(0)
        # The post-processors are made for single actions.
        steps = [self.after(actions[:, step]) for step in range(actions.shape[1])]
        return torch.stack(steps, dim=1).float().cpu().numpy()

    def _remember(self, batch: dict[str, Any]) -> dict[str, Any]:
        """What `select_action` of these policies does before it predicts."""
        torch = importlib.import_module("torch")
        utils = importlib.import_module("lerobot.policies.utils")
        if self.config.image_features:
            names = list(self.config.image_features)
            batch = {**batch, "observation.images": torch.stack([batch[name] for name in names], dim=-4)}
        batch.pop("action", None)
        self.policy._queues = utils.populate_queues(self.policy._queues, batch)  # noqa: SLF001
        return batch


def _version(checkpoint: str) -> str:
    """A hash that changes with configuration and weights; of large weights, of 64 places in them."""
    folder = Path(checkpoint)
    found = hashlib.blake2b(digest_size=8)
    for name in ("config.json", _WEIGHTS):
        if folder.is_dir():
            path = folder / name
        else:
            hub = importlib.import_module("huggingface_hub")
            path = Path(hub.hf_hub_download(checkpoint, name, local_files_only=True))
        size = os.path.getsize(path)
        found.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            for block in range(_SAMPLED_BLOCKS):
                file.seek(max(0, size - _BLOCK_BYTES) * block // (_SAMPLED_BLOCKS - 1))
                found.update(file.read(_BLOCK_BYTES))
    return found.hexdigest()
