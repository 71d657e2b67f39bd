"""The meta folder of a LeRobot dataset: info.json, stats.json, tasks and episodes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recorders.exporters.lerobot_layout import (
    CODEBASE_VERSION,
    DATA_PATH,
    INFO,
    STATS,
    TASKS,
    TELEOP,
    VIDEO_PATH,
    FileIndex,
)
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.lerobot_plan import EpisodePlace
from recorders.exporters.prepared import PreparedEpisode
from recorders.exporters.statistics import Stats, to_json
from recorders.sync_report import sync_rows

_TASK_COLUMN = "__index_level_0__"


def write_json(path: Path, content: object) -> None:
    """Write JSON durably, indented as LeRobot does.

    Raises:
        OSError: It cannot be written.
        ValueError: A number is not finite; nothing is written then.
    """
    text = json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def info_json(
    *,
    features: Mapping[str, Mapping[str, object]],
    fps: int,
    robot_type: str,
    episodes: int,
    frames: int,
    tasks: int,
    options: LeRobotOptions,
) -> dict[str, object]:
    """The content of info.json."""
    return {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": robot_type,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": options.chunks_size,
        "data_files_size_in_mb": options.data_files_size_in_mb,
        "video_files_size_in_mb": options.video_files_size_in_mb,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": {name: dict(feature) for name, feature in features.items()},
    }


def write_info(root: Path, info: Mapping[str, object]) -> None:
    """Write info.json."""
    write_json(root / INFO, info)


def write_stats(root: Path, stats: Mapping[str, Stats]) -> None:
    """Write stats.json."""
    write_json(root / STATS, {feature: to_json(values) for feature, values in stats.items()})


def write_tasks(root: Path, tasks: Mapping[str, int]) -> None:
    """Write tasks.parquet, whose pandas index is the task text.

    LeRobot looks tasks up by that index; without the `pandas` schema metadata it reads a plain column and
    finds no task.
    """
    table = pa.table(
        {
            "task_index": pa.array(list(tasks.values()), pa.int64()),
            _TASK_COLUMN: pa.array(list(tasks), pa.string()),
        }
    )
    described = {
        "index_columns": [_TASK_COLUMN],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            {
                "name": "task_index",
                "field_name": "task_index",
                "pandas_type": "int64",
                "numpy_type": "int64",
                "metadata": None,
            },
            {
                "name": None,
                "field_name": _TASK_COLUMN,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": None,
            },
        ],
        "attributes": {},
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.3.3",
    }
    table = table.replace_schema_metadata({"pandas": json.dumps(described)})
    _write_table(root / TASKS, table)


def read_tasks(root: Path) -> dict[str, int]:
    """Task text -> index of a dataset."""
    table = pq.read_table(root / TASKS)
    texts = next(name for name in table.column_names if name != "task_index")
    return dict(zip(table[texts].to_pylist(), table["task_index"].to_pylist(), strict=True))


def episode_record(
    episode: PreparedEpisode, place: EpisodePlace, stats: Mapping[str, Stats]
) -> dict[str, object]:
    """A row of meta/episodes, without the number of the file it is in."""
    record: dict[str, object] = {
        "episode_index": place.episode_index,
        "tasks": [episode.task],
        "length": episode.rows,
        "data/chunk_index": place.data.chunk,
        "data/file_index": place.data.file,
        "dataset_from_index": place.first_index,
        "dataset_to_index": place.first_index + episode.rows,
    }
    for key, video in place.videos.items():
        record[f"videos/{key}/chunk_index"] = video.file.chunk
        record[f"videos/{key}/file_index"] = video.file.file
        record[f"videos/{key}/from_timestamp"] = video.first_frame / episode.fps
        record[f"videos/{key}/to_timestamp"] = (video.first_frame + episode.rows) / episode.fps
    for feature, values in stats.items():
        for name, value in to_json(values).items():
            record[f"stats/{feature}/{name}"] = value
    return record


def write_episodes(
    root: Path, records: Sequence[dict[str, object]], first: FileIndex, options: LeRobotOptions
) -> None:
    """Write the rows of meta/episodes, sorted as they come, into as few files as the limit allows.

    Args:
        root: Dataset folder.
        records: From `episode_record`, by rising episode_index (LeRobot reads them by position).
        first: First free file.
        options: Size limit.
    """
    index = first
    for batch in _batches(records, options.data_files_size_in_mb):
        for record in batch:
            record["meta/episodes/chunk_index"] = index.chunk
            record["meta/episodes/file_index"] = index.file
        _write_table(index.episodes(root), pa.Table.from_pylist(batch))
        index = index.next(options.chunks_size)


def _batches(records: Sequence[dict[str, object]], limit_mb: int) -> Iterable[list[dict[str, object]]]:
    """About 8 bytes a number and 100 numbers a record of margin; far below the limit in practice."""
    if not records:
        return
    numbers = sum(len(str(value)) for value in records[0].values())
    most = max(1, limit_mb * 1024 * 1024 // max(numbers, 1))
    for start in range(0, len(records), most):
        yield list(records[start : start + most])


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pq.write_table(table, file, compression="snappy")
        file.flush()
        os.fsync(file.fileno())


def provenance(
    before: Sequence[dict[str, Any]], episodes: Sequence[PreparedEpisode], places: Sequence[EpisodePlace]
) -> dict[str, object]:
    """The content of `meta/teleop.json`: where each episode came from and what was done to its videos.

    Args:
        before: Entries that are there already.
        episodes: Added ones.
        places: Their places.
    """
    added = [
        {
            "episode_index": place.episode_index,
            **episode.origin,
            "state_error_max_s": episode.state_error_max_s,
            "action_age_max_s": episode.action_age_max_s,
            "grid_error_max_s": episode.grid_error_max_s,
            "sync": sync_rows(episode.sync),
            "cameras": {
                video.camera: {
                    "remuxed": video.remuxed,
                    "reason": video.reason,
                    "repeated_rows": list(video.repeated_rows),
                    "skew_max_s": video.skew_max_s,
                }
                for video in episode.videos
            },
        }
        for episode, place in zip(episodes, places, strict=True)
    ]
    return {"format": 1, "episodes": [*before, *added]}


def write_provenance(root: Path, content: Mapping[str, object]) -> None:
    """Write `meta/teleop.json`."""
    write_json(root / TELEOP, content)
