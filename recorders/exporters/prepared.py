"""A prepared episode: all of a dataset's content that does not depend on the episodes before it.

It lives in a folder of its own with `episode.json` written last, so that an interrupted export finds either
a whole one or none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from recorders.exporters.rows import Column
from recorders.schema import SyncPair

MANIFEST = "episode.json"
TABLE = "rows.parquet"


class PreparedColumn(BaseModel):
    """A feature of the table: LeRobot's dtype and the names of its elements."""

    model_config = ConfigDict(frozen=True)

    dtype: str
    names: tuple[str, ...] | None


class PreparedVideo(BaseModel):
    """One camera of the episode.

    Attributes:
        camera: Name.
        width: [px].
        height: [px].
        first_packet: Packet of row 0 in the episode file, when remuxed.
        remuxed: The recorded packets are used.
        reason: Why not, else empty.
        parameter_sets: Identity of the H.264 parameter sets.
        size: Bytes of all its access units.
        sizes: Of each access unit, only when encoded again.
        keyframes: Rows that are keyframes, only when encoded again.
        repeated_rows: Rows showing the frame before.
        skew_max_s: Largest distance between a row's instant and its frame's capture [s].
    """

    model_config = ConfigDict(frozen=True)

    camera: str
    width: int
    height: int
    first_packet: int
    remuxed: bool
    reason: str
    parameter_sets: str
    size: int
    sizes: tuple[int, ...] = ()
    keyframes: tuple[int, ...] = ()
    repeated_rows: tuple[int, ...] = ()
    skew_max_s: float


class PreparedEpisode(BaseModel):
    """Everything about the episode but its packets and rows, which lie beside it.

    Attributes:
        options: `ExportUnit.staging_key` it was prepared with.
        key: Of the unit.
        uuid: Episode.
        rows: Frames.
        fps: Rate of the grid.
        task: LeRobot's task string.
        robot_type: As recorded.
        columns: By feature, in order.
        absent: Extras asked for that it does not hold, with the reason.
        videos: In order.
        stats: Feature -> statistic -> list; features that depend on the place in the dataset are not here.
        origin: Provenance for the dataset's `meta/teleop.json`.
        sync: How far apart the samples of every two recorded streams are.
        classes: Rows by class of sample, where the preset has weights.
        trimmed: Frames outside the common span.
        state_error_max_s: See `EpisodeReport`.
        action_age_max_s: See `EpisodeReport`.
        grid_error_max_s: See `EpisodeReport`.
    """

    model_config = ConfigDict(frozen=True)

    options: str
    key: str
    uuid: str
    rows: int
    fps: int
    task: str
    robot_type: str
    columns: dict[str, PreparedColumn]
    absent: dict[str, str]
    videos: tuple[PreparedVideo, ...]
    stats: dict[str, dict[str, list[Any]]]
    origin: dict[str, object]
    sync: tuple[SyncPair, ...] = ()
    classes: dict[str, int] = {}
    trimmed: int
    state_error_max_s: float
    action_age_max_s: float
    grid_error_max_s: float

    @property
    def video_bytes(self) -> int:
        """Bytes of all access units."""
        return sum(video.size for video in self.videos)


def load_prepared(folder: Path, options: str) -> PreparedEpisode | None:
    """The episode prepared in `folder` with the same options; None where there is none or it is torn."""
    try:
        prepared = PreparedEpisode.model_validate_json((folder / MANIFEST).read_bytes())
        complete = pq.read_metadata(folder / TABLE).num_rows == prepared.rows and all(
            video.remuxed or again_path(folder, video).stat().st_size == video.size
            for video in prepared.videos
        )
    except (OSError, ValidationError, pa.ArrowException):
        return None
    return prepared if complete and prepared.options == options else None


def save_prepared(folder: Path, prepared: PreparedEpisode) -> None:
    """Write the manifest, which makes the folder whole."""
    draft = folder / (MANIFEST + ".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(prepared.model_dump(mode="json"), file, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MANIFEST)


def again_path(folder: Path, video: PreparedVideo) -> Path:
    """Access units of a camera that was encoded again, one after the other."""
    return folder / f"{video.camera.replace('/', '_')}.h264"


def again_packets(folder: Path, video: PreparedVideo) -> Iterator[tuple[bool, bytes]]:
    """(keyframe, access unit) of a camera that was encoded again."""
    keyframes = set(video.keyframes)
    with again_path(folder, video).open("rb") as file:
        for row, size in enumerate(video.sizes):
            yield row in keyframes, file.read(size)


def arrow_column(column: Column) -> pa.Array:
    """The column as LeRobot stores it: a fixed-size list for vectors, a plain value for scalars."""
    if isinstance(column.values, list):
        return pa.array(column.values, pa.string())
    if column.values.ndim == 1:
        return pa.array(column.values)
    flat = pa.array(np.ascontiguousarray(column.values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, column.values.shape[1])
