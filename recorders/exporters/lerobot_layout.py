"""Where things lie in a LeRobot v3.0 dataset, and what its features are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recorders.exporters.prepare import IMAGES
from recorders.exporters.prepared import PreparedColumn, PreparedEpisode, PreparedVideo
from recorders.exporters.rows import ACTION, STATE
from teleop_app.core.errors import ExportError

CODEBASE_VERSION = "v3.0"
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
TELEOP = "meta/teleop.json"
"""Where each episode came from; ours, which LeRobot does not read."""
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

MEBIBYTE = 1024 * 1024

TIMESTAMP_TOLERANCE_S = 1e-4
"""LeRobot's default `tolerance_s`."""

DEFAULT_FEATURES: dict[str, dict[str, object]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}


@dataclass(frozen=True, slots=True)
class FileIndex:
    """Number of a file: its chunk folder and its place there."""

    chunk: int = 0
    file: int = 0

    def next(self, chunks_size: int) -> FileIndex:
        """The file after this one."""
        if self.file + 1 >= chunks_size:
            return FileIndex(self.chunk + 1, 0)
        return FileIndex(self.chunk, self.file + 1)

    def data(self, root: Path) -> Path:
        """The data file of this number."""
        return root / DATA_PATH.format(chunk_index=self.chunk, file_index=self.file)

    def episodes(self, root: Path) -> Path:
        """The episode metadata file of this number."""
        return root / EPISODES_PATH.format(chunk_index=self.chunk, file_index=self.file)

    def video(self, root: Path, key: str) -> Path:
        """The video file of this number."""
        return root / VIDEO_PATH.format(video_key=key, chunk_index=self.chunk, file_index=self.file)


def video_key(camera: str) -> str:
    """Feature name of a camera; LeRobot forbids slashes in it."""
    return IMAGES + camera.replace("/", "_")


def timestamps(rows: int, fps: int) -> np.ndarray:
    """The `timestamp` column: frame_index / fps as float32, shape (rows,)."""
    return (np.arange(rows) / fps).astype(np.float32)


def loads_exactly(first_frame: int, rows: int, fps: int) -> bool:
    """Whether LeRobot finds every frame of an episode that starts at `first_frame` of an mp4.

    Its loader adds the float32 timestamp to the episode's start, compares in float32 with the frame's time,
    and raises beyond 1e-4 s. From 1024 s on, neighbouring float32 values are 1.2e-4 s apart, so that an
    episode deep in a long file fails at random frames unless every sum happens to round alike.
    """
    asked = (first_frame / fps + timestamps(rows, fps).astype(np.float64)).astype(np.float32)
    found = ((first_frame + np.arange(rows)) / fps).astype(np.float32)
    return bool(np.abs(asked - found).max() < TIMESTAMP_TOLERANCE_S)


def column_feature(column: PreparedColumn) -> dict[str, object]:
    """A table feature as info.json declares it."""
    names = None if column.names is None else list(column.names)
    return {"dtype": column.dtype, "shape": [1 if names is None else len(names)], "names": names}


def video_feature(video: PreparedVideo, fps: int) -> dict[str, object]:
    """A camera's feature as info.json declares it."""
    return {
        "dtype": "video",
        "shape": [video.height, video.width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": video.height,
            "video.width": video.width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def common_features(
    episodes: Sequence[PreparedEpisode],
) -> tuple[dict[str, dict[str, object]], dict[str, str]]:
    """Features that every episode holds in the same shape, and why others are left out.

    Raises:
        ExportError: State or action are among those.
    """
    first = episodes[0]
    left_out: dict[str, str] = {}
    for episode in episodes:
        for name, reason in episode.absent.items():
            left_out.setdefault(name, f"{reason} (episode {episode.uuid})")
        for name in first.columns.keys() ^ episode.columns.keys():
            left_out.setdefault(name, f"not all episodes hold it (episode {episode.uuid} differs)")
        for name, column in episode.columns.items():
            if first.columns.get(name, column) != column:
                left_out.setdefault(name, f"its elements differ (episode {episode.uuid})")
    for name in (STATE, ACTION):
        if name in left_out:
            raise ExportError(
                f"The episodes have no common '{name}'",
                why=left_out[name],
                next_step="Select episodes that fit together",
            )
    features = {
        name: column_feature(column) for name, column in first.columns.items() if name not in left_out
    }
    features |= {video_key(video.camera): video_feature(video, first.fps) for video in first.videos}
    return {**features, **DEFAULT_FEATURES}, left_out


def without_codec(features: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Features without what describes the encoding, for comparison."""
    return {name: {k: v for k, v in f.items() if k != "info"} for name, f in features.items()}
