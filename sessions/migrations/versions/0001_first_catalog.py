"""First catalog: stations, people, tasks, sessions, episodes, streams, the event log.

Revision 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "catalog_meta",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store_uuid", sa.String(length=36), nullable=False),
        sa.Column("created_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("upgraded_by", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_meta")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("time_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("author_kind", sa.String(length=24), nullable=False),
        sa.Column("author", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("subject_type", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.String(length=60), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("undoes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["undoes_id"], ["event.id"], name=op.f("fk_event_undoes_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("undoes_id", name=op.f("uq_event_undoes_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_event_subject_type_subject_id_id"),
            ["subject_type", "subject_id", "id"],
            unique=False,
        )

    op.create_table(
        "instruction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("folded", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruction")),
        sa.UniqueConstraint("text", name=op.f("uq_instruction_text")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("name", name=op.f("uq_person_name")),
    )
    op.create_table(
        "station",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station")),
        sa.UniqueConstraint("name", name=op.f("uq_station_name")),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("simulation_task", sa.String(length=120), nullable=True),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("paraphrases", sa.JSON(), nullable=False),
        sa.Column("target_count", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("created_utc_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("name", name=op.f("uq_task_name")),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("station_id", sa.String(length=36), nullable=False),
        sa.Column("operator_id", sa.String(length=36), nullable=False),
        sa.Column("started_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_utc_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["operator_id"], ["person.id"], name=op.f("fk_session_operator_id")),
        sa.ForeignKeyConstraint(["station_id"], ["station.id"], name=op.f("fk_session_station_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_started_utc_ns"), ["started_utc_ns"], unique=False)

    op.create_table(
        "episode",
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("session_id", sa.String(length=36), nullable=False),
        sa.Column("operator_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("instruction_id", sa.Integer(), nullable=False),
        sa.Column("index_in_session", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("verdict_reason", sa.Text(), nullable=False),
        sa.Column("human_share", sa.Double(), nullable=False),
        sa.Column("script_share", sa.Double(), nullable=False),
        sa.Column("policy_share", sa.Double(), nullable=False),
        sa.Column("started_utc_ns", sa.BigInteger(), nullable=False),
        sa.Column("duration_ns", sa.BigInteger(), nullable=False),
        sa.Column("frame_count", sa.BigInteger(), nullable=False),
        sa.Column("dropped_frames", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("blake3", sa.String(length=64), nullable=False),
        sa.Column("sync_p95_s", sa.Double(), nullable=True),
        sa.Column("control_rate_hz", sa.Double(), nullable=True),
        sa.Column("control_lateness_p99_s", sa.Double(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("format_version", sa.String(length=20), nullable=False),
        sa.Column("software_version", sa.String(length=60), nullable=False),
        sa.Column("recovered", sa.Boolean(), nullable=False),
        sa.Column("recovery_loss", sa.Text(), nullable=False),
        sa.Column("missing", sa.Boolean(), nullable=False),
        sa.Column("created_utc_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instruction_id"], ["instruction.id"], name=op.f("fk_episode_instruction_id")
        ),
        sa.ForeignKeyConstraint(["operator_id"], ["person.id"], name=op.f("fk_episode_operator_id")),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_episode_session_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_episode_task_id")),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_episode")),
        sa.UniqueConstraint("path", name=op.f("uq_episode_path")),
    )
    with op.batch_alter_table("episode", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_episode_instruction_id_started_utc_ns_uuid"),
            ["instruction_id", "started_utc_ns", "uuid"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_episode_operator_id_started_utc_ns_uuid"),
            ["operator_id", "started_utc_ns", "uuid"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_episode_session_id_index_in_session"),
            ["session_id", "index_in_session"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_episode_started_utc_ns_uuid"), ["started_utc_ns", "uuid"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_episode_state_started_utc_ns_uuid"),
            ["state", "started_utc_ns", "uuid"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_episode_task_id_started_utc_ns_uuid"),
            ["task_id", "started_utc_ns", "uuid"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_episode_task_id_state_missing_outcome"),
            ["task_id", "state", "missing", "outcome"],
            unique=False,
        )

    op.create_table(
        "episode_thumbnail",
        sa.Column("episode_uuid", sa.String(length=36), nullable=False),
        sa.Column("mime", sa.String(length=40), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["episode_uuid"], ["episode.uuid"], name=op.f("fk_episode_thumbnail_episode_uuid")
        ),
        sa.PrimaryKeyConstraint("episode_uuid", name=op.f("pk_episode_thumbnail")),
    )
    op.create_table(
        "stream",
        sa.Column("episode_uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("rate_hz", sa.Double(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["episode_uuid"], ["episode.uuid"], name=op.f("fk_stream_episode_uuid")),
        sa.PrimaryKeyConstraint("episode_uuid", "name", name=op.f("pk_stream")),
    )
    for operation in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER event_no_{operation.lower()} BEFORE {operation} ON event "
            "BEGIN SELECT RAISE(ABORT, 'the event log is append-only'); END"
        )
