"""NAL units of Annex B access units: the parameter sets that a video file's header must carry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

_START = b"\x00\x00\x01"
_SPS = 7
_PPS = 8
"""NAL unit types, ITU-T H.264 table 7-1."""


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """Sequence and picture parameter sets of a stream, in order.

    Packets of two streams may share one mp4 track only when these are equal: the track's header holds
    one copy for all of them.
    """

    units: tuple[bytes, ...]

    @property
    def key(self) -> str:
        """Short identity of the sets."""
        return hashlib.sha256(b"".join(len(u).to_bytes(4, "big") + u for u in self.units)).hexdigest()[:16]


def nal_units(payload: bytes) -> Iterator[bytes]:
    """NAL units of an Annex B access unit, without start codes and trailing zeros."""
    at = payload.find(_START)
    while at >= 0:
        begin = at + 3
        at = payload.find(_START, begin)
        yield (payload[begin:] if at < 0 else payload[begin:at]).rstrip(b"\x00")


def parameter_sets(payload: bytes) -> ParameterSets:
    """The distinct parameter sets of a keyframe's access unit; empty where it carries none."""
    found: list[bytes] = []
    for unit in nal_units(payload):
        kind = unit[0] & 0x1F if unit else 0
        if kind in (_SPS, _PPS) and unit not in found:
            found.append(unit)
        elif kind in (1, 5):  # slices follow the parameter sets they refer to
            break
    return ParameterSets(tuple(found))
