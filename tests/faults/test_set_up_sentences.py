"""The set-up scripts on machines that lack something: a sentence, the next step, and exit code 1."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the set-up scripts' package check is for Linux"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the scripts and locks, without any environment."""
    root = tmp_path / "a checkout"
    root.mkdir()
    shutil.copytree(ROOT / "bootstrap", root / "bootstrap")
    for name in ("run", "test", "pyproject.toml", "requirements.lock", "requirements-test.lock"):
        shutil.copy(ROOT / name, root / name)
    return root


def _start(checkout: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / command[0]), *command[1:]],
        env={**os.environ, "TELEOP_SETUP_APT": "no", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def _program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod((folder / name).stat().st_mode | stat.S_IXUSR)


def test_missing_system_libraries_give_the_exact_line(checkout: Path, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "ldconfig", "echo '\tlibEGL.so.1 (libc6,x86-64) => /lib/libEGL.so.1'")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = _start(checkout, "run", PATH=path, TELEOP_PYTHON=sys.executable)
    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends libglib2.0-0 " in done.stderr
    assert "libxcb-cursor0" in done.stderr
    assert "libegl1" not in done.stderr
    assert done.stdout == ""


def test_python_too_old_says_which_was_found(checkout: Path, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "python-old", 'test "$1" = -c && exit 1; echo Python 3.9.2')
    done = _start(checkout, "run", TELEOP_PYTHON=str(tmp_path / "bin" / "python-old"))
    assert done.returncode == 1
    assert "needs Python 3.11, 3.12, 3.13 or 3.14; found: " in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_unreachable_index_names_the_network(checkout: Path, tmp_path: Path) -> None:
    done = _start(
        checkout,
        "run",
        TELEOP_PYTHON=sys.executable,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_FIND_LINKS="",
        PIP_RETRIES="0",
        PIP_NO_CACHE_DIR="1",
    )
    assert done.returncode == 1
    assert "could not be downloaded. Check the network" in done.stderr


def test_unknown_flavour_lists_the_known_ones(checkout: Path) -> None:
    done = _start(checkout, "bootstrap/setup", "everything")
    assert done.returncode == 1
    assert "unknown flavour 'everything': runtime, test, peers or tools" in done.stderr
