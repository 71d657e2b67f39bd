"""msgpack with arrays as openpi's servers and StarVLA's speak it; `wire_groot` has GR00T's form of it.

An array is a map of bytes keys (`__ndarray__`, `data`, `dtype`, `shape`), a NumPy scalar one with
`__npgeneric__`. What comes in is not trusted: sizes, depth, types and shapes are checked before memory is
taken for them, and nothing in it can name code to run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_RANK = 8
MAX_ITEMS = 16_384
"""Of one map or list; msgpack takes memory for as many as are announced, whether they come or not."""
MAX_VALUES = 200_000
"""Of a whole message, arrays' elements not counted: one byte of a message can become 56 of Python objects."""
_DTYPE = re.compile(r"^[<>|=]?(?:b1|[iu][1248]|f[248]|[SU]\d{1,5})$")
_LARGEST_SIDE = 2**31


class WireError(ValueError):
    """A message is malformed or beyond the limits; the text says where, without a full stop."""


def pack(value: Any) -> bytes:
    """A message of maps, lists, texts, bytes, numbers and arrays.

    Raises:
        WireError: It holds something else, or is too large.
    """
    return packed(value, _encode)


def unpack(message: bytes) -> Any:
    """The reverse. Arrays are views of the message, not writable.

    Raises:
        WireError: It is malformed or beyond the limits.
    """
    return unpacked(message, _decode)


def packed(value: Any, encode: Callable[[Any], Any]) -> bytes:
    """Bytes of `value`; `encode` turns into plain structure what msgpack does not know."""
    try:
        message = msgpack.packb(value, default=encode)
    except WireError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"it cannot be written as msgpack: {error}") from error
    if not isinstance(message, bytes) or len(message) > MAX_MESSAGE_BYTES:
        raise WireError(f"it is larger than {MAX_MESSAGE_BYTES >> 20} MiB")
    return message


def unpacked(message: bytes, decode: Callable[[dict[Any, Any]], Any]) -> Any:
    """Value of a msgpack message; `decode` sees every map once all within it is decoded."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise WireError(f"it has {len(message)} bytes, more than {MAX_MESSAGE_BYTES >> 20} MiB")
    count = _Count()

    def whole_map(found: dict[Any, Any]) -> Any:
        count.add(len(found))
        return decode(found)

    def whole_list(found: list[Any]) -> list[Any]:
        count.add(len(found))
        return found

    try:
        return msgpack.unpackb(
            message,
            object_hook=whole_map,
            list_hook=whole_list,
            strict_map_key=True,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
            max_str_len=MAX_MESSAGE_BYTES,
            max_bin_len=MAX_MESSAGE_BYTES,
        )
    except WireError:
        raise
    except msgpack.StackError as error:
        raise WireError("its maps and lists lie too deep in one another") from error
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise WireError(f"it is not msgpack within the limits: {error!s:.200}") from error


def checked_dtype(text: object) -> np.dtype[Any]:
    """A NumPy type of plain values (booleans, integers, floats, texts) from its name on the wire."""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str) or not _DTYPE.match(text):
        raise WireError(f"an array of type {text!r:.60} is not one of plain values")
    return np.dtype(text)


def checked_shape(shape: object) -> tuple[int, ...]:
    """The shape of an array; rank and sides are within the limits, the product is for the caller."""
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes) or len(shape) > MAX_RANK:
        raise WireError(f"an array has the shape {shape!r:.60}, not up to {MAX_RANK} sizes")
    for side in shape:
        if not isinstance(side, int) or isinstance(side, bool) or not 0 <= side < _LARGEST_SIDE:
            raise WireError(f"an array has the shape {tuple(shape)!r:.60}, not up to {MAX_RANK} sizes")
    return tuple(shape)


def array_of(data: object, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any = "C") -> NDArray[Any]:
    """An array over `data`, whose length must be that of the shape."""
    if not isinstance(data, bytes | memoryview):
        raise WireError(f"the data of an array is {type(data).__name__}, not bytes")
    wanted = dtype.itemsize
    for side in shape:
        wanted *= side
    if wanted != len(data):
        raise WireError(f"an array of {dtype} {shape} has {len(data)} bytes instead of {wanted}")
    try:
        return np.ndarray(shape, dtype, data, order=order)
    except (ValueError, TypeError) as error:
        raise WireError(f"an array of {dtype} {shape} cannot be made: {error}") from error


def numbers_of(value: object, what: str) -> NDArray[np.float64]:
    """A new float64 array of numbers that are all finite.

    Raises:
        WireError: `value` is not an array (or list) of numbers, or one of them is not finite.
    """
    try:
        found = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise WireError(f"{what} are not an array: {error}") from error
    if found.dtype.kind not in "iuf":
        raise WireError(f"{what} are of type {found.dtype}, not numbers")
    numbers = found.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise WireError(f"{what} hold {int((~np.isfinite(numbers)).sum())} values that are not finite")
    return numbers


class _Count:
    """Values of a message seen so far."""

    def __init__(self) -> None:
        self._values = 0

    def add(self, number: int) -> None:
        self._values += number + 1
        if self._values > MAX_VALUES:
            raise WireError(f"it has more than {MAX_VALUES} values")


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        dtype = checked_dtype(value.dtype.str)
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": dtype.str,
            b"shape": value.shape,
        }
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": checked_dtype(value.dtype.str).str}
    if isinstance(value, Mapping):
        return dict(value)
    raise WireError(f"{type(value).__name__} has no form on the wire")


def _decode(found: dict[Any, Any]) -> Any:
    if b"__ndarray__" in found:
        dtype = checked_dtype(found.get(b"dtype"))
        return array_of(found.get(b"data"), dtype, checked_shape(found.get(b"shape")))
    if b"__npgeneric__" in found:
        dtype, value = checked_dtype(found.get(b"dtype")), found.get(b"data")
        if not isinstance(value, bool | int | float | str | bytes):
            raise WireError(f"a scalar of {dtype} is {type(value).__name__}")
        try:
            return dtype.type(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise WireError(f"a scalar of {dtype} cannot be made: {error}") from error
    return found
