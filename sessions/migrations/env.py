"""Run by Alembic: migrates over the connection that `alembic_config` was given."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Enum, TypeDecorator

from sessions.models import Base


def _render(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Migrations name database types only, never Python enums, which change with the program."""
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    if kind == "type" and isinstance(item, TypeDecorator):
        return "sa.JSON()"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
