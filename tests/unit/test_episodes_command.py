"""`teleop episodes`: the sync report for people and for scripts."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from recorders.synthetic import synthetic_header, write_synthetic
from recorders.synthetic_autonomy import FIRST_TAKEOVER, POLICY, VERSION, write_rollout
from sessions.repository import open_catalog
from sessions.rows import Author
from sessions.states import Outcome
from teleop_app.cli import app
from teleop_app.commands.policy_report import report
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import recover_store


@pytest.fixture
def episode(data_dir: Path) -> Path:
    """A store with one episode."""
    data = DataDir(data_dir).create()
    header = synthetic_header(("overhead", "left_wrist"), width=64, height=48)
    path = write_synthetic(data.episodes, 1.0, header).path
    with open_catalog(data.root, Author.process("test")) as catalog:
        recover_store(data, catalog)
    return path


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output


def test_show_prints_how_far_apart_the_streams_are(episode: Path):
    lines = _run("episodes", "show", episode.stem).splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("Distance of nearest"))
    names = lines[head + 1].split()
    assert names[:3] == ["overhead", "left_wrist", "measured"]
    assert [line.split()[0] for line in lines[head + 2 : head + 2 + len(names)]] == names
    shown = json.loads(_run("episodes", "show", episode.stem, "--json"))
    pair = next(
        each for each in shown["sync"] if each["slower"] == "overhead" and each["faster"] == "measured"
    )
    assert 0.0 <= pair["p50_ms"] <= pair["p95_ms"] <= pair["p99_ms"] <= pair["max_ms"] < 5.0


def test_list_has_the_sync_error_of_each_episode(episode: Path):
    listed = json.loads(_run("episodes", "list", "--json"))
    assert f"{listed['sync_p95_s'] * 1e3:.2f} ms" in _run("episodes", "list").splitlines()[0]


def test_a_file_that_is_gone_is_a_sentence(episode: Path):
    episode.unlink()
    assert f"{episode.name} cannot be opened" in _run("episodes", "show", episode.stem)


@pytest.fixture
def rollouts(data_dir: Path) -> list[str]:
    """A store with two episodes of a policy and one without."""
    data = DataDir(data_dir).create()
    heads = [synthetic_header(("overhead",), width=64, height=48) for _ in range(3)]
    write_rollout(data.episodes, header=heads[0])
    write_rollout(data.episodes, header=heads[1], outcome="failure")
    write_synthetic(data.episodes, 0.3, heads[2])
    with open_catalog(data.root, Author.process("test")) as catalog:
        recover_store(data, catalog)
        catalog.set_takeover(heads[0].uuid, FIRST_TAKEOVER, Author.person("Ann"), reason="stuck")
    return [head.uuid for head in heads]


def test_policy_and_takeovers_are_listed_and_shown(rollouts: list[str]):
    lines = {line.split()[0]: line for line in _run("episodes", "list").splitlines()}
    assert f"{POLICY} {VERSION}, 1 takeover" in lines[rollouts[0]]
    assert "takeover" not in lines[rollouts[2]]
    shown = _run("episodes", "show", rollouts[0])
    assert f"Policy {POLICY}, version {VERSION}" in shown
    assert f"{FIRST_TAKEOVER}: leader, recover, 0.6 s, stuck, resumed" in shown
    told = json.loads(_run("episodes", "show", rollouts[0], "--json"))["rollout"]
    assert (told["policy"], told["version"], told["chunks"]) == (POLICY, VERSION, 10)
    assert told["takeovers"][0]["reason"] == "stuck"
    listed = [json.loads(line) for line in _run("episodes", "list", "--json").splitlines()]
    assert {row["uuid"]: row["rollout"] and row["rollout"]["policy"] for row in listed} == {
        rollouts[0]: POLICY,
        rollouts[1]: POLICY,
        rollouts[2]: None,
    }


def test_the_report_of_a_policy(rollouts: list[str], data_dir: Path):
    alone = typer.Typer()
    alone.command()(report)

    def run(*words: str) -> str:
        done = CliRunner().invoke(alone, ["--data-dir", str(data_dir), *words])
        assert done.exit_code == 0, done.output
        return done.output

    text = run()
    assert f"{POLICY} {VERSION}: 2 episodes" in text
    assert "success        1 of 2 (50%, 9% to 91%)" in text
    assert "unaided        0 of 2" in text
    assert "1.00 an episode" in text and "stuck 1, no reason 1" in text
    (version,) = json.loads(run("--json"))["versions"]
    assert (version["episodes"], version["interventions"], version["success_rate"]) == (2, 2, 0.5)
    assert "No episode" in run("--policy", "another")
    assert "No episode" in run("--until", "2001-01-01")
    assert json.loads(run("--json", "--since", "2001-01-01", "--task", "wave"))["versions"] != []


def test_an_export_says_what_people_said_last(rollouts: list[str], data_dir: Path, tmp_path: Path):
    with open_catalog(data_dir, Author.process("test")) as catalog:
        catalog.set_outcome(rollouts[0], Outcome.FAILURE, Author.person("Ann"))
    words = ("--preset", "recap", "--extra", "autonomy", "--episode", rollouts[0])
    _run("export", "lerobot", str(tmp_path / "out"), *words)
    rows = pq.read_table(tmp_path / "out" / "data").to_pydict()
    assert set(rows["outcome"]) == {"failure"}  # the file says success
    assert set(rows["autonomy.takeover_reason"]) == {"", "stuck"}
    assert set(rows["intervention_forced_positive"]) == {True, False}
