"""Reads episodes: filtered pages newest first, counts, progress of tasks."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session as DbSession

from sessions import convert, text_search
from sessions.models import Episode, Instruction, Person, Task
from sessions.rows import (
    EpisodeFilter,
    EpisodePage,
    EpisodeRow,
    PageCursor,
    StateCounts,
    TaskProgress,
)
from sessions.states import EpisodeState, Outcome

PAGE_LIMIT = 1000


def page(db: DbSession, wanted: EpisodeFilter, after: PageCursor | None, limit: int) -> EpisodePage:
    """One page, newest first. Costs the same however deep it lies (keyset, not OFFSET)."""
    limit = max(1, min(limit, PAGE_LIMIT))
    query = convert.select_episodes().where(*_conditions(db, wanted))
    if after is not None:
        query = query.where(
            tuple_(Episode.started_utc_ns, Episode.uuid) < tuple_(after.started_utc_ns, after.uuid)
        )
    query = query.order_by(Episode.started_utc_ns.desc(), Episode.uuid.desc()).limit(limit + 1)
    found = tuple(convert.episode_row(*row) for row in db.execute(query))
    rows = found[:limit]
    more = len(found) > limit
    return EpisodePage(rows, PageCursor(rows[-1].started_utc_ns, rows[-1].uuid) if more else None)


def one(db: DbSession, uuid: str) -> EpisodeRow | None:
    """The episode of that UUID, None when there is none."""
    row = db.execute(convert.select_episodes().where(Episode.uuid == uuid)).one_or_none()
    return None if row is None else convert.episode_row(*row)


def counts(db: DbSession, wanted: EpisodeFilter) -> StateCounts:
    """How many episodes a filter finds, by state."""
    if wanted == EpisodeFilter():  # the progress index answers this without touching the episodes
        of_tasks = [found.counts for found in progress(db, None).values()]
        return StateCounts(
            pending=sum(counts.pending for counts in of_tasks),
            saved=sum(counts.saved for counts in of_tasks),
            discarded=sum(counts.discarded for counts in of_tasks),
            missing=sum(counts.missing for counts in of_tasks),
        )
    query = (
        select(Episode.state, Episode.missing, func.count())
        .where(*_conditions(db, wanted))
        .group_by(Episode.state, Episode.missing)
    )
    return _state_counts((state, missing, number) for state, missing, number in db.execute(query))


def progress(db: DbSession, task_ids: Iterable[str] | None) -> dict[str, TaskProgress]:
    """Progress of the given tasks (None: all), from one index without touching the episodes."""
    tasks = select(Task.id, Task.target_count)
    query = select(Episode.task_id, Episode.state, Episode.missing, Episode.outcome, func.count()).group_by(
        Episode.task_id, Episode.state, Episode.missing, Episode.outcome
    )
    if task_ids is not None:
        chosen = tuple(task_ids)
        tasks, query = tasks.where(Task.id.in_(chosen)), query.where(Episode.task_id.in_(chosen))
    groups: dict[str, list[tuple[EpisodeState, bool, Outcome, int]]] = {}
    for task_id, state, missing, outcome, number in db.execute(query):
        groups.setdefault(task_id, []).append((state, missing, outcome, number))
    result: dict[str, TaskProgress] = {}
    for task_id, target in db.execute(tasks):
        mine = groups.get(task_id, [])
        kept = [g for g in mine if g[0] is EpisodeState.SAVED and not g[1]]
        result[task_id] = TaskProgress(
            task_id=task_id,
            target_count=target,
            counts=_state_counts((state, missing, number) for state, missing, _, number in mine),
            saved_on_disk=sum(g[3] for g in kept),
            successes=sum(g[3] for g in kept if g[2] is Outcome.SUCCESS),
        )
    return result


def _state_counts(groups: Iterable[tuple[EpisodeState, bool, int]]) -> StateCounts:
    by_state = dict.fromkeys(EpisodeState, 0)
    without_file = 0
    for state, missing, number in groups:
        by_state[state] += number
        without_file += number if missing else 0
    return StateCounts(
        pending=by_state[EpisodeState.PENDING],
        saved=by_state[EpisodeState.SAVED],
        discarded=by_state[EpisodeState.DISCARDED],
        missing=without_file,
    )


def _conditions(db: DbSession, wanted: EpisodeFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.task_ids:
        conditions.append(Episode.task_id.in_(wanted.task_ids))
    if wanted.operator_ids:
        conditions.append(Episode.operator_id.in_(wanted.operator_ids))
    if wanted.session_ids:
        conditions.append(Episode.session_id.in_(wanted.session_ids))
    if wanted.states:
        conditions.append(Episode.state.in_(wanted.states))
    if wanted.outcomes:
        conditions.append(Episode.outcome.in_(wanted.outcomes))
    if wanted.started_from_ns is not None:
        conditions.append(Episode.started_utc_ns >= wanted.started_from_ns)
    if wanted.started_before_ns is not None:
        conditions.append(Episode.started_utc_ns < wanted.started_before_ns)
    if wanted.missing is not None:
        conditions.append(Episode.missing.is_(wanted.missing))
    if wanted.recovered is not None:
        conditions.append(Episode.recovered.is_(wanted.recovered))
    for word in text_search.words(wanted.text):
        conditions.append(_contains(db, word))
    return conditions


def _contains(db: DbSession, word: str) -> ColumnElement[bool]:
    """Instruction, task name, operator name or UUID matches; names are few and compared here."""
    tasks = [ident for ident, name in db.execute(select(Task.id, Task.name)) if _in_name(word, name)]
    people = [ident for ident, name in db.execute(select(Person.id, Person.name)) if _in_name(word, name)]
    pattern = text_search.like_pattern(word)
    matches: list[ColumnElement[bool]] = [
        Episode.instruction_id.in_(
            select(Instruction.id).where(Instruction.folded.like(pattern, escape="\\"))
        )
    ]
    if tasks:
        matches.append(Episode.task_id.in_(tasks))
    if people:
        matches.append(Episode.operator_id.in_(people))
    prefix = text_search.uuid_prefix(word)
    if prefix is not None:
        matches.append(and_(Episode.uuid >= prefix, Episode.uuid < prefix + "~"))
    return or_(*matches)


def _in_name(word: str, name: str) -> bool:
    return word in text_search.fold(name)
