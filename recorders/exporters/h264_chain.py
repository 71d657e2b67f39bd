"""Whether each access unit still has the picture it refers to.

A decoder conceals a lost reference without a word: the pictures after it look plausible and are wrong. The
stream itself tells, since `frame_num` counts reference pictures (ITU-T H.264, 7.4.3).
"""

from __future__ import annotations

from recorders.exporters.h264_units import nal_units

_SLICE, _IDR_SLICE, _SPS = 1, 5, 7
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Profiles whose parameter sets describe the chroma format, 7.3.2.1.1."""
_HEADER_BYTES = 64
"""More than the fields read here can take."""


class ReferenceChain:
    """Follows a stream from keyframe to keyframe."""

    def __init__(self) -> None:
        self._frame_num_bits = 0
        self._last: int | None = None

    def intact(self, payload: bytes) -> bool:
        """Whether the next access unit can be decoded rightly; after a break, until a keyframe, none can.

        A stream whose parameter sets use parts of the standard not read here counts as intact only at
        keyframes.
        """
        for unit in nal_units(payload):
            kind = unit[0] & 0x1F if unit else 0
            if kind == _SPS:
                self._frame_num_bits = _frame_num_bits(unit)
            elif kind == _IDR_SLICE:
                self._last = 0
                return True
            elif kind == _SLICE:
                return self._follows(unit)
        return False

    def _follows(self, unit: bytes) -> bool:
        if self._last is None or not self._frame_num_bits:
            return False
        bits = _Bits(unit[1:_HEADER_BYTES])
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            bits.exp_golomb()
        number = bits.read(self._frame_num_bits)
        following = (self._last + 1) % (1 << self._frame_num_bits)
        if number not in (self._last, following):
            self._last = None
            return False
        if unit[0] & 0x60:  # nal_ref_idc: a picture that others may refer to
            if number != following:
                self._last = None
                return False
            self._last = number
        return True


class _Bits:
    """Reads bits of a NAL unit's payload, without the emulation prevention bytes."""

    def __init__(self, content: bytes) -> None:
        content = content.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(content, "big")
        self._left = len(content) * 8

    def read(self, count: int) -> int:
        """An unsigned number of `count` bits; zero beyond the end."""
        self._left -= count
        return (self._value >> self._left if self._left >= 0 else 0) & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """An unsigned Exp-Golomb number, 9.1."""
        zeros = 0
        while self._left > 0 and self.read(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def _frame_num_bits(sps: bytes) -> int:
    """Width of `frame_num`; 0 where the parameter set holds what is not read here."""
    bits = _Bits(sps[1:_HEADER_BYTES])
    profile = bits.read(8)
    bits.read(16)  # constraint flags and level
    bits.exp_golomb()  # seq_parameter_set_id
    if profile in _HIGH_PROFILES:
        if bits.exp_golomb() == 3:  # chroma_format_idc 4:4:4
            return 0
        bits.exp_golomb()  # bit depths of luma and chroma
        bits.exp_golomb()
        bits.read(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.read(1):  # seq_scaling_matrix_present_flag
            return 0
    return bits.exp_golomb() + 4
