"""The files of one open episode: a long one is several, each of which stands alone.

At a boundary of time every stream goes over to the next file with its first sample from there on, a camera
with its first keyframe. The file that was left is finished in another thread. All of them stay in `open/`
until the episode is published, the last one last and under the episode's own name.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recorders import wire
from recorders.durability import SYSTEM, FileDigest, Reserve, SystemCalls, publish_files
from recorders.episode_file import EpisodeFile
from recorders.schema import TOPIC_TICK, EpisodeFooter, EpisodeHeader, SegmentRef, topic_video
from recorders.segment_names import MAX_SEGMENTS, segment_name
from recorders.tracks import video_payload
from recorders.video import is_keyframe
from teleop_app.core.clock import NS_PER_S

LATE_NS = NS_PER_S
"""For this long after a boundary samples from before it still go to the file that they belong to."""
_SILENT_NS = 2 * NS_PER_S
"""A camera that delivers nothing for this long is not waited for: it comes back with a keyframe."""


class SegmentFooter(Protocol):
    """Makes the footer of a file that is left; called in another thread."""

    def __call__(self, counts: Counter[str], duration_ns: int) -> EpisodeFooter:
        """The footer.

        Args:
            counts: Messages in the file by topic.
            duration_ns: First to last frame or tick in it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """Where an episode lies now: its last file's path and digest, and the bytes of all its files."""

    path: Path
    digest: FileDigest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Finished:
    """An earlier file, durable but still in `open/`."""

    path: Path
    ref: SegmentRef


class EpisodeFiles:
    """Takes messages and puts each into the file where it belongs. Not thread-safe.

    Args:
        path: Of the first file in `open/`; must not exist.
        header: Of the episode.
        destination: Where the last file goes; the folder of the others.
        segment_s: Length of a file; an episode that is shorter has one.
        want_keyframe: Asks the cameras for a keyframe at a boundary; does not block.
        segment_footer: Called when a file is left, gives what makes its footer.
        topic_turned: Called before the first message of a topic goes into the next file.
        sync_s: Seconds between background syncs.
        reserve: Freed when the disk is full.
        calls: System calls.

    Raises:
        StorageError: The first file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        header: EpisodeHeader,
        *,
        destination: Path,
        segment_s: float,
        segment_footer: Callable[[], SegmentFooter],
        topic_turned: Callable[[str], None],
        want_keyframe: Callable[[], None] | None = None,
        sync_s: float = 1.0,
        reserve: Reserve | None = None,
        calls: SystemCalls = SYSTEM,
    ) -> None:
        self._path = path
        self._header = header
        self._destination = destination
        self._segment_ns = round(segment_s * NS_PER_S)
        self._segment_footer = segment_footer
        self._topic_turned = topic_turned
        self._want_keyframe = want_keyframe
        self._sync_s = sync_s
        self._reserve = reserve
        self._calls = calls
        self._offset_ns = header.anchor_utc_ns - header.anchor_monotonic_ns
        self._videos = {topic_video(camera.name): camera.name for camera in header.cameras}
        self._preface: list[tuple[str, str, int, int, bytes]] = []
        self._attached: list[tuple[str, str, bytes]] = []
        self._in_preface = True
        self._boundary_ns = 0
        self._old: EpisodeFile | None = None
        self._waiting: dict[str, int] = {}
        self._turned_ns: dict[str, int] = {}
        self._worker: ThreadPoolExecutor | None = None
        self._left: list[Future[_Finished]] = []
        self._counts: Counter[str] = Counter()
        self._size_bytes = 0
        self._file = EpisodeFile(path, header, sync_s=sync_s, calls=calls)

    @property
    def path(self) -> Path:
        """The first file."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """Bytes of all files so far, without the chunks in progress."""
        return self._size_bytes + self._file.size_bytes + (self._old.size_bytes if self._old else 0)

    @property
    def counts(self) -> Counter[str]:
        """Messages in all files by topic."""
        return self._counts + self._file.counts + (self._old.counts if self._old else Counter())

    @property
    def backlog(self) -> float:
        """How full the queue to the disk is, 0..1."""
        return max(file.backlog for file in self._open_files())

    @property
    def would_wait(self) -> bool:
        """Whether `flush` would wait for the disk."""
        return any(file.would_wait for file in self._open_files())

    @property
    def stalled_s(self) -> float:
        """For how long the disk has taken nothing."""
        return max(file.stalled_s for file in self._open_files())

    def _open_files(self) -> tuple[EpisodeFile, ...]:
        return (self._file,) if self._old is None else (self._old, self._file)

    def attach(self, utc_ns: int, name: str, media_type: str, content: bytes) -> None:
        """Keep a file inside the episode; one of the preface comes again in each file."""
        if self._in_preface:
            self._attached.append((name, media_type, content))
        self._file.attach(utc_ns, name, media_type, content)

    def rewrite_header(self, header: EpisodeHeader) -> None:
        """Write the header again, each file with its own number; those that come have it too."""
        self._header = header
        for file in self._open_files():
            file.rewrite_header(dataclasses.replace(header, segment=file.header.segment))

    def end_preface(self) -> None:
        """What was put so far begins every file, since each must stand alone.

        Raises:
            StorageError: The disk is full or broken.
        """
        self._in_preface = False
        self._file.flush(wait=True)

    def put(
        self, topic: str, schema: str, utc_ns: int, payload: bytes, ready_utc_ns: int, sequence: int
    ) -> None:
        """A message, its stamp included.

        Args:
            topic: Where.
            schema: Of `recorders.messages`.
            utc_ns: Its time.
            payload: The whole message.
            ready_utc_ns: When it was available.
            sequence: 32 bits.

        Raises:
            StorageError: The disk refused an earlier chunk, or an earlier file could not be finished.
        """
        if self._in_preface:
            self._preface.append((topic, schema, sequence, utc_ns, payload))
        file = self._file
        leads = topic == TOPIC_TICK or topic in self._videos
        if leads or self._old is not None:
            file = self._choose(topic, utc_ns, payload)
        if leads:
            file.extend(utc_ns)
        if self._old is not None and file is self._file and topic not in file.counts:
            self._topic_turned(topic)
        file.put(topic, schema, utc_ns, payload, ready_utc_ns, sequence)

    def _choose(self, topic: str, utc_ns: int, payload: bytes) -> EpisodeFile:
        if self._old is None:
            if self._boundary_ns == 0:
                self._boundary_ns = utc_ns + self._segment_ns
            if utc_ns < self._boundary_ns or self._file.header.segment >= MAX_SEGMENTS:
                return self._file
            self._turn()
        old = self._old
        if old is None:
            return self._file
        chosen = old if self._belongs_before(topic, utc_ns, payload) else self._file
        if utc_ns >= self._boundary_ns + LATE_NS:
            self._leave_when_settled(utc_ns)
        return chosen

    def _turn(self) -> None:
        """Open the next file; the streams go over one by one."""
        number = self._file.header.segment + 1
        header = dataclasses.replace(self._header, segment=number)
        path = self._path.with_name(segment_name(self._header.uuid, number))
        file = EpisodeFile(path, header, sync_s=self._sync_s, calls=self._calls)
        at_ns = self._boundary_ns
        for name, media_type, content in self._attached:
            file.attach(at_ns, name, media_type, content)
        for topic, schema, sequence, utc_ns, payload in self._preface:
            again = payload.replace(wire.stamp(utc_ns), wire.stamp(at_ns))
            file.put(topic, schema, at_ns, again, at_ns, sequence)
        file.flush()
        self._old, self._file = self._file, file
        self._waiting = dict.fromkeys(self._videos.values(), at_ns)
        self._turned_ns.clear()
        if self._want_keyframe is not None:
            self._want_keyframe()

    def _belongs_before(self, topic: str, utc_ns: int, payload: bytes) -> bool:
        """Whether a message belongs to the file that is being left."""
        if not topic.startswith("/camera/"):
            return utc_ns < self._boundary_ns
        camera = topic.split("/")[2]
        if camera not in self._waiting:
            return utc_ns < self._turned_ns.get(camera, self._boundary_ns)
        if topic not in self._videos:
            return True
        if utc_ns >= self._boundary_ns and is_keyframe(video_payload(payload)):
            del self._waiting[camera]
            self._turned_ns[camera] = utc_ns
            return False
        self._waiting[camera] = utc_ns
        return True

    def _leave_when_settled(self, utc_ns: int) -> None:
        if any(last_ns > utc_ns - _SILENT_NS for last_ns in self._waiting.values()):
            return
        self._leave()
        self._boundary_ns = utc_ns - LATE_NS + self._segment_ns

    def _leave(self) -> None:
        """Finish the file that all streams have left, in another thread."""
        old, self._old = self._old, None
        if old is None:
            return
        self._counts += old.counts
        self._size_bytes += old.size_bytes
        footer = self._segment_footer()
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="episode-segment")
        self._left.append(self._worker.submit(self._finish_left, old, footer))

    def _finish_left(self, old: EpisodeFile, footer: SegmentFooter) -> _Finished:
        old.flush(self._reserve)
        made = footer(old.counts, old.last_utc_ns - old.first_utc_ns)
        digest = old.finish(made, self._reserve)
        ref = SegmentRef(
            name=segment_name(self._header.uuid, old.header.segment),
            size_bytes=digest.size_bytes,
            blake3=digest.blake3,
            start_ns=old.first_utc_ns - self._offset_ns,
            end_ns=old.last_utc_ns - self._offset_ns + 1,
        )
        return _Finished(old.path, ref)

    def flush(self) -> None:
        """End the chunks in progress.

        Raises:
            StorageError: The disk is full or broken, or an earlier file could not be finished.
        """
        for item in self._left:
            if item.done():
                item.result()
        if self._old is not None:
            self._old.flush()
        self._file.flush()

    def finish(self, footer: Callable[[tuple[SegmentRef, ...]], EpisodeFooter]) -> Published:
        """Make all files durable and move them to their places, the last one last.

        Args:
            footer: Makes the footer of the last file, which is the episode's, from the earlier ones.

        Raises:
            StorageError: A call failed; the files are where the sentence says, for recovery.
        """
        try:
            self._leave()
            self._file.flush(self._reserve)
            earlier = [item.result() for item in self._left]
            digest = self._file.finish(footer(tuple(item.ref for item in earlier)), self._reserve)
        finally:
            self.close()
        folder = self._destination.parent
        moves = [(item.path, folder / item.ref.name) for item in earlier]
        publish_files([*moves, (self._file.path, self._destination)], self._calls)
        size = digest.size_bytes + sum(item.ref.size_bytes for item in earlier)
        return Published(self._destination, digest, size)

    def close(self) -> None:
        """Close everything as it is. Idempotent."""
        if self._old is not None:
            self._old.close()
        self._file.close()
        if self._worker is not None:
            self._worker.shutdown()
