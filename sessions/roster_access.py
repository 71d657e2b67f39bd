"""The part of the catalog's interface about stations, people, tasks and sessions."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from sessions import convert, episode_store, roster
from sessions.access import CatalogAccess
from sessions.models import Person, Session, Station, Task
from sessions.rows import Author, PersonRow, SessionRow, StationRow, TaskRow
from sessions.states import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefault:
    """A task that the first run makes."""

    name: str
    instruction: str
    paraphrases: tuple[str, ...] = ()
    target_count: int = 0
    simulation_task: str | None = None


class RosterAccess(CatalogAccess):
    """Stations, people, tasks and sessions."""

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
        ident = episode_store.check_uuid(session_id or str(uuid.uuid4()), "a session")
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
