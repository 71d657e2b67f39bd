"""Brings a catalog file to the revision this program knows, with Alembic, in one transaction."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, inspect, text

from teleop_app import __version__

_log = logging.getLogger(__name__)

HEAD_REVISION = "0002"
"""The newest revision in `sessions/migrations/versions` (a test compares); revisions are numbered
so that a program can tell a newer catalog from one it never wrote."""

APPLICATION_ID = 0x54454C50
"""SQLite `application_id` of a catalog: the letters TELP."""


class Standing(StrEnum):
    """How a catalog file relates to this program."""

    EMPTY = "empty"
    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a look into the file found; nothing is written to find it."""

    standing: Standing
    revision: str = ""
    upgraded_by: str = ""


def inspect_catalog(connection: Connection) -> Inspection:
    """Read the revision of an open SQLite file without changing it.

    Args:
        connection: An open connection, read-only or not.
    """
    tables = set(inspect(connection).get_table_names())
    application_id = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if not tables and application_id == 0:
        return Inspection(Standing.EMPTY)
    if application_id != APPLICATION_ID or not {"alembic_version", "catalog_meta"} <= tables:
        return Inspection(Standing.FOREIGN)
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
    upgraded_by = connection.execute(text("SELECT upgraded_by FROM catalog_meta WHERE id = 1")).scalar() or ""
    if revision == HEAD_REVISION:
        standing = Standing.CURRENT
    elif not revision.isdigit():
        standing = Standing.FOREIGN
    else:
        standing = Standing.NEWER if int(revision) > int(HEAD_REVISION) else Standing.OLDER
    return Inspection(standing, revision, upgraded_by)


def upgrade(connection: Connection) -> None:
    """Run all migrations up to the head inside the caller's write transaction.

    SQLite rolls schema changes back, so a process killed half way leaves the old catalog.

    Args:
        connection: In a `BEGIN IMMEDIATE` transaction, with foreign keys off (a migration may
            rebuild a table that others refer to); they are checked before returning.
    """
    from alembic import command  # slow to import and needed once in a catalog's life

    from sessions.migrations import alembic_config

    command.upgrade(alembic_config(connection), HEAD_REVISION)
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        text(
            "INSERT INTO catalog_meta (id, store_uuid, created_utc_ns, upgraded_by) "
            "VALUES (1, :store, :now, :by) ON CONFLICT (id) DO UPDATE SET upgraded_by = :by"
        ),
        {"store": str(uuid.uuid4()), "now": time.time_ns(), "by": f"teleop-app {__version__}"},
    )
    _log.info("catalog brought to revision %s", HEAD_REVISION)
