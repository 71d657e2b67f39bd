"""What station and page say to each other about video (docs/vr.md): packets in bytes, the rest in JSON."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

from devices.vr.protocol import ProtocolError, decode_text, number
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.types import VideoPacket

VERSION: Final = 1
MOST_CAMERAS: Final = 64
_KIND: Final = 2
_HEAD: Final = struct.Struct("<BBBBIIdddHH")
HEAD_BYTES: Final = _HEAD.size
_KEYFRAME: Final = 1


@dataclass(frozen=True, slots=True)
class Got:
    """The client has every packet up to this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Show:
    """The client shows these cameras and wants no others; None: all."""

    cameras: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class AskTime:
    """The client compares its clock; `page_ms` is given back to it."""

    page_ms: float


def encode_packet(packet: VideoPacket, camera: int, number: int, sent_ns: int) -> bytes:
    """The bytes of a packet; times in ms of the host's monotonic clock.

    Args:
        packet: The packet.
        camera: Its camera's number in the list that the client was told.
        number: Counts the packets of this connection from 1; the client acknowledges it.
        sent_ns: Now.
    """
    return (
        _HEAD.pack(
            _KIND,
            VERSION,
            _KEYFRAME * packet.keyframe,
            camera,
            number & 0xFFFFFFFF,
            packet.seq & 0xFFFFFFFF,
            packet.capture_ns / NS_PER_MS,
            packet.encoded_ns / NS_PER_MS,
            sent_ns / NS_PER_MS,
            packet.width,
            packet.height,
        )
        + packet.payload
    )


def decode_request(text: str) -> Got | Show | AskTime:
    """What a client asks.

    Raises:
        ProtocolError: It is malformed or unknown.
    """
    message = decode_text(text)
    match message["type"]:
        case "got":
            return Got(int(number(message, "number")))
        case "show":
            return Show(_cameras(message))
        case "clock":
            return AskTime(number(message, "page_ms"))
        case unknown:
            raise ProtocolError(f"a message of type {unknown[:20]!r} is not known")


def _cameras(message: dict[str, Any]) -> frozenset[str] | None:
    found = message.get("cameras")
    if found is None:
        return None
    if (
        not isinstance(found, list)
        or len(found) > MOST_CAMERAS
        or not all(isinstance(each, str) for each in found)
    ):
        raise ProtocolError("cameras of a message is not a list of names")
    return frozenset(found)
