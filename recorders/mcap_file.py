"""Bytes of an MCAP file, never more than it has.

Every length is checked against the file before anything is allocated, so that a damaged or hostile
file costs an error and not the machine's memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream

from recorders.mcap_layout import RECORD_HEAD
from teleop_app.core.errors import EpisodeError, UnreadableError


class McapFile:
    """An open file.

    Args:
        path: The file.

    Raises:
        EpisodeError: It cannot be opened.

    Attributes:
        size: Its length when it was opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resting = False
        self._file, self._state = self._opened()
        self.size = self._state[0]

    def _opened(self) -> tuple[BinaryIO, tuple[int, int]]:
        """The file, and its length and the time of its last change [ns]."""
        try:
            file = self.path.open("rb")
            status = os.fstat(file.fileno())
        except OSError as error:
            why = error.strerror or str(error)
            raise EpisodeError(f"{self.path.name} cannot be opened", why=why) from error
        return file, (status.st_size, status.st_mtime_ns)

    def _again(self) -> BinaryIO:
        """The file, opened again after `rest`."""
        file, state = self._opened()
        if state != self._state:
            file.close()
            raise EpisodeError(
                f"{self.path.name} was altered",
                why="it changed since it was first read",
                next_step="Start anew",
            )
        return file

    def damaged(self, why: str) -> EpisodeError:
        """The error for a file whose bytes are wrong."""
        return EpisodeError(
            f"{self.path.name} is damaged",
            why=why,
            next_step="Restore it from a copy, or discard the episode",
        )

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file.

        Raises:
            EpisodeError: They lie outside it.
            UnreadableError: The disk does not give them.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise self.damaged("it refers to bytes beyond its end")
        if self._resting:
            self._file, self._resting = self._again(), False
        try:
            self._file.seek(offset)
            payload = self._file.read(length)
        except OSError as error:
            raise UnreadableError(
                f"{self.path.name} cannot be read",
                why=error.strerror or str(error),
                next_step="Check the disk",
            ) from error
        if len(payload) != length:
            raise self.damaged("it became shorter while it was read")
        return payload

    def records(self, data: bytes) -> Iterator[tuple[int, int, int]]:
        """Records in `data` as (opcode, start of the body, length of the body).

        Raises:
            EpisodeError: One reaches beyond the end.
        """
        at = 0
        while at < len(data):
            if at + RECORD_HEAD.size > len(data):
                raise self.damaged("a record is cut off")
            opcode, length = RECORD_HEAD.unpack_from(data, at)
            at += RECORD_HEAD.size
            if length > len(data) - at:
                raise self.damaged("a record is longer than what holds it")
            if opcode == 0:  # no record is, and a bomb of zeros would be millions of them
                raise self.damaged("a record is of no kind")
            yield opcode, at, length
            at += length

    def record(self, at: int, whole: int, limit: int) -> memoryview:
        """Body of the record of `whole` bytes at `at`.

        Raises:
            EpisodeError: It is longer than `limit`, or than the file.
        """
        if whole > limit or whole < RECORD_HEAD.size:
            raise self.damaged(f"a record of {whole} bytes exceeds the limit of {limit}")
        return memoryview(self.read(at, whole))[RECORD_HEAD.size :]

    def rest(self) -> None:
        """Close the file until it is read again; what is known of it is kept."""
        self._resting = True
        self._file.close()

    def close(self) -> None:
        """Close the file for good. Idempotent."""
        self._resting = False
        self._file.close()


def stream(body: bytes | memoryview) -> ReadDataStream:
    """Bytes as the `mcap` package reads them."""
    return ReadDataStream(BytesIO(body))
