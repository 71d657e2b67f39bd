"""The tables. Live model objects never leave `sessions`; callers get values of `sessions.rows`.

The instruction text of an episode is kept once in `instruction`: a text search then looks at some
thousands of sentences instead of every episode, and needs nothing beyond LIKE on any database.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sessions.rows import JsonValue
from sessions.states import (
    AuthorKind,
    EpisodeState,
    EventKind,
    Outcome,
    Role,
    SubjectType,
)

_E = TypeVar("_E", bound=StrEnum)


def _enum(kind: type[_E]) -> Enum:
    """Values as readable text; no CHECK, because adding one later would rebuild the table."""
    return Enum(kind, native_enum=False, create_constraint=False, length=24, values_callable=list)


class TextTuple(TypeDecorator[tuple[str, ...]]):
    """A JSON array of strings."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> Any:
        """A list for the JSON encoder."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """A tuple again."""
        return None if value is None else tuple(value)


class RoleTuple(TypeDecorator[tuple[Role, ...]]):
    """A JSON array of role names."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[Role, ...] | None, dialect: Dialect) -> Any:
        """A list for the JSON encoder."""
        return None if value is None else [role.value for role in value]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Role, ...] | None:
        """Roles again; an unknown one is an error, not silently a weaker right."""
        return None if value is None else tuple(Role(item) for item in value)


class Base(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that later migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (read by SQLAlchemy as declared here)
        int: BigInteger,
        tuple[str, ...]: TextTuple,
        tuple[Role, ...]: RoleTuple,
        dict[str, JsonValue]: JSON,
        Role: _enum(Role),
        EpisodeState: _enum(EpisodeState),
        Outcome: _enum(Outcome),
        AuthorKind: _enum(AuthorKind),
        SubjectType: _enum(SubjectType),
        EventKind: _enum(EventKind),
    }


_UUID = String(36)
_NAME = String(120)


class CatalogMeta(Base):
    """The one row that says which store this is."""

    __tablename__ = "catalog_meta"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    store_uuid: Mapped[str] = mapped_column(_UUID)
    created_utc_ns: Mapped[int]
    upgraded_by: Mapped[str] = mapped_column(String(60))


class Station(Base):
    """One robot cell."""

    __tablename__ = "station"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    created_utc_ns: Mapped[int]


class Person(Base):
    """Somebody with roles."""

    __tablename__ = "person"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    roles: Mapped[tuple[Role, ...]]
    created_utc_ns: Mapped[int]


class Task(Base):
    """Something to collect episodes of."""

    __tablename__ = "task"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, unique=True)
    simulation_task: Mapped[str | None] = mapped_column(_NAME)
    instruction: Mapped[str] = mapped_column(Text)
    paraphrases: Mapped[tuple[str, ...]]
    target_count: Mapped[int] = mapped_column(Integer)
    archived: Mapped[bool]
    created_utc_ns: Mapped[int]


class Session(Base):
    """One sitting of an operator at a station."""

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(_UUID, primary_key=True)
    station_id: Mapped[str] = mapped_column(ForeignKey("station.id"))
    operator_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    started_utc_ns: Mapped[int]
    ended_utc_ns: Mapped[int | None]

    station: Mapped[Station] = relationship(lazy="raise")
    operator: Mapped[Person] = relationship(lazy="raise")

    __table_args__ = (Index(None, "started_utc_ns"),)


class Instruction(Base):
    """Each instruction text once; `folded` is what a search compares with."""

    __tablename__ = "instruction"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    text: Mapped[str] = mapped_column(Text, unique=True)
    folded: Mapped[str] = mapped_column(Text)


class Episode(Base):
    """One recorded episode; `state`, `outcome` and `verdict_reason` follow the event log."""

    __tablename__ = "episode"

    uuid: Mapped[str] = mapped_column(_UUID, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id"))
    operator_id: Mapped[str] = mapped_column(ForeignKey("person.id"))
    task_id: Mapped[str] = mapped_column(ForeignKey("task.id"))
    instruction_id: Mapped[int] = mapped_column(ForeignKey("instruction.id"), type_=Integer)
    index_in_session: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[EpisodeState]
    outcome: Mapped[Outcome]
    verdict_reason: Mapped[str] = mapped_column(Text)
    human_share: Mapped[float]
    script_share: Mapped[float]
    policy_share: Mapped[float]
    started_utc_ns: Mapped[int]
    duration_ns: Mapped[int]
    frame_count: Mapped[int]
    dropped_frames: Mapped[int]
    size_bytes: Mapped[int]
    blake3: Mapped[str] = mapped_column(String(64))
    sync_p95_s: Mapped[float | None]
    control_rate_hz: Mapped[float | None]
    control_lateness_p99_s: Mapped[float | None]
    seed: Mapped[int | None]
    format_version: Mapped[str] = mapped_column(String(20))
    software_version: Mapped[str] = mapped_column(String(60))
    recovered: Mapped[bool]
    recovery_loss: Mapped[str] = mapped_column(Text)
    missing: Mapped[bool]
    created_utc_ns: Mapped[int]

    __table_args__ = (
        Index(None, "started_utc_ns", "uuid"),
        Index(None, "state", "started_utc_ns", "uuid"),
        Index(None, "task_id", "started_utc_ns", "uuid"),
        Index(None, "operator_id", "started_utc_ns", "uuid"),
        Index(None, "instruction_id", "started_utc_ns", "uuid"),
        Index(None, "session_id", "index_in_session"),
        Index(None, "task_id", "state", "missing", "outcome"),
    )


class Stream(Base):
    """One stream of an episode."""

    __tablename__ = "stream"

    episode_uuid: Mapped[str] = mapped_column(ForeignKey("episode.uuid"), primary_key=True)
    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(60))
    rate_hz: Mapped[float]
    count: Mapped[int]
    dropped: Mapped[int]
    start_ns: Mapped[int]
    end_ns: Mapped[int]


class EpisodeThumbnail(Base):
    """A small picture, apart from the episode so that listing never reads it."""

    __tablename__ = "episode_thumbnail"

    episode_uuid: Mapped[str] = mapped_column(ForeignKey("episode.uuid"), primary_key=True)
    mime: Mapped[str] = mapped_column(String(40))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    image: Mapped[bytes] = mapped_column(LargeBinary)


class Rollout(Base):
    """How a policy was used in an episode; its outcome is the episode's."""

    __tablename__ = "rollout"

    episode_uuid: Mapped[str] = mapped_column(ForeignKey("episode.uuid"), primary_key=True)
    policy: Mapped[str] = mapped_column(_NAME)
    version: Mapped[str] = mapped_column(String(200))
    label: Mapped[str] = mapped_column(String(24))
    execution: Mapped[str] = mapped_column(String(24))
    modes: Mapped[tuple[str, ...]]
    actor_s: Mapped[dict[str, JsonValue]]
    phase_s: Mapped[dict[str, JsonValue]]
    help_calls: Mapped[int] = mapped_column(Integer)
    chunks: Mapped[int]
    refused: Mapped[int]
    latency_p50_ms: Mapped[float | None]
    latency_p99_ms: Mapped[float | None]

    __table_args__ = (Index(None, "policy", "version"),)


class Takeover(Base):
    """A person took the robot over from a policy; `reason` and `outcome` follow the event log."""

    __tablename__ = "takeover"

    episode_uuid: Mapped[str] = mapped_column(ForeignKey("rollout.episode_uuid"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_ns: Mapped[int]
    end_ns: Mapped[int]
    source: Mapped[str] = mapped_column(_NAME)
    phase: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(String(60))
    outcome: Mapped[str] = mapped_column(String(24))


class Event(Base):
    """The append-only log; triggers of the first migration refuse UPDATE and DELETE."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    time_utc_ns: Mapped[int]
    author_kind: Mapped[AuthorKind]
    author: Mapped[str] = mapped_column(_NAME)
    kind: Mapped[EventKind]
    subject_type: Mapped[SubjectType]
    subject_id: Mapped[str] = mapped_column(String(60))
    payload: Mapped[dict[str, JsonValue]]
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("event.id"), unique=True)

    __table_args__ = (
        Index(None, "subject_type", "subject_id", "id"),
        {"sqlite_autoincrement": True},
    )
