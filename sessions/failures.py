"""Turns what SQLite reports into sentences: what failed, why, and what to do now."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from teleop_app.core.errors import CatalogError


def not_a_catalog(path: Path, why: str) -> CatalogError:
    """The file is something else; it is left as it is."""
    return CatalogError(
        f"{path} is not a catalog",
        why=f"{why}; it was left unchanged",
        next_step="Move it away, or choose another folder with --data-dir",
    )


def newer_catalog(path: Path, revision: str, known: str, upgraded_by: str) -> CatalogError:
    """The file was written by a newer program; it is left as it is."""
    return CatalogError(
        f"The catalog {path} cannot be opened",
        why=f"it is at revision {revision} (upgraded by {upgraded_by or 'an unknown version'}), newer than "
        f"revision {known} that this program knows; it was left unchanged",
        next_step="Update teleop-app, or choose another folder with --data-dir",
    )


def from_sqlite(path: Path, error: DBAPIError | sqlite3.Error) -> CatalogError:
    """The sentence for a failed statement.

    Args:
        path: The catalog file.
        error: What SQLAlchemy or sqlite3 raised.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    name = str(getattr(cause, "sqlite_errorname", ""))
    if name.startswith("SQLITE_FULL"):
        why, next_step = "the disk is full", "Free space, then repeat"
    elif name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        why = "the file or its folder is read-only"
        next_step = "Give this user write access, or choose another folder with --data-dir"
    elif name.startswith("SQLITE_CANTOPEN"):
        why = "the file or its companions (-wal, -shm) cannot be opened"
        next_step = "Check that the folder exists and may be written, or choose another with --data-dir"
    elif name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        why = "another program has kept it locked for more than ten seconds"
        next_step = "Close other programs that use the catalog, then repeat"
    elif name.startswith("SQLITE_NOTADB"):
        return not_a_catalog(path, "it is not an SQLite database")
    elif name.startswith("SQLITE_CORRUPT"):
        why = f"it is damaged ({cause})"
        next_step = "Move it away and run `teleop recover`, which rebuilds it from the episodes"
    elif name.startswith("SQLITE_IOERR"):
        why = f"the disk failed ({name}: {cause})"
        next_step = "Check the disk and its free space; nothing acknowledged before is affected"
    else:
        why = f"{name or type(cause).__name__}: {cause}"
        next_step = "Report this with the log of the process"
    return CatalogError(f"The catalog {path} could not be used", why=why, next_step=next_step)
