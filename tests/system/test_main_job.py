"""The main job as a person or a script does it: the command line against real station processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recorders.reader import EpisodeReader
from sessions import Author, open_catalog
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.paths import DataDir
from teleop_app.station.launch import StationProcess

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def small_station() -> StationConfig:
    """A cell that two busy cores can run beside other work."""
    config = StationConfig()
    config.simulation.look = "primitive"
    config.cameras = [
        CameraSection(name=n, width=160, height=120, fps=10) for n in ("overhead", "left_wrist")
    ]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    return config


def teleop(*arguments: str, data: Path, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two scripted episodes, recorded once for the tests of this file."""
    root = tmp_path_factory.mktemp("main-job")
    (root / "station.toml").write_text(station_text(small_station()))
    arguments = ["--operator", "scripted", "--task", "pick-place", "--episodes", "2", "--seed", "7", "--json"]
    done = teleop("record", *arguments, "--timeout", "90", data=root)
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "said.jsonl").write_text(done.stdout)
    return root


def test_record_says_what_happens_and_saved_means_durable(store: Path) -> None:
    said = lines((store / "said.jsonl").read_text())
    saved = [line for line in said if line["event"] == "saved"]
    assert len(saved) == 2
    assert [line["event"] for line in said if line["episode"] == saved[0]["episode"]] == ["started", "saved"]
    for line in saved:
        path = Path(str(line["path"]))
        assert path.is_file() and path.parent == store / "episodes"
        assert line["outcome"] == "success"
    assert not list((store / "open").glob("*.mcap"))


def test_the_catalog_lists_what_was_saved(store: Path) -> None:
    said = lines((store / "said.jsonl").read_text())
    listed = teleop("episodes", "list", "--state", "saved", "--json", data=store)
    assert listed.returncode == 0
    rows = lines(listed.stdout)
    assert {row["uuid"] for row in rows} == {line["episode"] for line in said if line["event"] == "saved"}
    assert all(row["task"] == "pick-place" and row["script_share"] > 0.5 for row in rows)
    shown = teleop("episodes", "show", str(rows[0]["uuid"])[:8], "--json", data=store)
    assert {s["name"] for s in json.loads(shown.stdout)["streams"]} >= {
        "/joints/sent",
        "/camera/overhead/video",
    }


def test_an_episode_holds_every_stream_of_the_cell(store: Path) -> None:
    for path in (store / "episodes").glob("*.mcap"):
        with EpisodeReader(path) as reader:
            header = reader.header
            assert header.instruction.startswith("Put the ") and len(header.paraphrases) >= 3
            assert len(header.joint_names) == 14 and [c.name for c in header.cameras] == [
                "overhead",
                "left_wrist",
            ]
            sent, measured = reader.joints("sent"), reader.joints("measured")
            assert sent.position.shape[1] == measured.position.shape[1] == 14
            assert len(sent.capture_ns) > 200
            assert {"human", "policy"}.isdisjoint(reader.ticks().actor)
            assert (
                abs(reader.force("right/left_finger").force).max()
                + abs(reader.force("left/left_finger").force).max()
                > 1.0
            )
            assert reader.frame("overhead", 3).shape == (120, 160, 3)
            assert "task.success" in {event.kind for event in reader.events()}
            assert b"<mujoco" in reader.attachments["robot.xml"]


def test_verify_export_and_replay_agree(store: Path, tmp_path: Path) -> None:
    verified = teleop("verify", "--full", "--json", data=store)
    assert verified.returncode == 0, verified.stdout
    out = tmp_path / "dataset"
    exported = teleop("export", "lerobot", str(out), "--state", "saved", "--json", data=store)
    assert exported.returncode == 0, exported.stderr
    report = json.loads(exported.stdout)
    table = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet")
    assert table.num_rows == report["rows"] == sum(episode["rows"] for episode in report["episodes"])
    again = teleop("export", "lerobot", str(out), data=store)
    assert again.returncode == 7 and "--overwrite" in again.stderr
    uuid = str(report["episodes"][0]["uuid"])
    replayed = teleop("replay", uuid, "--json", data=store)
    assert json.loads(replayed.stdout)["joint_max_rad"] < 0.1
    assert replayed.returncode == 0


def test_a_flipped_byte_is_found(store: Path, tmp_path: Path) -> None:
    path = next((store / "episodes").glob("*.mcap"))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    copy = tmp_path / path.name
    copy.write_bytes(damaged)
    found = teleop("verify", str(copy), data=store)
    assert found.returncode == 1 and "WRONG" in found.stdout


def test_discarding_is_undone_by_restore(store: Path) -> None:
    with open_catalog(store, Author.process("test")) as catalog:
        uuid = catalog.episodes().rows[0].uuid
    assert teleop("episodes", "discard", uuid[:8], "--reason", "blurred", data=store).returncode == 0
    assert len(lines(teleop("episodes", "list", "--state", "saved", "--json", data=store).stdout)) == 1
    assert (store / "episodes" / f"{uuid}.mcap").exists()
    assert teleop("episodes", "restore", uuid, data=store).returncode == 0
    assert len(lines(teleop("episodes", "list", "--state", "saved", "--json", data=store).stdout)) == 2


def test_a_deleted_catalog_is_rebuilt_from_the_episodes(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "episodes").mkdir(parents=True)
    for path in (store / "episodes").glob("*.mcap"):
        (copy / "episodes" / path.name).write_bytes(path.read_bytes())
    recovered = teleop("recover", data=copy)
    assert "2 episode files without a catalog row were taken in again." in recovered.stdout
    before = {row["uuid"]: row for row in lines(teleop("episodes", "list", "--json", data=store).stdout)}
    after = {row["uuid"]: row for row in lines(teleop("episodes", "list", "--json", data=copy).stdout)}
    assert before.keys() == after.keys()
    for uuid, row in after.items():
        for name in (
            "blake3",
            "task",
            "instruction",
            "operator",
            "duration_ns",
            "frame_count",
            "seed",
            "outcome",
        ):
            assert row[name] == before[uuid][name], name


@pytest.mark.parametrize(
    ("arguments", "station", "code", "says"),
    [
        (["record", "--operator", "ghost"], "", 2, "--operator scripted"),
        (["record"], "[control]\nrate_hz = 3", 2, "control.rate_hz"),
        (["record"], "[control", 2, "not valid TOML"),
        (["record"], '[[cameras]]\nname = "attic"', 6, "attic"),
        (["record", "--station", "nowhere.toml"], "", 2, "does not exist"),
        (["episodes", "show", "12345678"], "", 4, "0 episodes"),
        (["episodes", "list", "--task", "juggle"], "", 4, "There is no task 'juggle'"),
        (["export", "lerobot", "out"], "", 7, "No episode matches"),
        (["station", "status"], "", 6, "No station runs"),
    ],
)
def test_mistakes_are_sentences_with_an_exit_code(
    tmp_path: Path, arguments: list[str], station: str, code: int, says: str
) -> None:
    if station:
        (tmp_path / "station.toml").write_text(station)
    done = teleop(*arguments, data=tmp_path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr and "Traceback" not in done.stderr


def test_a_task_that_does_not_exist_ends_the_recording(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(station_text(small_station()))
    done = teleop("record", "--task", "juggle", data=tmp_path)
    assert done.returncode == 2 and "no task 'juggle'" in done.stderr and "Traceback" not in done.stderr


def test_a_second_station_and_a_writer_on_a_used_store_are_refused(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(station_text(small_station()))
    with StationProcess(DataDir(tmp_path).create()) as first:
        first.wait_ready().close()
        second = teleop("station", "run", data=tmp_path)
        assert second.returncode == 6 and "is in use by station 'Simulated cell'" in second.stderr
        assert teleop("recover", data=tmp_path).returncode == 6
        assert teleop("station", "status", data=tmp_path).returncode == 0
