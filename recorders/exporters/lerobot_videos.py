"""The video files of a LeRobot dataset: recorded packets put one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from recorders.exporters.lerobot_layout import FileIndex, video_key
from recorders.exporters.lerobot_plan import DatasetPlan
from recorders.exporters.mp4 import Mp4Writer, verify_mp4
from recorders.exporters.prepared import PreparedEpisode, PreparedVideo, again_packets
from recorders.exporters.source import EpisodeOpener, EpisodeSource
from teleop_app.core.errors import ExportError


@dataclass(frozen=True, slots=True)
class VideoInput:
    """An episode to take packets from: its file, and the folder it was prepared in."""

    path: Path
    folder: Path
    episode: PreparedEpisode


def write_videos(
    root: Path,
    inputs: Sequence[VideoInput],
    plan: DatasetPlan,
    opener: EpisodeOpener,
    on_bytes: Callable[[int], None],
    on_episode: Callable[[], None],
) -> None:
    """Write and prove every video file of the plan that is not there yet.

    A file is written under another name and gets its own when it is proved, so that a rerun can trust it.

    Args:
        root: Dataset folder.
        inputs: In the order of the plan.
        plan: Places.
        opener: Opens episode files.
        on_bytes: Told the size of every packet handled.
        on_episode: Called after each episode.

    Raises:
        ExportError: A file came out wrong, or an episode changed since it was prepared.
        OSError: A file cannot be written.
    """
    tracks: dict[str, _Track] = {}
    with ExitStack() as stack:
        for item, place in zip(inputs, plan.places, strict=True):
            todo: list[tuple[_Track, PreparedVideo]] = []
            for video in item.episode.videos:
                key = video_key(video.camera)
                track = tracks.get(key)
                if track is None:
                    track = tracks[key] = stack.enter_context(_Track(root, key, item.episode.fps))
                if track.turn_to(place.videos[key].file):
                    todo.append((track, video))
                else:
                    on_bytes(video.size)
            if todo:
                with opener(item.path) as source:
                    for track, video in todo:
                        _append(track, video, item, source, on_bytes)
            on_episode()


def _append(
    track: _Track,
    video: PreparedVideo,
    item: VideoInput,
    source: EpisodeSource,
    on_bytes: Callable[[int], None],
) -> None:
    rows = size = 0
    for keyframe, payload in _packets(video, item, source):
        track.write(payload, keyframe)
        on_bytes(len(payload))
        size += len(payload)
        rows += 1
    if rows != item.episode.rows or size != video.size:
        raise ExportError(
            f"Camera '{video.camera}' of episode {item.episode.uuid} changed while it was exported",
            why=f"{rows} packets of {size} bytes instead of {item.episode.rows} of {video.size}",
            next_step="Check the episode with `teleop verify`",
        )
    track.end_episode(rows)


def _packets(video: PreparedVideo, item: VideoInput, source: EpisodeSource) -> Iterator[tuple[bool, bytes]]:
    if not video.remuxed:
        yield from again_packets(item.folder, video)
        return
    first = video.first_packet
    for _, _, keyframe, payload in source.packets(video.camera, first, first + item.episode.rows):
        yield keyframe, payload


class _Track:
    """One camera's row of files; a context that drops an unfinished file on an error."""

    def __init__(self, root: Path, key: str, fps: int) -> None:
        self._root = root
        self._key = key
        self._fps = fps
        self._file: FileIndex | None = None
        self._done = False
        self._writer: Mp4Writer | None = None
        self._lengths: list[int] = []

    def turn_to(self, file: FileIndex) -> bool:
        """Go on in `file`; False where it is complete already."""
        if file != self._file:
            self._finish()
            self._file = file
            self._done = file.video(self._root, self._key).exists()
        return not self._done

    def write(self, payload: bytes, keyframe: bool) -> None:
        """Append one frame."""
        if self._writer is None:
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = Mp4Writer(path.with_suffix(".writing"), self._fps, payload)
        self._writer.write(payload, keyframe)

    def end_episode(self, rows: int) -> None:
        """Remember where episodes begin."""
        self._lengths.append(rows)

    def _path(self) -> Path:
        if self._file is None:
            raise RuntimeError("turn_to was not called")
        return self._file.video(self._root, self._key)

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            verify_mp4(self._writer.path, self._fps, self._lengths)
            self._writer.path.rename(self._path())
        self._writer, self._lengths = None, []

    def __enter__(self) -> _Track:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish()
        elif self._writer is not None:
            self._writer.abort()
            self._writer.path.unlink(missing_ok=True)
