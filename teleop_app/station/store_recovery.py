"""At start-up and for `teleop recover`: salvage open episodes, and make catalog and files agree."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recorders.reader import EpisodeReader
from recorders.recovery import Recovery, digest_file, recover_open
from recorders.schema import EpisodeFooter
from sessions.repository import Catalog
from sessions.rows import Thumbnail
from teleop_app.core.errors import EpisodeError, StorageError
from teleop_app.core.paths import DataDir
from teleop_app.station.episode_rows import episode_row, session_id_of, stream_rows
from teleop_app.station.thumbnail import make_thumbnail, thumbnail_camera

logger = logging.getLogger(__name__)


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

    def sentences(self) -> list[str]:
        """What a person should know; empty when there was nothing to do."""
        said = []
        for item in self.recovered:
            if item.header is None:
                said.append(item.loss)
            else:
                loss = item.loss or "Nothing of it is lost."
                said.append(f"Episode {item.header.uuid} was recovered. {loss}")
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
    files = sorted(path.relative_to(data.root).as_posix() for path in data.episodes.glob("[!.]*.mcap"))
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
    with EpisodeReader(path) as reader:
        header, footer = reader.header, reader.footer
        if footer is None:
            raise EpisodeError(f"{path.name} has no footer", next_step="Run `teleop verify` on it")
        if header.uuid != path.stem:
            raise EpisodeError(f"{path.name} holds the episode {header.uuid}", why="its name is another UUID")
        spans = _spans(reader, footer)
        thumbnail = _thumbnail(reader)
    digest = digest_file(path)
    row = episode_row(
        header,
        footer,
        path=path.relative_to(data.root).as_posix(),
        size_bytes=digest.size_bytes,
        blake3=digest.blake3,
        index_in_session=catalog.next_index(session_id_of(header)),
    )
    catalog.add_episode(row, stream_rows(header, footer, spans), thumbnail)
    return header.uuid


def _spans(reader: EpisodeReader, footer: EpisodeFooter) -> dict[str, tuple[int, int]]:
    spans = {}
    for topic in footer.counts:
        times = np.concatenate([block.log_utc_ns for block in reader.container.blocks(topic)])
        if len(times) > 1:
            first_ns, last_ns = reader.to_monotonic(np.array([times.min(), times.max()])).tolist()
            spans[topic] = (first_ns, last_ns)
    return spans


def _thumbnail(reader: EpisodeReader) -> Thumbnail | None:
    camera = thumbnail_camera([camera.name for camera in reader.header.cameras])
    if camera is None:
        return None
    try:
        track = reader.video(camera)
        keyframes = np.flatnonzero(track.keyframe)
        if not len(keyframes):
            return None
        return make_thumbnail(reader.frame(camera, int(keyframes[len(keyframes) // 2])))
    except EpisodeError as error:
        logger.warning("no thumbnail of %s: %s", reader.path.name, error)
        return None
