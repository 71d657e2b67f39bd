"""Adds rollouts and labels their takeovers; each label is an event, which can be undone."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sessions import event_log
from sessions.models import Event, Rollout, Takeover
from sessions.roster import Writing
from sessions.rows import JsonValue, RolloutRow, TakeoverRow
from sessions.states import EventKind, SubjectType
from teleop_app.core.errors import CatalogError

MAX_TAKEOVERS = 10_000
"""Of one episode; more are left out of the catalog, not of the file."""


def add(writing: Writing, uuid: str, row: RolloutRow) -> None:
    """The rollout of an episode that has just been added."""
    writing.db.add(
        Rollout(
            episode_uuid=uuid,
            policy=row.policy[:120],
            version=row.version[:200],
            label=row.label[:24],
            execution=row.execution[:24],
            modes=row.modes,
            actor_s=_seconds(row.actor_s),
            phase_s=_seconds(row.phase_s),
            help_calls=int(row.help_calls),
            chunks=int(row.chunks),
            refused=int(row.refused),
            latency_p50_ms=_measured(row.latency_p50_ms),
            latency_p99_ms=_measured(row.latency_p99_ms),
        )
    )
    writing.db.flush()  # takeovers refer to it
    for takeover in row.takeovers[:MAX_TAKEOVERS]:
        writing.db.add(
            Takeover(
                episode_uuid=uuid,
                number=int(takeover.number),
                start_ns=int(takeover.start_ns),
                end_ns=int(takeover.end_ns),
                source=takeover.source[:120],
                phase=takeover.phase[:24],
                reason=takeover.reason[:60],
                outcome=takeover.outcome[:24],
            )
        )


def _seconds(values: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}


def _measured(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def takeover_row(takeover: Takeover) -> TakeoverRow:
    """A takeover as a value."""
    return TakeoverRow(
        number=takeover.number,
        start_ns=takeover.start_ns,
        end_ns=takeover.end_ns,
        source=takeover.source,
        phase=takeover.phase,
        reason=takeover.reason,
        outcome=takeover.outcome,
    )


def label_takeover(writing: Writing, uuid: str, number: int, reason: str | None, outcome: str | None) -> None:
    """Say why a takeover was made and how it ended; what the catalog has already is no event.

    Args:
        writing: The transaction.
        uuid: The episode.
        number: The takeover's.
        reason: A short key; None leaves it as it is.
        outcome: Likewise.

    Raises:
        CatalogError: The episode has no such takeover.
    """
    takeover = writing.db.get(Takeover, (uuid, number))
    if takeover is None:
        raise CatalogError(
            f"Episode {uuid} has no takeover {number}",
            next_step=f"See its takeovers with `teleop episodes show {uuid}`",
        )
    before = _label(takeover)
    after = dict(before)
    if reason is not None:
        after["reason"] = reason[:60]
    if outcome is not None:
        after["outcome"] = outcome[:24]
    if after == before:
        return
    event_log.append(
        writing.db,
        writing.now_utc_ns,
        writing.author,
        EventKind.TAKEOVER,
        (SubjectType.EPISODE, uuid),
        {"number": number, "from": before, "to": after},
    )
    takeover.reason, takeover.outcome = str(after["reason"]), str(after["outcome"])


def undo_takeover(writing: Writing, event: Event, standing: Mapping[str, JsonValue]) -> None:
    """Give a takeover the label back that it had before `event`; the undo is an event of its own.

    Args:
        writing: The transaction.
        event: Of kind `takeover`.
        standing: Of the episode, which stays.

    Raises:
        CatalogError: The event or its takeover is not one of ours.
    """
    number, before = event.payload.get("number"), event.payload.get("from")
    takeover = writing.db.get(Takeover, (event.subject_id, number))
    if takeover is None or not isinstance(before, dict):
        raise CatalogError("An event of the catalog is damaged", why=f"no takeover in {event.payload!r}")
    event_log.append(
        writing.db,
        writing.now_utc_ns,
        writing.author,
        EventKind.UNDONE,
        (SubjectType.EPISODE, event.subject_id),
        {"from": dict(standing), "to": dict(standing), "number": number, "takeover": before},
        undoes_id=event.id,
    )
    takeover.reason, takeover.outcome = str(before["reason"]), str(before["outcome"])


def _label(takeover: Takeover) -> dict[str, JsonValue]:
    return {"reason": takeover.reason, "outcome": takeover.outcome}
