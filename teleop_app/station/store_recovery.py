"""At start-up and for `teleop recover`: salvage open episodes, and make catalog and files agree."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recorders.container import Container
from recorders.mcap_layout import ChunkPlace
from recorders.reader import EpisodeReader
from recorders.recovery import Recovery, digest_file, recover_open
from recorders.schema import EpisodeFooter, topic_video
from recorders.segment_names import episode_paths
from recorders.tracks import video_payload
from recorders.video import H264Decoder, is_keyframe
from sessions.repository import Catalog
from sessions.rows import Thumbnail
from teleop_app.core.errors import EpisodeError, StorageError
from teleop_app.core.paths import DataDir
from teleop_app.station.episode_rows import episode_row, rollout_of, session_id_of, stream_rows
from teleop_app.station.thumbnail import make_thumbnail, thumbnail_camera

logger = logging.getLogger(__name__)
LISTED_LOSSES = 20
"""Gaps of an episode that are told one by one."""


@dataclass(slots=True)
class StoreRecovery:
    """What was done.

    Attributes:
        recovered: Files that lay in `open/`.
        rebuilt: UUIDs of episodes that had a file and no row.
        missing: UUIDs of rows whose file is gone.
        problems: Sentences on files that could not be taken in.
    """

    recovered: list[Recovery] = field(default_factory=list)
    rebuilt: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def sentences(self, *, detailed: bool = False) -> list[str]:
        """What a person should know; empty when there was nothing to do.

        Args:
            detailed: With every gap of a recovered episode, stream by stream.
        """
        said = []
        for item in self.recovered:
            if item.header is None:
                said.append(item.loss)
            else:
                told = item.loss or "Nothing of it is lost."
                said.append(f"Episode {item.header.uuid} was recovered. {told}")
                if detailed:
                    said += [f"Lost of it: {loss.sentence}" for loss in item.losses[:LISTED_LOSSES]]
                if detailed and len(item.losses) > LISTED_LOSSES:
                    said.append(
                        f"{len(item.losses) - LISTED_LOSSES} more gaps of it stand in `recover --json`."
                    )
        if self.rebuilt:
            said.append(f"{len(self.rebuilt)} episode files without a catalog row were taken in again.")
        if self.missing:
            said.append(f"{len(self.missing)} episodes of the catalog have no file any more.")
        return said + self.problems


def recover_store(data: DataDir, catalog: Catalog) -> StoreRecovery:
    """Salvage `open/`, then take in files without a row and flag rows without a file. Idempotent.

    No recorder may be at work in this store.

    Raises:
        StorageError: The disk or the catalog refuses.
    """
    result = StoreRecovery(recovered=recover_open(data.open, data.episodes, data.damaged))
    files = [path.relative_to(data.root).as_posix() for path in episode_paths(data.episodes)]
    agreement = catalog.reconcile(files)
    result.missing = list(agreement.missing)
    for name in agreement.unknown_files:
        try:
            result.rebuilt.append(rebuild_row(catalog, data, data.root / name))
        except StorageError as error:
            result.problems.append(error.sentence)
    fresh = {item.header.uuid for item in result.recovered if item.header is not None}
    result.rebuilt = [uuid for uuid in result.rebuilt if uuid not in fresh]
    for sentence in result.sentences():
        logger.warning("%s", sentence)
    return result


def rebuild_row(catalog: Catalog, data: DataDir, path: Path) -> str:
    """Add the row of an episode file; returns its UUID.

    Raises:
        EpisodeError: The file is not a finished episode.
        CatalogError: The catalog refuses it.
        StorageError: It cannot be read.
    """
    with EpisodeReader(path, open_truncated=True) as reader:
        header, footer = reader.header, reader.footer
        if footer is None or reader.truncated:
            raise EpisodeError(f"{path.name} has no footer", next_step="Run `teleop verify` on it")
        for sentence in reader.container.missing:
            logger.warning("%s", sentence)
        if header.uuid != path.stem:
            raise EpisodeError(f"{path.name} holds the episode {header.uuid}", why="its name is another UUID")
        spans = _spans(reader, footer)
        thumbnail = _thumbnail(reader)
        size_bytes = sum(file.size for file in reader.container.files)
    digest = digest_file(path)
    row = episode_row(
        header,
        footer,
        path=path.relative_to(data.root).as_posix(),
        size_bytes=size_bytes,
        blake3=digest.blake3,
        index_in_session=catalog.next_index(session_id_of(header)),
    )
    catalog.add_episode(row, stream_rows(header, footer, spans), thumbnail, rollout_of(footer))
    return header.uuid


def _spans(reader: EpisodeReader, footer: EpisodeFooter) -> dict[str, tuple[int, int]]:
    """First and last time of each topic, from the first and last chunk that hold it: all are not read."""
    spans: dict[str, tuple[int, int]] = {}
    for topic in footer.counts:
        places = _places(reader.container, topic)
        channel = reader.container.channel(topic)
        if channel is None or not places:
            continue
        first, last = (reader.container.block(places[at], channel.id).log_utc_ns for at in (0, -1))
        first_ns, last_ns = reader.to_monotonic(np.array([first.min(), last.max()])).tolist()
        if last_ns > first_ns:
            spans[topic] = (first_ns, last_ns)
    return spans


def _places(container: Container, topic: str) -> list[ChunkPlace]:
    channel = container.channel(topic)
    return [p for p in container.contents.chunks if channel is not None and channel.id in p.channels]


def _thumbnail(reader: EpisodeReader) -> Thumbnail | None:
    """The first keyframe of the second half of the episode."""
    name = thumbnail_camera([camera.name for camera in reader.header.cameras])
    header = next((camera for camera in reader.header.cameras if camera.name == name), None)
    if header is None:
        return None
    topic = topic_video(header.name)
    places = _places(reader.container, topic)
    middle = len(places) // 2
    try:
        for place in (*places[middle:], *reversed(places[:middle])):
            channel = reader.container.channel(topic)
            for payload in reader.container.block(place, channel.id if channel else 0).payloads():
                packet = video_payload(payload)
                if is_keyframe(packet):
                    return make_thumbnail(H264Decoder(header.width, header.height).decode(packet))
    except EpisodeError as error:
        logger.warning("no thumbnail of %s: %s", reader.path.name, error)
    return None
