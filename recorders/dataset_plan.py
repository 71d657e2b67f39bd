"""Which episodes a dataset draws on: found, filtered, and checked to fit together before training starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recorders.reader import EpisodeReader
from recorders.schema import EpisodeHeader
from recorders.segment_names import episode_paths
from teleop_app.core.errors import EpisodeError


@dataclass(frozen=True, slots=True)
class DatasetEpisode:
    """An episode of a dataset.

    Attributes:
        path: The file.
        header: Who, what and where.
        outcome: `success`, `failure` or `unknown`.
        reader: Of the file; it rests.
    """

    path: Path
    header: EpisodeHeader
    outcome: str
    reader: EpisodeReader


def episode_files(source: Path | str | Iterable[Path | str]) -> list[Path]:
    """Files of a store (its folder or its `episodes` folder), of a single path, or as listed.

    Raises:
        EpisodeError: There is none.
    """
    if not isinstance(source, str | Path):
        found = [Path(path) for path in source]
        where = "the list"
    else:
        folder = Path(source)
        if folder.is_file():
            return [folder]
        where = str(folder)
        inner = folder / "episodes"
        found = episode_paths(inner if inner.is_dir() else folder)
    if not found:
        raise EpisodeError(
            f"There is no episode in {where}",
            next_step="Give a store, its folder of episodes, or paths of .mcap files",
        )
    return found


def chosen_episodes(paths: Sequence[Path], outcomes: Iterable[str] | None) -> list[DatasetEpisode]:
    """Episodes with one of these outcomes (None: any), which must be of one embodiment.

    Raises:
        EpisodeError: A file cannot be read, none is left, or two do not fit together.
    """
    wanted = None if outcomes is None else frozenset(outcomes)
    found: list[DatasetEpisode] = []
    for path in paths:
        reader = EpisodeReader(path)
        outcome = reader.footer.outcome if reader.footer is not None else "unknown"
        if wanted is None or outcome in wanted:
            reader.rest()
            found.append(DatasetEpisode(path, reader.header, outcome, reader))
        else:
            reader.close()
    if not found:
        raise EpisodeError(
            "The dataset would have no episode",
            why=f"none of {len(paths)} episodes has the outcome {' or '.join(sorted(wanted or ()))}",
        )
    for episode in found[1:]:
        _same_robot(found[0], episode)
    return found


def _same_robot(one: DatasetEpisode, other: DatasetEpisode) -> None:
    for what, left, right in (
        ("robot", one.header.robot_type, other.header.robot_type),
        ("joints", ", ".join(one.header.joint_names), ", ".join(other.header.joint_names)),
    ):
        if left != right:
            raise EpisodeError(
                f"{one.path.name} and {other.path.name} cannot be in one dataset",
                why=f"they differ in their {what}: {left} and {right}",
                next_step="Make a dataset for each robot",
            )


def chosen_cameras(
    episodes: Sequence[DatasetEpisode], cameras: Sequence[str] | None, scaled: bool
) -> tuple[str, ...]:
    """The cameras of the dataset; every episode has them, in one size unless pictures are scaled.

    Raises:
        EpisodeError: An episode lacks one, or the sizes differ.
    """
    first = episodes[0].header
    names = tuple(camera.name for camera in first.cameras) if cameras is None else tuple(cameras)
    sizes = {camera.name: (camera.width, camera.height) for camera in first.cameras}
    for episode in episodes:
        own = {camera.name: (camera.width, camera.height) for camera in episode.header.cameras}
        for name in names:
            if name not in own:
                raise EpisodeError(
                    f"{episode.path.name} has no camera {name!r}",
                    why=f"it has {', '.join(own) or 'none'}",
                    next_step="Choose cameras that every episode has, or leave the episode out",
                )
            if not scaled and own[name] != sizes[name]:
                raise EpisodeError(
                    f"{episode.path.name} cannot be in one dataset with {episodes[0].path.name}",
                    why=f"camera {name} is {own[name][0]}x{own[name][1]} in the one and "
                    f"{sizes[name][0]}x{sizes[name][1]} in the other",
                    next_step="Give a size to which all pictures are scaled",
                )
    return names
