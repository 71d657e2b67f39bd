"""Messages of the policy servers' protocols, written with plain msgpack and NumPy, without our own codecs.

By the published formats: openpi's `msgpack_numpy` (StarVLA uses the same), GR00T's `MsgSerializer` of N1.5
(modalities as JSON texts, keys with their kind before them) and of N1.6/N1.7 (modalities as maps, bare keys).
"""

from __future__ import annotations

import io
import json
from typing import Any

import msgpack
import numpy as np


def openpi_array(array: np.ndarray) -> dict[bytes, Any]:
    """As openpi writes it: bytes keys, C order."""
    return {
        b"__ndarray__": True,
        b"data": array.tobytes(),
        b"dtype": array.dtype.str,
        b"shape": array.shape,
    }


def groot_array(array: np.ndarray) -> dict[str, Any]:
    """As GR00T writes it: the bytes of a file of NumPy's."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return {"__ndarray_class__": True, "as_npy": file.getvalue()}


def groot_modalities(*, old: bool) -> dict[str, Any]:
    """What an emulated GR00T policy of one camera, an arm of 5 joints and a gripper tells of itself."""
    kinds = {
        "video": ([0], ["front"]),
        "state": ([0], ["single_arm", "gripper"]),
        "action": (list(range(16)), ["single_arm", "gripper"]),
        "language": ([0], ["annotation.human.task_description"]),
    }
    found: dict[str, Any] = {}
    for kind, (steps, keys) in kinds.items():
        names = [f"{kind}.{key}" for key in keys] if old and kind != "language" else keys
        content = {"delta_indices": steps, "modality_keys": names}
        content |= {} if old else {"sin_cos_embedding_keys": None, "action_configs": None}
        found[kind] = {
            "__ModalityConfig_class__": True,
            "as_json": json.dumps(content) if old else content,
        }
    return found


def groot_read(message: bytes) -> Any:
    """A message whose arrays are read with NumPy's own loader."""

    def decoded(found: dict[str, Any]) -> Any:
        if "__ndarray_class__" in found:
            return np.load(io.BytesIO(found["as_npy"]), allow_pickle=False)
        return found

    return msgpack.unpackb(message, object_hook=decoded)


def openpi_read(message: bytes) -> Any:
    """A message whose arrays are made straight from their bytes."""

    def decoded(found: dict[Any, Any]) -> Any:
        if b"__ndarray__" in found:
            return np.frombuffer(found[b"data"], found[b"dtype"]).reshape(found[b"shape"])
        return found

    return msgpack.unpackb(message, object_hook=decoded)


def packed(value: Any) -> bytes:
    """Plain msgpack."""
    return msgpack.packb(value)
