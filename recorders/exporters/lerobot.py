"""Export episodes as a LeRobot v3.0 dataset. docs/export-lerobot.md says what its columns mean."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

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
from recorders.exporters.lerobot_tables import placed_stats, write_tables
from recorders.exporters.lerobot_videos import VideoInput, write_videos
from recorders.exporters.prepare import prepare_episode
from recorders.exporters.prepared import TABLE, PreparedEpisode, load_prepared
from recorders.exporters.progress import ProgressMeter
from recorders.exporters.report import CameraReport, EpisodeReport, ExportReport, ProgressCallback
from recorders.exporters.source import EpisodeOpener, EpisodeSource
from recorders.exporters.statistics import Stats, aggregate_features, from_json
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
            return _Export(sources, destination, existing, options, ProgressMeter(progress), opener).run()


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
    ) -> None:
        self._sources = sources
        self._destination = destination
        self._existing = existing
        self._options = options
        self._meter = meter
        self._opener = opener
        self._start = existing.start if existing else EMPTY
        self._began = time.monotonic()
        self._resumed = 0

    def run(self) -> ExportReport:
        paths, headers = self._select()
        fps = require_fitting(headers, self._options)
        episodes = self._prepare(paths, headers)
        folders = [self._folder(episode.uuid) for episode in episodes]
        features, left_out = common_features(episodes)
        if self._existing is not None:
            features = self._existing.accept(features, fps)
        table_bytes = [(folder / TABLE).stat().st_size for folder in folders]
        plan = plan_dataset(episodes, table_bytes, self._start, self._options)
        needed = sum(table_bytes) + sum(episode.video_bytes for episode in episodes)
        self._destination.require_space(needed * 11 // 10 + _SPACE_MARGIN)

        root = self._open_dataset(plan, episodes)
        inputs = [VideoInput(*parts) for parts in zip(paths, folders, episodes, strict=True)]
        self._meter.stage("write")
        write_videos(root, inputs, plan, self._opener, self._meter.add, self._meter.episode)
        columns = [n for n, f in features.items() if f["dtype"] != "video" and n not in DEFAULT_FEATURES]
        write_tables(root, episodes, folders, plan, columns)
        self._write_metadata(root, episodes, plan, features, fps)
        self._meter.stage("verify")
        _require_all_files(root, plan)
        written = _size_of(root) - (_size_of(self._existing.root) if self._existing else 0)
        self._meter.finish()  # before the last step: a callback that raises here still cancels all of it
        self._destination.publish()
        return self._report(episodes, plan, left_out, written)

    def _select(self) -> tuple[list[Path], list[EpisodeHeader]]:
        present = self._existing.uuids if self._existing else set[str]()
        paths: list[Path] = []
        headers: list[EpisodeHeader] = []
        for path in self._sources:
            with self._opener(path) as source:
                header = source.header
            if header.uuid not in present:
                paths.append(path)
                headers.append(header)
        if not paths:
            raise ExportError(
                f"{self._destination.path} holds all {len(self._sources)} episodes already",
                next_step="There is nothing to add",
            )
        return paths, headers

    def _prepare(self, paths: Sequence[Path], headers: Sequence[EpisodeHeader]) -> list[PreparedEpisode]:
        wanted = {header.uuid for header in headers}
        self._destination.staging.mkdir(parents=True, exist_ok=True)
        for folder in self._destination.staging.iterdir():
            if folder.name not in wanted:
                shutil.rmtree(folder)
        ready = {uuid: load_prepared(self._folder(uuid), self._options.staging_key) for uuid in wanted}
        self._meter.begin("read", [_file_size(path) for path in paths])
        for number, header in enumerate(headers):
            found = ready[header.uuid]
            if found is not None:
                self._meter.know(number, found.video_bytes)
        prepared: list[PreparedEpisode] = []
        for number, (path, header) in enumerate(zip(paths, headers, strict=True)):
            if (episode := ready[header.uuid]) is None:
                with self._opener(path) as source:
                    folder = self._folder(header.uuid)
                    episode = prepare_episode(source, folder, self._options, self._meter.add)
            else:
                self._resumed += 1
                self._meter.skip(episode.video_bytes)
            self._meter.know(number, episode.video_bytes)
            self._meter.episode()
            prepared.append(episode)
        return prepared

    def _folder(self, uuid: str) -> Path:
        return self._destination.staging / uuid

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
    ) -> None:
        numeric = [name for name, feature in features.items() if feature["dtype"] != "string"]
        stats = [_episode_stats(*pair, numeric) for pair in zip(episodes, plan.places, strict=True)]
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
            notes=(*notes, *plan.notes),
        )
        log.info("Exported %d episodes to %s, %.0f x real time", len(reports), report.path, report.speed)
        return report


def _episode_stats(
    episode: PreparedEpisode, place: EpisodePlace, features: Sequence[str]
) -> dict[str, Stats]:
    known = {name: from_json(values) for name, values in episode.stats.items()}
    known |= {
        video_key(video.camera): from_json(episode.stats[f"observation.images.{video.camera}"])
        for video in episode.videos
    }
    known |= placed_stats(episode, place)
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
    parts = [start, [(episode.uuid, episode.video_bytes) for episode in episodes], plan.places]
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
