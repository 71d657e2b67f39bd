"""Bytes that must survive: an append-only file written and synced in the background, and its publication."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from teleop_app.core.errors import StorageError

logger = logging.getLogger(__name__)
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
RESERVE_BYTES = 2 << 20
QUEUE_BYTES = 32 << 20
"""What waits for a slow disk: some ten seconds of three cameras."""


class SystemCalls:
    """The calls that can fail; tests replace single ones to make the k-th fail."""

    def open(self, path: Path) -> int:
        """Create `path`, which must not exist, for writing."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)

    def reopen(self, path: Path) -> int:
        """Open an existing file for writing."""
        return os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def write(self, descriptor: int, payload: memoryview) -> int:
        """Append bytes; returns how many were taken."""
        return os.write(descriptor, payload)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file to `length` and write on from there."""
        os.ftruncate(descriptor, length)
        os.lseek(descriptor, length, os.SEEK_SET)

    def datasync(self, descriptor: int) -> None:
        """Bring the file's content to the disk."""
        getattr(os, "fdatasync", os.fsync)(descriptor)

    def sync(self, descriptor: int) -> None:
        """Bring the file's content and attributes to the disk."""
        os.fsync(descriptor)

    def rename(self, source: Path, destination: Path) -> None:
        """Move within a file system."""
        os.rename(source, destination)

    def sync_folder(self, folder: Path) -> None:
        """Bring a folder's names to the disk (a no-op where folders cannot be opened)."""
        if os.name == "nt":
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


SYSTEM = SystemCalls()


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error comes from a full disk or quota."""
    return isinstance(error, OSError) and error.errno in DISK_FULL


def storage_error(what: str, error: OSError, kept: str) -> StorageError:
    """A StorageError that says what failed and what is kept of the episode."""
    step = "Free space on the disk" if is_disk_full(error) else "Check the disk before recording again"
    return StorageError(f"{what}; {kept}", why=error.strerror or str(error), next_step=step)


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A finished file: size in bytes, and BLAKE3 as 64 hex digits."""

    size_bytes: int
    blake3: str


class AppendFile:
    """A new file that is only appended to, hashed as it grows and synced about once a second.

    One thread gives the bytes; a second one writes them and a third one syncs, so that a disk that stands
    still does not hold up the first. After a failed write or sync the file takes nothing more: an fsync is
    never repeated, since the kernel may have dropped the pages that the first one failed on.

    Args:
        path: Must not exist.
        sync_s: Seconds between background syncs.
        calls: System calls.
        queue_bytes: How much may wait to be written.

    Raises:
        StorageError: It cannot be created.
    """

    def __init__(
        self, path: Path, sync_s: float = 1.0, calls: SystemCalls = SYSTEM, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self.path = path
        self._calls = calls
        self._queue_bytes = queue_bytes
        self._pending = bytearray()
        self._queue: deque[bytes] = deque()
        self._given = self._written = self._synced = 0
        self._writing_since_s = 0.0
        self._hash = blake3()
        self._failure: Exception | None = None
        self._sync_s = sync_s
        self._changed = threading.Condition()
        self._closing = False
        self._ending = threading.Event()
        try:
            self._descriptor = calls.open(path)
        except OSError as error:
            raise storage_error(
                f"The episode file {path} cannot be made", error, "nothing is recorded"
            ) from error
        self._writer = threading.Thread(target=self._write_repeatedly, name="episode-write", daemon=True)
        self._syncer = threading.Thread(target=self._sync_repeatedly, name="episode-sync", daemon=True)
        self._writer.start()
        self._syncer.start()

    @property
    def failure(self) -> Exception | None:
        """The first error of a write or sync, None while all is well."""
        return self._failure

    @property
    def backlog(self) -> float:
        """How full the queue to the disk is, 0..1."""
        return min(1.0, (self._given - self._written) / self._queue_bytes)

    @property
    def would_wait(self) -> bool:
        """Whether `flush` would wait for the disk."""
        return self._given - self._written >= self._queue_bytes and self._failure is None

    @property
    def stalled_s(self) -> float:
        """For how long the disk has not taken what is being written."""
        since_s = self._writing_since_s
        return time.monotonic() - since_s if since_s else 0.0

    def write(self, payload: bytes | bytearray | memoryview) -> int:
        """Collect bytes for the next `flush`."""
        self._pending += payload
        return len(payload)

    def tell(self) -> int:
        """Length of the file including what waits to be written."""
        return self._given + len(self._pending)

    def flush(self) -> None:
        """Have all collected bytes written soon, in one call when the system takes them.

        Raises:
            StorageError: An earlier write or sync failed. The file was then cut back to its last whole
                flush, and the queue is kept for `retry`.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self.would_wait)
            self._raise_failure()
            if self._pending:
                self._queue.append(bytes(self._pending))
                self._given += len(self._pending)
                self._pending.clear()
                self._changed.notify_all()

    def drain(self) -> None:
        """Wait until the operating system has all that was flushed.

        Raises:
            StorageError: As `flush`.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._queue or self._failure is not None)
        self._raise_failure()

    def retry(self) -> None:
        """Try once more after space was freed on a full disk.

        Raises:
            StorageError: The failure was another one, or it happened again.
        """
        if not is_disk_full(self._failure):
            self._raise_failure()
        with self._changed:
            self._failure = None
            self._changed.notify_all()
        self.flush()
        self.drain()

    def _write_repeatedly(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or (self._queue and self._failure is None))
                if not self._queue or self._failure is not None:
                    return
                payload = self._queue[0]
            self._writing_since_s = time.monotonic()
            try:
                error = self._write_whole(payload)
            except Exception as unforeseen:  # else whoever waits for this thread would wait for ever
                error = unforeseen
            self._writing_since_s = 0.0
            with self._changed:
                self._failure = self._failure or error
                if error is None:
                    self._written += len(payload)
                    self._queue.popleft()
                self._changed.notify_all()

    def _write_whole(self, payload: bytes) -> OSError | None:
        """Write all of it, or leave the file as it was."""
        view = memoryview(payload)
        done = 0
        try:
            while done < len(view):
                done += self._calls.write(self._descriptor, view[done:])
        except OSError as error:
            return self._cut_back() or error
        self._hash.update(payload)
        return None

    def _cut_back(self) -> OSError | None:
        try:
            self._calls.truncate(self._descriptor, self._written)
        except OSError as error:
            logger.warning("%s could not be cut back to its last whole chunk: %s", self.path.name, error)
            return OSError(errno.EIO, error.strerror)
        return None

    def _raise_failure(self) -> None:
        if isinstance(self._failure, OSError):
            raise storage_error(
                f"The episode {self.path.stem} cannot be written on",
                self._failure,
                f"{self._written} bytes of it are kept",
            ) from self._failure
        if self._failure is not None:
            raise self._failure

    def _sync_repeatedly(self) -> None:
        while not self._ending.wait(self._sync_s):
            written = self._written
            if written == self._synced or self._failure is not None:
                continue
            try:
                self._calls.datasync(self._descriptor)
                if not self._synced:
                    self._calls.sync_folder(self.path.parent)  # its name too must survive a power cut
                self._synced = written
            except OSError as error:
                self._fail(error)
                return

    def _fail(self, error: OSError) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def finish(self) -> FileDigest:
        """Write all, sync and close.

        Raises:
            StorageError: A call failed; the file is closed and stays where it is.
        """
        try:
            self.flush()
            self.drain()
            self._ending.set()
            self._syncer.join()
            self._raise_failure()
            try:
                self._calls.sync(self._descriptor)
            except OSError as error:
                self._fail(error)
                self._raise_failure()
        finally:
            self.close()
        return FileDigest(self._written, self._hash.hexdigest())

    def close(self) -> None:
        """Write what was flushed and close without a final sync. Idempotent."""
        self._ending.set()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join()
        self._syncer.join()
        self._failure = self._failure or OSError(errno.EBADF, "the file is closed")
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def publish(source: Path, destination: Path, calls: SystemCalls = SYSTEM) -> None:
    """Move a synced file so that the move itself survives a power cut.

    Raises:
        StorageError: The destination exists or a call failed; the file is at one of the two places.
    """
    publish_files([(source, destination)], calls)


def publish_files(moves: Sequence[tuple[Path, Path]], calls: SystemCalls = SYSTEM) -> None:
    """As `publish` for several files of two folders: the last one is there only when all others are.

    Args:
        moves: Where each file is and where it goes; at least one.
        calls: System calls.

    Raises:
        StorageError: A destination exists or a call failed; each file is at one of its two places.
    """
    for _, destination in moves:
        if destination.exists():
            raise StorageError(
                f"The episode {destination.stem} is already stored", why=f"{destination} exists"
            )
    *earlier, (source, destination) = moves
    try:
        for one, other in earlier:
            calls.rename(one, other)
        if earlier:
            calls.sync_folder(destination.parent)
        calls.rename(source, destination)
        calls.sync_folder(destination.parent)
        calls.sync_folder(source.parent)
    except OSError as error:
        where = destination if destination.exists() else source
        raise storage_error(
            f"The episode {destination.stem} could not be stored durably", error, f"it lies at {where}"
        ) from error


class Reserve:
    """Space kept for a bad day: freed when the disk is full, so that the open episode can be closed.

    Args:
        folder: Where the reserve file lies; the folder of the open episodes.
        size_bytes: How much is kept.
    """

    def __init__(self, folder: Path, size_bytes: int = RESERVE_BYTES) -> None:
        self._path = folder / ".reserve"
        self._size_bytes = size_bytes

    def fill(self) -> None:
        """Make sure that the space is taken.

        Raises:
            StorageError: There is no room for it.
        """
        try:
            if self._path.exists() and self._path.stat().st_size == self._size_bytes:
                return
            with self._path.open("wb") as file:
                file.write(bytes(self._size_bytes))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._path.unlink(missing_ok=True)
            raise storage_error(
                "No space could be reserved for closing an episode", error, "nothing is lost"
            ) from error

    def release(self) -> None:
        """Free the space."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the reserve could not be freed: %s", error)
