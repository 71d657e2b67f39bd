"""Stations, people, tasks and sessions: made when first named, renamed, edited."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from sessions import convert, event_log
from sessions.models import Person, Session, Station, Task
from sessions.rows import Author, JsonValue, SessionRow
from sessions.states import EventKind, Role, SubjectType
from teleop_app.core.errors import CatalogError

_NAME_LIMIT = 120
_Named = TypeVar("_Named", bound=Station | Person | Task)
_SUBJECTS: dict[type[Station | Person | Task], SubjectType] = {
    Station: SubjectType.STATION,
    Person: SubjectType.PERSON,
    Task: SubjectType.TASK,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Writing:
    """What every write needs: the open transaction, the time [UTC ns], and who writes."""

    db: DbSession
    now_utc_ns: int
    author: Author

    def log(self, kind: EventKind, subject: tuple[SubjectType, str], **payload: JsonValue) -> None:
        """Append an event about `subject`."""
        event_log.append(self.db, self.now_utc_ns, self.author, kind, subject, payload)


def clean_name(name: str, what: str) -> str:
    """`name` with white space collapsed.

    Raises:
        CatalogError: Empty, over 120 characters, or with control characters.
    """
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > _NAME_LIMIT or not cleaned.isprintable():
        raise CatalogError(
            f"{name[:40]!r} is not a name for a {what}",
            why=f"a name is 1 to {_NAME_LIMIT} printable characters, this one has {len(cleaned)}",
            next_step="Choose another name",
        )
    return cleaned


def find(db: DbSession, kind: type[_Named], ident: str, name: str = "") -> _Named | None:
    """The row with that id, else the one with that name, else None."""
    found = db.get(kind, ident) if ident else None
    if found is None and name:
        found = db.scalars(select(kind).where(kind.name == " ".join(name.split()))).one_or_none()
    return found


def get(db: DbSession, kind: type[_Named], ident: str) -> _Named:
    """The row with that id.

    Raises:
        CatalogError: There is none.
    """
    found = db.get(kind, ident)
    if found is None:
        what = _SUBJECTS[kind]
        raise CatalogError(
            f"The catalog has no {what} {ident}", next_step=f"List the {what} rows and choose one of them"
        )
    return found


def _add(writing: Writing, row: _Named) -> _Named:
    writing.db.add(row)
    writing.db.flush()
    writing.log(EventKind.CREATED, (_SUBJECTS[type(row)], row.id), name=row.name)
    return row


def ensure_station(writing: Writing, name: str, ident: str = "") -> Station:
    """The station of that id or name, made if unknown."""
    name = clean_name(name, "station")
    found = find(writing.db, Station, ident, name)
    if found is not None:
        return found
    return _add(writing, Station(id=ident or str(uuid.uuid4()), name=name, created_utc_ns=writing.now_utc_ns))


def ensure_person(writing: Writing, name: str, roles: Iterable[Role], ident: str = "") -> Person:
    """The person of that id or name, made if unknown; roles are added, never taken away."""
    name = clean_name(name, "person")
    found = find(writing.db, Person, ident, name)
    if found is None:
        wanted = tuple(role for role in Role if role in set(roles))
        return _add(
            writing,
            Person(id=ident or str(uuid.uuid4()), name=name, roles=wanted, created_utc_ns=writing.now_utc_ns),
        )
    union = tuple(role for role in Role if role in {*found.roles, *roles})
    if union != found.roles:
        set_roles(writing, found, union)
    return found


def set_roles(writing: Writing, person: Person, roles: Iterable[Role]) -> None:
    """Replace the roles of a person."""
    before, after = person.roles, tuple(role for role in Role if role in set(roles))
    person.roles = after
    writing.log(
        EventKind.EDITED,
        (SubjectType.PERSON, person.id),
        roles={"from": [str(role) for role in before], "to": [str(role) for role in after]},
    )


def ensure_task(
    writing: Writing,
    name: str,
    *,
    ident: str = "",
    instruction: str = "",
    paraphrases: Iterable[str] = (),
    target_count: int = 0,
    simulation_task: str | None = None,
) -> Task:
    """The task of that id or name as it is, made with the given fields if unknown."""
    name = clean_name(name, "task")
    found = find(writing.db, Task, ident, name)
    if found is not None:
        return found
    task = Task(
        id=ident or str(uuid.uuid4()),
        name=name,
        simulation_task=simulation_task,
        instruction=instruction.strip(),
        paraphrases=_sentences(paraphrases),
        target_count=_target(target_count),
        archived=False,
        created_utc_ns=writing.now_utc_ns,
    )
    return _add(writing, task)


def _sentences(texts: Iterable[str]) -> tuple[str, ...]:
    stripped = (text.strip() for text in texts)
    return tuple(dict.fromkeys(text for text in stripped if text))


def _target(count: int) -> int:
    if not 0 <= count <= 1_000_000:
        raise CatalogError(
            f"A target of {count} episodes is out of range",
            why="it must lie between 0 (no target) and 1000000",
            next_step="Enter another number",
        )
    return count


def rename(writing: Writing, row: Station | Person | Task, name: str) -> None:
    """Give a station, person or task another name; episodes follow, files keep the old one.

    Raises:
        CatalogError: The name is taken or not a name.
    """
    kind = type(row)
    name = clean_name(name, _SUBJECTS[kind])
    if name == row.name:
        return
    if find(writing.db, kind, "", name) is not None:
        raise CatalogError(
            f"There is already a {_SUBJECTS[kind]} called {name!r}", next_step="Choose another name"
        )
    before, row.name = row.name, name
    writing.log(EventKind.RENAMED, (_SUBJECTS[kind], row.id), **{"from": before, "to": name})


def update_task(
    writing: Writing,
    task: Task,
    *,
    instruction: str | None = None,
    paraphrases: Iterable[str] | None = None,
    target_count: int | None = None,
    archived: bool | None = None,
) -> None:
    """Change the given fields; the log keeps each as it was. Recorded episodes keep their text."""
    changes: dict[str, JsonValue] = {}
    if instruction is not None and instruction.strip() != task.instruction:
        changes["instruction"] = {"from": task.instruction, "to": instruction.strip()}
        task.instruction = instruction.strip()
    if paraphrases is not None and (after := _sentences(paraphrases)) != task.paraphrases:
        changes["paraphrases"] = {"from": list(task.paraphrases), "to": list(after)}
        task.paraphrases = after
    if target_count is not None and _target(target_count) != task.target_count:
        changes["target_count"] = {"from": task.target_count, "to": target_count}
        task.target_count = target_count
    if archived is not None and archived != task.archived:
        changes["archived"] = {"from": task.archived, "to": archived}
        task.archived = archived
    if changes:
        writing.log(EventKind.EDITED, (SubjectType.TASK, task.id), **changes)


def open_session(
    writing: Writing, session_id: str, station: Station, operator: Person, started_utc_ns: int
) -> Session:
    """The session of that id, made if unknown."""
    found = writing.db.get(Session, session_id)
    if found is not None:
        return found
    session = Session(
        id=session_id, station=station, operator=operator, started_utc_ns=started_utc_ns, ended_utc_ns=None
    )
    writing.db.add(session)
    writing.db.flush()
    writing.log(
        EventKind.SESSION_OPENED,
        (SubjectType.SESSION, session.id),
        station=station.name,
        operator=operator.name,
    )
    return session


def close_session(writing: Writing, session_id: str, ended_utc_ns: int) -> SessionRow:
    """End a session; ending it again changes nothing.

    Raises:
        CatalogError: There is no such session.
    """
    session = writing.db.scalars(convert.select_sessions().where(Session.id == session_id)).one_or_none()
    if session is None:
        raise CatalogError(
            f"The catalog has no session {session_id}", next_step="List the sessions and choose one of them"
        )
    if session.ended_utc_ns is None:
        session.ended_utc_ns = ended_utc_ns
        writing.log(EventKind.SESSION_CLOSED, (SubjectType.SESSION, session.id))
    return convert.session_row(session)
