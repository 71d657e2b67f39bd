"""Bytes that must survive: an append-only file with background fdatasync, and its publication."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from teleop_app.core.errors import StorageError

logger = logging.getLogger(__name__)
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
RESERVE_BYTES = 2 << 20


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

    `write` and `flush` are for one thread; the syncing thread is its own. After a failed write or
    sync the file takes nothing more: an fsync is never repeated, since the kernel may have dropped the
    pages that the first one failed on.

    Args:
        path: Must not exist.
        sync_s: Seconds between background syncs.
        calls: System calls.

    Raises:
        StorageError: It cannot be created.
    """

    def __init__(self, path: Path, sync_s: float = 1.0, calls: SystemCalls = SYSTEM) -> None:
        self.path = path
        self._calls = calls
        self._pending = bytearray()
        self._written = 0
        self._synced = 0
        self._hash = blake3()
        self._failure: OSError | None = None
        self._sync_s = sync_s
        self._ending = threading.Event()
        try:
            self._descriptor = calls.open(path)
        except OSError as error:
            raise storage_error(
                f"The episode file {path} cannot be made", error, "nothing is recorded"
            ) from error
        self._thread = threading.Thread(target=self._sync_repeatedly, name="episode-sync", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> OSError | None:
        """The first I/O error, None while all is well."""
        return self._failure

    def write(self, payload: bytes | bytearray | memoryview) -> int:
        """Queue bytes for the next `flush`."""
        self._pending += payload
        return len(payload)

    def tell(self) -> int:
        """Length of the file including what is queued."""
        return self._written + len(self._pending)

    def flush(self) -> None:
        """Give all queued bytes to the operating system, in one call when it takes them.

        Raises:
            StorageError: This or an earlier write or sync failed. The file is then cut back to its last
                whole flush and the queue is kept, for `retry`.
        """
        self._raise_failure()
        if not self._pending:
            return
        view = memoryview(bytes(self._pending))
        done = 0
        try:
            while done < len(view):
                done += self._calls.write(self._descriptor, view[done:])
        except OSError as error:
            self._failure = error
            self._cut_back()
            self._raise_failure()
        self._hash.update(view)
        self._written += len(view)
        self._pending.clear()

    def retry(self) -> None:
        """Try once more after space was freed on a full disk.

        Raises:
            StorageError: The failure was another one, or it happened again.
        """
        if not is_disk_full(self._failure):
            self._raise_failure()
        self._failure = None
        self.flush()

    def _cut_back(self) -> None:
        try:
            self._calls.truncate(self._descriptor, self._written)
        except OSError as error:
            logger.warning("%s could not be cut back to its last whole chunk: %s", self.path.name, error)
            self._failure = OSError(errno.EIO, error.strerror)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise storage_error(
                f"The episode {self.path.stem} cannot be written on",
                self._failure,
                f"{self._written} bytes of it are kept",
            ) from self._failure

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
                self._failure = error
                return

    def finish(self) -> FileDigest:
        """Flush, sync and close.

        Raises:
            StorageError: A call failed; the file is closed and stays where it is.
        """
        try:
            self.flush()
            self._ending.set()
            self._thread.join()
            self._raise_failure()
            try:
                self._calls.sync(self._descriptor)
            except OSError as error:
                self._failure = error
                self._raise_failure()
        finally:
            self.close()
        return FileDigest(self._written, self._hash.hexdigest())

    def close(self) -> None:
        """Close without a final sync. Idempotent."""
        self._ending.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
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
