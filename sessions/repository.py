"""The catalog as the rest of the application sees it: values in, values out, short transactions."""

from __future__ import annotations

import time
import uuid as uuid_module
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from sqlalchemy import select

from sessions import convert, episode_queries, episode_store, event_log, roster, verdicts
from sessions import reconcile as reconciliation
from sessions.database import Database, open_database
from sessions.models import (
    CatalogMeta,
    Episode,
    EpisodeThumbnail,
    Person,
    Session,
    Station,
    Stream,
    Task,
)
from sessions.roster import Writing
from sessions.rows import (
    Author,
    EpisodeFilter,
    EpisodePage,
    EpisodeRow,
    EventRow,
    JsonValue,
    PageCursor,
    PersonRow,
    Reconciliation,
    SessionRow,
    StateCounts,
    StationRow,
    StreamRow,
    TaskProgress,
    TaskRow,
    Thumbnail,
)
from sessions.states import STATE_KINDS, EpisodeState, EventKind, Outcome, Role, SubjectType
from teleop_app.core.errors import CatalogError

_ALL = EpisodeFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefault:
    """A task that the first run makes."""

    name: str
    instruction: str
    paraphrases: tuple[str, ...] = ()
    target_count: int = 0
    simulation_task: str | None = None


class Catalog:
    """The catalog of one data directory.

    Any thread may call any method; any number of processes may have it open. Reads never wait
    for a writer. When a write returns it is on disk. Every failure is a `CatalogError`.
    """

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

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _writing(self, author: Author | None = None) -> Iterator[Writing]:
        with self._database.write() as db:
            yield Writing(db, self._utc_ns(), author or self._author)

    # Stations, people, tasks

    def ensure_station(self, name: str, *, author: Author | None = None) -> StationRow:
        """The station of that name, made if unknown."""
        with self._writing(author) as writing:
            return convert.station_row(roster.ensure_station(writing, name))

    def ensure_person(
        self, name: str, roles: Iterable[Role] = (Role.OPERATOR,), *, author: Author | None = None
    ) -> PersonRow:
        """The person of that name, made if unknown; the roles are added to theirs."""
        with self._writing(author) as writing:
            return convert.person_row(roster.ensure_person(writing, name, tuple(roles)))

    def ensure_task(
        self,
        name: str,
        *,
        instruction: str = "",
        paraphrases: Iterable[str] = (),
        target_count: int = 0,
        simulation_task: str | None = None,
        author: Author | None = None,
    ) -> TaskRow:
        """The task of that name as it is, made with these fields if unknown."""
        with self._writing(author) as writing:
            task = roster.ensure_task(
                writing,
                name,
                instruction=instruction,
                paraphrases=paraphrases,
                target_count=target_count,
                simulation_task=simulation_task,
            )
            return convert.task_row(task)

    def seed_defaults(self, tasks: Iterable[TaskDefault]) -> tuple[TaskRow, ...]:
        """Make those default tasks that do not exist; existing ones stay as people left them."""
        with self._writing() as writing:
            return tuple(
                convert.task_row(
                    roster.ensure_task(
                        writing,
                        task.name,
                        instruction=task.instruction,
                        paraphrases=task.paraphrases,
                        target_count=task.target_count,
                        simulation_task=task.simulation_task,
                    )
                )
                for task in tasks
            )

    def list_stations(self) -> tuple[StationRow, ...]:
        """All stations by name."""
        with self._database.read() as db:
            return tuple(
                convert.station_row(row) for row in db.scalars(select(Station).order_by(Station.name))
            )

    def list_people(self, role: Role | None = None) -> tuple[PersonRow, ...]:
        """All people, or those with a role, by name."""
        with self._database.read() as db:
            people = (convert.person_row(row) for row in db.scalars(select(Person).order_by(Person.name)))
            return tuple(person for person in people if role is None or role in person.roles)

    def list_tasks(self, *, archived: bool | None = False) -> tuple[TaskRow, ...]:
        """Tasks in use by name; `archived=True` the others, None both."""
        query = select(Task).order_by(Task.name)
        if archived is not None:
            query = query.where(Task.archived.is_(archived))
        with self._database.read() as db:
            return tuple(convert.task_row(row) for row in db.scalars(query))

    def station(self, station_id: str) -> StationRow:
        """One station; `CatalogError` if unknown."""
        with self._database.read() as db:
            return convert.station_row(roster.get(db, Station, station_id))

    def person(self, person_id: str) -> PersonRow:
        """One person; `CatalogError` if unknown."""
        with self._database.read() as db:
            return convert.person_row(roster.get(db, Person, person_id))

    def task(self, task_id: str) -> TaskRow:
        """One task; `CatalogError` if unknown."""
        with self._database.read() as db:
            return convert.task_row(roster.get(db, Task, task_id))

    def task_named(self, name: str) -> TaskRow | None:
        """The task of that name, None if unknown."""
        with self._database.read() as db:
            found = roster.find(db, Task, "", name)
            return None if found is None else convert.task_row(found)

    def rename_station(self, station_id: str, name: str, *, author: Author | None = None) -> StationRow:
        """Rename; `CatalogError` if the name is taken."""
        with self._writing(author) as writing:
            roster.rename(writing, found := roster.get(writing.db, Station, station_id), name)
            return convert.station_row(found)

    def rename_person(self, person_id: str, name: str, *, author: Author | None = None) -> PersonRow:
        """Rename; `CatalogError` if the name is taken."""
        with self._writing(author) as writing:
            roster.rename(writing, found := roster.get(writing.db, Person, person_id), name)
            return convert.person_row(found)

    def rename_task(self, task_id: str, name: str, *, author: Author | None = None) -> TaskRow:
        """Rename; `CatalogError` if the name is taken."""
        with self._writing(author) as writing:
            roster.rename(writing, found := roster.get(writing.db, Task, task_id), name)
            return convert.task_row(found)

    def set_roles(self, person_id: str, roles: Iterable[Role], *, author: Author | None = None) -> PersonRow:
        """Replace the roles of a person."""
        with self._writing(author) as writing:
            roster.set_roles(writing, found := roster.get(writing.db, Person, person_id), tuple(roles))
            return convert.person_row(found)

    def update_task(
        self,
        task_id: str,
        *,
        instruction: str | None = None,
        paraphrases: Iterable[str] | None = None,
        target_count: int | None = None,
        archived: bool | None = None,
        author: Author | None = None,
    ) -> TaskRow:
        """Change the fields given; episodes recorded before keep their instruction text."""
        with self._writing(author) as writing:
            task = roster.get(writing.db, Task, task_id)
            roster.update_task(
                writing,
                task,
                instruction=instruction,
                paraphrases=paraphrases,
                target_count=target_count,
                archived=archived,
            )
            return convert.task_row(task)

    # Sessions

    def open_session(self, station_id: str, operator_id: str, *, session_id: str | None = None) -> SessionRow:
        """Start a sitting; the same `session_id` again returns the one there is."""
        ident = episode_store.check_uuid(session_id or str(uuid_module.uuid4()), "a session")
        with self._writing() as writing:
            station = roster.get(writing.db, Station, station_id)
            operator = roster.get(writing.db, Person, operator_id)
            roster.open_session(writing, ident, station, operator, writing.now_utc_ns)
            return convert.session_row(
                writing.db.scalars(convert.select_sessions().where(Session.id == ident)).one()
            )

    def close_session(self, session_id: str, *, ended_utc_ns: int | None = None) -> SessionRow:
        """End a sitting, now or at a time given by recovery; ending it again changes nothing."""
        with self._writing() as writing:
            return roster.close_session(writing, session_id, ended_utc_ns or writing.now_utc_ns)

    def list_sessions(self, *, open_only: bool = False, limit: int = 100) -> tuple[SessionRow, ...]:
        """Sessions, newest first."""
        query = convert.select_sessions().order_by(Session.started_utc_ns.desc()).limit(limit)
        if open_only:
            query = query.where(Session.ended_utc_ns.is_(None))
        with self._database.read() as db:
            return tuple(convert.session_row(row) for row in db.scalars(query))

    def next_index(self, session_id: str) -> int:
        """The `index_in_session` for the next episode, counted from 0."""
        with self._database.read() as db:
            return episode_store.next_index(db, session_id)

    # Episodes

    def add_episode(
        self,
        row: EpisodeRow,
        streams: Iterable[StreamRow] = (),
        thumbnail: Thumbnail | None = None,
        *,
        author: Author | None = None,
    ) -> EpisodeRow:
        """Add an episode whose file is durable; returns it as the catalog has it.

        Idempotent by UUID: a known episode stays as it is (verdict included). Unknown parents are
        made from the names in `row`, so this also rebuilds a row from an episode file's header.

        Raises:
            CatalogError: The UUID is known with other content, the path is taken or leaves the
                data directory, or the catalog cannot be written.
        """
        with self._writing(author) as writing:
            episode_store.add(writing, row, streams, thumbnail)
            return _existing(writing, row.uuid)

    def episodes(
        self, wanted: EpisodeFilter = _ALL, *, after: PageCursor | None = None, limit: int = 100
    ) -> EpisodePage:
        """A page of episodes, newest first; pass `next_cursor` as `after` for the next page."""
        with self._database.read() as db:
            return episode_queries.page(db, wanted, after, limit)

    def counts(self, wanted: EpisodeFilter = _ALL) -> StateCounts:
        """How many episodes a filter finds, by state."""
        with self._database.read() as db:
            return episode_queries.counts(db, wanted)

    def episode(self, uuid: str) -> EpisodeRow | None:
        """One episode, None if unknown."""
        with self._database.read() as db:
            return episode_queries.one(db, uuid)

    def streams(self, uuid: str) -> tuple[StreamRow, ...]:
        """The streams of an episode in the order recorded."""
        query = select(Stream).where(Stream.episode_uuid == uuid).order_by(Stream.position)
        with self._database.read() as db:
            return tuple(convert.stream_row(row) for row in db.scalars(query))

    def thumbnail(self, uuid: str) -> Thumbnail | None:
        """The picture of an episode, None if it has none."""
        with self._database.read() as db:
            found = db.get(EpisodeThumbnail, uuid)
            return found and Thumbnail(found.mime, found.width, found.height, found.image)

    def progress(self, task_id: str) -> TaskProgress:
        """Counts by state against the target of a task; `CatalogError` if unknown."""
        with self._database.read() as db:
            roster.get(db, Task, task_id)
            return episode_queries.progress(db, (task_id,))[task_id]

    def progress_of_all(self) -> Mapping[str, TaskProgress]:
        """Progress of every task by its id."""
        with self._database.read() as db:
            return episode_queries.progress(db, None)

    # Verdicts

    def set_verdict(
        self,
        uuid: str,
        state: EpisodeState,
        author: Author,
        reason: str = "",
        *,
        outcome: Outcome | None = None,
    ) -> EpisodeRow:
        """Save or discard an episode; the same verdict again changes nothing.

        Args:
            uuid: The episode.
            state: Saved or discarded.
            author: Who decides.
            reason: Why, in words or a reason key.
            outcome: Whether the task was achieved; None leaves it as it is.

        Raises:
            CatalogError: Unknown episode, or `state` is pending.
        """
        with self._writing(author) as writing:
            verdicts.set_verdict(writing, verdicts.get(writing.db, uuid), state, reason, outcome)
            return _existing(writing, uuid)

    def restore(self, uuid: str, author: Author) -> EpisodeRow:
        """Take a discarded episode out of the trash, as saved."""
        with self._writing(author) as writing:
            verdicts.restore(writing, verdicts.get(writing.db, uuid))
            return _existing(writing, uuid)

    def undo_last(self, session_id: str, author: Author) -> EpisodeRow | None:
        """Take back the session's newest verdict or restore not undone yet; None if there is none.

        Called again, it takes back the one before.
        """
        with self._writing(author) as writing:
            event = verdicts.last_undoable(writing.db, session_id)
            return None if event is None else _existing(writing, verdicts.undo(writing, event).uuid)

    # Log, files, integrity

    def events(self, subject_type: SubjectType, subject_id: str) -> tuple[EventRow, ...]:
        """Everything logged about one subject, oldest first."""
        with self._database.read() as db:
            return tuple(event_log.of_subject(db, subject_type, subject_id))

    def recent_events(self, limit: int = 100) -> tuple[EventRow, ...]:
        """The newest entries of the log, newest first."""
        with self._database.read() as db:
            return tuple(event_log.recent(db, limit))

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

    def move_episode(self, uuid: str, path: str, *, author: Author | None = None) -> EpisodeRow:
        """Note that an episode's file lies at another path, relative to the data directory."""
        with self._writing(author) as writing:
            reconciliation.move(writing, verdicts.get(writing.db, uuid), path)
            return _existing(writing, uuid)

    def episode_paths(self) -> Mapping[str, str]:
        """Path of every episode by UUID, also of those whose file is missing."""
        with self._database.read() as db:
            return {uuid: path for uuid, path in db.execute(select(Episode.uuid, Episode.path))}

    def episodes_missing_on_disk(self) -> tuple[EpisodeRow, ...]:
        """Episodes whose file was not there at the last `reconcile`, newest first."""
        rows: list[EpisodeRow] = []
        page = self.episodes(EpisodeFilter(missing=True), limit=1000)
        rows.extend(page.rows)
        while page.next_cursor is not None:
            page = self.episodes(EpisodeFilter(missing=True), after=page.next_cursor, limit=1000)
            rows.extend(page.rows)
        return tuple(rows)

    def reconcile(self, files: Iterable[str], *, author: Author | None = None) -> Reconciliation:
        """Compare rows with the episode files that exist, given relative to the data directory.

        Rows without a file are flagged, rows that have theirs again cleared; files without a row
        are named, for the caller to rebuild with `add_episode`. Nothing is deleted.
        """
        with self._writing(author) as writing:
            return reconciliation.reconcile(writing, files)

    def check(self) -> tuple[str, ...]:
        """Problems in the catalog file, in words; empty when sound. Reads the whole file."""
        return self._database.check()


def _existing(writing: Writing, uuid: str) -> EpisodeRow:
    writing.db.flush()
    row = episode_queries.one(writing.db, str(uuid_module.UUID(uuid)))
    if row is None:  # only after a delete outside this program, inside our own write lock
        raise RuntimeError(f"episode {uuid} vanished inside a transaction")
    return row


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
