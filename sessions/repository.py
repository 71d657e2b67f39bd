"""The catalog as the rest of the application sees it: values in, values out, short transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sessions.database import open_database
from sessions.episode_access import EpisodeAccess
from sessions.rollout_access import RolloutAccess
from sessions.roster_access import RosterAccess, TaskDefault
from sessions.rows import Author

__all__ = ["Catalog", "TaskDefault", "open_catalog"]


class Catalog(RosterAccess, EpisodeAccess, RolloutAccess):
    """The catalog of one data directory.

    Any thread may call any method; any number of processes may have it open. Reads never wait
    for a writer. When a write returns it is on disk. Every failure is a `CatalogError`.
    """


def open_catalog(data_dir: Path | str, author: Author, utc_ns: Callable[[], int] = time.time_ns) -> Catalog:
    """Open the catalog of a data directory, making or upgrading it where needed.

    Args:
        data_dir: The folder of `catalog.sqlite`; made if it does not exist.
        author: Who signs writes that name no author, usually `Author.process("recorder")`.
        utc_ns: The wall clock [UTC ns] for the times of events (tests pass their own).

    Raises:
        CatalogError: Not a catalog, newer than the program, damaged, read-only, disk full.
    """
    return Catalog(open_database(data_dir), author, utc_ns)
