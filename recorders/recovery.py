"""Salvages what a crash left in `open/`: its files become an episode, or move to `damaged/` untouched.

Idempotent: a recovery that is itself interrupted is repeated from the same files.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from recorders.completion import complete, redo_completions
from recorders.durability import (
    SYSTEM,
    AppendFile,
    FileDigest,
    Reserve,
    SystemCalls,
    is_disk_full,
    publish,
    publish_files,
    storage_error,
)
from recorders.joint import Joint, Part
from recorders.losses import Loss
from recorders.schema import EpisodeFooter, EpisodeHeader, SegmentRef
from recorders.segment_names import PART_OF_LONGER, is_segment, uuid_of
from teleop_app.core.errors import EpisodeError, StorageError, UnreadableError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of the files of one episode left in `open/`, or of one file that is of none.

    Attributes:
        source: Where it lay.
        path: Where it lies now: an episode when `header` is set, else in `damaged/`.
        header: Of the episode, None when the file was not readable.
        footer: Of the episode, None when the file was not readable.
        size_bytes: Of all its files.
        blake3: Of the file at `path`, empty when it was not readable.
        loss: Sentence on what is lost; empty when nothing is.
        losses: Stream by stream, what is missing.
    """

    source: Path
    path: Path
    header: EpisodeHeader | None
    footer: EpisodeFooter | None
    size_bytes: int
    blake3: str
    loss: str
    losses: tuple[Loss, ...] = ()


def recover_open(
    open_folder: Path, episodes: Path, damaged: Path, calls: SystemCalls = SYSTEM
) -> list[Recovery]:
    """Salvage every file in `open/`, and parts of episodes whose last file never came to `episodes/`.

    No writer may be at work there.

    Raises:
        StorageError: The disk refuses; what was not reached stays in `open/`.
    """
    store = _Store(open_folder, episodes, damaged, calls)
    try:
        return store.recover_told()
    except StorageError as error:
        if not is_disk_full(error.__cause__) or not (open_folder / ".reserve").exists():
            raise
    Reserve(open_folder).release()
    return store.recover_told()


def digest_file(path: Path) -> FileDigest:
    """Size and BLAKE3 of a file.

    Raises:
        StorageError: It cannot be read.
    """
    digest = blake3(max_threads=blake3.AUTO)
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(4 << 20):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise storage_error(f"{path.name} cannot be read", error, "it stays where it is") from error
    return FileDigest(size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Store:
    open: Path
    episodes: Path
    damaged: Path
    calls: SystemCalls

    def recover_told(self) -> list[Recovery]:
        """As `recover`; whatever the disk refuses is a StorageError."""
        try:
            return self.recover()
        except OSError as error:
            raise storage_error(
                "What a crash left could not be recovered", error, f"it stays in {self.open}"
            ) from error

    def recover(self) -> list[Recovery]:
        redo_completions(self.open, self.calls)
        groups: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.open.glob("[!.]*.mcap")):
            groups[uuid_of(path)].append(path)
        for path in sorted(self.episodes.glob("[!.]*.mcap")):
            if is_segment(path) and not (self.episodes / f"{uuid_of(path)}.mcap").exists():
                groups[uuid_of(path)].append(path)
        return [item for uuid, paths in sorted(groups.items()) for item in self._recover(uuid, paths)]

    def _recover(self, uuid: str, paths: list[Path]) -> list[Recovery]:
        destination = self.episodes / f"{uuid}.mcap"
        if destination.exists():
            why = f"the episode {uuid} is stored already, and this is another file"
            return [self._set_aside(path, why) for path in paths]
        aside: list[tuple[Path, str]] = []
        with ExitStack() as opened:
            parts: list[Part] = []
            for path in paths:
                try:
                    parts.append(opened.enter_context(Part(path, uuid)))
                except UnreadableError:
                    raise
                except EpisodeError as error:
                    aside.append((path, error.sentence))
            for extra in [
                part for part in parts if part.number in {p.number for p in parts[: parts.index(part)]}
            ]:
                parts.remove(extra)
                aside.append((extra.path, f"part {extra.number + 1} is there twice"))
            told = [f"{path.name} could not be taken in: {reason}" for path, reason in aside]
            joined = [self._join(Joint(parts, told), destination)] if parts else []
        return [*joined, *(self._set_aside(path, reason) for path, reason in aside)]

    def _set_aside(self, path: Path, reason: str) -> Recovery:
        destination = self.damaged / path.name
        number = 1
        while destination.exists():
            destination = self.damaged / f"{path.stem}-{number}.mcap"
            number += 1
        size = path.stat().st_size
        publish(path, destination, self.calls)
        loss = (
            f"{path.name} ({size} bytes) could not be taken in and lies in {self.damaged} untouched: {reason}"
        )
        return Recovery(path, destination, None, None, size, "", loss)

    def _join(self, joint: Joint, destination: Path) -> Recovery:
        """One episode of all its files, the last one published last."""
        for part in joint.parts:
            if part.damaged:
                self._copy(part.path)
        refs = tuple(self._earlier(part) for part in joint.parts[:-1])
        last = joint.parts[-1]
        footer = joint.footer(refs)
        if footer == last.footer and not last.truncated:
            self._sync(last.path)
            digest = digest_file(last.path)
        else:
            digest = complete(last.reader.container, footer, self.calls)
        moves = [(part.path, self.episodes / ref.name) for part, ref in zip(joint.parts, refs, strict=False)]
        moves.append((last.path, destination))
        publish_files([move for move in moves if move[0] != move[1]], self.calls)
        size = digest.size_bytes + sum(ref.size_bytes for ref in refs)
        return Recovery(
            source=last.path,
            path=destination,
            header=last.reader.header,
            footer=footer,
            size_bytes=size,
            blake3=digest.blake3,
            loss=" ".join(joint.reasons),
            losses=joint.losses,
        )

    def _earlier(self, part: Part) -> SegmentRef:
        """An earlier file, complete and durable."""
        if part.truncated or part.footer is None:
            digest = complete(part.reader.container, part.summary.footer((PART_OF_LONGER,)), self.calls)
        else:
            self._sync(part.path)
            digest = digest_file(part.path)
        return part.ref(digest)

    def _copy(self, path: Path) -> None:
        """Keep a file that is damaged in the middle as it is, beside what can be made of it."""
        copy = self.damaged / path.name
        copy.unlink(missing_ok=True)
        file = AppendFile(copy, calls=self.calls)
        try:
            with path.open("rb") as source:
                while block := source.read(4 << 20):
                    file.write(block)
                    file.flush()
            file.finish()
        finally:
            file.close()

    def _sync(self, path: Path) -> None:
        try:
            descriptor = self.calls.reopen(path)
            try:
                self.calls.sync(descriptor)
            finally:
                self.calls.close(descriptor)
        except OSError as error:
            raise storage_error(
                f"{path.name} could not be made durable", error, "it stays in place"
            ) from error
