"""Export episodes as a LeRobot v3.0 dataset. docs/export-lerobot.md says what its columns mean."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from recorders.exporters.authority_rows import row_authority
from recorders.exporters.compatibility import require_fitting
from recorders.exporters.destination import Destination, told_plainly
from recorders.exporters.lerobot_existing import ExistingDataset, read_existing
from recorders.exporters.lerobot_layout import DEFAULT_FEATURES, MEBIBYTE, common_features, video_key
from recorders.exporters.lerobot_metadata import (
    episode_record,
    info_json,
    provenance,
    write_episodes,
    write_info,
    write_provenance,
    write_stats,
    write_tasks,
)
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.lerobot_plan import EMPTY, DatasetPlan, EpisodePlace, StartingPoint, plan_dataset
from recorders.exporters.lerobot_tables import SAMPLE_WEIGHT, placed_stats, write_tables
from recorders.exporters.lerobot_videos import VideoInput, write_videos
from recorders.exporters.prepare import episode_grid, prepare_episode
from recorders.exporters.prepared import TABLE, PreparedEpisode, load_prepared
from recorders.exporters.presets import PRESETS, WEIGHTED, Span, class_weights, cuts, kept_spans
from recorders.exporters.progress import ProgressMeter
from recorders.exporters.report import CameraReport, EpisodeReport, ExportReport, ProgressCallback
from recorders.exporters.source import EpisodeOpener, EpisodeSource, Judgement, judgement_of
from recorders.exporters.statistics import Stats, aggregate_features, column_stats, from_json
from recorders.exporters.units import ExportUnit, units_of
from recorders.reader import EpisodeReader
from recorders.schema import EpisodeHeader
from teleop_app.core.errors import ExportError

log = logging.getLogger(__name__)

_SPACE_MARGIN = 16 * MEBIBYTE


def open_episode(path: Path) -> AbstractContextManager[EpisodeSource]:
    """The usual opener: an episode file."""
    return EpisodeReader(path)


def export_lerobot(
    sources: Sequence[Path],
    out_dir: Path,
    options: LeRobotOptions | None = None,
    progress: ProgressCallback | None = None,
    opener: EpisodeOpener = open_episode,
    judgements: Mapping[str, Judgement] | None = None,
) -> ExportReport:
    """Write episodes as a LeRobot v3.0 dataset, or add them to one.

    Every episode is first prepared by itself (rows, statistics, proof of its packets), then all of them are
    put together, verified, and moved into place at once. Interrupted at any point, by a kill or by an
    exception that `progress` raises, the next call with the same episodes goes on where it stopped and ends
    with the same bytes.

    Args:
        sources: Episode files, in the order they shall have.
        out_dir: The dataset's folder; must not exist or be empty, unless the options say otherwise.
        options: Choices.
        progress: Called about ten times a second and at the end of each stage.
        opener: Opens an episode file.
        judgements: What people said of episodes by UUID; else what their files tell.

    Raises:
        ExportError: No episodes, episodes that do not fit together, a destination in use, a full disk.
        EpisodeError: An episode file is damaged.
    """
    options = options or LeRobotOptions()
    options.check()
    if not sources:
        raise ExportError(
            "There are no episodes to export", next_step="Record some, or widen the selection of episodes"
        )
    destination = Destination(Path(out_dir))
    with told_plainly(destination.path):
        destination.require_dataset_or_nothing()
        with destination.held():
            appending = destination.admit(overwrite=options.overwrite, append=options.append)
            existing = read_existing(destination.path) if appending else None
            meter = ProgressMeter(progress)
            return _Export(sources, destination, existing, options, meter, opener, judgements or {}).run()


class _Export:
    """One run."""

    def __init__(
        self,
        sources: Sequence[Path],
        destination: Destination,
        existing: ExistingDataset | None,
        options: LeRobotOptions,
        meter: ProgressMeter,
        opener: EpisodeOpener,
        judgements: Mapping[str, Judgement],
    ) -> None:
        self._sources = sources
        self._destination = destination
        self._existing = existing
        self._options = options
        self._meter = meter
        self._opener = opener
        self._judgements = judgements
        self._whole = 0
        self._start = existing.start if existing else EMPTY
        self._began = time.monotonic()
        self._resumed = 0

    def run(self) -> ExportReport:
        units, fps = self._select()
        episodes = self._prepare(units)
        folders = [self._folder(unit) for unit in units]
        features, left_out = common_features(episodes)
        weights = self._weights(episodes)
        if weights:
            features[SAMPLE_WEIGHT] = {"dtype": "float32", "shape": [1], "names": None}
        if self._existing is not None:
            features = self._existing.accept(features, fps)
        table_bytes = [(folder / TABLE).stat().st_size for folder in folders]
        plan = plan_dataset(episodes, table_bytes, self._start, self._options)
        needed = sum(table_bytes) + sum(episode.video_bytes for episode in episodes)
        self._destination.require_space(needed * 11 // 10 + _SPACE_MARGIN)

        root = self._open_dataset(plan, episodes)
        inputs = [
            VideoInput(unit.path, folder, episode)
            for unit, folder, episode in zip(units, folders, episodes, strict=True)
        ]
        self._meter.stage("write")
        write_videos(root, inputs, plan, self._opener, self._meter.add, self._meter.episode)
        placed = {*DEFAULT_FEATURES, SAMPLE_WEIGHT}
        columns = [n for n, f in features.items() if f["dtype"] != "video" and n not in placed]
        write_tables(root, episodes, folders, plan, columns, weights)
        self._write_metadata(root, episodes, plan, features, fps, weights)
        self._meter.stage("verify")
        _require_all_files(root, plan)
        written = _size_of(root) - (_size_of(self._existing.root) if self._existing else 0)
        self._meter.finish()  # before the last step: a callback that raises here still cancels all of it
        self._destination.publish()
        return self._report(episodes, plan, left_out, written)

    def _select(self) -> tuple[list[ExportUnit], int]:
        """What the dataset is made of, and its rate."""
        present = self._existing.uuids if self._existing else set[str]()
        chosen: list[tuple[Path, EpisodeHeader, Judgement]] = []
        for path in self._sources:
            with self._opener(path) as source:
                header, told = source.header, judgement_of(source.footer)
            if header.uuid not in present:
                chosen.append((path, header, self._judgements.get(header.uuid, told)))
        if not chosen:
            raise ExportError(
                f"{self._destination.path} holds all {len(self._sources)} episodes already",
                next_step="There is nothing to add",
            )
        fps = require_fitting([header for _, header, _ in chosen], self._options)
        units = [
            unit
            for path, header, judgement in chosen
            for unit in units_of(path, header.uuid, judgement, self._spans(path))
        ]
        if not units:
            raise ExportError(
                f"The preset '{self._options.preset}' leaves nothing of {len(chosen)} episodes",
                why=f"it keeps {PRESETS[self._options.preset]}",
                next_step="Select other episodes or another preset",
            )
        self._whole = len(chosen)
        return units, fps

    def _spans(self, path: Path) -> list[Span] | None:
        """The rows that the preset keeps of an episode; None for all."""
        if not cuts(self._options.preset):
            return None
        with self._opener(path) as source:
            _, grid = episode_grid(source, self._options)
            authority = row_authority(source, grid.instant_ns)
        if authority is None:
            return None
        spans = kept_spans(self._options.preset, authority)
        return None if spans == [(0, grid.rows)] else spans

    def _weights(self, episodes: Sequence[PreparedEpisode]) -> dict[str, float]:
        """Of each class of sample; empty when the preset has none."""
        if self._options.preset not in WEIGHTED:
            return {}
        counts: Counter[str] = Counter()
        for episode in episodes:
            counts.update(episode.classes)
        if counts.total() != sum(episode.rows for episode in episodes):
            raise ExportError(
                "The samples cannot be weighed",
                why="an episode has no control ticks",
                next_step="Leave it out",
            )
        return class_weights(self._options.preset, counts)

    def _prepare(self, units: Sequence[ExportUnit]) -> list[PreparedEpisode]:
        wanted = {unit.key for unit in units}
        self._destination.staging.mkdir(parents=True, exist_ok=True)
        for folder in self._destination.staging.iterdir():
            if folder.name not in wanted:
                shutil.rmtree(folder)
        ready = {
            unit.key: load_prepared(self._folder(unit), unit.staging_key(self._options)) for unit in units
        }
        self._meter.begin("read", [_file_size(unit.path) for unit in units])
        for number, unit in enumerate(units):
            found = ready[unit.key]
            if found is not None:
                self._meter.know(number, found.video_bytes)
        prepared: list[PreparedEpisode] = []
        for number, unit in enumerate(units):
            if (episode := ready[unit.key]) is None:
                with self._opener(unit.path) as source:
                    folder = self._folder(unit)
                    episode = prepare_episode(source, folder, self._options, self._meter.add, unit)
            else:
                self._resumed += 1
                self._meter.skip(episode.video_bytes)
            self._meter.know(number, episode.video_bytes)
            self._meter.episode()
            prepared.append(episode)
        return prepared

    def _folder(self, unit: ExportUnit) -> Path:
        return self._destination.staging / unit.key

    def _open_dataset(self, plan: DatasetPlan, episodes: Sequence[PreparedEpisode]) -> Path:
        """The dataset folder of this plan; what another plan left there is removed."""
        root = self._destination.dataset
        identity = _plan_identity(plan, episodes, self._start)
        marker = self._destination.plan
        if not marker.exists() or marker.read_text(encoding="ascii") != identity:
            shutil.rmtree(root, ignore_errors=True)
            marker.write_text(identity, encoding="ascii")
        for folder in ("data", "meta"):
            shutil.rmtree(root / folder, ignore_errors=True)
        root.mkdir(parents=True, exist_ok=True)
        if self._existing is not None:
            self._existing.link_into(root)
        return root

    def _write_metadata(
        self,
        root: Path,
        episodes: Sequence[PreparedEpisode],
        plan: DatasetPlan,
        features: dict[str, dict[str, object]],
        fps: int,
        weights: Mapping[str, float],
    ) -> None:
        numeric = [name for name, feature in features.items() if feature["dtype"] != "string"]
        stats = [_episode_stats(*pair, numeric, weights) for pair in zip(episodes, plan.places, strict=True)]
        records = [episode_record(*row) for row in zip(episodes, plan.places, stats, strict=True)]
        write_episodes(root, records, self._start.metadata, self._options)
        before = [self._existing.stats] if self._existing else []
        write_stats(root, aggregate_features([*before, *stats]))
        write_tasks(root, plan.tasks)
        write_provenance(
            root, provenance(self._existing.provenance if self._existing else (), episodes, plan.places)
        )
        info = info_json(
            features=features,
            fps=fps,
            robot_type=self._options.robot_type or episodes[0].robot_type,
            episodes=self._start.episodes + len(episodes),
            frames=self._start.frames + sum(episode.rows for episode in episodes),
            tasks=len(plan.tasks),
            options=self._options,
        )
        if self._existing is not None:
            totals = {k: v for k, v in info.items() if k.startswith("total_") or k == "splits"}
            info = {**self._existing.info, **totals}
        write_info(root, info)

    def _cut_notes(self, rows: int, parts: int) -> list[str]:
        if not cuts(self._options.preset):
            return []
        kept = PRESETS[self._options.preset]
        return [
            f"The preset '{self._options.preset}' keeps {kept}: {rows} rows of {self._whole} recordings, "
            f"in {parts} episodes"
        ]

    def _report(
        self,
        episodes: Sequence[PreparedEpisode],
        plan: DatasetPlan,
        left_out: dict[str, str],
        written: int,
    ) -> ExportReport:
        rows = sum(episode.rows for episode in episodes)
        reports = tuple(
            _episode_report(episode, place.episode_index)
            for episode, place in zip(episodes, plan.places, strict=True)
        )
        again = [(e.uuid, c) for e in reports for c in e.cameras if not c.remuxed]
        notes = [
            f"Camera '{c.camera}' of episode {uuid} was encoded again, because {c.reason}; "
            f"{c.repeated} rows show the frame before"
            for uuid, c in again
        ]
        report = ExportReport(
            path=self._destination.path,
            episodes=reports,
            rows=rows,
            seconds=sum(episode.rows / episode.fps for episode in episodes),
            bytes_written=written,
            elapsed_s=time.monotonic() - self._began,
            resumed=self._resumed,
            left_out=left_out,
            notes=(*self._cut_notes(rows, len(episodes)), *notes, *plan.notes),
        )
        log.info("Exported %d episodes to %s, %.0f x real time", len(reports), report.path, report.speed)
        return report


def _episode_stats(
    episode: PreparedEpisode, place: EpisodePlace, features: Sequence[str], weights: Mapping[str, float]
) -> dict[str, Stats]:
    known = {name: from_json(values) for name, values in episode.stats.items()}
    known |= {
        video_key(video.camera): from_json(episode.stats[f"observation.images.{video.camera}"])
        for video in episode.videos
    }
    known |= placed_stats(episode, place)
    if weights:
        of_rows = np.array([weights[name] for name in episode.classes], np.float32)
        known[SAMPLE_WEIGHT] = column_stats(np.repeat(of_rows, list(episode.classes.values())))
    return {name: known[name] for name in features}


def _episode_report(episode: PreparedEpisode, index: int) -> EpisodeReport:
    return EpisodeReport(
        uuid=episode.uuid,
        index=index,
        rows=episode.rows,
        trimmed=episode.trimmed,
        state_error_max_s=episode.state_error_max_s,
        action_age_max_s=episode.action_age_max_s,
        grid_error_max_s=episode.grid_error_max_s,
        cameras=tuple(
            CameraReport(
                camera=video.camera,
                remuxed=video.remuxed,
                reason=video.reason,
                repeated=len(video.repeated_rows),
                repeated_rows=video.repeated_rows,
                skew_max_s=video.skew_max_s,
            )
            for video in episode.videos
        ),
        sync=episode.sync,
    )


def _plan_identity(plan: DatasetPlan, episodes: Sequence[PreparedEpisode], start: StartingPoint) -> str:
    parts = [start, [(episode.key, episode.video_bytes) for episode in episodes], plan.places]
    return hashlib.sha256(json.dumps(parts, default=repr, sort_keys=True).encode()).hexdigest()


def _require_all_files(root: Path, plan: DatasetPlan) -> None:
    wanted = {place.data.data(root) for place in plan.places}
    wanted |= {video.file.video(root, key) for place in plan.places for key, video in place.videos.items()}
    missing = sorted(path for path in wanted if not path.is_file())
    if missing:
        raise ExportError(f"{missing[0].name} was not written", next_step="Export again")


def _file_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
