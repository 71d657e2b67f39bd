"""What a vendor's protocol can do, as the buses use it: reads and writes of registers, one servo or many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Status:
    """An answer whose checksum was right.

    Attributes:
        error: Error byte as the protocol has it.
        data: Parameters.
    """

    error: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """What came back for a ping.

    Attributes:
        model: Model number, None when no whole answer came.
        damaged: Bytes came that are no whole answer.
        answers: Whole answers of this ID; more than one is a duplicate.
    """

    model: int | None
    damaged: bool
    answers: int


class Packets(Protocol):
    """A protocol on a line. Every call blocks for the bus; one thread.

    Attributes:
        damaged: Answers so far whose checksum was wrong, or that were cut short.
    """

    damaged: int

    def ping(self, servo: int) -> Ping:
        """Ask one ID."""
        ...

    def read(self, servo: int, address: int, length: int) -> Status | None:
        """Read registers of a servo; None when it does not answer."""
        ...

    def write(self, servo: int, address: int, data: bytes) -> Status | None:
        """Write registers of a servo; None when it does not confirm."""
        ...

    def sync_read(self, servos: Sequence[int], address: int, length: int) -> dict[int, Status]:
        """Read the same registers of several servos; those that answered."""
        ...

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same registers of several servos; nobody confirms."""
        ...
