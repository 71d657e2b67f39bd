"""Upgrading an older catalog: rows survive, a failure rolls back, the older program then refuses it."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest
from alembic.config import Config
from sqlalchemy import Connection, text

import sessions.migrations
from sessions import Author, Catalog, EpisodeRow, open_catalog
from sessions import database as database_module
from sessions import upgrade as upgrade_module
from teleop_app.core.errors import CatalogError

RECORDER = Author.process("recorder")

SECOND = '''
"""Rebuild the episode table, which streams refer to, with one more column."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade():
    with op.batch_alter_table("episode", recreate="always") as batch:
        batch.add_column(sa.Column("mark", sa.Text(), nullable=False, server_default="new"))
'''


def _add(catalog: Catalog) -> EpisodeRow:
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
        )
    )


def _next_program(patch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Make this process a program that knows revision 0002."""
    shutil.copytree(Path(sessions.migrations.__file__).parent, folder)
    (folder / "versions" / "0002_mark.py").write_text(script)

    def config(connection: Connection) -> Config:
        made = Config()
        made.set_main_option("script_location", str(folder))
        made.set_main_option("path_separator", "os")
        made.attributes["connection"] = connection
        return made

    patch.setattr(sessions.migrations, "alembic_config", config)
    patch.setattr(upgrade_module, "HEAD_REVISION", "0002")
    patch.setattr(database_module, "HEAD_REVISION", "0002")


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
    with pytest.raises(CatalogError, match="revision 0002 .*newer than revision 0001"):
        open_catalog(tmp_path / "data", RECORDER)


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
