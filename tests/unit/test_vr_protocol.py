"""Frames of a headset: what goes in comes out, and nothing else gets in."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.vr.frames import operator_from_openxr
from devices.vr.protocol import (
    BUTTONS,
    MAX_MESSAGE_BYTES,
    Controller,
    ProtocolError,
    XrFrame,
    decode_frame,
    decode_text,
    encode_frame,
    number,
)
from teleop_app.core.geometry import is_pose, make_pose, quat_from_rotvec, quat_rotate

POSE = make_pose(np.array([0.25, 0.5, 1.0]), quat_from_rotvec(np.array([0.3, -0.2, 0.1])))


def hand(name: str = "right", **fields: object) -> Controller:
    given_fields = {"grip": POSE, "aim": POSE, "joints": None, "trigger": 0.5, "squeeze": 1.0} | fields
    return Controller(name, stick=(0.25, -1.0), pressed=frozenset({"lower", "stick"}), **given_fields)  # type: ignore[arg-type]


def frame(*controllers: Controller, **fields: object) -> XrFrame:
    given_fields = {"seq": 7, "resets": 2, "device_ns": 1_500_000, "sent_ns": 2_000_000} | fields
    return XrFrame(
        visible=True, head=POSE, controllers={each.hand: each for each in controllers}, **given_fields
    )  # type: ignore[arg-type]


GOOD = encode_frame(frame(hand("left"), hand("right", joints=np.tile(POSE, (25, 1)))))


def test_a_frame_survives_the_wire() -> None:
    found = decode_frame(GOOD)
    assert (found.seq, found.resets, found.device_ns, found.sent_ns) == (7, 2, 1_500_000, 2_000_000)
    assert found.visible and set(found.controllers) == {"left", "right"}
    right = found.controllers["right"]
    assert right.pressed == {"lower", "stick"} and right.stick == (0.25, -1.0)
    assert right.trigger == 0.5 and right.squeeze == 1.0
    assert right.joints is not None and right.joints.shape == (25, 7)
    for pose in (found.head, right.grip, right.aim, right.joints[24]):
        assert pose is not None and is_pose(pose)
        np.testing.assert_allclose(pose, POSE, atol=1e-6)
    assert len(GOOD) < MAX_MESSAGE_BYTES / 4


def test_untracked_is_no_pose() -> None:
    found = decode_frame(encode_frame(frame(hand(grip=None, aim=None), device_ns=0)))
    assert found.controllers["right"].grip is None and found.controllers["right"].aim is None


def test_away_from_the_operator_is_away_and_up_is_up() -> None:
    """WebXR: x right, y up, z towards the operator. Ours: x right, y away, z up."""
    moves = {(1, 0, 0): (1, 0, 0), (0, 0, -1): (0, 1, 0), (0, 1, 0): (0, 0, 1)}
    for theirs, ours in moves.items():
        pose = make_pose(np.array(theirs, dtype=float), np.array([1.0, 0, 0, 0]))
        np.testing.assert_allclose(operator_from_openxr(pose)[:3], ours)


@given(st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6))
def test_turning_and_changing_axes_commute(numbers: list[float]) -> None:
    turn, arrow = quat_from_rotvec(np.array(numbers[:3])), np.array(numbers[3:])
    pose = operator_from_openxr(make_pose(arrow, turn))
    turned_then = operator_from_openxr(make_pose(quat_rotate(turn, arrow), turn))[:3]
    np.testing.assert_allclose(quat_rotate(pose[3:], pose[:3]), turned_then, atol=1e-9)


@given(st.binary(max_size=400))
def test_no_bytes_crash_the_reader(payload: bytes) -> None:
    try:
        decode_frame(payload)
    except ProtocolError:
        pass


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=4, max_size=4))
def test_damaged_frames_are_refused_or_sane(place: int, junk: bytes) -> None:
    damaged = bytearray(GOOD)
    damaged[place : place + 4] = junk
    try:
        found = decode_frame(bytes(damaged))
    except ProtocolError:
        return
    for each in found.controllers.values():
        assert 0.0 <= each.trigger <= 1.0 and 0.0 <= each.squeeze <= 1.0
        for pose in (each.grip, each.aim, *(each.joints if each.joints is not None else ())):
            assert pose is None or (is_pose(pose) and np.abs(pose[:3]).max() <= 100.0)


def put(payload: bytes, place: int, form: str, value: float) -> bytes:
    changed = bytearray(payload)
    struct.pack_into(form, changed, place, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"\x01\x01", "too short"),
        (put(GOOD, 0, "<B", 9), "kind 9 is not known"),
        (put(GOOD, 1, "<B", 2), "load the page anew"),
        (put(GOOD, 12, "<d", float("nan")), "makes no sense"),
        (put(GOOD, 12, "<d", -1.0), "makes no sense"),
        (put(GOOD, 28, "<f", float("inf")), "pose of the head is not finite"),
        (put(GOOD, 28, "<f", 1e6), "more than 100 m away"),
        (put(GOOD, 40, "<f", 5.0), "not a unit quaternion"),
        (put(GOOD, 56, "<B", 3), "no hand 3"),
        (put(GOOD, 60, "<f", float("nan")), "trigger or stick is not finite"),
        (GOOD[:-1], "hand is cut off"),
        (GOOD[:-750], "controller is cut off"),
        (GOOD + GOOD[56:132], "stands twice"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        decode_frame(payload)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": 3}', '{"type": "x", "a": NaN}', "[" * 100_000])
def test_texts_that_are_no_messages_are_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_text(text)


@pytest.mark.parametrize("value", ["1", True, None, 1e300])
def test_numbers_must_be_numbers(value: object) -> None:
    with pytest.raises(ProtocolError):
        number({"id": value}, "id")


def test_the_buttons_are_those_of_xr_standard() -> None:
    assert BUTTONS[:4] == ("trigger", "squeeze", "touchpad", "stick")
