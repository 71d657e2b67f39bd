"""A recorder without a station: synthetic samples at their own pace, durable episodes, acknowledgements."""

from __future__ import annotations

import dataclasses
import mmap
import random
import struct
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from devices.sim.model import model_xml
from fault_matrix.forked import Channel
from recorders.durability import SYSTEM, Reserve, SystemCalls
from recorders.schema import EpisodeHeader, topic_video
from recorders.synthetic import feed, full_header, synthetic_header, synthetic_samples
from recorders.writer import Attachment, EpisodeWriter, FinishedEpisode
from sessions import Author, Catalog, open_catalog
from teleop_app.core.clock import ClockAnchor
from teleop_app.core.errors import StorageError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ControlTick, Sample, VideoPacket
from teleop_app.station.episode_rows import episode_row, session_id_of, stream_rows

CAMERAS = ("overhead", "left_wrist", "right_wrist")
ATTACHMENTS = (
    Attachment("station.toml", "application/toml", b"# a station\n" * 40),
    Attachment("robot.xml", "application/xml", model_xml("primitive").encode()),
)
FEEDING, CLOSING = 1, 2


@dataclass(frozen=True, slots=True)
class Take:
    """Samples of an episode, made once and recorded many times.

    Attributes:
        header: Of all of them but for the UUID.
        samples: With their offsets from the start [ns], in order.
    """

    header: EpisodeHeader
    samples: list[tuple[int, Sample]]

    @classmethod
    def of(cls, seconds: float, cameras: tuple[str, ...] = CAMERAS) -> Take:
        """A take of so many seconds, its pictures small."""
        header = full_header(synthetic_header(cameras, 64, 48, anchor=ClockAnchor.now()))
        start_ns = header.anchor_monotonic_ns
        made = list(synthetic_samples(header, seconds, start_ns))
        return cls(header, [(sample_ns(sample) - start_ns, sample) for sample in made])

    def new_header(self, number: int = 0) -> EpisodeHeader:
        """The header of another episode."""
        started_ns = self.header.started_utc_ns + number
        return dataclasses.replace(self.header, uuid=str(uuid.uuid4()), started_utc_ns=started_ns)


def sample_ns(sample: Sample) -> int:
    """When a sample was taken."""
    at = sample.tick_ns if isinstance(sample, ControlTick) else sample.capture_ns
    return int(np.ravel(at)[0])


class Progress:
    """How far the writer got, in memory that outlives it: its phase, and the last time by stream.

    Streams are the cameras and, last, the control ticks.
    """

    def __init__(self, streams: int = len(CAMERAS) + 1) -> None:
        self._shared = mmap.mmap(-1, 8 * (streams + 1))
        self._streams = streams

    def set_phase(self, phase: int) -> None:
        struct.pack_into("<q", self._shared, 0, phase)

    def phase(self) -> int:
        return int(struct.unpack_from("<q", self._shared, 0)[0])

    def wrote(self, stream: int, at_ns: int) -> None:
        struct.pack_into("<q", self._shared, 8 * (stream + 1), at_ns)

    def last_ns(self) -> list[int]:
        return list(struct.unpack_from(f"<{self._streams}q", self._shared, 8))

    def clear(self) -> None:
        self._shared[:] = bytes(len(self._shared))


@dataclass(slots=True)
class Recorder:
    """Records takes into a store as the recorder process does, and says what is durable.

    Attributes:
        data: The store.
        take: What is recorded.
        calls: System calls of the writer.
        sync_s: As in `EpisodeWriter`.
        flush_s: As in `EpisodeWriter`.
        progress: Told of each sample.
        speed: Times real time; 0: as fast as it goes.
        segment_s: As in `EpisodeWriter`.
        reserve_bytes: Kept for closing an episode on a full disk.
    """

    data: DataDir
    take: Take
    calls: SystemCalls = SYSTEM
    sync_s: float = 1.0
    flush_s: float = 0.2
    progress: Progress | None = None
    speed: float = 1.0
    segment_s: float = 600.0
    reserve_bytes: int = 200_000

    def writer(self, header: EpisodeHeader) -> EpisodeWriter:
        """Opens an episode."""
        return EpisodeWriter(
            self.data.open / f"{header.uuid}.mcap",
            header,
            destination=self.data.episodes / f"{header.uuid}.mcap",
            attachments=ATTACHMENTS,
            flush_s=self.flush_s,
            sync_s=self.sync_s,
            reserve=Reserve(self.data.open, self.reserve_bytes),
            segment_s=self.segment_s,
            calls=self.calls,
        )

    def feed(self, writer: EpisodeWriter, seconds: float) -> None:
        """Give the take's samples to the writer at their pace.

        Raises:
            StorageError: As the writer.
        """
        names = [camera.name for camera in self.take.header.cameras]
        began_ns = time.monotonic_ns()
        for offset_ns, sample in self.take.samples:
            if offset_ns > seconds * 1e9:
                return
            while self.speed and (time.monotonic_ns() - began_ns) * self.speed < offset_ns:
                time.sleep(0.001)
            feed(writer, sample)
            if self.progress is not None and isinstance(sample, VideoPacket):
                self.progress.wrote(names.index(sample.camera), sample.capture_ns)
            elif self.progress is not None and isinstance(sample, ControlTick):
                self.progress.wrote(len(names), sample.tick_ns)

    def row(self, catalog: Catalog, finished: FinishedEpisode) -> None:
        """Adds the episode to the catalog.

        Raises:
            CatalogError: As the catalog.
        """
        row = episode_row(
            finished.header,
            finished.footer,
            path=finished.path.relative_to(self.data.root).as_posix(),
            size_bytes=finished.size_bytes,
            blake3=finished.blake3,
            index_in_session=catalog.next_index(session_id_of(finished.header)),
        )
        catalog.add_episode(row, stream_rows(finished.header, finished.footer, finished.spans))

    def for_ever(self, channel: Channel, seed: int, shortest_s: float, longest_s: float) -> None:
        """Record one episode after another and acknowledge each, until somebody ends this process."""
        chance = random.Random(seed)
        with open_catalog(self.data.root, Author.process("recorder")) as catalog:
            for number in range(10**9):
                writer = self.writer(self.take.new_header(number))
                self._phase(FEEDING)
                channel.say(open=writer.header.uuid)
                self.feed(writer, chance.uniform(shortest_s, longest_s))
                self._phase(CLOSING)
                finished = writer.finish("success")
                self.row(catalog, finished)
                channel.say(ack=finished.header.uuid, blake3=finished.blake3)

    def _phase(self, phase: int) -> None:
        if self.progress is not None:
            if phase == FEEDING:
                self.progress.clear()
            self.progress.set_phase(phase)

    def one(self, channel: Channel, seconds: float, ready: Callable[[], None] = lambda: None) -> None:
        """Record one episode as the recorder does when the disk fails: told, closed as truncated, kept.

        `ready` is called when the catalog is open and the episode has begun.
        """
        with open_catalog(self.data.root, Author.process("recorder")) as catalog:
            catalog.counts()
            writer = self.writer(self.take.new_header())
            channel.say(open=writer.header.uuid)
            truncated = ""
            ready()
            try:
                self.feed(writer, seconds)
            except StorageError as error:
                truncated = error.sentence
                channel.say(told=truncated, at_ns=time.monotonic_ns())
            try:
                finished = writer.finish("success", truncated=truncated)
            finally:
                writer.abandon()
            channel.say(stored=finished.header.uuid, blake3=finished.blake3)
            self.row(catalog, finished)
            channel.say(ack=finished.header.uuid, blake3=finished.blake3)


def camera_topics(take: Take) -> list[str]:
    """Topics of a take's cameras."""
    return [topic_video(camera.name) for camera in take.header.cameras]
