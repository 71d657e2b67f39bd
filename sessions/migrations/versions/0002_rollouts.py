"""Rollouts: how a policy was used in an episode, and when a person took over.

The words `outcome` and `takeover` join the kinds of events.

Revision 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "rollout",
        sa.Column("episode_uuid", sa.String(length=36), nullable=False),
        sa.Column("policy", sa.String(length=120), nullable=False),
        sa.Column("version", sa.String(length=200), nullable=False),
        sa.Column("label", sa.String(length=24), nullable=False),
        sa.Column("execution", sa.String(length=24), nullable=False),
        sa.Column("modes", sa.JSON(), nullable=False),
        sa.Column("actor_s", sa.JSON(), nullable=False),
        sa.Column("phase_s", sa.JSON(), nullable=False),
        sa.Column("help_calls", sa.Integer(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.Column("latency_p50_ms", sa.Double(), nullable=True),
        sa.Column("latency_p99_ms", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["episode_uuid"], ["episode.uuid"], name=op.f("fk_rollout_episode_uuid")),
        sa.PrimaryKeyConstraint("episode_uuid", name=op.f("pk_rollout")),
    )
    with op.batch_alter_table("rollout", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollout_policy_version"), ["policy", "version"], unique=False)

    op.create_table(
        "takeover",
        sa.Column("episode_uuid", sa.String(length=36), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("end_ns", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("phase", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["episode_uuid"], ["rollout.episode_uuid"], name=op.f("fk_takeover_episode_uuid")
        ),
        sa.PrimaryKeyConstraint("episode_uuid", "number", name=op.f("pk_takeover")),
    )
