"""Messages as msgpack: no pickle on a wire, unknown types and wrong fields refused with a sentence."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import msgpack
import numpy as np

from teleop_app.core.errors import BusError

T = TypeVar("T", bound=type)
MAX_MESSAGE_BYTES = 16 << 20
_ARRAY = 1
_DTYPES = ("<f8", "<f4", "<i8", "<i4", "<u2", "|u1", "|b1")
_registry: dict[str, type] = {}
_names: dict[type, str] = {}
_builders: dict[type, Callable[[dict[str, Any]], Any]] = {}


def message(cls: T) -> T:
    """Class decorator: a dataclass that may travel. Its name on the wire is its class name."""
    _registry[cls.__name__] = cls
    _names[cls] = cls.__name__
    return cls


def encode(value: Any) -> bytes:
    """Serialise a registered message or a plain structure of maps, lists, strings and numbers.

    Raises:
        BusError: The value holds something that cannot travel.
    """
    try:
        return typing.cast("bytes", msgpack.packb(value, default=_pack, use_bin_type=True, strict_types=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise BusError(f"A {type(value).__name__} cannot be sent", why=str(error)) from error


def decode(payload: bytes | memoryview) -> Any:
    """Inverse of `encode`.

    Raises:
        BusError: The bytes are malformed, oversized, of an unknown type, or lack a field.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise BusError(
            f"A message of {len(payload)} bytes was dropped", why=f"the limit is {MAX_MESSAGE_BYTES}"
        )
    try:
        plain = msgpack.unpackb(payload, ext_hook=_unpack_array, raw=False, strict_map_key=True)
        return (
            _build(plain) if isinstance(plain, list) and len(plain) == 2 and plain[0] in _registry else plain
        )
    except BusError:
        raise
    except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
        raise BusError("A malformed message was dropped", why=str(error)) from error


def _pack(value: Any) -> Any:
    kind = type(value)
    if kind in _names:
        return [_names[kind], {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}]
    if kind is np.ndarray:
        array = np.ascontiguousarray(value)
        if array.dtype.str not in _DTYPES:
            msg = f"array of dtype {array.dtype}"
            raise TypeError(msg)
        head = bytes([_DTYPES.index(array.dtype.str), value.ndim]) + np.array(value.shape, "<u4").tobytes()
        return msgpack.ExtType(_ARRAY, head + array.tobytes())
    if kind is tuple:
        return list(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    msg = f"{kind.__name__} is not a message"
    raise TypeError(msg)


def _unpack_array(code: int, payload: bytes) -> Any:
    if code != _ARRAY or len(payload) < 2 or payload[0] >= len(_DTYPES) or payload[1] > 8:
        raise BusError("A malformed array was dropped")
    dtype, ndim = np.dtype(_DTYPES[payload[0]]), payload[1]
    shape = np.frombuffer(payload, "<u4", ndim, 2).tolist()
    body = payload[2 + 4 * ndim :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise BusError(
            "A malformed array was dropped", why=f"{len(body)} bytes do not fill shape {tuple(shape)}"
        )
    return np.frombuffer(body, dtype).reshape(shape)


def _build(tagged: Any) -> Any:
    name, fields = tagged
    cls = _registry[name]
    builder = _builders.get(cls)
    if builder is None:
        builder = _builders[cls] = _make_builder(cls)
    return builder(fields)


def _make_builder(cls: type) -> Callable[[dict[str, Any]], Any]:
    hints = typing.get_type_hints(cls)
    converters = {f.name: _converter(hints[f.name]) for f in dataclasses.fields(cls)}

    def build(fields: dict[str, Any]) -> Any:
        if not isinstance(fields, dict):
            raise BusError(f"A malformed {cls.__name__} was dropped", why="its fields are not a map")
        unknown = fields.keys() - converters.keys()
        if unknown:
            raise BusError(
                f"A malformed {cls.__name__} was dropped", why=f"unknown field {sorted(unknown)[0]!r}"
            )
        return cls(**{name: converters[name](value) for name, value in fields.items()})

    return build


def _converter(hint: Any) -> Callable[[Any], Any]:
    """A function that checks one wire value against a type hint and restores its Python type."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in args if a is not type(None)]
        convert = _converter(inner[0])
        return lambda value: None if value is None else convert(value)
    if origin is tuple:
        convert = _converter(args[0])
        return lambda value: tuple(convert(item) for item in _expect(value, list))
    if origin is list:
        convert = _converter(args[0])
        return lambda value: [convert(item) for item in _expect(value, list)]
    if origin is dict:
        key_of, convert = _converter(args[0]), _converter(args[1])
        return lambda value: {key_of(key): convert(item) for key, item in _expect(value, dict).items()}
    if origin is np.ndarray:
        dtype = np.dtype(typing.get_args(args[1])[0])
        return lambda value: _array_of(value, dtype)
    if hint in (Any, object):
        return lambda value: value
    if hint is float:
        return lambda value: float(_expect(value, (float, int)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint in _names:
        return lambda value: _expect(_build(value) if isinstance(value, list) else value, hint)
    return lambda value: _expect(value, hint)


def _array_of(value: Any, dtype: np.dtype[Any]) -> Any:
    """An array of the declared type: whoever computes with it relies on that."""
    array = _expect(value, np.ndarray)
    if array.dtype == dtype:
        return array
    if array.dtype == np.bool_ or not np.can_cast(array.dtype, dtype, "same_kind"):
        msg = f"an array of {array.dtype} where {dtype} was expected"
        raise TypeError(msg)
    return array.astype(dtype)


def _expect(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        msg = f"{value!r:.80} where {kind} was expected"
        raise TypeError(msg)
    return value
