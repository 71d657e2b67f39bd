"""Checks episode files: every checksum, every count, every stream, and on request every picture."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mcap.opcode import Opcode

from recorders.container import Container
from recorders.losses import Loss, find_losses, lost_in_chunks
from recorders.mcap_layout import FOOTER_BYTES, MAGIC, RECORD_HEAD, ChunkPlace
from recorders.message_blocks import Block
from recorders.picture_chain import PictureChain
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file
from recorders.schema import TOPIC_EVENT, TOPIC_INPUT, EpisodeFooter
from recorders.tracks import Decoder
from recorders.verify_sensors import sensor_findings
from recorders.video import H264Decoder
from teleop_app.core.errors import EpisodeError, StorageError, UnreadableError

_UNORDERED = frozenset({TOPIC_EVENT, TOPIC_INPUT})
"""Topics with several sources, whose times may interleave."""
_BLOCK = 1 << 20
_LISTED = 5


@dataclass(frozen=True, slots=True)
class FileReport:
    """What the check of one file found.

    Attributes:
        path: The file.
        uuid: Of the episode, empty when the header could not be read.
        messages: How many were checked.
        frames: How many pictures were decoded.
        findings: Sentences; none when the file is in order.
        losses: Samples that the file itself tells to be missing, stream by stream: not a fault of the file.
    """

    path: Path
    uuid: str
    messages: int
    frames: int
    findings: tuple[str, ...]
    losses: tuple[Loss, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings


def exit_status(reports: Iterable[FileReport]) -> int:
    """0 when every file is in order, else 1."""
    return int(any(not report.ok for report in reports))


def verify_files(
    paths: Iterable[Path], digests: Mapping[str, str] | None = None, *, full: bool = False
) -> Iterator[FileReport]:
    """Check files one after another.

    Args:
        paths: Episode files.
        digests: BLAKE3 by UUID, as the catalog has them.
        full: Decode every picture and every message, not a sample of them.
    """
    known = digests or {}
    for path in paths:
        yield verify_file(path, blake3=known.get(path.stem, ""), full=full)


def verify_file(path: Path, *, blake3: str = "", full: bool = False) -> FileReport:
    """Check one file. Never raises for what is in it.

    Args:
        path: An episode file.
        blake3: Expected digest as hex, empty when unknown.
        full: Decode every picture and every message, not a sample of them.
    """
    check = _Check(path, full)
    try:
        check.run(blake3)
    except StorageError as error:
        check.findings.append(error.sentence)
    return FileReport(path, check.uuid, check.messages, check.frames, tuple(check.findings), check.losses)


class _Stream:
    """Messages of one topic: they decode, and their times increase."""

    def __init__(self, topic: str, decoder: Decoder) -> None:
        self.topic = topic
        self._decoder = decoder
        self._last_ns = -1
        self._back = 0
        self._error = ""

    def see(self, block: Block, full: bool) -> None:
        times = np.concatenate([[self._last_ns], block.log_utc_ns])
        self._back += int((np.diff(times) <= 0).sum())
        self._last_ns = int(times[-1])
        try:
            for payload in block.payloads():
                self._decoder.decode(payload)
                if not full:
                    break
        except EpisodeError as error:
            self._error = error.sentence

    def findings(self) -> list[str]:
        found = [f"{self.topic}: {self._error}"] if self._error else []
        if self._back and self.topic not in _UNORDERED:
            found.append(f"{self.topic} goes back in time {self._back} times.")
        return found


class _Check:
    """One run over one file; each step adds its findings."""

    def __init__(self, path: Path, full: bool) -> None:
        self.path = path
        self.full = full
        self.uuid = ""
        self.messages = 0
        self.frames = 0
        self.findings: list[str] = []
        self.losses: tuple[Loss, ...] = ()
        self._damaged: list[ChunkPlace] = []

    def run(self, blake3: str) -> None:
        if blake3 and digest_file(self.path).blake3 != blake3:
            self.findings.append("The file is not the one that was recorded: its BLAKE3 differs.")
        with EpisodeReader(self.path, open_truncated=True) as reader:
            if reader.truncated:
                self.findings.append("The file is truncated: its end is missing. Run `teleop recover`.")
                return
            container = reader.container
            self.findings.extend(container.missing)
            self.uuid = reader.header.uuid
            if self.uuid != self.path.stem:
                self.findings.append(f"The file holds the episode {self.uuid}, its name says another.")
            self._earlier_files(container, reader.footer)
            for file in container.files:
                self._data_section(file)
            counts = self._chunks(container)
            if container.missing:
                return
            if self._damaged:
                self.findings.extend(lost_in_chunks(container, self._damaged))
                return
            self._counts(container, reader.footer, counts)
            for camera in reader.header.cameras:
                self._video(reader, camera.name)
            self.findings.extend(sensor_findings(reader, full=self.full))
            self.losses = find_losses(container, reader.header)
            for name in container.contents.attachments:
                container.attachment(name)

    def _earlier_files(self, container: Container, footer: EpisodeFooter | None) -> None:
        expected = {ref.name: ref.blake3 for ref in footer.segments} if footer is not None else {}
        for file in container.files:
            if file.path.name in expected and digest_file(file.path).blake3 != expected[file.path.name]:
                self.findings.append(
                    f"{file.path.name} is not the file that was recorded: its BLAKE3 differs."
                )

    def _data_section(self, container: Container) -> None:
        """The CRC over all bytes before DataEnd, which also covers what no chunk's CRC does."""
        at, end = len(MAGIC), container.size - FOOTER_BYTES - len(MAGIC)
        while at < end:
            opcode, length = RECORD_HEAD.unpack(container.read(at, RECORD_HEAD.size))
            if opcode == Opcode.DATA_END:
                stated = int.from_bytes(container.read(at + RECORD_HEAD.size, 4), "little")
                crc = 0
                for offset in range(0, at, _BLOCK):
                    crc = zlib.crc32(container.read(offset, min(_BLOCK, at - offset)), crc)
                if length != 4 or crc != stated:
                    self.findings.append("The checksum of the data section is wrong.")
                return
            at += RECORD_HEAD.size + length
        self.findings.append("The data section has no end.")

    def _chunks(self, container: Container) -> Counter[str]:
        """Every chunk against its CRC, every index against its messages, and the messages themselves."""
        counts: Counter[str] = Counter()
        streams = self._streams(container)
        for place in container.contents.chunks:
            try:
                self._chunk(container, place, streams, counts)
            except UnreadableError:
                raise
            except EpisodeError as error:
                self._damaged.append(place)
                if error.sentence not in self.findings:
                    self.findings.append(error.sentence)
        self.messages = counts.total()
        for stream in streams.values():
            self.findings.extend(stream.findings())
        return counts

    def _chunk(
        self, container: Container, place: ChunkPlace, streams: dict[int, _Stream], counts: Counter[str]
    ) -> None:
        here = Counter(channel for channel, _, _ in container.messages(place))
        for channel, count in here.items():
            if channel not in streams:
                raise container.damaged("a message belongs to no channel")
            block = container.block(place, channel)
            if len(block.starts) != count:
                raise container.damaged("a message index does not list every message")
            streams[channel].see(block, self.full)
            counts[streams[channel].topic] += count

    def _streams(self, container: Container) -> dict[int, _Stream]:
        streams: dict[int, _Stream] = {}
        for channel in container.contents.channels.values():
            schema = container.contents.schemas.get(channel.schema_id)
            if schema is None:
                self.findings.append(f"{channel.topic} has no schema.")
                continue
            streams[channel.id] = _Stream(channel.topic, Decoder(schema))
        return streams

    def _counts(self, container: Container, footer: EpisodeFooter | None, counts: Counter[str]) -> None:
        if footer is None:
            self.findings.append("The episode has no footer.")
            return
        for topic in sorted(counts.keys() | footer.counts.keys()):
            if counts[topic] != footer.counts.get(topic, 0):
                stated = footer.counts.get(topic, 0)
                self.findings.append(f"{topic} has {counts[topic]} messages, the footer says {stated}.")
        statistics = container.contents.statistics
        if statistics is None or statistics.message_count != counts.total():
            self.findings.append("The file's statistics do not agree with its messages.")

    def _video(self, reader: EpisodeReader, camera: str) -> None:
        """All packets follow one another; keyframes decode, or every frame when `full`."""
        header = reader.video(camera).camera
        chain, decoder = PictureChain(), H264Decoder(header.width, header.height)
        seq = reader.video(camera).seq.tolist()
        broken: list[int] = []
        for index, _, keyframe, payload in reader.packets(camera):
            missing = max(0, seq[index] - seq[index - 1] - 1) if index else 0
            if not chain.accepts(payload, missing):
                broken.append(index)
                continue
            if not (self.full or keyframe):
                continue
            try:
                frame_decoder = decoder if self.full else H264Decoder(header.width, header.height)
                frame_decoder.decode_frame(payload)
                self.frames += 1
            except EpisodeError:
                broken.append(index)
                decoder = H264Decoder(header.width, header.height)
        if broken:
            shown = ", ".join(map(str, broken[:_LISTED])) + (", ..." if len(broken) > _LISTED else "")
            self.findings.append(f"{len(broken)} frames of camera {camera} cannot be decoded: {shown}.")
