"""Compares the rows with the episode files that exist; deletes nothing on either side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from sqlalchemy import select

from sessions.episode_store import check_path
from sessions.models import Episode
from sessions.roster import Writing
from sessions.rows import Reconciliation
from sessions.states import EventKind, SubjectType


def reconcile(writing: Writing, files: Iterable[str]) -> Reconciliation:
    """Flag rows whose file is gone, clear the flag of those that have it again, name the rest.

    A file whose name is the UUID of a row without a file is that row's file, moved.

    Args:
        writing: The open write transaction.
        files: Every episode file that exists, relative to the data directory.
    """
    present = {check_path(path) for path in files}
    paths = writing.db.execute(select(Episode.uuid, Episode.path, Episode.missing)).all()
    unknown = present - {path for _, path, _ in paths}
    by_stem = {PurePosixPath(path).stem: path for path in unknown}
    missing: list[str] = []
    found: list[str] = []
    moved: list[str] = []
    for uuid, path, was_missing in paths:
        if path not in present and uuid in by_stem:
            new = by_stem[uuid]
            unknown.discard(new)
            move(writing, _episode(writing, uuid), new)
            moved.append(uuid)
        if path not in present and uuid not in by_stem:
            if not was_missing:
                _episode(writing, uuid).missing = True
                writing.log(EventKind.FILE_MISSING, (SubjectType.EPISODE, uuid), path=path)
                missing.append(uuid)
        elif was_missing:
            _episode(writing, uuid).missing = False
            writing.log(EventKind.FILE_FOUND, (SubjectType.EPISODE, uuid), path=by_stem.get(uuid, path))
            found.append(uuid)
    return Reconciliation(tuple(missing), tuple(found), tuple(moved), tuple(sorted(unknown)))


def move(writing: Writing, episode: Episode, path: str) -> None:
    """Note that the file lies elsewhere now (trash and back, another folder)."""
    path = check_path(path)
    if path != episode.path:
        writing.log(
            EventKind.FILE_MOVED, (SubjectType.EPISODE, episode.uuid), **{"from": episode.path, "to": path}
        )
        episode.path = path
        writing.db.flush()


def _episode(writing: Writing, uuid: str) -> Episode:
    return writing.db.get_one(Episode, uuid)
