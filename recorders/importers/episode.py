"""Copies an episode of another station into a store: checked, durable, and never moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
from blake3 import blake3

from recorders.durability import SYSTEM, FileDigest, SystemCalls, publish_files, storage_error
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file
from recorders.schema import EpisodeFooter
from recorders.segment_names import is_segment, segment_name
from recorders.verify import verify_file
from teleop_app.core.errors import EpisodeError, StorageError

ProgressCallback = Callable[[int, int], None]
"""Called with bytes copied and bytes in all."""
STAGING = ".importing"
"""Folder in the store where a copy lies until it is whole; what a crash leaves there is removed."""
_BLOCK = 1 << 20
_MARGIN_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Imported:
    """An episode that is in the store now.

    Attributes:
        uuid: Of the episode.
        path: Its file in the store.
        size_bytes: Of all its files.
        present: It was there already, with the same content; nothing was copied.
    """

    uuid: str
    path: Path
    size_bytes: int
    present: bool


def import_episode(
    source: Path,
    root: Path,
    episodes: Path,
    progress: ProgressCallback | None = None,
    calls: SystemCalls = SYSTEM,
) -> Imported:
    """Copy a finished episode with all its files into `episodes`. The source is only read.

    Args:
        source: The episode's file, whatever its name; earlier files of a long one lie beside it.
        root: The store, for the copy in progress; the file system of `episodes`.
        episodes: Where the store keeps episodes.
        progress: Told how far the copy is.
        calls: System calls that make the copy durable.

    Raises:
        EpisodeError: The file is foreign, damaged or cut off, or another file of that episode is stored.
        StorageError: The disk refuses, or another import is at work; nothing was added.
    """
    files = _files_of(source)
    target = episodes / files[-1][1]
    if target.exists():
        return _present(source, target, files)
    size_bytes = sum(path.stat().st_size for path, _ in files)
    _require_room(root, size_bytes)
    with _staging(root) as folder:
        _copy_all(files, folder, size_bytes, progress, calls)
        _require_whole(source, folder / target.name)
        publish_files([(folder / name, episodes / name) for _, name in files], calls)
    return Imported(target.stem, target, size_bytes, present=False)


def copy_to_open(source: Path, root: Path, open_folder: Path, calls: SystemCalls = SYSTEM) -> str:
    """Copy an episode that was cut off to where recovery finds it; its UUID.

    Raises:
        EpisodeError: Not even its header can be read.
        StorageError: The disk refuses, or a file of that name lies there.
    """
    with EpisodeReader(source, open_truncated=True) as reader:
        uuid = reader.header.uuid
    name = f"{uuid}.mcap"
    with _staging(root) as folder:
        _copy_all([(source, name)], folder, source.stat().st_size, None, calls)
        publish_files([(folder / name, open_folder / name)], calls)
    return uuid


def _files_of(source: Path) -> list[tuple[Path, str]]:
    """Files of the episode with their names in a store, the one that completes it last."""
    if os.path.isdir(source):  # which takes any name
        raise EpisodeError(f"There are no episodes in the folder {source}")
    if is_segment(source):
        whole = f"{source.name.split('.')[0]}.mcap"
        raise EpisodeError(f"{source.name} is only a part of an episode", next_step=f"Import {whole} instead")
    try:
        with EpisodeReader(source) as reader:
            uuid, footer = reader.header.uuid, reader.footer
    except EpisodeError as error:
        raise _refusal(source, error) from error
    if footer is None:
        raise EpisodeError(f"{source.name} cannot be imported", why="it has no footer")
    return [*_segments(source, uuid, footer), (source, f"{uuid}.mcap")]


def _refusal(source: Path, error: EpisodeError) -> EpisodeError:
    if "truncated" not in error.what:
        return error
    return EpisodeError(
        f"{source.name} cannot be imported",
        why="its end is missing: a crash cut it off",
        next_step=f"Take what is whole with: teleop import --recover {source}",
    )


def _segments(source: Path, uuid: str, footer: EpisodeFooter) -> Iterator[tuple[Path, str]]:
    for number, ref in enumerate(footer.segments):
        name = segment_name(uuid, number)
        if ref.name != name:  # a name is never taken from the file
            raise EpisodeError(
                f"{source.name} is damaged", why=f"it calls its part {number} {ref.name[:80]!r}"
            )
        path = source.with_name(name)
        if not path.is_file():
            raise EpisodeError(
                f"{source.name} cannot be imported",
                why=f"its part {name} is not beside it",
                next_step="Copy all files of the episode into one folder",
            )
        yield path, name


def _present(source: Path, target: Path, files: list[tuple[Path, str]]) -> Imported:
    for path, name in files:
        stored = target.with_name(name)
        if not stored.exists() or digest_file(stored).blake3 != digest_file(path).blake3:
            raise EpisodeError(
                f"{source.name} cannot be imported",
                why=f"another file of the episode {target.stem} is in the store already",
                next_step="Compare both with `teleop verify`; neither was changed",
            )
    return Imported(target.stem, target, sum(path.stat().st_size for path, _ in files), present=True)


def _require_room(root: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(root).free
    if free < size_bytes + _MARGIN_BYTES:
        raise StorageError(
            f"{size_bytes >> 20} MB cannot be imported",
            why=f"{free >> 20} MB are free for {root}, and {_MARGIN_BYTES >> 20} MB of them are kept",
            next_step="Free space on the disk",
        )


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """An empty folder of this import's own, gone afterwards."""
    folder = root / STAGING
    lock = filelock.FileLock(root / f"{STAGING}.lock", blocking=False)
    try:
        with lock:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except filelock.Timeout as error:
        raise StorageError(
            f"Another import into {root} is at work", next_step="Wait until it has finished"
        ) from error
    except OSError as error:
        raise storage_error("The copy could not be made", error, "nothing was added") from error


def _copy_all(
    files: list[tuple[Path, str]],
    folder: Path,
    size_bytes: int,
    progress: ProgressCallback | None,
    calls: SystemCalls,
) -> None:
    done = 0
    for path, name in files:
        read = _copy(path, folder / name, done, size_bytes, progress, calls)
        done += read.size_bytes
        if digest_file(folder / name) != read:
            raise StorageError(f"The copy of {path.name} is not what was read", next_step="Check the disk")


def _copy(
    source: Path,
    target: Path,
    done: int,
    size_bytes: int,
    progress: ProgressCallback | None,
    calls: SystemCalls,
) -> FileDigest:
    """Copy and sync one file; the digest of what was read."""
    digest, size = blake3(), 0
    descriptor = calls.open(target)
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                view = memoryview(block)
                while view:
                    view = view[calls.write(descriptor, view) :]
                if progress is not None:
                    progress(done + size, size_bytes)
        calls.sync(descriptor)
    finally:
        os.close(descriptor)
    return FileDigest(size, digest.hexdigest())


def _require_whole(source: Path, copy: Path) -> None:
    """Every checksum of the copy, so that what is stored is what was checked."""
    findings = verify_file(copy).findings
    if findings:
        raise EpisodeError(
            f"{source.name} cannot be imported",
            why=f"it is damaged: {findings[0]}",
            next_step="Ask the other station for the file again, or see `teleop verify` on it",
        )
