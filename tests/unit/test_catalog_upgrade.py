"""Upgrading an older catalog: rows survive, a failure rolls back, the older program then refuses it."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

import sessions.migrations
from sessions import Author, Catalog, EpisodeRow, RolloutRow, SubjectType, open_catalog
from sessions import database as database_module
from sessions import upgrade as upgrade_module
from teleop_app.core.errors import CatalogError

RECORDER = Author.process("recorder")
OLD = "0d9c4b0e-4a57-4d5c-9d0f-0f8a3c1f0001"

SECOND = '''
"""Rebuild the episode table, which streams refer to, with one more column."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade():
    with op.batch_alter_table("episode", recreate="always") as batch:
        batch.add_column(sa.Column("mark", sa.Text(), nullable=False, server_default="new"))
'''


def _add(catalog: Catalog, rollout: RolloutRow | None = None) -> EpisodeRow:
    ident = str(uuid.uuid4())
    return catalog.add_episode(
        EpisodeRow(
            uuid=ident,
            session_id=str(uuid.uuid4()),
            station="cell",
            operator="Ann",
            task="pick-place",
            instruction="Put it there",
            index_in_session=0,
            path=f"episodes/{ident}.mcap",
            started_utc_ns=1,
            duration_ns=1,
            frame_count=1,
            size_bytes=1,
            blake3="ab" * 32,
            format_version="1",
            software_version="0.1.0",
        ),
        rollout=rollout,
    )


def _next_program(patch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Make this process a program that knows revision 0003."""
    shutil.copytree(Path(sessions.migrations.__file__).parent, folder)
    (folder / "versions" / "0003_mark.py").write_text(script)

    def config(connection: Connection) -> Config:
        made = Config()
        made.set_main_option("script_location", str(folder))
        made.set_main_option("path_separator", "os")
        made.attributes["connection"] = connection
        return made

    patch.setattr(sessions.migrations, "alembic_config", config)
    patch.setattr(upgrade_module, "HEAD_REVISION", "0003")
    patch.setattr(database_module, "HEAD_REVISION", "0003")


def test_older_catalog_is_upgraded_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_catalog(tmp_path / "data", RECORDER) as before:
        row, store = _add(before), before.store_uuid
    with monkeypatch.context() as patch:
        _next_program(patch, tmp_path / "migrations", SECOND)
        with open_catalog(tmp_path / "data", RECORDER) as after:
            assert after.episode(row.uuid) == row
            assert after.store_uuid == store
            assert after.check() == ()
            with after._database.read() as db:
                assert db.execute(text("SELECT mark FROM episode")).scalars().all() == ["new"]
    with pytest.raises(CatalogError, match="revision 0003 .*newer than revision 0002"):
        open_catalog(tmp_path / "data", RECORDER)


def test_a_catalog_of_the_first_program_is_upgraded(tmp_path: Path) -> None:
    """Tables and rows as revision 0001 left them; rollouts can be added afterwards."""
    folder = tmp_path / "data"
    folder.mkdir()
    with create_engine(f"sqlite:///{folder / 'catalog.sqlite'}").begin() as connection:
        command.upgrade(sessions.migrations.alembic_config(connection), "0001")
        for statement in (
            f"PRAGMA application_id = {upgrade_module.APPLICATION_ID}",
            "INSERT INTO catalog_meta VALUES (1, 'store', 1, 'teleop-app 0.1')",
            "INSERT INTO station VALUES ('st', 'cell', 1)",
            "INSERT INTO person VALUES ('pe', 'Ann', '[\"operator\"]', 1)",
            "INSERT INTO task VALUES ('ta', 'pick-place', NULL, 'Put it there', '[]', 0, 0, 1)",
            "INSERT INTO session VALUES ('se', 'st', 'pe', 1, NULL)",
            "INSERT INTO instruction VALUES (1, 'Put it there', 'put it there')",
            f"INSERT INTO episode VALUES ('{OLD}', 'se', 'pe', 'ta', 1, 0, 'episodes/{OLD}.mcap', 'saved', "
            "'success', '', 1, 0, 0, 1, 1, 1, 0, 1, 'ab', NULL, NULL, NULL, NULL, '1', '0.1', 0, '', 0, 1)",
            "INSERT INTO event VALUES (1, 1, 'process', 'recorder', 'recorded', 'episode', "
            f"'{OLD}', '{{}}', NULL)",
        ):
            connection.exec_driver_sql(statement)
    with open_catalog(folder, RECORDER) as catalog:
        found = catalog.episode(OLD)
        assert found is not None and (found.operator, found.outcome) == ("Ann", "success")
        assert catalog.rollout(OLD) is None
        assert catalog.trials() == ()
        assert catalog.store_uuid == "store"
        assert [event.kind for event in catalog.events(SubjectType.EPISODE, OLD)] == ["recorded"]
        assert catalog.check() == ()
        added = _add(catalog, RolloutRow(policy="pi", modes=("supervised",)))
        assert [trial.uuid for trial in catalog.trials()] == [added.uuid]


@pytest.mark.parametrize(
    ("ending", "error", "sentence"),
    [
        ("    raise RuntimeError('power cut')", RuntimeError, "power cut"),
        ("    op.execute('DELETE FROM session')", CatalogError, "1 rows refer to others that do not exist"),
    ],
)
def test_failed_upgrade_leaves_the_older_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, error: type[Exception], sentence: str
) -> None:
    with open_catalog(tmp_path / "data", RECORDER) as before:
        row = _add(before)
    with monkeypatch.context() as patch:
        _next_program(patch, tmp_path / "migrations", SECOND + ending + "\n")
        with pytest.raises(error, match=sentence):
            open_catalog(tmp_path / "data", RECORDER)
    with open_catalog(tmp_path / "data", RECORDER) as still:
        assert still.episode(row.uuid) == row
        assert still.check() == ()
