"""Force-torque sensors byte by byte: Robotiq FT 300 and Bota, from the documents that the drivers name."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from devices.emulators.pty_port import Reply
from devices.sensors.checksums import crc16_modbus, crc16_x25

Wrench = Sequence[float]


class EmulatedFt300:
    """A Robotiq FT 300: streams after power-up; 0xFF stops it; writing register 410 starts it.

    Attributes:
        wrench: What it measures: [N] and [N m].
        streaming: Whether it streams.
    """

    baud = 19200

    def __init__(self) -> None:
        self.wrench: Wrench = (0.0,) * 6
        self.streaming = True
        self._waiting = b""

    def receive(self, data: bytes) -> list[Reply]:
        """Bytes from the host."""
        if data.count(0xFF) >= 50 or (not self._waiting and set(data) == {0xFF}):
            self.streaming, self._waiting = False, b""
            data = data.replace(b"\xff", b"")
        self._waiting += data
        if len(self._waiting) < 11:
            return []
        request, self._waiting = self._waiting[:11], self._waiting[11:]
        slave, function, register, count, length, value, crc = struct.unpack(">BBHHBH2s", request)
        if slave != 9 or crc16_modbus(request[:-2]).to_bytes(2, "little") != crc:
            return []
        if (function, register, count, length, value) != (16, 410, 1, 2, 0x0200):
            return [Reply(_modbus(bytes([9, function | 0x80, 2])))]  # exception: illegal data address
        self.streaming = True
        return [Reply(_modbus(request[:6]))]

    def frame(self) -> bytes:
        """The next frame of the stream, empty while it does not stream."""
        if not self.streaming:
            return b""
        counts = [round(v * 100) for v in self.wrench[:3]] + [round(v * 1000) for v in self.wrench[3:]]
        return _modbus(b"\x20\x4e" + struct.pack("<6h", *counts))


class EmulatedBota:
    """A Bota sensor: runs after power-up; text commands in its configuration mode.

    Attributes:
        wrench: What it measures: [N] and [N m].
        status: Bits of the next frames.
        commands: What the host asked for.
    """

    def __init__(self, baud: int = 460_800) -> None:
        self.baud = baud
        self.wrench: Wrench = (0.0,) * 6
        self.status = 0
        self.commands: list[str] = []
        self.running = True
        self.sinc = 512
        self.stamp_us = 2**32 - 100_000  # wraps after a tenth of a second, as it does every 71.6 min

    def receive(self, data: bytes) -> list[Reply]:
        """Bytes from the host: one command."""
        command = data.decode("ascii", "replace")
        self.commands.append(command)
        letter = command[:1]
        if letter == "C":
            self.running = False
        elif self.running or letter not in "cfR":
            return []
        elif letter == "f":
            self.sinc = int(command.split(",")[1])
        elif letter == "R":
            self.running = True
        return [Reply(f"r,0,{letter},0".encode())]

    def skip(self, frames: int) -> None:
        """Let frames go by unsent."""
        self.stamp_us += frames * self._period_us

    def frame(self) -> bytes:
        """The next frame, empty while it is configured."""
        if not self.running:
            return b""
        self.skip(1)
        body = struct.pack("<H6fIf", self.status, *self.wrench, self.stamp_us % 2**32, 31.5)
        return b"\xaa" + body + crc16_x25(body).to_bytes(2, "little")

    @property
    def _period_us(self) -> int:
        return self.sinc * 1_000_000 // 51_200


def _modbus(message: bytes) -> bytes:
    return message + crc16_modbus(message).to_bytes(2, "little")
