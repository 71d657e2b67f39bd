"""The part of the catalog's interface about policies at work: rollouts, takeovers, comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from sessions import rollout_store
from sessions.access import CatalogAccess
from sessions.models import Episode, Rollout, Takeover, Task
from sessions.rollouts import RolloutFilter, Trial
from sessions.rows import Author, RolloutRow, TakeoverRow

_ALL = RolloutFilter()
_BATCH = 500
"""UUIDs in one query."""


class RolloutAccess(CatalogAccess):
    """Episodes in which a policy was in use."""

    def rollout(self, uuid: str) -> RolloutRow | None:
        """How a policy was used in an episode; None when none was."""
        with self._database.read() as db:
            found = db.get(Rollout, uuid)
            return None if found is None else _row(found, _takeovers(db, (uuid,)).get(uuid, ()))

    def rollouts_of(self, uuids: Iterable[str]) -> dict[str, RolloutRow]:
        """The rollouts among these episodes by UUID."""
        wanted = tuple(uuids)
        found: dict[str, RolloutRow] = {}
        with self._database.read() as db:
            for start in range(0, len(wanted), _BATCH):
                some = wanted[start : start + _BATCH]
                takeovers = _takeovers(db, some)
                for row in db.scalars(select(Rollout).where(Rollout.episode_uuid.in_(some))):
                    found[row.episode_uuid] = _row(row, takeovers.get(row.episode_uuid, ()))
        return found

    def trials(self, wanted: RolloutFilter = _ALL) -> tuple[Trial, ...]:
        """Episodes in which a policy might act, oldest first, with what became of them."""
        query = (
            select(Rollout, Episode, Task.name)
            .join(Episode, Episode.uuid == Rollout.episode_uuid)
            .join(Task, Task.id == Episode.task_id)
            .where(Episode.state.in_(wanted.states))
            .order_by(Episode.started_utc_ns, Episode.uuid)
        )
        if wanted.session_ids:
            query = query.where(Episode.session_id.in_(wanted.session_ids))
        if wanted.task_ids:
            query = query.where(Episode.task_id.in_(wanted.task_ids))
        if wanted.policies:
            query = query.where(Rollout.policy.in_(wanted.policies))
        if wanted.versions:
            query = query.where(Rollout.version.in_(wanted.versions))
        if wanted.started_from_ns is not None:
            query = query.where(Episode.started_utc_ns >= wanted.started_from_ns)
        if wanted.started_before_ns is not None:
            query = query.where(Episode.started_utc_ns < wanted.started_before_ns)
        with self._database.read() as db:
            rows = db.execute(query).all()
            takeovers: dict[str, tuple[TakeoverRow, ...]] = {}
            for start in range(0, len(rows), _BATCH):
                takeovers |= _takeovers(db, [row[1].uuid for row in rows[start : start + _BATCH]])
            found = [
                Trial(
                    uuid=episode.uuid,
                    session_id=episode.session_id,
                    task=task,
                    started_utc_ns=episode.started_utc_ns,
                    outcome=episode.outcome,
                    state=episode.state,
                    rollout=_row(rollout, takeovers.get(episode.uuid, ())),
                )
                for rollout, episode, task in rows
            ]
        return tuple(trial for trial in found if trial.rollout.is_trial)

    def set_takeover(
        self,
        uuid: str,
        number: int,
        author: Author,
        *,
        reason: str | None = None,
        outcome: str | None = None,
    ) -> RolloutRow:
        """Say why a takeover was made and how it ended; None leaves a part as it is.

        Raises:
            CatalogError: The episode has no such takeover.
        """
        with self._writing(author) as writing:
            rollout_store.label_takeover(writing, uuid, number, reason, outcome)
            writing.db.flush()
            takeovers = _takeovers(writing.db, (uuid,)).get(uuid, ())
            return _row(writing.db.get_one(Rollout, uuid), takeovers)


def _takeovers(db: DbSession, uuids: Iterable[str]) -> dict[str, tuple[TakeoverRow, ...]]:
    found: dict[str, tuple[TakeoverRow, ...]] = {}
    query = (
        select(Takeover)
        .where(Takeover.episode_uuid.in_(tuple(uuids)))
        .order_by(Takeover.start_ns, Takeover.number)
    )
    for takeover in db.scalars(query):
        row = rollout_store.takeover_row(takeover)
        found[takeover.episode_uuid] = (*found.get(takeover.episode_uuid, ()), row)
    return found


def _row(rollout: Rollout, takeovers: tuple[TakeoverRow, ...]) -> RolloutRow:
    return RolloutRow(
        policy=rollout.policy,
        version=rollout.version,
        label=rollout.label,
        execution=rollout.execution,
        modes=rollout.modes,
        actor_s=_floats(rollout.actor_s),
        phase_s=_floats(rollout.phase_s),
        takeovers=takeovers,
        help_calls=rollout.help_calls,
        chunks=rollout.chunks,
        refused=rollout.refused,
        latency_p50_ms=rollout.latency_p50_ms,
        latency_p99_ms=rollout.latency_p99_ms,
    )


def _floats(values: Mapping[str, object]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
