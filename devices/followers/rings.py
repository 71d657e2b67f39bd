"""The two rings between control and a follower: names and layouts.

All payloads are little-endian float64 vectors; n is the length of the follower's joint vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from teleop_app.core.errors import DeviceError
from teleop_app.core.ring import RingReader, RingRecord, RingWriter

Array = NDArray[np.float64]


def state_ring(follower: str) -> str:
    """Ring in which a follower reports; see `pack_state`."""
    return f"{follower}.state"


def command_ring(follower: str) -> str:
    """Ring in which control commands a follower: joint targets, shape (n,)."""
    return f"{follower}.command"


@dataclass(frozen=True, slots=True)
class LinkState:
    """What a follower's ring holds.

    Attributes:
        capture_ns: Host time at which this was the present state.
        step: Count of states.
        device_s: The follower's own time of it [s]; physics time of the simulation, 0 when it has none.
        position: Joint vector, shape (n,).
        velocity: Shape (n,).
        effort: Shape (n,).
    """

    capture_ns: int
    step: int
    device_s: float
    position: Array
    velocity: Array
    effort: Array


class VectorWriter:
    """Writes float64 vectors of one fixed length into a ring."""

    def __init__(self, folder: Path, name: str, length: int, slots: int = 64) -> None:
        self._length = length
        self._ring = RingWriter(folder / name, length * 8, slots)

    def write(self, vector: Array, stamp_ns: int, seq: int) -> None:
        """Put `vector`, shape (length,), into the ring.

        Raises:
            DeviceError: Wrong length.
        """
        if vector.shape != (self._length,):
            raise DeviceError(
                f"A vector of shape {vector.shape} does not fit a ring of length {self._length}"
            )
        self._ring.write(np.ascontiguousarray(vector, "<f8").data, stamp_ns, seq)

    def close(self) -> None:
        """Release the ring."""
        self._ring.close()


class VectorReader:
    """Reads the newest float64 vector of a ring."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ring = RingReader(folder / name)

    def latest(self) -> tuple[Array, RingRecord] | None:
        """The newest vector with its record, None before the first."""
        record = self._ring.latest()
        return None if record is None else (np.frombuffer(record.payload, "<f8"), record)

    def next_new(self) -> tuple[Array, RingRecord] | None:
        """The newest vector if it was not returned before, else None."""
        record = self._ring.next_new()
        return None if record is None else (np.frombuffer(record.payload, "<f8"), record)

    def close(self) -> None:
        """Release the ring."""
        self._ring.close()


def pack_state(device_s: float, position: Array, velocity: Array, effort: Array) -> Array:
    """Layout of a state ring: [device_s, position, velocity, effort], shape (1 + 3 n,)."""
    return np.concatenate([[device_s], position, velocity, effort])


def unpack_state(vector: Array, record: RingRecord) -> LinkState:
    """Inverse of `pack_state`."""
    n = (len(vector) - 1) // 3
    return LinkState(
        capture_ns=record.stamp_ns,
        step=record.seq,
        device_s=float(vector[0]),
        position=vector[1 : 1 + n],
        velocity=vector[1 + n : 1 + 2 * n],
        effort=vector[1 + 2 * n : 1 + 3 * n],
    )
