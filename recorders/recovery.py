"""Salvages what a crash left in `open/`: each file becomes an episode, or moves to `damaged/` untouched.

Idempotent: a recovery that is itself interrupted is repeated from the same file.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
from blake3 import blake3
from mcap.writer import CompressionType, Writer

from recorders.container import Container
from recorders.durability import SYSTEM, AppendFile, FileDigest, SystemCalls, publish, storage_error
from recorders.episode_file import PROFILE
from recorders.ledger import nearest_spacing_ns
from recorders.mcap_writer import CHUNK_BYTES
from recorders.reader import EpisodeReader
from recorders.records import to_metadata
from recorders.schema import (
    METADATA_FOOTER,
    METADATA_HEADER,
    TOPIC_TICK,
    TOPIC_WORLD,
    EpisodeFooter,
    EpisodeHeader,
    topic_video,
)
from recorders.tracks import concatenated, unwrapped
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import EpisodeError, StorageError

logger = logging.getLogger(__name__)
_WORK_SUFFIX = ".recovering"


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of one file left in `open/`.

    Attributes:
        source: Where it lay.
        path: Where it lies now: an episode when `header` is set, else in `damaged/`.
        header: Of the episode, None when the file was not readable.
        footer: Of the episode, None when the file was not readable.
        size_bytes: Of the file at `path`.
        blake3: Of the file at `path`, empty when it was not readable.
        loss: Sentence on what is lost; empty when nothing is.
    """

    source: Path
    path: Path
    header: EpisodeHeader | None
    footer: EpisodeFooter | None
    size_bytes: int
    blake3: str
    loss: str


def recover_open(
    open_folder: Path, episodes: Path, damaged: Path, calls: SystemCalls = SYSTEM
) -> list[Recovery]:
    """Salvage every file in `open/`. No writer may be at work there.

    Raises:
        StorageError: The disk refuses; what was not reached stays in `open/`.
    """
    for leftover in open_folder.glob(f"*{_WORK_SUFFIX}"):
        leftover.unlink()
    return [_recover_file(path, episodes, damaged, calls) for path in sorted(open_folder.glob("[!.]*.mcap"))]


def digest_file(path: Path) -> FileDigest:
    """Size and BLAKE3 of a file.

    Raises:
        StorageError: It cannot be read.
    """
    digest = blake3()
    size = 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise storage_error(f"{path.name} cannot be read", error, "it stays where it is") from error
    return FileDigest(size, digest.hexdigest())


def _recover_file(path: Path, episodes: Path, damaged: Path, calls: SystemCalls) -> Recovery:
    try:
        with EpisodeReader(path, open_truncated=True) as reader:
            if reader.header.uuid != path.stem:
                raise EpisodeError(f"{path.name} holds the episode {reader.header.uuid}")
            if not reader.container.contents.chunks:
                raise EpisodeError(f"{path.name} holds no samples")
            destination = episodes / path.name
            if destination.exists():
                return _drop_twin(path, destination, damaged, calls)
            if not reader.truncated and reader.footer is not None:
                return _publish_whole(reader, path, destination, calls)
            return _rewrite(reader, path, destination, calls)
    except EpisodeError as error:
        return _set_aside(path, damaged, error.sentence, calls)


def _set_aside(path: Path, damaged: Path, reason: str, calls: SystemCalls) -> Recovery:
    destination = damaged / path.name
    number = 1
    while destination.exists():
        destination = damaged / f"{path.stem}-{number}.mcap"
        number += 1
    size = path.stat().st_size
    publish(path, destination, calls)
    loss = f"{path.name} ({size} bytes) was not readable and lies in {damaged} untouched: {reason}"
    return Recovery(path, destination, None, None, size, "", loss)


def _drop_twin(path: Path, destination: Path, damaged: Path, calls: SystemCalls) -> Recovery:
    """The file was published before: an earlier recovery was interrupted before it removed the original."""
    try:
        with EpisodeReader(destination) as reader:
            header, footer = reader.header, reader.footer
    except EpisodeError as error:
        return _set_aside(path, damaged, f"an unreadable file of that name exists: {error.sentence}", calls)
    digest = digest_file(destination)
    _remove(path, calls)
    loss = " ".join(footer.lost_reasons) if footer is not None and footer.recovered else ""
    return Recovery(path, destination, header, footer, digest.size_bytes, digest.blake3, loss)


def _publish_whole(reader: EpisodeReader, path: Path, destination: Path, calls: SystemCalls) -> Recovery:
    """The program stopped between closing the file and moving it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        calls.sync(descriptor)
    except OSError as error:
        raise storage_error(f"{path.name} could not be made durable", error, "it stays in place") from error
    finally:
        os.close(descriptor)
    digest = digest_file(path)
    publish(path, destination, calls)
    return Recovery(path, destination, reader.header, reader.footer, digest.size_bytes, digest.blake3, "")


def _rewrite(reader: EpisodeReader, path: Path, destination: Path, calls: SystemCalls) -> Recovery:
    work = path.with_suffix(_WORK_SUFFIX)
    file = AppendFile(work, calls=calls)
    try:
        counts = _copy_messages(reader.container, file, reader.header)
        footer = _rebuilt_footer(reader, counts)
        writer = counts.writer
        writer.add_metadata(METADATA_FOOTER, to_metadata(footer))
        writer.finish()
        digest = file.finish()
    except (StorageError, EpisodeError):
        file.close()
        work.unlink(missing_ok=True)
        raise
    publish(work, destination, calls)
    _remove(path, calls)
    return Recovery(
        path, destination, reader.header, footer, digest.size_bytes, digest.blake3, footer.lost_reasons[0]
    )


def _remove(path: Path, calls: SystemCalls) -> None:
    try:
        path.unlink()
        calls.sync_folder(path.parent)
    except OSError as error:
        raise storage_error(f"{path} could not be removed", error, "its recovered copy is kept") from error


@dataclass(slots=True)
class _Copied:
    writer: Writer
    counts: Counter[str]


def _copy_messages(container: Container, file: AppendFile, header: EpisodeHeader) -> _Copied:
    contents = container.contents
    writer = Writer(
        cast("IO[bytes]", file),
        chunk_size=CHUNK_BYTES,
        compression=CompressionType.ZSTD,
        enable_data_crcs=True,
    )
    writer.start(PROFILE, f"{contents.library} recovered")
    writer.add_metadata(METADATA_HEADER, to_metadata(header))
    for name in contents.attachments:
        item = container.attachment_record(name)
        writer.add_attachment(item.create_time, item.log_time, item.name, item.media_type, item.data)
    schemas = {
        ident: writer.register_schema(schema.name, schema.encoding, schema.data)
        for ident, schema in contents.schemas.items()
    }
    channels = {
        ident: writer.register_channel(
            channel.topic, channel.message_encoding, schemas[channel.schema_id], channel.metadata
        )
        for ident, channel in contents.channels.items()
        if channel.schema_id in schemas
    }
    counts: Counter[str] = Counter()
    for place in contents.chunks:
        for channel, head, payload in container.messages(place):
            if channel in channels:
                writer.add_message(
                    channels[channel], int(head["log"]), payload, int(head["publish"]), int(head["seq"])
                )
                counts[contents.channels[channel].topic] += 1
        writer.flush()
    return _Copied(writer, counts)


def _rebuilt_footer(reader: EpisodeReader, copied: _Copied) -> EpisodeFooter:
    container = reader.container
    ticks = reader.ticks()
    frames = {camera.name: reader.video(camera.name) for camera in reader.header.cameras}
    frame_times = concatenated(track.capture_ns for track in frames.values())
    times = np.concatenate([ticks.capture_ns, frame_times])
    actors = Counter(ticks.actor)
    # Not the joint streams: a reading that two ticks saw is kept once and leaves a number out.
    topics = [TOPIC_TICK, TOPIC_WORLD, *(topic_video(name) for name in frames)]
    lost = {topic: missing for topic in topics if (missing := _missing(container, topic))}
    spacing = (
        nearest_spacing_ns(frame_times, ticks.capture_ns)
        if len(ticks.capture_ns) and len(frame_times)
        else np.zeros(1)
    )
    late = ticks.lateness_ns if len(ticks.lateness_ns) else np.zeros(1)
    return EpisodeFooter(
        duration_ns=int(times.max() - times.min()) if len(times) else 0,
        outcome="unknown",
        counts=dict(copied.counts),
        lost=lost,
        lost_reasons=(
            _loss_sentence(container, times),
            *(f"{n} samples of {t} never arrived." for t, n in lost.items()),
        ),
        actor_share={name: count / len(ticks.actor) for name, count in actors.items()},
        late_p99_ms=round(float(np.percentile(late, 99)) / NS_PER_MS, 3),
        sync_p95_ms=round(float(np.percentile(spacing, 95)) / NS_PER_MS, 3),
        recovered=True,
        truncated=True,
    )


def _missing(container: Container, topic: str) -> int:
    seq = unwrapped(concatenated(block.seq for block in container.blocks(topic)))
    steps: Iterable[int] = np.diff(seq).tolist()
    return sum(step - 1 for step in steps if step > 1)


def _loss_sentence(container: Container, times: np.ndarray) -> str:
    contents = container.contents
    seconds = (times.max() - times.min()) / NS_PER_S if len(times) else 0.0
    cut = container.size - contents.whole_bytes
    tail = "no unfinished chunk followed"
    if cut:
        tail = f"{cut} bytes of an unfinished chunk followed, {contents.cut_messages} messages of it are kept"
    return (
        f"The recording was cut off by a crash after {seconds:.2f} s: what was not yet on the disk then "
        f"is lost; {tail}."
    )
