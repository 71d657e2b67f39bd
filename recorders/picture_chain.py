"""Tells whether an H.264 frame can be decoded after the frames seen before it.

A frame that the camera never took leaves a gap in its numbers but none in the stream. A packet lost on the
way leaves both, and every frame up to the next keyframe then shows errors that no decoder reports. The
stream's own picture numbers (`frame_num`, ITU-T H.264 7.4.3) tell the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

_SPS, _SLICE, _IDR_SLICE = 7, 1, 5
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_HEADER_BYTES = 64
MAX_GAP = 3
"""More missing frames than this count as a break: picture numbers start anew with each keyframe, so after
a restarted encoder they could fit by chance. Cameras send a keyframe after a gap of that length."""


class _Bits:
    """Reads a NAL unit's header fields, without its emulation prevention bytes."""

    def __init__(self, payload: bytes) -> None:
        clean = payload[:_HEADER_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(clean, "big")
        self._left = 8 * len(clean)

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("a header is cut off")
        self._left -= count
        return self._value >> self._left & (1 << count) - 1

    def exp_golomb(self) -> int:
        zeros = 0
        while self.take(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a frame says about its place in the stream.

    Attributes:
        keyframe: IDR.
        reference: Later frames may build on it.
        frame_num: Picture number, None when the stream's parameters are not known.
    """

    keyframe: bool
    reference: bool
    frame_num: int | None


class PictureChain:
    """Follows one camera's stream.

    Attributes:
        started: A keyframe was accepted.
    """

    def __init__(self) -> None:
        self.started = False
        self._number_bits: int | None = None
        self._last: Picture | None = None

    def accepts(self, payload: bytes, missing: int = 0) -> bool:
        """Whether this access unit can be decoded. Once one cannot, none can until the next keyframe.

        Args:
            payload: Annex B.
            missing: Frames that are missing before it by the camera's own count.
        """
        picture = self._read(payload)
        if picture is None or not (picture.keyframe or self._follows(picture, missing)):
            self._last = None  # broken until the next keyframe
            return False
        self.started = True
        self._last = picture
        return True

    def _follows(self, picture: Picture, missing: int) -> bool:
        last = self._last
        if last is None or missing > MAX_GAP:
            return False
        if picture.frame_num is None or last.frame_num is None or self._number_bits is None:
            return missing == 0
        expected = last.frame_num + (1 if last.reference else 0)
        return picture.frame_num == expected % (1 << self._number_bits)

    def _read(self, payload: bytes) -> Picture | None:
        """The first slice of an access unit, None when it has none."""
        at = payload.find(b"\x00\x00\x01")
        while 0 <= at < len(payload) - 4:
            head = payload[at + 3]
            body = payload[at + 4 : at + 4 + _HEADER_BYTES]
            kind = head & 0x1F
            if kind == _SPS:
                self._number_bits = _number_bits(body)
            elif kind in (_SLICE, _IDR_SLICE):
                return Picture(kind == _IDR_SLICE, bool(head & 0x60), self._frame_num(body))
            at = payload.find(b"\x00\x00\x01", at + 3)
        return None

    def _frame_num(self, body: bytes) -> int | None:
        if self._number_bits is None:
            return None
        bits = _Bits(body)
        try:
            for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
                bits.exp_golomb()
            return bits.take(self._number_bits)
        except ValueError:
            return None


def _number_bits(body: bytes) -> int | None:
    """Length of `frame_num` in bits, from a sequence parameter set (7.3.2.1.1)."""
    bits = _Bits(body)
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.exp_golomb()
        if profile in _HIGH_PROFILES:
            if bits.exp_golomb() == 3:
                bits.take(1)
            bits.exp_golomb()
            bits.exp_golomb()
            bits.take(1)
            if bits.take(1):  # scaling lists: never written by x264
                return None
        return bits.exp_golomb() + 4
    except ValueError:
        return None
