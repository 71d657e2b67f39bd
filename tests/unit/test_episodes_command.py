"""`teleop episodes`: the sync report for people and for scripts."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recorders.synthetic import synthetic_header, write_synthetic
from sessions.repository import open_catalog
from sessions.rows import Author
from teleop_app.cli import app
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
