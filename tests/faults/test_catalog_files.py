"""Catalog files that cannot or must not be used: each gets a sentence, none is changed."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import event

from sessions import Author, Catalog, EpisodeRow, open_catalog
from sessions.upgrade import HEAD_REVISION
from teleop_app.core.errors import CatalogError

RECORDER = Author.process("recorder")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".sqlite-shm"}


def _newer(folder: Path) -> Path:
    open_catalog(folder, RECORDER).close()
    path = folder / "catalog.sqlite"
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '0042'")
    raw.execute("UPDATE catalog_meta SET upgraded_by = 'teleop-app 9.9'")
    raw.commit()
    raw.close()
    return path


def _refused(folder: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        open_catalog(folder, RECORDER)
    return str(caught.value)


def test_newer_catalog_is_refused_and_untouched(tmp_path: Path) -> None:
    path = _newer(tmp_path)
    before = path.read_bytes()
    sentence = _refused(tmp_path)
    assert "revision 0042 (upgraded by teleop-app 9.9)" in sentence
    assert f"newer than revision {HEAD_REVISION}" in sentence
    assert "Update teleop-app" in sentence
    assert path.read_bytes() == before


def test_newer_catalog_in_use_keeps_its_unfolded_log(tmp_path: Path) -> None:
    path = _newer(tmp_path)
    script = (
        "import os, sqlite3, sys\n"
        "raw = sqlite3.connect(sys.argv[1])\n"
        "raw.execute(\"INSERT INTO task VALUES ('x', 'x', NULL, '', '[]', 0, 0, 0)\")\n"
        "raw.commit()\n"
        "os._exit(0)\n"  # like a kill: the row is in the -wal file only
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    log = path.with_name("catalog.sqlite-wal")
    before, before_log = path.read_bytes(), log.read_bytes()
    assert before_log
    assert "0042" in _refused(tmp_path)
    assert (path.read_bytes(), log.read_bytes()) == (before, before_log)


def test_database_of_another_program_is_refused_and_untouched(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "catalog.sqlite")
    raw.execute("CREATE TABLE bookmarks (url TEXT)")
    raw.commit()
    raw.close()
    before = _contents(tmp_path)
    sentence = _refused(tmp_path)
    assert "is not a catalog: it is an SQLite database of another program" in sentence
    assert "--data-dir" in sentence
    assert _contents(tmp_path) == before


def test_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("name,count\npick,3\n")
    before = _contents(tmp_path)
    assert "is not an SQLite database" in _refused(tmp_path)
    assert _contents(tmp_path) == before


def test_empty_file_becomes_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").touch()
    with open_catalog(tmp_path, RECORDER) as catalog:
        assert catalog.check() == ()


@pytest.mark.parametrize("keep", [16, 100, 4096, 9000])
def test_truncated_catalog_is_refused_in_a_sentence(tmp_path: Path, keep: int) -> None:
    open_catalog(tmp_path, RECORDER).close()
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(path.read_bytes()[:keep])
    before = path.read_bytes()
    sentence = _refused(tmp_path)
    assert "is damaged" in sentence or "is not a catalog" in sentence
    assert path.read_bytes() == before


def test_damaged_page_is_found_by_check_and_by_reading(tmp_path: Path) -> None:
    with open_catalog(tmp_path, RECORDER) as catalog:
        for number in range(200):
            catalog.ensure_task(f"task {number}", instruction="x" * 200)
        pages = catalog._database.path
    raw = sqlite3.connect(pages)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'task'").fetchone()[0]
    raw.close()
    content = bytearray(pages.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"\xa5" * 4096
    pages.write_bytes(content)
    with open_catalog(tmp_path, RECORDER) as catalog:
        assert catalog.check() != ()
        with pytest.raises(CatalogError, match="teleop recover"):
            catalog.list_tasks()


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").mkdir()
    assert "is a folder or a special file" in _refused(tmp_path)


def test_file_in_place_of_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    sentence = _refused(tmp_path / "data")
    assert os.strerror(errno.EEXIST) in sentence or os.strerror(errno.ENOTDIR) in sentence


def _as_nobody(folder: Path, *, existing: bool) -> str:
    """What opening says in a folder that this user may read but not write (root gives root up)."""
    script = (
        "import os, sys\n"
        "import alembic.command, sessions.migrations\n"
        "from sessions import Author, open_catalog\n"
        "from teleop_app.core.errors import CatalogError\n"
        "if os.getuid() == 0:\n"
        "    os.setgid(65534); os.setuid(65534)\n"
        "os.chdir('/')\n"
        "try:\n"
        "    open_catalog(sys.argv[1], Author.process('gui')).close()\n"
        "except CatalogError as error:\n"
        "    print(error)\n"
    )
    if existing:
        open_catalog(folder, RECORDER).close()
        (folder / "catalog.sqlite").chmod(0o444)
    folder.chmod(0o555)
    try:
        return subprocess.run(
            [sys.executable, "-c", script, str(folder)], check=True, capture_output=True, text=True
        ).stdout
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="POSIX rights")
@pytest.mark.parametrize("existing", [False, True])
def test_read_only_directory(existing: bool) -> None:
    with tempfile.TemporaryDirectory() as outer:  # pytest's own folders are closed to other users
        Path(outer).chmod(0o755)
        folder = Path(outer) / "data"
        folder.mkdir()
        sentence = _as_nobody(folder, existing=existing)
        assert "could not be used" in sentence
        assert "read-only" in sentence or "cannot be opened" in sentence
        assert "--data-dir" in sentence
        assert existing or list(folder.iterdir()) == []


def _episode(number: int) -> EpisodeRow:
    return EpisodeRow(
        uuid=f"00000000-0000-4000-8000-{number:012d}",
        session_id="00000000-0000-4000-8000-000000000000",
        station="cell",
        operator="Ann",
        task="pick-place",
        instruction=f"{number} " + "x" * 2_000,
        index_in_session=number,
        path=f"episodes/{number}.mcap",
        started_utc_ns=number,
        duration_ns=10,
        frame_count=3,
        size_bytes=100,
        blake3="ab" * 32,
        format_version="1",
        software_version="0.1.0",
    )


def _add_until_refused(catalog: Catalog) -> tuple[int, str]:
    for number in range(1000):
        try:
            catalog.add_episode(_episode(number))
        except CatalogError as error:
            return number, str(error)
    pytest.fail("the limit never bit")


def test_full_disk_keeps_every_acknowledged_row(tmp_path: Path) -> None:
    with open_catalog(tmp_path, RECORDER) as catalog:
        engine = catalog._database._engine
        engine.dispose()
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 60"))
        acknowledged, sentence = _add_until_refused(catalog)
        assert "the disk is full. Free space" in sentence
        assert catalog.counts().total == acknowledged > 0  # reading goes on
        assert catalog.episode(_episode(acknowledged).uuid) is None  # nothing half written
    with open_catalog(tmp_path, RECORDER) as catalog:
        assert catalog.counts().total == acknowledged
        assert catalog.check() == ()
        catalog.add_episode(_episode(acknowledged))  # goes on once there is space


def test_file_size_limit_keeps_every_acknowledged_row(tmp_path: Path) -> None:
    """A real failed write (EFBIG) from the kernel, in the log file of the catalog."""
    with open_catalog(tmp_path, RECORDER) as catalog:
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, old[1]))
        try:
            acknowledged, sentence = _add_until_refused(catalog)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert "the disk failed" in sentence or "the disk is full" in sentence
        catalog.add_episode(_episode(acknowledged))
    with open_catalog(tmp_path, RECORDER) as catalog:
        assert catalog.counts().total == acknowledged + 1
        assert catalog.check() == ()


def test_full_disk_while_creating(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from sessions import Author, open_catalog\n"
        "from teleop_app.core.errors import CatalogError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    open_catalog(sys.argv[1], Author.process('gui'))\n"
        "except CatalogError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run(
        [sys.executable, "-B", "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout
    assert "the disk failed" in said or "the disk is full" in said
    with open_catalog(tmp_path, RECORDER) as catalog:  # and nothing is in the way afterwards
        assert catalog.check() == ()
