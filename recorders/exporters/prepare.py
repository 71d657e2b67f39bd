"""Prepare one episode for a dataset: its rows, its statistics, and the proof that its packets can be used."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recorders.exporters.grid import CameraGrid, FrameGrid, common_grid
from recorders.exporters.h264_units import ParameterSets, parameter_sets
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.prepared import (
    TABLE,
    PreparedColumn,
    PreparedEpisode,
    PreparedVideo,
    again_path,
    arrow_column,
    save_prepared,
)
from recorders.exporters.reencode import reencode
from recorders.exporters.rows import SAMPLE_CLASS, Column, episode_rows
from recorders.exporters.source import EpisodeSource
from recorders.exporters.statistics import ImageStats, Stats, column_stats, sample_count, to_json
from recorders.exporters.units import ExportUnit
from recorders.picture_chain import PictureChain
from recorders.resample import to_seconds
from recorders.schema import EpisodeHeader, VideoTrack
from recorders.video import H264Decoder
from teleop_app.core.errors import EpisodeError, ExportError

IMAGES = "observation.images."
"""Prefix of a camera's feature."""


def selected_cameras(header: EpisodeHeader, options: LeRobotOptions) -> tuple[str, ...]:
    """Names of the cameras to export, in order."""
    return tuple(camera.name for camera in header.cameras) if options.cameras is None else options.cameras


def prepare_episode(
    source: EpisodeSource,
    folder: Path,
    options: LeRobotOptions,
    on_bytes: Callable[[int], None],
    unit: ExportUnit,
) -> PreparedEpisode:
    """Read an episode, or a stretch of one, once and write what a dataset needs of it into `folder`.

    Args:
        source: The episode.
        folder: Made anew.
        options: Choices.
        on_bytes: Told the size of every packet handled.
        unit: Which rows, and what people said of the episode.

    Raises:
        ExportError: The episode cannot be part of a dataset.
        OSError: The folder cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    header = source.header
    tracks, grid = episode_grid(source, options)
    total = grid.rows
    if unit.span is not None:
        grid = grid.part(tracks, *unit.span)
    first_row = unit.span[0] if unit.span is not None else 0
    videos: list[PreparedVideo] = []
    image_stats: dict[str, Stats] = {}
    for track, camera in zip(tracks, grid.cameras, strict=True):
        video, found = _Camera(source, track, camera, grid, folder, on_bytes).prepare()
        videos.append(video)
        image_stats[IMAGES + camera.name] = found
    grid = replace(
        grid,
        cameras=tuple(c.showing(v.repeated_rows) for c, v in zip(grid.cameras, videos, strict=True)),
    )
    to_end = first_row + grid.rows == total
    rows = episode_rows(source, grid, options, unit.judgement, to_end=to_end)
    columns = rows.columns
    table = pa.table({name: arrow_column(column) for name, column in columns.items()})
    pq.write_table(table, folder / TABLE, compression="snappy")
    stats = {
        name: column_stats(column.values)
        for name, column in columns.items()
        if not isinstance(column.values, list)
    } | image_stats
    prepared = PreparedEpisode(
        options=unit.staging_key(options),
        key=unit.key,
        uuid=header.uuid,
        rows=grid.rows,
        fps=grid.fps,
        task=(header.instruction if options.task_text == "instruction" else "") or header.task,
        robot_type=header.robot_type,
        columns={name: PreparedColumn(dtype=c.dtype, names=c.names) for name, c in columns.items()},
        absent=rows.absent,
        videos=tuple(videos),
        stats={name: to_json(values) for name, values in stats.items()},
        origin=_origin(source, grid, unit),
        classes=_class_counts(columns),
        sync=source.footer.sync if source.footer else (),
        trimmed=sum(camera.trimmed for camera in grid.cameras),
        state_error_max_s=rows.state_error_max_s,
        action_age_max_s=rows.action_age_max_s,
        grid_error_max_s=float(np.abs(to_seconds(grid.grid_error_ns)).max()),
    )
    save_prepared(folder, prepared)
    return prepared


def episode_grid(source: EpisodeSource, options: LeRobotOptions) -> tuple[list[VideoTrack], FrameGrid]:
    """The selected cameras of an episode, and its rows.

    Raises:
        ExportError: They have no rows in common.
    """
    header = source.header
    tracks = [source.video(name) for name in selected_cameras(header, options)]
    return tracks, common_grid(header.uuid, tracks, 0 if options.with_preroll else header.start_ns)


def _class_counts(columns: Mapping[str, Column]) -> dict[str, int]:
    column = columns.get(SAMPLE_CLASS)
    return dict(Counter(column.values)) if column is not None and isinstance(column.values, list) else {}


def _origin(source: EpisodeSource, grid: FrameGrid, unit: ExportUnit) -> dict[str, object]:
    header, footer = source.header, source.footer
    start_utc_ns = int(grid.instant_ns[0]) - header.anchor_monotonic_ns + header.anchor_utc_ns
    return {
        "uuid": header.uuid,
        "task": header.task,
        "instruction": header.instruction,
        "paraphrases": list(header.paraphrases),
        "outcome": unit.judgement.outcome,
        "rows": list(unit.span) if unit.span is not None else None,
        "operator": header.operator,
        "session": header.session,
        "station": header.station,
        "embodiment": header.embodiment,
        "seed": header.seed,
        "software": header.software,
        "recovered": footer is None or footer.recovered,
        "latencies": [asdict(latency) for latency in header.latencies],
        "first_row_utc_ns": start_utc_ns,
    }


@dataclass
class _Camera:
    """Prepares one camera's video and image statistics."""

    source: EpisodeSource
    track: VideoTrack
    grid: CameraGrid
    rows: FrameGrid
    folder: Path
    on_bytes: Callable[[int], None]
    images: ImageStats = field(default_factory=ImageStats)

    def prepare(self) -> tuple[PreparedVideo, Stats]:
        reason = _obstacle(self.grid)
        video = None
        if not reason:
            try:
                video, reason = self._remux()
            except EpisodeError as error:  # a damaged picture: repeat the one before in its place
                reason = f"a recorded picture is damaged ({error.what})"
        if video is None:
            self.images = ImageStats()
            video = self._again(reason)
        return video, self.images.result()

    def _remux(self) -> tuple[PreparedVideo | None, str]:
        """The video as recorded, or None and why it cannot be taken over."""
        camera, first = self.track.camera, int(self.grid.packet[0])
        stop = int(self.grid.packet[-1]) + 1
        keyframes = np.flatnonzero(self.track.keyframe[first:stop]) + first
        samples = min(len(keyframes), sample_count(self.rows.rows))
        looked_at = set(keyframes[np.rint(np.linspace(0, len(keyframes) - 1, samples)).astype(int)].tolist())
        decoder = H264Decoder(camera.width, camera.height)
        sets = ParameterSets(())
        chain = PictureChain()
        size = count = 0
        for number, _, keyframe, payload in self.source.packets(camera.name, first, stop):
            if keyframe:
                found = parameter_sets(payload)
                if count == 0:
                    sets = found
                    if not sets.units:
                        return None, "the first keyframe carries no parameter sets"
                elif found.units and found != sets:
                    return None, "its parameter sets change within the episode"
                if number in looked_at:
                    self.images.add(decoder.decode(payload))
            if not chain.accepts(payload):
                return None, f"packet {number} refers to a picture that is not there"
            size += len(payload)
            count += 1
            self.on_bytes(len(payload))
        if count != self.rows.rows:
            return None, f"{count} packets could be read for {self.rows.rows} rows"
        return self._video(remuxed=True, sets=sets, size=size), ""

    def _again(self, reason: str) -> PreparedVideo:
        step = max(1, self.rows.rows // sample_count(self.rows.rows))
        sizes: list[int] = []
        keyframes: list[int] = []
        repeated: list[int] = []
        sets = ParameterSets(())
        video = self._video(remuxed=False, sets=sets, size=0)
        with again_path(self.folder, video).open("wb") as file:
            for row, encoded in enumerate(reencode(self.source, self.track, self.grid)):
                if row == 0:
                    sets = parameter_sets(encoded.payload)
                if encoded.keyframe:
                    keyframes.append(row)
                if encoded.repeated:
                    repeated.append(row)
                if row % step == 0:
                    self.images.add(encoded.image)
                sizes.append(len(encoded.payload))
                file.write(encoded.payload)
                self.on_bytes(len(encoded.payload))
        if len(sizes) != self.rows.rows:
            raise ExportError(
                f"Camera '{self.grid.name}' of episode {self.source.header.uuid} gave {len(sizes)} frames "
                f"for {self.rows.rows} rows",
                why="its file is shorter than its index",
                next_step="Check it with `teleop verify` and leave the episode out",
            )
        return video.model_copy(
            update={
                "reason": reason,
                "parameter_sets": sets.key,
                "size": sum(sizes),
                "sizes": tuple(sizes),
                "keyframes": tuple(keyframes),
                "repeated_rows": tuple(repeated),
                "skew_max_s": self._skew_max_s(repeated),
            }
        )

    def _video(self, *, remuxed: bool, sets: ParameterSets, size: int) -> PreparedVideo:
        camera = self.track.camera
        return PreparedVideo(
            camera=camera.name,
            width=camera.width,
            height=camera.height,
            first_packet=int(self.grid.packet[0]),
            remuxed=remuxed,
            reason="",
            parameter_sets=sets.key,
            size=size,
            skew_max_s=self._skew_max_s(()),
        )

    def _skew_max_s(self, repeated: Sequence[int]) -> float:
        skew = self.grid.showing(repeated).capture_ns - self.rows.instant_ns
        return float(np.abs(to_seconds(skew)).max())


def _obstacle(grid: CameraGrid) -> str:
    """Why the recorded packets cannot be taken over as they are; empty when they can."""
    if grid.repeated.any():
        return f"{int(grid.repeated.sum())} frames are lost within the episode"
    if not grid.first_is_keyframe:
        return "the span that all cameras share does not start at a keyframe"
    return ""
