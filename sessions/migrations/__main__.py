"""For developers: draft the next revision from the difference between models and migrations."""

from __future__ import annotations

import sys

from alembic import command
from sqlalchemy import create_engine

from sessions.migrations import alembic_config
from sessions.upgrade import HEAD_REVISION


def draft(message: str) -> None:
    """Write `versions/NNNN_<message>.py`; `HEAD_REVISION` must then be raised to match."""
    with create_engine("sqlite://").begin() as connection:
        config = alembic_config(connection)
        command.upgrade(config, "head")
        command.revision(config, message, autogenerate=True, rev_id=f"{int(HEAD_REVISION) + 1:04d}")


if __name__ == "__main__":
    draft(" ".join(sys.argv[1:]))
