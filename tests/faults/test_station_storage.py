"""Disks that fill up, stores that cannot be written, and files that are none of ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from mcap.writer import Writer

from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from sessions import Author, open_catalog
from teleop_app.core.errors import StorageError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import RecorderState, RecorderStatus
from teleop_app.station.store_recovery import recover_store

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def contents(root: Path) -> dict[str, str]:
    """Every file of a store but the logs, with its digest."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "logs" not in path.parts and path.suffix not in (".lock", ".sqlite-shm")
    }


# A full disk.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_disk_that_fills_up_during_a_recording(small_disk: Path, faults: Any) -> None:
    data = DataDir(small_disk / "store").create()
    data.station_file.write_text(faults.station_text())
    station = faults.start(data)
    station.open_session()
    earlier = station.records_normally(1)
    before = contents(data.episodes)
    episode = station.start_recording(2)
    station.watch(1.0)
    alive = station.pids()
    station.forget()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError as error:
            assert "No space left" in str(error)
    fault = station.event("recorder.fault")
    assert fault.fields["episode"] == episode
    assert fault.text.startswith("The recording was cut short.")
    assert "The episode up to there is kept." in fault.text and "Free space on the disk" in fault.text
    said = station.until(RecorderStatus, lambda s: s.state is RecorderState.FAULT)
    assert said.text == fault.text
    assert station.pids() == alive, "no process died of it"
    with pytest.raises(StorageError, match=r"A recording cannot start: \d+ MB are free .*, 10 MB are wanted"):
        station.call("recorder", "record")
    ballast.unlink()
    assert contents(data.episodes).items() >= before.items()
    station.call("operator", "halt")
    later = station.records_normally(3)
    station.stop()
    with open_catalog(data.root, Author.process("test")) as catalog:
        recover_store(data, catalog)
    row = faults.row_of(data, episode)
    with EpisodeReader(data.root / row.path) as reader:
        assert reader.footer is not None and reader.footer.truncated
        assert len(reader.ticks().capture_ns) > 50
    assert {earlier, episode, later} <= {path.stem for path in data.episodes.glob("*.mcap")}
    assert faults.store_problems(data) == []


# A file that may not grow: what a quota does, for whoever may not mount a disk.


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of another process")
def test_a_recorder_whose_files_may_not_grow_keeps_what_it_has(station: Any, faults: Any) -> None:
    data = station.data
    station.open_session()
    earlier = station.records_normally(1)
    episode = station.start_recording(2)
    station.watch(1.0)
    station.forget()
    recorder = psutil.Process(station.pids()["recorder"])
    written = (data.open / f"{episode}.mcap").stat().st_size
    catalog_bytes = max(file.stat().st_size for file in data.root.glob("catalog.sqlite*"))
    assert written > 1000
    recorder.rlimit(psutil.RLIMIT_FSIZE, (max(written, catalog_bytes) + 200_000, psutil.RLIM_INFINITY))
    fault = station.event("recorder.fault", timeout_s=60.0)
    assert fault.text.startswith("The recording was cut short.") and "File too large" in fault.text
    recorder.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    station.call("operator", "halt")
    later = station.records_normally(3)
    assert recorder.is_running()
    station.call("station", "restart", process="recorder")
    station.wait_running()
    row = faults.row_of(data, episode)
    assert row.duration_ns > 0.5e9
    assert {earlier, episode, later} <= {path.stem for path in data.episodes.glob("*.mcap")}
    assert faults.store_problems(data) == []


# Stores that cannot be used.


def plain_user() -> list[str]:
    """Words before a command that make root obey the rights of files, as everybody else does."""
    if os.getuid() != 0:
        return []
    without = "-dac_override,-dac_read_search"
    words = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("root may write everywhere, and setpriv cannot take that right away here")
    return words


@pytest.fixture
def readable_store(tmp_path: Path) -> Iterator[DataDir]:
    """A store with one episode, whose rights are given back afterwards."""
    data = DataDir(tmp_path / "store").create()
    write_synthetic(data.episodes, 0.1, synthetic_header(("overhead",), 64, 48))
    with open_catalog(data.root, Author.process("test")) as catalog:
        recover_store(data, catalog)
    try:
        yield data
    finally:
        for path in [data.root, *data.root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


COMMANDS = ("record --json", "station run", "verify", "recover", "episodes list")
RUN_EACH = """
import sys
from teleop_app.cli import main
root, commands = sys.argv[1], sys.argv[2:]
for command in commands:
    sys.argv = ["teleop", "--data-dir", root, *command.split()]
    try:
        main()
    except SystemExit as end:
        print("code", end.code, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="POSIX rights")
def test_a_store_that_may_not_be_written_is_a_sentence(readable_store: DataDir) -> None:
    root = readable_store.root
    before = contents(root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = subprocess.run(
        [*plain_user(), sys.executable, "-c", RUN_EACH, str(root), *COMMANDS],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.count("code 4\n") == len(COMMANDS), done.stdout + done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(COMMANDS)
    for line in said:
        assert f"The data directory {root} cannot be written: Permission denied." in line
        assert "or choose another one with --data-dir" in line
    assert contents(root) == before


def test_a_catalog_of_a_newer_program_is_refused_and_untouched(faults: Any) -> None:
    data = faults.store("newer")
    open_catalog(data.root, Author.process("test")).close()
    raw = sqlite3.connect(data.catalog)
    raw.execute("UPDATE alembic_version SET version_num = '0042'")
    raw.execute("UPDATE catalog_meta SET upgraded_by = 'teleop-app 9.9'")
    raw.commit()
    raw.close()
    before = data.catalog.read_bytes()
    for command in (("record", "--json"), ("episodes", "list"), ("verify",), ("recover",)):
        run = faults.teleop if command[0] == "record" else faults.teleop_here
        done = run(*command, data=data.root)
        assert "newer than revision" in done.stderr and "Update teleop-app" in done.stderr, command
        assert "Traceback" not in done.stderr
        assert done.returncode == 4, (command, done.stderr)
        assert data.catalog.read_bytes() == before
    assert faults.processes_of(data) == []


# Files that are none of ours.


def foreign_mcap(path: Path) -> None:
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2")
        channel = writer.register_channel(
            "/chatter", "json", writer.register_schema("s", "jsonschema", b"{}")
        )
        writer.add_message(channel, 1, b"{}", 1)
        writer.finish()


def test_foreign_and_truncated_files_are_told_and_nothing_else_is_lost(faults: Any, tmp_path: Path) -> None:
    data = faults.store("foreign")
    made = synthetic_header(("overhead",), 64, 48)
    good = [
        write_synthetic(
            data.episodes, 0.3, replace(made, uuid=str(uuid.uuid4()), started_utc_ns=made.started_utc_ns + n)
        )
        for n in range(2)
    ]
    assert faults.teleop_here("recover", data=data.root).returncode == 0
    content = good[0].path.read_bytes()
    names = {}
    for folder in (data.episodes, data.open):
        names[folder] = {
            kind: folder / f"{uuid.uuid4()}.mcap" for kind in ("truncated", "foreign", "text", "empty")
        }
        names[folder]["truncated"].write_bytes(content[: len(content) * 2 // 3])
        foreign_mcap(names[folder]["foreign"])
        names[folder]["text"].write_text("these are my notes, not an episode\n" * 50)
        names[folder]["empty"].write_bytes(b"")
        (folder / "holiday photos.mcap").write_bytes(content)  # a whole episode under a wrong name
        (folder / "folder.mcap").mkdir()
    dropped = {path.name: path.read_bytes() for folder in names for path in names[folder].values()}

    listed = faults.teleop_here("episodes", "list", "--json", data=data.root)
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == 2
    verified = faults.teleop_here("verify", data=data.root)
    assert verified.returncode == 1 and "Traceback" not in verified.stderr
    for folder in names:
        for path in names[folder].values():
            assert path.name in verified.stdout
    single = faults.teleop_here("verify", str(names[data.episodes]["foreign"]), data=data.root)
    assert single.returncode == 1 and "not an episode of this program" in single.stdout

    recovered = faults.teleop_here("recover", "--json", data=data.root)
    assert recovered.returncode == 1 and "Traceback" not in recovered.stderr, recovered.stderr
    report = json.loads(recovered.stdout)
    assert len(report["problems"]) >= 5, "what lies among the episodes and is none, each with a sentence"
    assert all(sentence.endswith(".") for sentence in report["problems"])
    left = {path.name: path for folder in (data.episodes, data.damaged) for path in folder.glob("*.mcap")}
    for name, before in dropped.items():
        assert left[name].read_bytes() == before, "set aside or left, but never changed"
    assert all((data.damaged / path.name).exists() for path in names[data.open].values())
    assert [path for path in data.open.glob("*.mcap") if path.is_file()] == []

    again = faults.teleop_here("recover", "--json", data=data.root)
    assert json.loads(again.stdout)["recovered"] == [], "a second recovery finds nothing new"
    exported = faults.teleop_here("export", "lerobot", str(tmp_path / "dataset"), "--json", data=data.root)
    assert exported.returncode == 0, exported.stderr
    assert {each["uuid"] for each in json.loads(exported.stdout)["episodes"]} == {f.header.uuid for f in good}
    for each in good:
        assert faults.teleop_here("verify", "--full", each.header.uuid, data=data.root).returncode == 0


def test_an_episode_that_was_damaged_after_it_was_saved_stops_no_other(faults: Any, tmp_path: Path) -> None:
    data = faults.store("damaged")
    made = synthetic_header(("overhead",), 64, 48)
    files = [
        write_synthetic(data.episodes, 0.3, replace(made, uuid=str(uuid.uuid4()))).path for _ in range(2)
    ]
    faults.teleop_here("recover", data=data.root)
    files[0].write_bytes(files[0].read_bytes()[:5000])
    verified = faults.teleop_here("verify", "--json", data=data.root)
    found = {Path(line["path"]).stem: line["ok"] for line in map(json.loads, verified.stdout.splitlines())}
    assert verified.returncode == 1 and found == {files[0].stem: False, files[1].stem: True}
    exported = faults.teleop_here("export", "lerobot", str(tmp_path / "dataset"), data=data.root)
    assert (
        exported.returncode != 0 and files[0].stem in exported.stderr and "Traceback" not in exported.stderr
    )
