"""From live models to the values of `sessions.rows`; called while the database session is open."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from sessions import models, rows


def station_row(station: models.Station) -> rows.StationRow:
    """A station as a value."""
    return rows.StationRow(station.id, station.name, station.created_utc_ns)


def person_row(person: models.Person) -> rows.PersonRow:
    """A person as a value."""
    return rows.PersonRow(person.id, person.name, person.roles, person.created_utc_ns)


def task_row(task: models.Task) -> rows.TaskRow:
    """A task as a value."""
    return rows.TaskRow(
        id=task.id,
        name=task.name,
        simulation_task=task.simulation_task,
        instruction=task.instruction,
        paraphrases=task.paraphrases,
        target_count=task.target_count,
        archived=task.archived,
        created_utc_ns=task.created_utc_ns,
    )


def session_row(session: models.Session) -> rows.SessionRow:
    """A session as a value, with the names of its station and operator."""
    return rows.SessionRow(
        id=session.id,
        station_id=session.station_id,
        station=session.station.name,
        operator_id=session.operator_id,
        operator=session.operator.name,
        started_utc_ns=session.started_utc_ns,
        ended_utc_ns=session.ended_utc_ns,
    )


def event_row(event: models.Event) -> rows.EventRow:
    """A log entry as a value."""
    return rows.EventRow(
        id=event.id,
        time_utc_ns=event.time_utc_ns,
        author=rows.Author(event.author_kind, event.author),
        kind=event.kind,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        payload=event.payload,
        undoes_id=event.undoes_id,
    )


def stream_row(stream: models.Stream) -> rows.StreamRow:
    """A stream as a value."""
    return rows.StreamRow(
        name=stream.name,
        kind=stream.kind,
        rate_hz=stream.rate_hz,
        count=stream.count,
        dropped=stream.dropped,
        start_ns=stream.start_ns,
        end_ns=stream.end_ns,
    )


def select_sessions() -> Select[models.Session]:
    """Sessions with the names that `session_row` reads, in one query."""
    return (
        select(models.Session)
        .join(models.Session.station)
        .join(models.Session.operator)
        .options(contains_eager(models.Session.station), contains_eager(models.Session.operator))
    )


EPISODE_COLUMNS = (
    models.Episode,
    models.Session.station_id,
    models.Station.name.label("station"),
    models.Person.name.label("operator"),
    models.Task.name.label("task"),
    models.Instruction.text.label("instruction"),
)

EpisodeSelect = Select[models.Episode, str, str, str, str, str]


def select_episodes() -> EpisodeSelect:
    """Episodes with every name that `episode_row` needs, in one query."""
    return (
        select(*EPISODE_COLUMNS)
        .join(models.Session, models.Episode.session_id == models.Session.id)
        .join(models.Station, models.Session.station_id == models.Station.id)
        .join(models.Person, models.Episode.operator_id == models.Person.id)
        .join(models.Task, models.Episode.task_id == models.Task.id)
        .join(models.Instruction, models.Episode.instruction_id == models.Instruction.id)
    )


def episode_row(
    episode: models.Episode, station_id: str, station: str, operator: str, task: str, instruction: str
) -> rows.EpisodeRow:
    """An episode as a value; the arguments are the columns of `select_episodes`."""
    return rows.EpisodeRow(
        uuid=episode.uuid,
        session_id=episode.session_id,
        station_id=station_id,
        station=station,
        operator_id=episode.operator_id,
        operator=operator,
        task_id=episode.task_id,
        task=task,
        instruction=instruction,
        index_in_session=episode.index_in_session,
        path=episode.path,
        state=episode.state,
        outcome=episode.outcome,
        verdict_reason=episode.verdict_reason,
        started_utc_ns=episode.started_utc_ns,
        duration_ns=episode.duration_ns,
        frame_count=episode.frame_count,
        dropped_frames=episode.dropped_frames,
        size_bytes=episode.size_bytes,
        blake3=episode.blake3,
        human_share=episode.human_share,
        script_share=episode.script_share,
        policy_share=episode.policy_share,
        sync_p95_s=episode.sync_p95_s,
        control_rate_hz=episode.control_rate_hz,
        control_lateness_p99_s=episode.control_lateness_p99_s,
        seed=episode.seed,
        format_version=episode.format_version,
        software_version=episode.software_version,
        recovered=episode.recovered,
        recovery_loss=episode.recovery_loss,
        missing=episode.missing,
        created_utc_ns=episode.created_utc_ns,
    )
