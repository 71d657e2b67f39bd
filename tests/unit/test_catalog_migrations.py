"""The migrations make what the models say, in one transaction, and ship with the package."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import IntegrityError

from sessions import database, upgrade
from sessions.migrations import alembic_config
from sessions.models import Base
from sessions.upgrade import HEAD_REVISION, Standing, inspect_catalog


def _schema(connection: Connection) -> dict[str, str]:
    found = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL")
    )
    return {name: " ".join(sql.split()) for name, sql in found if name != "alembic_version"}


def test_migrations_equal_the_models() -> None:
    migrated, created = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.begin() as connection:
        upgrade.upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        from_migrations = _schema(connection)
    with created.begin() as connection:
        Base.metadata.create_all(connection)
        from_models = _schema(connection)
    assert set(from_migrations) == set(from_models)
    for name, sql in from_models.items():
        if name.startswith("ix_"):
            assert from_migrations[name] == sql
    migrated.dispose()
    created.dispose()


def test_comparison_notices_a_difference() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade.upgrade(connection)
        connection.exec_driver_sql("DROP INDEX ix_episode_started_utc_ns_uuid")
        connection.exec_driver_sql("ALTER TABLE task DROP COLUMN target_count")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert len(compare_metadata(context, Base.metadata)) == 2
    engine.dispose()


def test_head_revision_is_the_newest_script() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    engine.dispose()
    assert script.get_heads() == [HEAD_REVISION]
    assert all(revision.revision.isdigit() for revision in script.walk_revisions())


def test_migrations_ship_with_the_package() -> None:
    folder = resources.files("sessions.migrations")
    assert folder.joinpath("env.py").is_file()
    assert [entry.name for entry in folder.joinpath("versions").iterdir() if entry.name.startswith("0001")]


def test_failed_migration_leaves_an_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_the_end(connection: Connection) -> None:
        upgrade.upgrade(connection)
        raise RuntimeError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(database, "upgrade", fail_at_the_end)
        with pytest.raises(RuntimeError, match="killed here"):
            database.open_database(tmp_path)
    engine = create_engine(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    with engine.connect() as connection:
        assert inspect_catalog(connection).standing is Standing.EMPTY
    engine.dispose()
    opened = database.open_database(tmp_path)
    assert opened.check() == ()
    opened.close()


def test_event_log_is_append_only() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade.upgrade(connection)
        connection.exec_driver_sql(
            "INSERT INTO event VALUES (1, 0, 'person', 'Ann', 'note', 'catalog', 'x', '{}', NULL)"
        )
        for statement in ("UPDATE event SET author = 'Eve'", "DELETE FROM event"):
            with pytest.raises(IntegrityError, match="append-only"):
                connection.exec_driver_sql(statement)
    engine.dispose()


def test_settings_that_make_rows_durable(tmp_path: Path) -> None:
    opened = database.open_database(tmp_path)
    with opened.write() as db:
        assert db.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert db.execute(text("PRAGMA synchronous")).scalar() == 2
        assert db.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert db.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
    opened.close()
    raw = sqlite3.connect(tmp_path / "catalog.sqlite")
    assert raw.execute("PRAGMA application_id").fetchone() == (upgrade.APPLICATION_ID,)
    raw.close()
