"""Runs programs in the environment of the genuine peers, which `./test --peers` makes."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
DEFAULT = HERE.parents[1] / ".venv-peers" / "bin" / "python"

RunPeer = Callable[..., dict[str, Any]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a peers test, marked or not."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)


@pytest.fixture(scope="session")
def peers_python() -> Path:
    """The interpreter of the peers' environment; without one the test fails, it is never skipped."""
    python = Path(os.environ.get("TELEOP_PEERS_PYTHON", DEFAULT))
    if not python.exists():
        pytest.fail(f"There is no peers' environment at {python}: start the tests with ./test --peers")
    return python


@pytest.fixture
def run_peer(peers_python: Path, tmp_path: Path) -> RunPeer:
    """`run_peer(script, *arguments)`: run a Python file there, offline; the JSON it printed last.

    The hub is off, and its cache lies in the folder of the test.
    """
    return _runner(peers_python, tmp_path)


@pytest.fixture(scope="module")
def run_peer_once(peers_python: Path, tmp_path_factory: pytest.TempPathFactory) -> RunPeer:
    """As `run_peer`, for what a module makes once."""
    return _runner(peers_python, tmp_path_factory.mktemp("peer"))


def _runner(peers_python: Path, folder: Path) -> RunPeer:
    def run(script: Path, *arguments: str | Path, timeout_s: float = 170.0) -> dict[str, Any]:
        done = subprocess.run(
            [str(peers_python), str(script), *map(str, arguments)],
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                "HF_HOME": str(folder / "hf"),
                "HF_HUB_OFFLINE": "1",
                "HF_DATASETS_OFFLINE": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{script.name} failed in the peers' environment:\n{done.stderr[-6000:]}"
        return json.loads(done.stdout.splitlines()[-1])

    return run
