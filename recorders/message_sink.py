"""Puts messages on the topics of one open MCAP file: registered, in order, bounded and counted."""

from __future__ import annotations

from array import array
from collections import defaultdict

from recorders import message_bodies, messages, wire
from recorders.ledger import Ledger
from recorders.segments import EpisodeFiles

MAX_MESSAGE_BYTES = 32 << 20
"""Larger messages are refused: readers bound what they unpack at once."""
NOT_LATER = "its time was not after the one before"
NOT_FINITE = "it held a number that is not finite"
WRONG_SHAPE = "its shape was wrong"
TOO_LARGE = f"it was larger than {MAX_MESSAGE_BYTES >> 20} MB"
IMPOSSIBLE_TIME = "its time was out of bounds"
FUTURE = "its time lay in the future"
UNDECLARED = "it was not there when the episode began"
_MAX_SEQUENCE = 0xFFFFFFFF
_INT64 = 1 << 63
_MAX_UTC_NS = (1 << 34) * 1_000_000_000
"""Up to which `wire.stamp` holds."""


class MessageSink:
    """The one way into the file; all times it takes are CLOCK_MONOTONIC [ns].

    Args:
        files: Where the messages go.
        ledger: Books what is written and refused.
        times: By topic, capture times of the samples written: those who write streams add them.
        offset_ns: UTC minus monotonic time.
    """

    def __init__(
        self,
        files: EpisodeFiles,
        ledger: Ledger,
        times: defaultdict[str, array[int]],
        offset_ns: int,
    ) -> None:
        self.ledger = ledger
        self.offset_ns = offset_ns
        self.times = times
        self._files = files

    def stamp(self, at_ns: int) -> bytes:
        """Field 1 of a message of this time; an impossible one gives a stamp that `put` never writes."""
        utc_ns = at_ns + self.offset_ns
        return wire.stamp(utc_ns) if 0 <= utc_ns < _MAX_UTC_NS else b""

    def in_order(self, topic: str, at_ns: int, count: int = 1) -> bool:
        """Whether `at_ns` is after all that came on this topic; if not, `count` samples are refused."""
        if not 0 <= at_ns + self.offset_ns < _MAX_UTC_NS:
            self.ledger.refuse(topic, IMPOSSIBLE_TIME, count)
            return False
        if self.ledger.is_later(topic, at_ns):
            return True
        self.ledger.refuse(topic, NOT_LATER, count)
        return False

    def put(
        self, topic: str, schema: str, at_ns: int, payload: bytes, ready_ns: int, seq: int, count: int = 1
    ) -> bool:
        """Write one message, stamp included.

        Args:
            topic: Where.
            schema: Of `recorders.messages`.
            at_ns: When the sample was true.
            payload: The whole message.
            ready_ns: When it was available.
            seq: The source's number; stored modulo 2^32.
            count: Samples it carries, for the books.

        Returns:
            Whether it was written; if not, it is booked as refused.

        Raises:
            StorageError: The disk refused an earlier chunk.
        """
        utc_ns, ready_utc_ns = at_ns + self.offset_ns, ready_ns + self.offset_ns
        if not (0 <= utc_ns < _MAX_UTC_NS and 0 <= ready_utc_ns < _MAX_UTC_NS):
            self.ledger.refuse(topic, IMPOSSIBLE_TIME, count)
            return False
        if len(payload) > MAX_MESSAGE_BYTES:
            self.ledger.refuse(topic, TOO_LARGE, count)
            return False
        self._files.put(topic, schema, utc_ns, payload, ready_utc_ns, seq & _MAX_SEQUENCE)
        self.ledger.counts[topic] += 1
        return True

    def put_stamps(
        self, topic: str, at_ns: int, seq: int, device_ns: int, receive_ns: int, exposure_ns: int
    ) -> None:
        """Write the other times of a sample that was written (0: unknown) as a teleop.FrameStamp.

        Raises:
            StorageError: As `put`.
        """
        receive_utc_ns = receive_ns + self.offset_ns if receive_ns else 0
        times = (device_ns, receive_utc_ns, exposure_ns)
        if not all(-_INT64 <= value < _INT64 for value in times):
            self.ledger.refuse(topic, IMPOSSIBLE_TIME)
            return
        payload = self.stamp(at_ns) + message_bodies.frame_stamp_body(seq, *times)
        self.put(topic, messages.FRAME_STAMP, at_ns, payload, receive_ns or at_ns, seq)
