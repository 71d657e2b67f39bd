"""Hand-made protobuf bytes against the protobuf library."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from mcap.records import Schema
from mcap_protobuf.decoder import DecoderFactory

from recorders import messages, wire
from recorders.tracks import signed
from teleop_app.core.errors import EpisodeError


def decoder(name: str):
    schema = Schema(id=1, name=name, encoding="protobuf", data=messages.schema_data(name))
    decode = DecoderFactory().decoder_for("protobuf", schema)
    assert decode is not None
    return decode


@given(st.integers(0, 2**34 * 10**9 - 1))
def test_stamps_are_timestamps(utc_ns: int) -> None:
    raw = wire.stamp(utc_ns)
    assert len(raw) == wire.STAMP_BYTES
    stamp = Timestamp.FromString(raw[2:])
    assert stamp.seconds * 10**9 + stamp.nanos == utc_ns


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_of_either_sign(value: int) -> None:
    event = decoder(messages.TICK)(wire.stamp(0) + wire.field_int(7, value))
    assert event.lateness_ns == value
    assert signed(dict(wire.fields(wire.field_int(7, value))).get(7)) == value


@given(
    st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=20, unique=True),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_joint_states_of_any_names(names: list[str], with_motion: bool, seed: int) -> None:
    template = wire.joint_template(tuple(names), with_motion)
    values = np.random.default_rng(seed).normal(size=template.count)
    raw = wire.stamp(1) + template.fill(values)
    joints = decoder(messages.JOINT_STATES)(raw).joints
    assert [joint.name for joint in joints] == names
    rows = [[j.position, j.velocity, j.effort] if with_motion else [j.position] for j in joints]
    assert np.array_equal(np.array(rows).reshape(-1), values)
    block = np.frombuffer(b"xyz" + raw + raw, np.uint8)
    found = template.extract(block, np.array([3, 3 + len(raw)]))
    assert found is not None
    assert np.array_equal(found, [values, values])
    assert template.extract(np.frombuffer(bytes(len(raw)), np.uint8), np.array([0])) is None


@pytest.mark.parametrize("name", messages.schema_names())
def test_every_schema_stands_on_its_own(name: str) -> None:
    nested = {messages.FRAME_TRANSFORMS: "transforms", messages.SCENE_UPDATE: "entities"}
    stamp = wire.stamp(5_000_000_007)
    if name in nested:
        number = 1 if name == messages.FRAME_TRANSFORMS else 2
        timed = getattr(decoder(name)(wire.field_bytes(number, stamp)), nested[name])[0]
    else:
        timed = decoder(name)(stamp)
    assert timed.timestamp.nanos == 7


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x0b", b"\x09abc", b"\xff" * 20])
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    with pytest.raises(EpisodeError, match="A message"):
        list(wire.fields(raw))
