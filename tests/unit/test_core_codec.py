"""Messages survive the wire exactly, and what is not a message is refused with a sentence."""

import math

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from teleop_app.core.codec import MAX_MESSAGE_BYTES, decode, encode
from teleop_app.core.errors import BusError
from teleop_app.core.types import Actor, ArmInput, ControlState, ControlTick, Event, InputSample, ProcessState

VECTOR = hnp.arrays(np.float64, 14, elements=st.floats(allow_nan=True, allow_infinity=True))


def a_tick(vector: np.ndarray) -> ControlTick:
    return ControlTick(
        seq=1,
        tick_ns=2,
        due_ns=3,
        state=ControlState.ENGAGED,
        actor=Actor.HUMAN,
        source="keyboard",
        engaged=(True, False),
        input_capture_ns=4,
        operator_pose=np.full((2, 7), math.nan),
        operator_gripper=np.zeros(2),
        policy=None,
        commanded=vector,
        sent=vector,
        sent_ns=5,
        measured=vector,
        measured_velocity=vector,
        measured_effort=vector,
        measured_ns=6,
        flags=7,
    )


@given(VECTOR)
def test_a_tick_survives_bit_for_bit(vector: np.ndarray) -> None:
    tick = decode(encode(a_tick(vector)))
    assert isinstance(tick, ControlTick)
    assert tick.state is ControlState.ENGAGED and tick.actor is Actor.HUMAN
    assert tick.engaged == (True, False) and tick.policy is None
    assert tick.sent.tobytes() == vector.tobytes()
    assert tick.operator_pose.shape == (2, 7)


@given(
    st.dictionaries(st.sampled_from(["left", "right"]), st.booleans()),
    st.lists(st.text(max_size=8), max_size=3),
    st.one_of(st.none(), st.integers(0, 2**62)),
)
def test_nested_messages_survive(
    clutches: dict[str, bool], buttons: list[str], device_ns: int | None
) -> None:
    arms = {name: ArmInput(clutch=held, pose=np.arange(7.0)) for name, held in clutches.items()}
    sample = InputSample("pad", Actor.SCRIPT, 1, 2, arms, tuple(buttons), device_ns)
    back = decode(encode(sample))
    assert back.buttons == tuple(buttons) and back.device_ns == device_ns
    assert {name: arm.clutch for name, arm in back.arms.items()} == clutches
    assert all(isinstance(arm, ArmInput) and arm.pose.shape == (7,) for arm in back.arms.values())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_escape_as_another_error(payload: bytes) -> None:
    try:
        decode(payload)
    except BusError as error:
        assert "dropped" in error.sentence


def raw(name: str, **fields: object) -> bytes:
    packed = msgpack.packb([name, fields], use_bin_type=True)
    assert isinstance(packed, bytes)
    return packed


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (raw("Event", kind="x", capture_ns="soon", origin="y"), "'soon'"),
        (raw("Event", kind="x", capture_ns=1, origin="y", colour="red"), "unknown field 'colour'"),
        (raw("Event", kind="x"), "missing"),
        (raw("ProcessStatus", process="p", pid=True, state="running", capture_ns=1), "True"),
        (raw("ProcessStatus", process="p", pid=1, state="dancing", capture_ns=1), "dancing"),
        (raw("InputSample", source="s", actor="human", seq=1, capture_ns=1, arms={"left": 3}), "3"),
        (msgpack.packb(msgpack.ExtType(1, b"\x00\x01\xff\xff\xff\x7f")), "do not fill"),
        (msgpack.packb(msgpack.ExtType(9, b"")), "malformed array"),
        (bytes(MAX_MESSAGE_BYTES + 1), "limit"),
        (raw("Event", kind="x", capture_ns=1, origin="y", fields={b"key": 1}), "b'key'"),
    ],
)
def test_malformed_messages_are_named(payload: bytes, says: str) -> None:
    with pytest.raises(BusError, match="dropped") as caught:
        decode(payload)
    assert says in caught.value.sentence


@pytest.mark.parametrize("kind", ["f8", "f4", "i4"])
def test_arrays_arrive_in_the_type_that_is_declared(kind: str) -> None:
    sample = InputSample("s", Actor.HUMAN, 1, 1, {"left": ArmInput(True, twist=np.ones(6, kind))})
    assert decode(encode(sample)).arms["left"].twist.dtype == np.float64


def test_an_array_of_truths_is_no_array_of_numbers() -> None:
    truths = InputSample("s", Actor.HUMAN, 1, 1, {"left": ArmInput(True, twist=np.ones(6, bool))})
    with pytest.raises(BusError, match="an array of bool where float64 was expected"):
        decode(encode(truths))


def test_what_cannot_travel_is_refused_at_the_sender() -> None:
    with pytest.raises(BusError, match="cannot be sent"):
        encode(Event("x", 1, "y", fields={"object": object()}))
    with pytest.raises(BusError, match="complex"):
        encode(np.zeros(2, complex))


def test_enums_come_back_as_enums_also_inside_maps() -> None:
    assert decode(encode({"state": ProcessState.FAULT})) == {"state": "fault"}
