"""Our codecs against bytes written with plain msgpack and NumPy, and against messages made to hurt."""

from __future__ import annotations

import io
import pickle
from typing import Any

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import msgpack
import numpy as np
import pytest
from hypothesis import given
from policy_bytes import groot_array, groot_modalities, groot_read, openpi_array, openpi_read, packed

from hostile_policy_server import BadPickle
from teleop_app.autonomy import wire, wire_groot
from teleop_app.autonomy.wire import WireError
from teleop_app.autonomy.wire_groot import ModalityConfig

CODES = ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "U3", "S3")
ARRAYS = [
    *(np.arange(6).astype(code).reshape(2, 3) for code in CODES),
    np.zeros((0, 4), np.float32),
    np.array(7),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.arange(24, dtype=">i4").reshape(2, 3, 4)[:, ::2],
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_openpis_arrays_byte_for_byte(array: np.ndarray) -> None:
    message = packed({"a": openpi_array(array), "n": 3})
    assert wire.pack({"a": array, "n": 3}) == message
    found = wire.unpack(message)["a"]
    assert found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(openpi_read(message)["a"], array)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype.str}{a.shape}")
def test_groots_arrays_byte_for_byte(array: np.ndarray) -> None:
    message = packed({"a": groot_array(array)})
    assert wire_groot.pack({"a": array}) == message
    found = wire_groot.unpack(message)["a"]
    assert found.dtype == array.dtype and found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    np.testing.assert_array_equal(groot_read(message)["a"], array)


def test_openpis_scalars() -> None:
    message = packed({"s": {b"__npgeneric__": True, b"data": 1.5, b"dtype": "<f4"}})
    assert wire.pack({"s": np.float32(1.5)}) == message
    found = wire.unpack(message)["s"]
    assert found == np.float32(1.5) and found.dtype == np.float32


@pytest.mark.parametrize("old", [True, False])
def test_groots_modalities(old: bool) -> None:
    found = wire_groot.unpack(packed(groot_modalities(old=old)))
    prefix = "state." if old else ""
    assert found["state"] == ModalityConfig((0,), (f"{prefix}single_arm", f"{prefix}gripper"))
    assert found["action"].steps == tuple(range(16))


@given(
    arrays.arrays(st.sampled_from(["?", "i2", "f4", "f8", "u1"]), arrays.array_shapes(max_dims=5, min_side=0))
)
def test_every_array_survives(array: np.ndarray) -> None:
    for codec in (wire, wire_groot):
        found = codec.unpack(codec.pack([array]))[0]
        assert found.dtype == array.dtype and found.shape == array.shape
        np.testing.assert_array_equal(found, array)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_an_error(message: bytes) -> None:
    for codec in (wire, wire_groot):
        try:
            codec.unpack(message)
        except WireError:
            pass


def openpi_map(**changes: Any) -> bytes:
    array = {"__ndarray__": True, "data": b"\0" * 8, "dtype": "<f8", "shape": (1,)} | changes
    return packed({key.encode(): value for key, value in array.items()})


def npy(array: np.ndarray, before: bytes = b"", after: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return packed({"__ndarray_class__": True, "as_npy": file.getvalue().replace(before, after, 1)})


HOSTILE = [
    (wire, b"", "not msgpack"),
    (wire, b"\xdd\xff\xff\xff\xff", "exceeds max_array_len"),
    (wire, b"\xdf\xff\xff\xff\xff", "exceeds max_map_len"),
    (wire, packed([[0] * 16_000] * 16), "more than 200000 values"),
    (wire, b"\x91" * 2000 + b"\xc0", "too deep"),
    (wire, packed({1: 2}), "not msgpack"),
    (wire, packed(msgpack.ExtType(4, b"1234")), "exceeds max_ext_len"),
    (wire, packed(b"") + b"more", "extra data"),
    (wire, openpi_map(dtype="|O"), "type '|O' is not one of plain values"),
    (wire, openpi_map(dtype="f8,f8"), "not one of plain values"),
    (wire, openpi_map(dtype="(4000000000,)f8"), "not one of plain values"),
    (wire, openpi_map(dtype=["a", "f8"]), "not one of plain values"),
    (wire, openpi_map(shape=(2,)), "has 8 bytes instead of 16"),
    (wire, openpi_map(shape=(-1,)), "has the shape"),
    (wire, openpi_map(shape=(1,) * 9), "has the shape"),
    (wire, openpi_map(shape=(2**62, 4)), "has the shape"),
    (wire, openpi_map(shape=(2**30, 2**30)), "bytes instead of"),
    (wire, openpi_map(shape=(True,)), "has the shape"),
    (wire, openpi_map(shape=7), "has the shape"),
    (wire, openpi_map(data="text"), "is str, not bytes"),
    (wire, openpi_map(data=None), "is NoneType, not bytes"),
    (wire, packed({b"__npgeneric__": 1, b"data": 300, b"dtype": "|u1"}), "cannot be made"),
    (wire, packed({b"__npgeneric__": 1, b"data": [1], b"dtype": "|u1"}), "is list"),
    (wire_groot, npy(np.array([BadPickle()], object)), "type '|O' is not one of plain values"),
    (wire_groot, npy(np.zeros(3), b"(3,)", b"(9,)"), "has 24 bytes instead of 72"),
    (wire_groot, npy(np.zeros(3), b"'<f8'", b"id(1)"), "cannot be read"),
    (wire_groot, npy(np.zeros(3), b"\x93NUMPY\x01", b"\x93NUMPY\x09"), "version"),
    (wire_groot, npy(np.zeros(3, [("a", "f8")])), "not one of plain values"),
    (wire_groot, packed({"__ndarray_class__": True, "as_npy": pickle.dumps(BadPickle())}), "cannot be read"),
    (wire_groot, packed({"__ndarray_class__": True}), "not the bytes of a file"),
    (wire_groot, packed({"__ModalityConfig_class__": True, "as_json": "{"}), "not JSON"),
    (
        wire_groot,
        packed({"__ModalityConfig_class__": True, "as_json": {"modality_keys": [1]}}),
        "delta_indices",
    ),
    (wire_groot, packed({"__ModalityConfig_class__": True}), "is not a map"),
]


@pytest.mark.parametrize(("codec", "message", "sentence"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_hurts_is_refused_before_memory_is_taken(codec: Any, message: bytes, sentence: str) -> None:
    with pytest.raises(WireError, match=sentence.replace("|", r"\|")):
        codec.unpack(message)
    assert not BadPickle.opened


def test_too_large_a_message_is_not_read() -> None:
    with pytest.raises(WireError, match="more than 64 MiB"):
        wire.unpack(bytes(wire.MAX_MESSAGE_BYTES + 1))


@pytest.mark.parametrize("value", [object(), np.zeros(2, complex), np.array([None]), {"a": {1, 2}}, 2**70])
def test_what_has_no_form_is_not_sent(value: Any) -> None:
    for codec in (wire, wire_groot):
        with pytest.raises(WireError):
            codec.pack(value)
