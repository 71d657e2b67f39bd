"""msgpack with arrays as Isaac-GR00T's servers speak it: an array is the bytes of an `.npy` file.

Maps: `{"__ndarray_class__": true, "as_npy": bytes}` and `{"__ModalityConfig_class__": true, "as_json": ...}`,
the latter's content a map (N1.7) or a JSON text of one (N1.5, N1.6). Files that hold objects are refused by
their header: nothing in them is ever unpickled.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from teleop_app.autonomy.wire import (
    WireError,
    array_of,
    checked_dtype,
    checked_shape,
    packed,
    unpacked,
)

_LONGEST_HEADER = 4096
_MOST_LISTED = 1024
_T = TypeVar("_T", int, str)


@dataclass(frozen=True, slots=True)
class ModalityConfig:
    """What a policy takes or gives of one kind (video, state, action, language).

    Attributes:
        steps: Time steps relative to now, in steps of its training data.
        keys: Names of the streams.
    """

    steps: tuple[int, ...]
    keys: tuple[str, ...]


def pack(value: Any) -> bytes:
    """A message; see `wire.pack`."""
    return packed(value, _encode)


def unpack(message: bytes) -> Any:
    """The reverse; see `wire.unpack`."""
    return unpacked(message, _decode)


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        checked_dtype(value.dtype.str)
        file = io.BytesIO()
        npy.write_array(file, value, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}
    if isinstance(value, np.generic):
        return value.item()
    raise WireError(f"{type(value).__name__} has no form on the wire")


def _decode(found: dict[Any, Any]) -> Any:
    if "__ndarray_class__" in found:
        return _array(found.get("as_npy"))
    if "__ModalityConfig_class__" in found:
        return _modality(found.get("as_json"))
    return found


def _array(data: object) -> NDArray[Any]:
    if not isinstance(data, bytes):
        raise WireError(f"an array is {type(data).__name__}, not the bytes of a file")
    file = io.BytesIO(data)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        if version not in ((1, 0), (2, 0)):
            raise WireError(f"an array is a file of version {version}")
        shape, fortran, dtype = read(file, max_header_size=_LONGEST_HEADER)
    except WireError:
        raise
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, EOFError) as error:
        raise WireError(f"an array's file cannot be read: {error!s:.200}") from error
    order = "F" if fortran else "C"
    return array_of(memoryview(data)[file.tell() :], checked_dtype(dtype.str), checked_shape(shape), order)


def _modality(content: object) -> ModalityConfig:
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise WireError(f"a modality is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise WireError("a modality is not a map")
    return ModalityConfig(_listed(content, "delta_indices", int), _listed(content, "modality_keys", str))


def _listed(content: dict[Any, Any], name: str, kind: type[_T]) -> tuple[_T, ...]:
    values = content.get(name)
    if isinstance(values, list) and len(values) <= _MOST_LISTED:
        found = tuple(value for value in values if isinstance(value, kind) and not isinstance(value, bool))
        if len(found) == len(values):
            return found
    raise WireError(f"a modality's {name} are not a list of {kind.__name__}")
