"""Which file each episode goes into. Settled before anything is written, so that a rerun finds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recorders.exporters.lerobot_layout import MEBIBYTE, FileIndex, loads_exactly, video_key
from recorders.exporters.lerobot_options import LeRobotOptions
from recorders.exporters.prepared import PreparedEpisode


@dataclass(frozen=True, slots=True)
class VideoPlace:
    """Where an episode's video lies: its file and the frame it starts at."""

    file: FileIndex
    first_frame: int


@dataclass(frozen=True, slots=True)
class EpisodePlace:
    """Where an episode lies in the dataset.

    Attributes:
        episode_index: Its number.
        first_index: `index` of its first row.
        task_index: Its task.
        data: Its data file.
        videos: By feature name.
    """

    episode_index: int
    first_index: int
    task_index: int
    data: FileIndex
    videos: dict[str, VideoPlace]


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """What a dataset holds already; the default is an empty one.

    Attributes:
        episodes: Their number.
        frames: Their rows.
        tasks: Task text -> index.
        data: First free data file.
        videos: First free video file by feature.
        metadata: First free episode metadata file.
    """

    episodes: int
    frames: int
    tasks: Mapping[str, int]
    data: FileIndex
    videos: Mapping[str, FileIndex]
    metadata: FileIndex


EMPTY = StartingPoint(0, 0, {}, FileIndex(), {}, FileIndex())


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """The whole arrangement.

    Attributes:
        places: One per episode, in order.
        tasks: Task text -> index, the ones before included.
        notes: Why files were started early.
    """

    places: tuple[EpisodePlace, ...]
    tasks: dict[str, int]
    notes: tuple[str, ...]


def plan_dataset(
    episodes: Sequence[PreparedEpisode],
    table_bytes: Sequence[int],
    start: StartingPoint,
    options: LeRobotOptions,
) -> DatasetPlan:
    """Fill files in the order of the episodes.

    A file ends when the next episode would reach the size limit; a video file also where the H.264 parameter
    sets change (an mp4 has one copy for all frames) and where float32 timestamps would no longer be exact.

    Args:
        episodes: In order.
        table_bytes: Size of each episode's rows on disk.
        start: What is there already.
        options: Size limits.
    """
    tasks = dict(start.tasks)
    places: list[EpisodePlace] = []
    data = _DataFiles(start.data, options)
    videos = {
        video_key(video.camera): _VideoFiles(video.camera, start.videos.get(video_key(video.camera)), options)
        for video in episodes[0].videos
    }
    first_index = start.frames
    for number, (episode, size) in enumerate(zip(episodes, table_bytes, strict=True)):
        places.append(
            EpisodePlace(
                episode_index=start.episodes + number,
                first_index=first_index,
                task_index=tasks.setdefault(episode.task, len(tasks)),
                data=data.place(size),
                videos={
                    video_key(video.camera): videos[video_key(video.camera)].place(
                        video.size, video.parameter_sets, episode.rows, episode.fps
                    )
                    for video in episode.videos
                },
            )
        )
        first_index += episode.rows
    notes = tuple(note for files in videos.values() for note in files.notes())
    return DatasetPlan(tuple(places), tasks, notes)


class _DataFiles:
    def __init__(self, first: FileIndex, options: LeRobotOptions) -> None:
        self._file = first
        self._limit = options.data_files_size_in_mb * MEBIBYTE
        self._chunks_size = options.chunks_size
        self._used = 0

    def place(self, size: int) -> FileIndex:
        if self._used and self._used + size >= self._limit:
            self._file, self._used = self._file.next(self._chunks_size), 0
        self._used += size
        return self._file


class _VideoFiles:
    def __init__(self, camera: str, first: FileIndex | None, options: LeRobotOptions) -> None:
        self._camera = camera
        self._file = first or FileIndex()
        self._limit = options.video_files_size_in_mb * MEBIBYTE
        self._chunks_size = options.chunks_size
        self._used = 0
        self._frames = 0
        self._sets = ""
        self._changes = 0
        self._inexact = 0

    def place(self, size: int, sets: str, rows: int, fps: int) -> VideoPlace:
        if self._frames:
            changed = sets != self._sets
            inexact = not loads_exactly(self._frames, rows, fps)
            self._changes += changed
            self._inexact += inexact and not changed
            if changed or inexact or self._used + size >= self._limit:
                self._file = self._file.next(self._chunks_size)
                self._used = self._frames = 0
        place = VideoPlace(self._file, self._frames)
        self._used += size
        self._frames += rows
        self._sets = sets
        return place

    def notes(self) -> list[str]:
        found: list[str] = []
        if self._changes:
            found.append(
                f"Camera '{self._camera}': {self._changes} more video files, because the encoder's "
                "parameters change between episodes"
            )
        if self._inexact:
            found.append(
                f"Camera '{self._camera}': {self._inexact} more video files, because LeRobot's float32 "
                "timestamps would miss frames in a longer one"
            )
        return found
