"""Several processes on one catalog: nobody is locked out, what was acknowledged survives a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from sessions import Author, EpisodeFilter, EpisodeRow, EpisodeState, SubjectType, open_catalog
from sessions import database as database_module
from teleop_app.core.errors import CatalogError

PRELUDE = """
import sys, uuid
from sessions import *
from teleop_app.core.errors import CatalogError
folder, who = sys.argv[1], sys.argv[2]

def row(number):
    ident = str(uuid.uuid4())
    return EpisodeRow(
        uuid=ident, session_id=str(uuid.uuid5(uuid.NAMESPACE_OID, who)), station="cell", operator=who,
        task="pick-place", instruction="Put it there", index_in_session=number,
        path=f"episodes/{ident}.mcap", started_utc_ns=number, duration_ns=1, frame_count=1, size_bytes=1,
        blake3="ab" * 32, format_version="1", software_version="0.1.0")
"""

WRITER = (
    PRELUDE
    + """
sys.stdin.readline()
with open_catalog(folder, Author.process(who)) as catalog:
    for number in range(40):
        added = catalog.add_episode(row(number))
        catalog.set_verdict(added.uuid, EpisodeState.SAVED, Author.person(who))
        print(added.uuid, flush=True)
"""
)

ENDLESS_WRITER = (
    PRELUDE
    + """
with open_catalog(folder, Author.process(who)) as catalog:
    for number in range(10**9):
        print(catalog.add_episode(row(number)).uuid, flush=True)
"""
)


def _start(script: str, folder: Path, who: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), who],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_create_and_write_at_once_while_another_reads(tmp_path: Path) -> None:
    writers = [_start(WRITER, tmp_path, name) for name in ("ann", "bob")]
    for writer in writers:  # both open a catalog that does not exist yet, at the same moment
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = 0
    with open_catalog(tmp_path, Author.process("gui")) as catalog:
        while any(writer.poll() is None for writer in writers):
            total = catalog.counts().total
            page = catalog.episodes(EpisodeFilter(text="there"), limit=20)
            assert len(page.rows) >= min(20, seen)
            assert total >= seen
            seen = total
        acknowledged: set[str] = set()
        for writer in writers:
            out, err = writer.communicate()
            assert (writer.returncode, err) == (0, "")
            acknowledged.update(out.split())
        assert len(acknowledged) == 80
        assert set(catalog.episode_paths()) == acknowledged
        assert catalog.counts().saved == 80
        assert len(catalog.list_tasks()) == len(catalog.list_stations()) == 1
        assert catalog.check() == ()


def test_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for attempt in range(3):
        writer = _start(ENDLESS_WRITER, tmp_path, "ann")
        assert writer.stdout is not None
        for _ in range(5 + attempt):
            acknowledged.add(writer.stdout.readline().strip())
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        acknowledged.update(line for line in rest.splitlines() if len(line) == 36)
    with open_catalog(tmp_path, Author.process("recovery")) as catalog:
        assert acknowledged <= set(catalog.episode_paths())
        assert catalog.check() == ()


def test_threads_share_one_catalog(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    with open_catalog(tmp_path, Author.process("gui")) as catalog:

        def work(name: str) -> None:
            try:
                for number in range(20):
                    catalog.ensure_task(f"{name} {number}")
                    catalog.list_tasks()
            except CatalogError as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(f"thread {n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(catalog.list_tasks()) == 80


def test_lock_held_for_ever_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.05)
    with open_catalog(tmp_path, Author.process("gui")) as catalog:
        other = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CatalogError, match="another program has kept it locked"):
            catalog.ensure_task("stack")
        assert catalog.list_tasks() == ()  # reading is not held up
        other.execute("ROLLBACK")
        other.close()
        assert catalog.ensure_task("stack").name == "stack"


def test_verdict_of_two_processes_is_one_history(tmp_path: Path) -> None:
    """The GUI discards while the recorder's countdown saves: the later one stands, both are told."""
    person = Author.person("Ann")
    with (
        open_catalog(tmp_path, Author.process("gui")) as gui,
        open_catalog(tmp_path, Author.process("recorder")) as recorder,
    ):
        row = EpisodeRow(
            uuid=str(uuid.uuid4()),
            session_id=str(uuid.uuid4()),
            station="cell",
            operator="Ann",
            task="pick-place",
            instruction="Put it there",
            index_in_session=0,
            path="episodes/0.mcap",
            started_utc_ns=1,
            duration_ns=1,
            frame_count=1,
            size_bytes=1,
            blake3="ab" * 32,
            format_version="1",
            software_version="0.1.0",
        )
        recorder.add_episode(row)
        gui.set_verdict(row.uuid, EpisodeState.DISCARDED, person, "slip")
        recorder.set_verdict(row.uuid, EpisodeState.SAVED, Author.process("recorder"))
        undone = gui.undo_last(row.session_id, person)
        assert undone is not None and undone.state is EpisodeState.DISCARDED
        authors = [event.author.name for event in recorder.events(SubjectType.EPISODE, row.uuid)]
        assert authors == ["recorder", "Ann", "recorder", "Ann"]
