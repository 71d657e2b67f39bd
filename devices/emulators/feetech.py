"""A chain of emulated Feetech STS servos that speaks their protocol in bytes, with a parser of its own.

Source: Feetech, "SCS communication protocol" and the memory table of the STS series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from devices.emulators.arms import FEETECH_ARMS
from devices.emulators.by_hand import serve
from devices.emulators.feetech_servo import EmulatedFeetech
from devices.emulators.pty_port import Reply

BROADCAST = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, SYNC_READ, SYNC_WRITE = 1, 2, 3, 4, 5, 0x82, 0x83
HEADER = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet whose checksum was right."""

    servo: int
    instruction: int
    parameters: bytes


def checksum(data: bytes) -> int:
    """Inverted sum of ID, length, instruction and parameters."""
    return ~sum(data) & 0xFF


def wrap(servo: int, instruction: int, body: bytes) -> bytes:
    """A packet; in an answer the error byte stands where the instruction does."""
    inner = bytes((servo, len(body) + 2, instruction)) + body
    return HEADER + inner + bytes((checksum(inner),))


class FrameParser:
    """Finds packets in bytes as they come; what is damaged is passed over."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take more bytes; the packets that they complete."""
        self._buffer += data
        while True:
            start = self._buffer.find(HEADER)
            if start < 0:
                self._buffer = self._buffer[-1:]
                return
            self._buffer = self._buffer[start:]
            if len(self._buffer) < 4:
                return
            servo, length = self._buffer[2], self._buffer[3]
            if servo == 0xFF or length < 2:
                self._buffer = self._buffer[1:]
                continue
            end = 4 + length
            if len(self._buffer) < end:
                return
            packet = self._buffer[:end]
            if checksum(packet[2:-1]) != packet[-1]:
                self._buffer = self._buffer[1:]
                continue
            self._buffer = self._buffer[end:]
            yield Frame(servo, packet[4], packet[5:-1])


class FeetechChain:
    """Servos on one line.

    Args:
        models: Model number by ID.
        baud: Bit rate that they are set to.
        chained: Whether, in a sync read, those behind a silent servo stay silent too.

    Attributes:
        servos: By ID.
        duplicates: IDs that a second servo has too: answers collide.
    """

    def __init__(self, models: Mapping[int, int], baud: int = 1_000_000, *, chained: bool = False) -> None:
        self.baud = baud
        self.servos = {servo: EmulatedFeetech(servo, model) for servo, model in models.items()}
        self.duplicates: set[int] = set()
        self._chained = chained
        self._parser = FrameParser()

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the host; the answers, in order."""
        return [reply for frame in self._parser.feed(data) for reply in self._answer(frame)]

    def _answer(self, frame: Frame) -> Iterable[Reply]:
        if frame.instruction == SYNC_READ:
            return self._sync_read(frame.parameters)
        if frame.instruction == SYNC_WRITE:
            return self._sync_write(frame.parameters)
        if frame.servo == BROADCAST:
            for number in self.servos:
                self._single(number, frame)
            return []
        return self._single(frame.servo, frame)

    def _single(self, number: int, frame: Frame) -> list[Reply]:
        servo = self.servos.get(number)
        if servo is None or servo.silent:
            return []
        body, data, level = frame.parameters, b"", 1
        if frame.instruction == READ and len(body) == 2:
            level, data = 0, servo.read(body[0], body[1])
        elif frame.instruction == WRITE and len(body) > 1:
            servo.write(body[0], body[1:])
        elif frame.instruction == REG_WRITE and len(body) > 1:
            servo.registered = (body[0], body[1:])
        elif frame.instruction == ACTION:
            servo.act()
        elif frame.instruction == PING:
            level = 0
        else:
            return []
        return [self._reply(servo, data)] if level <= servo.status_return_level else []

    def _sync_read(self, body: bytes) -> list[Reply]:
        replies: list[Reply] = []
        for number in body[2:]:
            servo = self.servos.get(number)
            if servo is None or servo.silent:
                if self._chained:
                    break
                continue
            replies.append(self._reply(servo, servo.read(body[0], body[1])))
        return replies

    def _sync_write(self, body: bytes) -> list[Reply]:
        address, length, rest = body[0], body[1], body[2:]
        for start in range(0, len(rest) - length, length + 1):
            servo = self.servos.get(rest[start])
            if servo is not None and not servo.silent:
                servo.write(address, rest[start + 1 : start + 1 + length])
        return []

    def _reply(self, servo: EmulatedFeetech, data: bytes) -> Reply:
        packet = wrap(servo.number, servo.alarm, data)
        if servo.number in self.duplicates:
            packet = bytes(a & b for a, b in zip(packet + b"\xff", b"\xff" + packet, strict=True))
        return Reply(packet, servo.delay_s)


def main(arguments: list[str] | None = None) -> int:
    """`python -m devices.emulators.feetech --arm so101` prints the port of an emulated arm and serves it."""
    return serve("Emulated Feetech arm.", FEETECH_ARMS, FeetechChain, _swing, arguments)


def _swing(chain: FeetechChain, angle: float) -> None:
    for servo in chain.servos.values():
        if not servo.torque_on:
            servo.turn_by_hand(math.pi + angle)


if __name__ == "__main__":
    raise SystemExit(main())
