"""Cutting fixed-length frames out of a byte stream that may begin in the middle of one."""

from __future__ import annotations

from collections.abc import Callable


class FixedFrames:
    """Frames of one length that begin with a header and pass a check.

    A frame that does not pass is searched for another header inside, so that one damaged or doubled byte
    costs one frame.

    Args:
        header: First bytes of each frame.
        length: Of a whole frame [bytes].
        check: Whether a whole frame is sound.
    """

    def __init__(self, header: bytes, length: int, check: Callable[[bytes], bool]) -> None:
        self._header = header
        self._length = length
        self._check = check
        self._waiting = bytearray()
        self._in_step = False
        self._skipped = 0

    def feed(self, received: bytes) -> list[bytes | None]:
        """Whole frames in order; None stands for one that was lost or damaged before the next sound one.

        What comes before the first sound frame is no loss: the stream was joined in the middle.
        """
        self._waiting += received
        found: list[bytes | None] = []
        while len(self._waiting) >= self._length:
            frame = bytes(self._waiting[: self._length])
            if frame.startswith(self._header) and self._check(frame):
                if self._in_step:
                    found += [None] * round(self._skipped / self._length)
                found.append(frame)
                del self._waiting[: self._length]
                self._in_step, self._skipped = True, 0
                continue
            following = self._waiting.find(self._header, 1)
            cut = following if following > 0 else len(self._waiting) - len(self._header) + 1
            del self._waiting[:cut]
            self._skipped += cut
        return found
