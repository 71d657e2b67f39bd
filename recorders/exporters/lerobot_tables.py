"""The data files of a LeRobot dataset: one row group an episode."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recorders.exporters.lerobot_layout import DEFAULT_FEATURES, FileIndex, timestamps
from recorders.exporters.lerobot_plan import DatasetPlan, EpisodePlace
from recorders.exporters.prepared import TABLE, PreparedEpisode
from recorders.exporters.rows import SAMPLE_CLASS
from recorders.exporters.statistics import Stats, column_stats
from teleop_app.core.errors import ExportError

SAMPLE_WEIGHT = "sample_weight"
"""The column that depends on all episodes together."""


def placed_columns(episode: PreparedEpisode, place: EpisodePlace) -> dict[str, np.ndarray]:
    """The columns that depend on the episode's place, each of shape (rows,)."""
    rows = np.arange(episode.rows, dtype=np.int64)
    columns = {
        "timestamp": timestamps(episode.rows, episode.fps),
        "frame_index": rows,
        "episode_index": np.full(episode.rows, place.episode_index, np.int64),
        "index": rows + place.first_index,
        "task_index": np.full(episode.rows, place.task_index, np.int64),
    }
    return {name: columns[name] for name in DEFAULT_FEATURES}


def placed_stats(episode: PreparedEpisode, place: EpisodePlace) -> dict[str, Stats]:
    """Statistics of `placed_columns`."""
    return {name: column_stats(values) for name, values in placed_columns(episode, place).items()}


def write_tables(
    root: Path,
    episodes: Sequence[PreparedEpisode],
    folders: Sequence[Path],
    plan: DatasetPlan,
    features: Sequence[str],
    weights: Mapping[str, float],
) -> None:
    """Write every data file of the plan, and prove its row count.

    Args:
        root: Dataset folder.
        episodes: In order.
        folders: Where each was prepared.
        plan: Their places.
        features: Table features to include, without those of `DEFAULT_FEATURES` and `SAMPLE_WEIGHT`.
        weights: Of each class of sample, for `SAMPLE_WEIGHT`; empty for none.

    Raises:
        ExportError: A file does not hold the rows it was written for.
        OSError: A file cannot be written.
    """
    by_file: dict[FileIndex, list[int]] = {}
    for number, place in enumerate(plan.places):
        by_file.setdefault(place.data, []).append(number)
    for index, numbers in by_file.items():
        path = index.data(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for number in numbers:
                table = pq.read_table(folders[number] / TABLE, columns=list(features))
                if weights:
                    of_rows = [weights[name] for name in table[SAMPLE_CLASS].to_pylist()]
                    table = table.append_column(SAMPLE_WEIGHT, pa.array(of_rows, pa.float32()))
                for name, values in placed_columns(episodes[number], plan.places[number]).items():
                    table = table.append_column(name, pa.array(values))
                if writer is None:
                    writer = stack.enter_context(pq.ParquetWriter(path, table.schema, compression="snappy"))
                writer.write_table(table, row_group_size=max(table.num_rows, 1))
        with path.open("rb") as written:
            os.fsync(written.fileno())
        found = pq.read_metadata(path)
        rows = [found.row_group(group).num_rows for group in range(found.num_row_groups)]
        if rows != [episodes[number].rows for number in numbers]:
            raise ExportError(f"{path.name} holds row groups of {rows[:8]} rows, not one for each episode")
