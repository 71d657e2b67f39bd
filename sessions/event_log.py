"""The append-only log: every creation, edit, verdict and undo, with author and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sessions import convert
from sessions.models import Event
from sessions.rows import Author, EventRow, JsonValue
from sessions.states import EventKind, SubjectType


def append(
    db: Session,
    now_utc_ns: int,
    author: Author,
    kind: EventKind,
    subject: tuple[SubjectType, str],
    payload: Mapping[str, JsonValue] | None = None,
    *,
    undoes_id: int | None = None,
) -> Event:
    """Add one entry to the log in the caller's transaction and give it its id."""
    event = Event(
        time_utc_ns=now_utc_ns,
        author_kind=author.kind,
        author=author.name,
        kind=kind,
        subject_type=subject[0],
        subject_id=subject[1],
        payload=dict(payload or {}),
        undoes_id=undoes_id,
    )
    db.add(event)
    db.flush()
    return event


def of_subject(db: Session, subject_type: SubjectType, subject_id: str) -> Sequence[EventRow]:
    """All entries about one subject, oldest first."""
    found = db.scalars(
        select(Event)
        .where(Event.subject_type == subject_type, Event.subject_id == subject_id)
        .order_by(Event.id)
    )
    return tuple(convert.event_row(event) for event in found)


def recent(db: Session, limit: int) -> Sequence[EventRow]:
    """The newest entries of the whole catalog, newest first."""
    found = db.scalars(select(Event).order_by(Event.id.desc()).limit(limit))
    return tuple(convert.event_row(event) for event in found)


def latest_id(db: Session) -> int:
    """The id of the newest entry, 0 for an empty log."""
    return db.scalars(select(func.max(Event.id))).one() or 0
