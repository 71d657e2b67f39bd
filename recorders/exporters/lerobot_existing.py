"""A LeRobot dataset that is there already and is to be added to."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from recorders.exporters.lerobot_layout import INFO, STATS, TASKS, TELEOP, FileIndex, without_codec
from recorders.exporters.lerobot_metadata import read_tasks
from recorders.exporters.lerobot_plan import StartingPoint
from recorders.exporters.statistics import Stats, from_json
from teleop_app.core.errors import ExportError

_REWRITTEN = {INFO, STATS, TASKS, TELEOP}


@dataclass(frozen=True, slots=True)
class ExistingDataset:
    """What a dataset holds.

    Attributes:
        root: Its folder.
        info: info.json.
        stats: stats.json.
        start: Where new episodes go on.
        provenance: Episodes of `meta/teleop.json`, none for a dataset from elsewhere.
    """

    root: Path
    info: dict[str, Any]
    stats: dict[str, Stats]
    start: StartingPoint
    provenance: list[dict[str, Any]]

    @property
    def uuids(self) -> set[str]:
        """Episodes it holds."""
        return {str(episode["uuid"]) for episode in self.provenance}

    def accept(self, features: Mapping[str, Mapping[str, object]], fps: int) -> dict[str, dict[str, object]]:
        """Features for episodes to add: its own, when they offer all of them alike.

        Args:
            features: What the new episodes hold.
            fps: Their rate.

        Raises:
            ExportError: They do not fit.
        """
        if self.info["fps"] != fps:
            raise ExportError(
                f"The dataset {self.root.name} has {self.info['fps']} frames a second and the episodes {fps}",
                next_step="Export them to a dataset of their own",
            )
        own, offered = without_codec(self.info["features"]), without_codec(features)
        different = [name for name in own if offered.get(name) != own[name]]
        surplus = [name for name in offered if name not in own and offered[name]["dtype"] == "video"]
        if different or surplus:
            raise ExportError(
                f"The episodes do not fit the dataset {self.root.name}",
                why="they differ in " + ", ".join(f"'{name}'" for name in different + surplus),
                next_step="Select the same cameras and extras, or export them to a dataset of their own",
            )
        return {name: dict(self.info["features"][name]) for name in own}

    def link_into(self, dataset: Path) -> None:
        """Bring its files into the folder of the new one, by hard links where the file system has them."""
        for source in sorted(self.root.rglob("*")):
            inside = source.relative_to(self.root)
            target = dataset / inside
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif inside.as_posix() not in _REWRITTEN and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:  # a file system without links
                    shutil.copy2(source, target)


def read_existing(root: Path) -> ExistingDataset:
    """Read what is needed to add to a dataset.

    Raises:
        ExportError: It is damaged.
    """
    try:
        info = json.loads((root / INFO).read_text(encoding="utf-8"))
        stats = json.loads((root / STATS).read_text(encoding="utf-8"))
        tasks = read_tasks(root)
        last = _last_episode(root)
        keys = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
        size = int(info["chunks_size"])
        start = StartingPoint(
            episodes=int(info["total_episodes"]),
            frames=int(info["total_frames"]),
            tasks=tasks,
            data=_after(last, "data", size),
            videos={key: _after(last, f"videos/{key}", size) for key in keys},
            metadata=_after(last, "meta/episodes", size),
        )
        provenance = []
        if (root / TELEOP).exists():
            provenance = json.loads((root / TELEOP).read_text(encoding="utf-8"))["episodes"]
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ExportError(
            f"The dataset {root} cannot be added to",
            why=f"its metadata is damaged ({error})",
            next_step="Export to a new folder",
        ) from error
    if int(last["episode_index"]) + 1 != start.episodes or int(last["dataset_to_index"]) != start.frames:
        raise ExportError(
            f"The dataset {root} cannot be added to",
            why="its info.json and its episode list disagree",
            next_step="Export to a new folder",
        )
    return ExistingDataset(
        root, info, {name: from_json(values) for name, values in stats.items()}, start, provenance
    )


def _last_episode(root: Path) -> dict[str, Any]:
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return max(rows, key=lambda row: row["episode_index"])


def _after(row: Mapping[str, Any], prefix: str, chunks_size: int) -> FileIndex:
    return FileIndex(int(row[f"{prefix}/chunk_index"]), int(row[f"{prefix}/file_index"])).next(chunks_size)
