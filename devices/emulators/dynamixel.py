"""A chain of emulated DYNAMIXEL X servos that speaks Protocol 2.0 in bytes, with a parser of its own.

Sources: ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0" and the control tables of the X series.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from devices.emulators.arms import DYNAMIXEL_ARMS
from devices.emulators.by_hand import serve
from devices.emulators.dynamixel_frames import Frame, FrameParser, crc16, stuffed, wrap
from devices.emulators.dynamixel_servo import EmulatedDynamixel
from devices.emulators.pty_port import Reply

BROADCAST = 0xFE
PING, READ, WRITE, REG_WRITE, ACTION, REBOOT = 0x01, 0x02, 0x03, 0x04, 0x05, 0x08
SYNC_READ, SYNC_WRITE, FAST_SYNC_READ = 0x82, 0x83, 0x8A
STATUS = 0x55
INSTRUCTION_ERROR = 2
LENGTH_ERROR = 5


class DynamixelChain:
    """Servos on one line.

    Args:
        models: Model number by ID.
        baud: Bit rate that they are set to.
        fast_sync_read: Whether their firmware knows Fast Sync Read.
        chained: Whether, in a sync read, those behind a silent servo stay silent too.

    Attributes:
        servos: By ID.
        duplicates: IDs that a second servo has too: answers collide.
    """

    def __init__(
        self,
        models: Mapping[int, int],
        baud: int = 1_000_000,
        *,
        fast_sync_read: bool = True,
        chained: bool = True,
    ) -> None:
        self.baud = baud
        self.servos = {servo: EmulatedDynamixel(servo, model) for servo, model in models.items()}
        self.duplicates: set[int] = set()
        self._fast = fast_sync_read
        self._chained = chained
        self._parser = FrameParser()

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the host; the answers, in order."""
        return [reply for frame in self._parser.feed(data) for reply in self._answer(frame)]

    def _answer(self, frame: Frame) -> Iterable[Reply]:
        body = frame.parameters
        if frame.instruction == SYNC_READ:
            return self._sync_read(body)
        if frame.instruction == FAST_SYNC_READ and self._fast:
            return self._fast_sync_read(body)
        if frame.instruction == SYNC_WRITE:
            return self._sync_write(body)
        if frame.servo == BROADCAST:
            return [reply for servo in sorted(self.servos) for reply in self._single(servo, frame)]
        return self._single(frame.servo, frame)

    def _single(self, number: int, frame: Frame) -> list[Reply]:
        servo = self.servos.get(number)
        if servo is None or servo.silent:
            return []
        body, broadcast = frame.parameters, frame.servo == BROADCAST
        level, error, data = 2, 0, b""
        if frame.instruction == PING:
            level, data = 0, servo.table(0, 2) + servo.table(6, 1)
        elif frame.instruction == READ and len(body) == 4:
            level = 1
            error, data = servo.read(int.from_bytes(body[:2], "little"), int.from_bytes(body[2:], "little"))
        elif frame.instruction == WRITE and len(body) > 2:
            error = servo.write(int.from_bytes(body[:2], "little"), body[2:])
            for shadow in self._hearers(number):
                if shadow is not servo:
                    shadow.write(int.from_bytes(body[:2], "little"), body[2:])
        elif frame.instruction == REG_WRITE and len(body) > 2:
            servo.registered = (int.from_bytes(body[:2], "little"), body[2:])
        elif frame.instruction == ACTION:
            error = servo.act()
        elif frame.instruction == REBOOT:
            servo.reboot()
        else:
            error = INSTRUCTION_ERROR
        if level > servo.status_return_level or (broadcast and frame.instruction != PING):
            return []
        return [self._reply(servo, bytes((error | servo.alert,)) + data)]

    def _sync_read(self, body: bytes) -> list[Reply]:
        address, length = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
        replies: list[Reply] = []
        for number in body[4:]:
            servo = self.servos.get(number)
            if servo is None or servo.silent:
                if self._chained:
                    break
                continue
            error, data = servo.read(address, length)
            replies.append(self._reply(servo, bytes((error | servo.alert,)) + data))
        return replies

    def _fast_sync_read(self, body: bytes) -> list[Reply]:
        address, length = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
        total = (length + 4) * len(body[4:]) + 1
        packet = bytes((0xFF, 0xFF, 0xFD, 0x00, BROADCAST, total & 0xFF, total >> 8, STATUS))
        delay_s = 0.0
        for number in body[4:]:
            servo = self.servos.get(number)
            if servo is None or servo.silent:
                break
            error, data = servo.read(address, length)
            packet += bytes((error | servo.alert, number)) + data
            packet += crc16(packet).to_bytes(2, "little")
            delay_s = max(delay_s, servo.delay_s)
        return [Reply(packet, delay_s)]

    def _sync_write(self, body: bytes) -> list[Reply]:
        address, length = int.from_bytes(body[:2], "little"), int.from_bytes(body[2:4], "little")
        rest = body[4:]
        for start in range(0, len(rest) - length, length + 1):
            for servo in self._hearers(rest[start]):
                servo.write(address, rest[start + 1 : start + 1 + length])
        return []

    def _hearers(self, number: int) -> list[EmulatedDynamixel]:
        """Who obeys a write to an ID: its servo, and those that have it as their secondary ID."""
        return [servo for servo in self.servos.values() if servo.hears(number) and not servo.silent]

    def _reply(self, servo: EmulatedDynamixel, body: bytes) -> Reply:
        packet = wrap(servo.number, STATUS, stuffed(body))
        if servo.number in self.duplicates:
            late = b"\xff" + packet
            packet = bytes(a & b for a, b in zip(packet + b"\xff", late, strict=True))
        return Reply(packet, servo.delay_s)


def main(arguments: list[str] | None = None) -> int:
    """`python -m devices.emulators.dynamixel --arm gello` prints an emulated arm's port and serves it."""
    return serve("Emulated Dynamixel arm.", DYNAMIXEL_ARMS, DynamixelChain, _swing, arguments)


def _swing(chain: DynamixelChain, angle: float) -> None:
    for servo in chain.servos.values():
        if not servo.torque_on:
            servo.turn_by_hand(math.pi + angle)


if __name__ == "__main__":
    raise SystemExit(main())
