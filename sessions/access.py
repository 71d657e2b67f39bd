"""What every part of the catalog's interface stands on: transactions, the log, opening and closing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import select

from sessions import convert, event_log
from sessions.database import Database
from sessions.models import CatalogMeta
from sessions.roster import Writing
from sessions.rows import Author, EventRow, JsonValue
from sessions.states import STATE_KINDS, EventKind, SubjectType
from teleop_app.core.errors import CatalogError


class CatalogAccess:
    """An open catalog file, its transactions and its event log."""

    def __init__(self, database: Database, author: Author, utc_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._author = author
        self._utc_ns = utc_ns
        with database.read() as db:
            self.store_uuid: str = db.scalars(select(CatalogMeta.store_uuid)).one()

    @property
    def path(self) -> Path:
        """The catalog file."""
        return self._database.path

    def fold(self) -> None:
        """Fold what was written lately into the file: for a moment when nobody waits."""
        self._database.fold()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self, author: Author | None = None) -> Iterator[Writing]:
        with self._database.write() as db:
            yield Writing(db, self._utc_ns(), author or self._author)

    def events(self, subject_type: SubjectType, subject_id: str) -> tuple[EventRow, ...]:
        """Everything logged about one subject, oldest first."""
        with self._database.read() as db:
            return tuple(event_log.of_subject(db, subject_type, subject_id))

    def recent_events(self, limit: int = 100) -> tuple[EventRow, ...]:
        """The newest entries of the log, newest first."""
        with self._database.read() as db:
            return tuple(event_log.recent(db, limit))

    def latest_event_id(self) -> int:
        """The id of the newest entry of the log, 0 when empty: cheap to poll for changes.

        Grows with every episode, verdict and edit, whichever process made it.
        """
        with self._database.read() as db:
            return event_log.latest_id(db)

    def log(
        self,
        kind: EventKind,
        subject_type: SubjectType,
        subject_id: str,
        payload: Mapping[str, JsonValue] | None = None,
        *,
        author: Author | None = None,
    ) -> EventRow:
        """Append an entry to the log.

        Raises:
            CatalogError: `kind` changes an episode's state; `set_verdict` and its like do that.
        """
        if kind in STATE_KINDS:
            raise CatalogError(
                f"An event of kind {kind} cannot be logged by itself",
                why="it would contradict the episode's state",
                next_step="Use add_episode, set_verdict, restore or undo_last",
            )
        with self._writing(author) as writing:
            event = event_log.append(
                writing.db, writing.now_utc_ns, writing.author, kind, (subject_type, subject_id), payload
            )
            return convert.event_row(event)

    def check(self) -> tuple[str, ...]:
        """Problems in the catalog file, in words; empty when sound. Reads the whole file."""
        return self._database.check()
