"""Names of the files of an episode: the last one is `<uuid>.mcap`, earlier ones lie beside it."""

from __future__ import annotations

import re
from pathlib import Path

MAX_SEGMENTS = 9999
PART_OF_LONGER = "This file is a part of a longer episode."
"""First sentence on losses in the footer of an earlier file."""
_SEGMENT = re.compile(r"(?P<uuid>.+)\.(?P<number>\d{4})\.mcap")


def segment_name(uuid: str, number: int) -> str:
    """Name of an earlier file of an episode, from 0: `<uuid>.0000.mcap`."""
    return f"{uuid}.{number:04d}.mcap"


def is_segment(path: Path) -> bool:
    """Whether the name is that of an earlier file of an episode, not of an episode."""
    return _SEGMENT.fullmatch(path.name) is not None


def uuid_of(path: Path) -> str:
    """UUID of the episode that a file belongs to, by its name."""
    found = _SEGMENT.fullmatch(path.name)
    return found["uuid"] if found else path.stem


def episode_paths(folder: Path) -> list[Path]:
    """The episodes in a folder, sorted: one path each, however many files it has."""
    return sorted(path for path in folder.glob("[!.]*.mcap") if not is_segment(path))


def segment_paths(folder: Path, uuid: str) -> list[Path]:
    """Earlier files of an episode that lie in a folder, in order."""
    return sorted(path for path in folder.glob(f"{uuid}.*.mcap") if is_segment(path))
