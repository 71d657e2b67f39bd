"""One MCAP file of an episode while it grows: its topics, its counts, its end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from recorders.durability import SYSTEM, AppendFile, FileDigest, Reserve, SystemCalls, is_disk_full
from recorders.mcap_writer import McapWriter
from recorders.messages import encodings, schema_data
from recorders.records import to_metadata
from recorders.schema import METADATA_FOOTER, METADATA_HEADER, EpisodeFooter, EpisodeHeader
from teleop_app.core.errors import StorageError

PROFILE = "teleop-episode"


class EpisodeFile:
    """A file with its header; topics are registered as they come. For one thread at a time.

    Args:
        path: Must not exist.
        header: Of the episode, with the number of this segment.
        sync_s: Seconds between background syncs.
        calls: System calls.

    Raises:
        StorageError: It cannot be made.

    Attributes:
        header: As written last.
        counts: Messages by topic.
        first_utc_ns: Earliest message time that was noted with `extend`, 0 before the first.
        last_utc_ns: Latest one.
    """

    def __init__(
        self, path: Path, header: EpisodeHeader, *, sync_s: float = 1.0, calls: SystemCalls = SYSTEM
    ) -> None:
        self.header = header
        self.counts: Counter[str] = Counter()
        self.first_utc_ns = self.last_utc_ns = 0
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._file = AppendFile(path, sync_s, calls)
        self._mcap = McapWriter(self._file)
        self._mcap.start(PROFILE, f"teleop-app {header.software}")
        self._mcap.add_metadata(METADATA_HEADER, to_metadata(header))

    def rewrite_header(self, header: EpisodeHeader) -> None:
        """Write the header again: the last one in a file counts."""
        self.header = header
        self._mcap.add_metadata(METADATA_HEADER, to_metadata(header))

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def size_bytes(self) -> int:
        """Bytes so far, without the chunk in progress."""
        return self._file.tell()

    def put(
        self, topic: str, schema: str, utc_ns: int, payload: bytes, ready_utc_ns: int, sequence: int
    ) -> None:
        """A message.

        Args:
            topic: Where.
            schema: Of `recorders.messages`.
            utc_ns: Its time.
            payload: The whole message.
            ready_utc_ns: When it was available.
            sequence: 32 bits.

        Raises:
            StorageError: The disk refused an earlier chunk.
        """
        channel = self._channels.get(topic)
        if channel is None:
            channel = self._register(topic, schema)
        self._mcap.add_message(channel, utc_ns, payload, ready_utc_ns, sequence)
        self.counts[topic] += 1

    def _register(self, topic: str, schema: str) -> int:
        schema_encoding, message_encoding = encodings(schema)
        if schema not in self._schemas:
            self._schemas[schema] = self._mcap.register_schema(schema, schema_encoding, schema_data(schema))
        channel = self._mcap.register_channel(topic, message_encoding, self._schemas[schema])
        self._channels[topic] = channel
        return channel

    def attach(self, utc_ns: int, name: str, media_type: str, content: bytes) -> None:
        """A file inside the file."""
        self._mcap.add_attachment(utc_ns, name, media_type, content)

    def extend(self, utc_ns: int) -> None:
        """Note the time of a frame or tick: the length of the file's part of the episode."""
        if self.first_utc_ns == 0 or utc_ns < self.first_utc_ns:
            self.first_utc_ns = utc_ns
        self.last_utc_ns = max(self.last_utc_ns, utc_ns)

    @property
    def backlog(self) -> float:
        """How full the queue to the disk is, 0..1."""
        return self._file.backlog

    @property
    def would_wait(self) -> bool:
        """Whether `flush` would wait for the disk."""
        return self._file.would_wait

    @property
    def stalled_s(self) -> float:
        """For how long the disk has taken nothing."""
        return self._file.stalled_s

    def flush(self, reserve: Reserve | None = None, *, wait: bool = False) -> None:
        """End the chunk in progress and have all bytes written soon.

        Args:
            reserve: Freed when the disk is full, for one more try.
            wait: Until the operating system has them.

        Raises:
            StorageError: The disk is full or broken; what went before is kept.
        """
        self._mcap.end_chunk()
        self._flush(reserve, wait=wait)

    def _flush(self, reserve: Reserve | None, *, wait: bool) -> None:
        try:
            self._file.flush()
            if wait:
                self._file.drain()
        except StorageError:
            if reserve is None or not is_disk_full(self._file.failure):
                raise
            reserve.release()
            self._file.retry()

    def finish(self, footer: EpisodeFooter, reserve: Reserve | None = None) -> FileDigest:
        """Write the footer and the end of the file, make it durable, and close it.

        Raises:
            StorageError: A call failed; the file is closed and stays where it is.
        """
        try:
            self._mcap.add_metadata(METADATA_FOOTER, to_metadata(footer))
            self._mcap.finish()
            self._flush(reserve, wait=True)
            return self._file.finish()
        finally:
            self._file.close()

    def close(self) -> None:
        """Close it as it is. Idempotent."""
        self._file.close()
