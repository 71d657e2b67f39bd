"""What headset and station say to each other (docs/vr.md): frames in bytes, everything else in JSON.

Bytes from a browser are not trusted: whatever is not exactly as described here is a `ProtocolError`.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from devices.vr.frames import operator_from_openxr
from teleop_app.core.geometry import Array

VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 8192
"""Larger messages end the connection; two hands take 1.6 kB."""

HANDS: Final = ("left", "right")
JOINTS: Final = 25
BUTTONS: Final = ("trigger", "squeeze", "touchpad", "stick", "lower", "upper", "rest")
"""Bits of a controller's buttons, in the order of WebXR's `xr-standard`; lower is A or X, upper B or Y."""

_KIND: Final = 1
_HEAD: Final = struct.Struct("<BBHIIdd7f")
_CONTROLLER: Final = struct.Struct("<BBH4f7f7f")
_HAND_BYTES: Final = JOINTS * 7 * 4
_VISIBLE: Final = 1
_HEAD_TRACKED: Final = 2
_GRIP_TRACKED: Final = 1
_AIM_TRACKED: Final = 2
_HAS_HAND: Final = 4
_TRANSIENT: Final = 8
_FARTHEST_M: Final = 100.0
_LATEST_MS: Final = 1e13
_UNIT_TOLERANCE: Final = 0.02
_MAX_TEXT: Final = 200


class ProtocolError(ValueError):
    """A message that is not as described; its text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Controller:
    """One hand's controller, or bare hand, at a frame. Poses: operator's axes, shape (7,), None untracked.

    Attributes:
        hand: `left` or `right`.
        grip: Where the controller is held.
        aim: Where it points.
        joints: 25 joints of a tracked hand, shape (25, 7), WebXR's order.
        trigger: 0 .. 1.
        squeeze: 0 .. 1.
        stick: x to the right, y towards the operator, each -1 .. 1.
        pressed: Names out of `BUTTONS`.
        transient: A pinch that is looked at (`transient-pointer`): it exists only while it is held.
    """

    hand: str
    grip: Array | None
    aim: Array | None
    joints: Array | None
    trigger: float
    squeeze: float
    stick: tuple[float, float]
    pressed: frozenset[str]
    transient: bool = False


@dataclass(frozen=True, slots=True)
class XrFrame:
    """What a headset says once a frame.

    Attributes:
        seq: Counts up by one a frame, from 0 at each connection.
        resets: Counts resets of the reference space (recentre).
        device_ns: When the frame began, the browser's monotonic clock.
        sent_ns: When it was sent, same clock.
        visible: The session is `visible`; else the headset's own menu has the controllers.
        head: Pose of the head, operator's axes; None untracked.
        controllers: By hand.
    """

    seq: int
    resets: int
    device_ns: int
    sent_ns: int
    visible: bool
    head: Array | None
    controllers: dict[str, Controller]


def decode_frame(payload: bytes) -> XrFrame:
    """Read a frame.

    Raises:
        ProtocolError: It is not one.
    """
    if len(payload) < _HEAD.size:
        raise ProtocolError(f"a frame of {len(payload)} bytes is too short")
    kind, version, flags, seq, resets, device_ms, sent_ms, *head = _HEAD.unpack_from(payload)
    if kind != _KIND:
        raise ProtocolError(f"a message of kind {kind} is not known")
    if version != VERSION:
        raise ProtocolError(f"the page speaks version {version}, the station {VERSION}; load the page anew")
    controllers: dict[str, Controller] = {}
    place = _HEAD.size
    while place < len(payload):
        controller, place = _controller(payload, place)
        if controller.hand in controllers:
            raise ProtocolError(f"the {controller.hand} hand stands twice in a frame")
        controllers[controller.hand] = controller
    return XrFrame(
        seq=seq,
        resets=resets,
        device_ns=_time_ns(device_ms),
        sent_ns=_time_ns(sent_ms),
        visible=bool(flags & _VISIBLE),
        head=_pose(np.array(head), "head") if flags & _HEAD_TRACKED else None,
        controllers=controllers,
    )


def encode_frame(frame: XrFrame) -> bytes:
    """The bytes of a frame (tests and other headsets' programs; pages have `web/packet.js`)."""
    flags = _VISIBLE * frame.visible | _HEAD_TRACKED * (frame.head is not None)
    parts = [
        _HEAD.pack(
            _KIND,
            VERSION,
            flags,
            frame.seq,
            frame.resets,
            frame.device_ns / 1e6,
            frame.sent_ns / 1e6,
            *_openxr(frame.head),
        )
    ]
    for each in frame.controllers.values():
        bits = sum(1 << BUTTONS.index(name) for name in each.pressed)
        marks = _GRIP_TRACKED * (each.grip is not None) | _AIM_TRACKED * (each.aim is not None)
        marks |= _HAS_HAND * (each.joints is not None) | _TRANSIENT * each.transient
        values = (each.trigger, each.squeeze, *each.stick, *_openxr(each.grip), *_openxr(each.aim))
        parts.append(_CONTROLLER.pack(HANDS.index(each.hand), marks, bits, *values))
        if each.joints is not None:
            parts.append(b"".join(struct.pack("<7f", *_openxr(joint)) for joint in each.joints))
    return b"".join(parts)


def decode_text(text: str) -> dict[str, Any]:
    """Read a JSON message: a map with a `type`.

    Raises:
        ProtocolError: It is not one.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a message is not JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ProtocolError("a message has no type")
    return value


def number(value: dict[str, Any], name: str) -> float:
    """A finite number of a message.

    Raises:
        ProtocolError: There is none.
    """
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < _LATEST_MS:
        raise ProtocolError(f"{name} of a message is not a number")
    return float(found)


def short_text(value: dict[str, Any], name: str) -> str:
    """A text of a message, printable and cut to a sane length; empty when there is none."""
    found = value.get(name, "")
    if not isinstance(found, str):
        raise ProtocolError(f"{name} of a message is not a text")
    return "".join(each for each in found if each.isprintable())[:_MAX_TEXT]


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _controller(payload: bytes, place: int) -> tuple[Controller, int]:
    end = place + _CONTROLLER.size
    if end > len(payload):
        raise ProtocolError(f"a controller is cut off at byte {len(payload)}")
    hand, flags, buttons, *values = _CONTROLLER.unpack_from(payload, place)
    if hand >= len(HANDS):
        raise ProtocolError(f"there is no hand {hand}")
    trigger, squeeze, x, y = (_level(value) for value in values[:4])
    joints = None
    if flags & _HAS_HAND:
        if end + _HAND_BYTES > len(payload):
            raise ProtocolError(f"a hand is cut off at byte {len(payload)}")
        raw = np.frombuffer(payload, "<f4", JOINTS * 7, end).astype(np.float64).reshape(JOINTS, 7)
        joints = _poses(raw, f"{HANDS[hand]} hand")
        end += _HAND_BYTES
    controller = Controller(
        hand=HANDS[hand],
        grip=_pose(np.array(values[4:11]), "grip") if flags & _GRIP_TRACKED else None,
        aim=_pose(np.array(values[11:18]), "aim") if flags & _AIM_TRACKED else None,
        joints=joints,
        trigger=max(0.0, trigger),
        squeeze=max(0.0, squeeze),
        stick=(x, y),
        pressed=frozenset(name for bit, name in enumerate(BUTTONS) if buttons >> bit & 1),
        transient=bool(flags & _TRANSIENT),
    )
    return controller, end


def _level(value: float) -> float:
    if not math.isfinite(value):
        raise ProtocolError("a trigger or stick is not finite")
    return min(1.0, max(-1.0, value))


def _time_ns(value_ms: float) -> int:
    if not 0.0 <= value_ms < _LATEST_MS:
        raise ProtocolError(f"the time {value_ms:g} ms makes no sense")
    return round(value_ms * 1e6)


def _pose(raw: Array, what: str) -> Array:
    return _poses(raw[None, :], what)[0]


def _poses(raw: Array, what: str) -> Array:
    """From the wire (position, quat_xyzw, OpenXR axes) to ours; shape (n, 7)."""
    if not np.isfinite(raw).all():
        raise ProtocolError(f"the pose of the {what} is not finite")
    if np.abs(raw[:, :3]).max() > _FARTHEST_M:
        raise ProtocolError(f"the {what} is more than {_FARTHEST_M:g} m away")
    norms = np.linalg.norm(raw[:, 3:], axis=1)
    if np.abs(norms - 1.0).max() > _UNIT_TOLERANCE:
        raise ProtocolError(f"the rotation of the {what} is not a unit quaternion")
    poses = np.empty_like(raw)
    poses[:, :3] = raw[:, :3]
    poses[:, 3] = raw[:, 6] / norms
    poses[:, 4:] = raw[:, 3:6] / norms[:, None]
    return operator_from_openxr(poses)


def _openxr(pose: Array | None) -> tuple[float, ...]:
    """The wire's seven numbers of a pose in the operator's axes."""
    if pose is None:
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    x, y, z, w, i, j, k = pose
    return (x, z, -y, i, k, -j, w)
