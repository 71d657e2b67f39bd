"""Adds episodes: from a recording just made durable, or rebuilt from the header of a file."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable
from pathlib import PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from sessions import roster, text_search
from sessions.models import Episode, EpisodeThumbnail, Instruction, Stream
from sessions.roster import Writing
from sessions.rows import EpisodeRow, StreamRow, Thumbnail
from sessions.states import EventKind, Role, SubjectType
from sessions.verdicts import Standing
from teleop_app.core.errors import CatalogError

THUMBNAIL_LIMIT_BYTES = 200_000


def check_path(path: str) -> str:
    """`path` when it stays inside the data directory.

    Raises:
        CatalogError: Absolute, with `..`, a drive or a backslash, or empty.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or any(c in path for c in "\\:\0"):
        raise CatalogError(
            f"{path[:200]!r} is not a path inside the data directory",
            why="it must be relative, with forward slashes and without '..'",
        )
    return PurePosixPath(path).as_posix()


def check_uuid(text: str, what: str) -> str:
    """`text` in canonical form.

    Raises:
        CatalogError: It is not a UUID.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise CatalogError(f"{text[:60]!r} is not the UUID of {what}") from error


def add(writing: Writing, row: EpisodeRow, streams: Iterable[StreamRow], thumbnail: Thumbnail | None) -> bool:
    """Add an episode with all it refers to; False when its UUID is known already.

    A known episode keeps its verdict; a thumbnail it lacks is added, and `missing` is cleared by
    reconciliation only.

    Raises:
        CatalogError: The UUID or path belongs to another file, or a value cannot be stored.
    """
    ident, path = check_uuid(row.uuid, "an episode"), check_path(row.path)
    known = writing.db.get(Episode, ident)
    if known is not None:
        if known.blake3 != row.blake3:
            raise CatalogError(
                f"Episode {ident} is already in the catalog with another content",
                why=f"{known.path} has checksum {known.blake3[:12]}, {path} has {row.blake3[:12]}",
                next_step="Move one of the two files away and run `teleop recover`",
            )
        _add_thumbnail(writing.db, ident, thumbnail)
        return False
    holder = writing.db.scalars(select(Episode.uuid).where(Episode.path == path)).one_or_none()
    if holder is not None:
        raise CatalogError(
            f"{path} already belongs to episode {holder}", next_step="Give the file another name"
        )
    _insert(writing, row, ident, path)
    for position, stream in enumerate(streams):
        writing.db.add(
            Stream(
                episode_uuid=ident,
                name=stream.name,
                position=position,
                kind=stream.kind,
                rate_hz=_finite(stream.rate_hz),
                count=int(stream.count),
                dropped=int(stream.dropped),
                start_ns=int(stream.start_ns),
                end_ns=int(stream.end_ns),
            )
        )
    _add_thumbnail(writing.db, ident, thumbnail)
    return True


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0


def _measured(value: float | None) -> float | None:
    """None for a figure that is not a number: it must not keep a durable episode out."""
    return float(value) if value is not None and math.isfinite(value) else None


def _seed(row: EpisodeRow) -> int | None:
    if row.seed is not None and not 0 <= row.seed < 2**63:
        raise CatalogError(
            f"Episode {row.uuid} has seed {row.seed}, which cannot be stored",
            why="a seed lies between 0 and 2**63 - 1",
        )
    return None if row.seed is None else int(row.seed)


def _insert(writing: Writing, row: EpisodeRow, ident: str, path: str) -> None:
    station = roster.ensure_station(writing, row.station, row.station_id)
    operator = roster.ensure_person(writing, row.operator, (Role.OPERATOR,), row.operator_id)
    task = roster.ensure_task(writing, row.task, ident=row.task_id, instruction=row.instruction)
    session_id = check_uuid(row.session_id, "a session")
    session = roster.open_session(writing, session_id, station, operator, row.started_utc_ns)
    if session.started_utc_ns > row.started_utc_ns:  # rebuilt in any order from files
        session.started_utc_ns = row.started_utc_ns
    episode = Episode(
        uuid=ident,
        session_id=session.id,
        operator_id=operator.id,
        task_id=task.id,
        instruction_id=_instruction_id(writing.db, row.instruction),
        index_in_session=int(row.index_in_session),
        path=path,
        state=row.state,
        outcome=row.outcome,
        verdict_reason=row.verdict_reason,
        human_share=_finite(row.human_share),
        script_share=_finite(row.script_share),
        policy_share=_finite(row.policy_share),
        started_utc_ns=int(row.started_utc_ns),
        duration_ns=int(row.duration_ns),
        frame_count=int(row.frame_count),
        dropped_frames=int(row.dropped_frames),
        size_bytes=int(row.size_bytes),
        blake3=row.blake3,
        sync_p95_s=_measured(row.sync_p95_s),
        control_rate_hz=_measured(row.control_rate_hz),
        control_lateness_p99_s=_measured(row.control_lateness_p99_s),
        seed=_seed(row),
        format_version=row.format_version,
        software_version=row.software_version,
        recovered=row.recovered,
        recovery_loss=row.recovery_loss,
        missing=False,
        created_utc_ns=row.created_utc_ns or writing.now_utc_ns,
    )
    writing.db.add(episode)
    writing.db.flush()
    writing.log(
        EventKind.RECORDED,
        (SubjectType.EPISODE, ident),
        to=Standing.of(episode).to_json(),
        path=path,
        recovered=row.recovered,
        recovery_loss=row.recovery_loss,
    )


def _instruction_id(db: DbSession, text: str) -> int:
    found = db.scalars(select(Instruction.id).where(Instruction.text == text)).one_or_none()
    if found is not None:
        return found
    instruction = Instruction(text=text, folded=text_search.fold(text))
    db.add(instruction)
    db.flush()
    return instruction.id


def _add_thumbnail(db: DbSession, ident: str, thumbnail: Thumbnail | None) -> None:
    if thumbnail is None or db.get(EpisodeThumbnail, ident) is not None:
        return
    if len(thumbnail.image) > THUMBNAIL_LIMIT_BYTES:
        raise CatalogError(
            f"A thumbnail of {len(thumbnail.image)} bytes is too large",
            why=f"the limit is {THUMBNAIL_LIMIT_BYTES}",
        )
    db.add(
        EpisodeThumbnail(
            episode_uuid=ident,
            mime=thumbnail.mime,
            width=thumbnail.width,
            height=thumbnail.height,
            image=thumbnail.image,
        )
    )


def next_index(db: DbSession, session_id: str) -> int:
    """The index the next episode of a session gets: one more than the highest, from 0."""
    highest = db.scalars(
        select(Episode.index_in_session)
        .where(Episode.session_id == session_id)
        .order_by(Episode.index_in_session.desc())
        .limit(1)
    ).one_or_none()
    return 0 if highest is None else highest + 1
