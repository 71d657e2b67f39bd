"""Bytes of an MCAP file, never more than it has.

Every length is checked against the file before anything is allocated, so that a damaged or hostile
file costs an error and not the machine's memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

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
        try:
            self._file = path.open("rb")
            self.size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise EpisodeError(f"{path.name} cannot be opened", why=error.strerror or str(error)) from error

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

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()


def stream(body: bytes | memoryview) -> ReadDataStream:
    """Bytes as the `mcap` package reads them."""
    return ReadDataStream(BytesIO(body))
