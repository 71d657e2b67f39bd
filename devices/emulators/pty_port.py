"""A serial port that is not there: a pseudo-terminal with an emulated chain of servos behind it."""

from __future__ import annotations

import os
import random
import select
import termios
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BITS_PER_BYTE = 10
BAUDS = {
    getattr(termios, name): int(name[1:]) for name in dir(termios) if name[1:].isdigit() and name[0] == "B"
}


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes that one servo answers with.

    Attributes:
        data: What goes onto the wire.
        delay_s: How long the servo thinks first [s].
    """

    data: bytes
    delay_s: float = 0.0


class Chain(Protocol):
    """What hangs on the line. Called from the port's thread, under its lock."""

    @property
    def baud(self) -> int:
        """Bit rate that its servos are set to."""
        ...

    def receive(self, data: bytes) -> list[Reply]:
        """Take bytes from the host and give the answers, in order."""
        ...


class PtyPort:
    """Opens a pseudo-terminal and serves it from a thread. Use as a context, or `open` and `close`.

    What the client sets as bit rate is seen by the emulator (a pseudo-terminal shares its settings): at
    another rate than the servos' the bytes arrive as nonsense, as on a wire.

    Args:
        chain: What answers.
        wire_time: Whether bytes take the time that they take at the bit rate.
        link: A symbolic link to keep on the port, so that its name survives an unplugging.
        seed: Of the random damage.

    Attributes:
        corrupt_rate: Share of answers in which one bit is flipped, 0..1.
        lock: Held while the chain is used; tests take it to look inside.
    """

    def __init__(
        self, chain: Chain, *, wire_time: bool = False, link: Path | None = None, seed: int = 0
    ) -> None:
        self.chain = chain
        self.corrupt_rate = 0.0
        self.lock = threading.RLock()
        self._wire_time = wire_time
        self._link = link
        self._random = random.Random(seed)  # noqa: S311
        self._thread: threading.Thread | None = None
        self._master = self._slave = -1
        self._wake: tuple[int, int] = (-1, -1)
        self._path = ""

    @property
    def path(self) -> str:
        """Device file to open; the link where one was asked for."""
        return str(self._link) if self._link is not None else self._path

    def open(self) -> PtyPort:
        """Make the port and start to answer."""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._path = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self._path)
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, name=f"emulator {self._path}", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Unplug: the port vanishes, and whoever has it open gets an error. May be called twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.write(self._wake[1], b"x")
        thread.join()
        for descriptor in (self._slave, self._master, *self._wake):
            os.close(descriptor)
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def __enter__(self) -> PtyPort:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def client_baud(self) -> int:
        """Bit rate that the client has set; 0 when it is none of the usual ones."""
        return BAUDS.get(termios.tcgetattr(self._master)[5], 0)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            arrived_ns = time.monotonic_ns()
            data = os.read(self._master, 4096)
            if self.client_baud() != self.chain.baud:
                data = bytes(byte >> 1 & 0x55 for byte in data)
            with self.lock:
                replies = self.chain.receive(data)
            self._answer(replies, arrived_ns, len(data))

    def _answer(self, replies: list[Reply], arrived_ns: int, request: int) -> None:
        due_ns = arrived_ns + self._wire_ns(request)
        for reply in replies:
            due_ns += round(reply.delay_s * 1e9) + self._wire_ns(len(reply.data))
        remaining_s = (due_ns - time.monotonic_ns()) / 1e9
        if remaining_s > 0 and select.select([self._wake[0]], [], [], remaining_s)[0]:
            return
        data = b"".join(self._damage(reply.data) for reply in replies)
        if data:
            os.write(self._master, data)

    def _damage(self, data: bytes) -> bytes:
        if not data or self._random.random() >= self.corrupt_rate:
            return data
        bit = self._random.randrange(8 * len(data))
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        return bytes(damaged)

    def _wire_ns(self, count: int) -> int:
        return round(count * BITS_PER_BYTE * 1e9 / self.chain.baud) if self._wire_time else 0
