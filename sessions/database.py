"""Opens the catalog file and hands out short transactions, for any number of threads and processes."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from sessions import failures
from sessions.upgrade import HEAD_REVISION, Inspection, Standing, inspect_catalog, upgrade
from teleop_app.core.errors import CatalogError

CATALOG_FILE = "catalog.sqlite"
BUSY_TIMEOUT_S = 10.0
_SQLITE_MAGIC = b"SQLite format 3\x00"
_WRITE = "catalog_write"
_FOLD_PAGES = 10_000
"""Of 4 kB: SQLite folds a longer write-ahead log into the file within somebody's commit, which takes long."""


class Database:
    """An open catalog file. Thread-safe; each transaction uses a connection of its own."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self._engine = engine
        self._write_engine = engine.execution_options(**{_WRITE: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent snapshot; never waits for a writer.

        Raises:
            CatalogError: The file cannot be read.
        """
        with self._transaction(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A write transaction, durable (fsynced) when the block ends without an exception.

        Takes the write lock at the start, so it never fails half way for a lock; waits up to
        ten seconds for another process. Keep the block short and free of I/O.

        Raises:
            CatalogError: Disk full, read-only, damaged, or locked for too long; nothing is written.
        """
        with self._transaction(self._write_engine) as session:
            yield session

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
        except DBAPIError as error:
            raise failures.from_sqlite(self.path, error) from error

    def check(self) -> tuple[str, ...]:
        """Problems that SQLite's own integrity and foreign-key checks find; reads the whole file."""
        try:
            with self._engine.connect() as connection:
                found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check")]
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        except DBAPIError as error:
            return (failures.from_sqlite(self.path, error).sentence,)
        problems = [] if found == ["ok"] else found
        return (*problems, *(f"row {row[1]} of {row[0]} refers to a missing {row[2]}" for row in broken))

    def fold(self) -> None:
        """Fold the write-ahead log into the file as far as nobody reads it: for a moment when nobody waits.

        Raises:
            CatalogError: Disk full, read-only or damaged; nothing is lost.
        """
        try:
            with self._engine.connect() as connection:
                raw = connection.connection.driver_connection  # a checkpoint is refused in a transaction
                if isinstance(raw, sqlite3.Connection):
                    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (DBAPIError, sqlite3.Error) as error:
            raise failures.from_sqlite(self.path, error) from error

    def close(self) -> None:
        """Close all connections; the last process to do so folds the WAL into the file."""
        self._engine.dispose()


def open_database(data_dir: Path | str) -> Database:
    """Open `<data_dir>/catalog.sqlite`, making or upgrading it first where needed.

    Safe when several processes do so at once: one migrates, the others wait.

    Raises:
        CatalogError: Not a catalog, newer than this program, damaged, read-only, disk full.
    """
    path = Path(data_dir) / CATALOG_FILE
    created = _prepare_file(path)
    if not created:
        _refuse_unknown(path, _look(path))
    engine = _engine(path)
    try:
        with engine.connect() as connection:
            _set_wal(path, connection)
        _migrate(path, engine)
        if created:
            _sync_directory(path.parent)
    except DBAPIError as error:
        engine.dispose()
        raise failures.from_sqlite(path, error) from error
    except CatalogError:
        engine.dispose()
        raise
    return Database(path, engine)


def _prepare_file(path: Path) -> bool:
    """True when there is no catalog yet; the folder exists afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            return True
        if not path.is_file():
            raise failures.not_a_catalog(path, "it is a folder or a special file")
        with path.open("rb") as file:
            magic = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise CatalogError(
            f"The catalog {path} could not be opened",
            why=error.strerror or str(error),
            next_step="Check the folder and its rights, or choose another with --data-dir",
        ) from error
    if magic and magic != _SQLITE_MAGIC:
        raise failures.not_a_catalog(path, "it is not an SQLite database")
    return not magic


def _look(path: Path) -> Inspection:
    """Inspect through a read-only connection, which also never folds a WAL into the file."""
    journal = path.with_name(path.name + "-journal").exists()  # needs a writer to be played back
    engine = _engine(path, mode="rw" if journal else "ro", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return inspect_catalog(connection)
    except DBAPIError as error:
        raise failures.from_sqlite(path, error) from error
    finally:
        engine.dispose()


def _refuse_unknown(path: Path, found: Inspection) -> None:
    if found.standing is Standing.FOREIGN:
        raise failures.not_a_catalog(path, "it is an SQLite database of another program")
    if found.standing is Standing.NEWER:
        raise failures.newer_catalog(path, found.revision, HEAD_REVISION, found.upgraded_by)


def _engine(path: Path, *, mode: str = "rwc", **options: Any) -> Engine:
    url = URL.create("sqlite", database=path.absolute().as_uri(), query={"mode": mode, "uri": "true"})
    # isolation_level None: sqlite3 starts no transactions by itself, the `begin` hook below does.
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None}, **options)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_FOLD_PAGES}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _set_wal(path: Path, connection: Connection) -> None:
    """Switch to write-ahead logging and read it back: SQLite keeps the old mode silently."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise CatalogError(f"The catalog {path} could not be opened", why="the driver is not sqlite3")
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            break
        except sqlite3.OperationalError as error:  # two processes at once: no busy wait in SQLite here
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise failures.from_sqlite(path, error) from error
            time.sleep(0.02)
        except sqlite3.DatabaseError as error:
            raise failures.from_sqlite(path, error) from error
    synchronous = raw.execute("PRAGMA synchronous").fetchone()[0]
    foreign_keys = raw.execute("PRAGMA foreign_keys").fetchone()[0]
    if mode != "wal" or synchronous != 2 or foreign_keys != 1:
        raise CatalogError(
            f"The catalog {path} cannot be kept safely",
            why=f"the file system refuses write-ahead logging (journal {mode}, synchronous {synchronous}, "
            f"foreign keys {foreign_keys})",
            next_step="Choose a folder on a local disk with --data-dir",
        )


def _migrate(path: Path, engine: Engine) -> None:
    """Upgrade under the write lock; taking it also proves that the file can be written."""
    with engine.connect() as connection:
        writer = connection.execution_options(**{_WRITE: True})
        with writer.begin():
            found = inspect_catalog(writer)
            _refuse_unknown(path, found)
        if found.standing is Standing.CURRENT:
            return
    migrator = _engine(path, poolclass=NullPool)
    event.listen(migrator, "connect", _foreign_keys_off)
    try:
        with migrator.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            found = inspect_catalog(connection)  # another process may have been faster
            _refuse_unknown(path, found)
            if found.standing is not Standing.CURRENT:
                upgrade(connection)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
                if broken:
                    raise CatalogError(
                        f"The catalog {path} could not be upgraded to revision {HEAD_REVISION}",
                        why=f"{len(broken)} rows refer to others that do not exist; it was left unchanged",
                        next_step="Run `teleop recover`, then repeat",
                    )
    finally:
        migrator.dispose()


def _foreign_keys_off(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _sync_directory(folder: Path) -> None:
    """Make the new file's name durable (a no-op where directories cannot be opened)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
