"""Parts of a benchmark, each in a process of its own: bounded in time, and kept so that none is run twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tree import PeakMemory, family
from teleop_app.core.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
PEERS_VARIABLE = "TELEOP_PEERS_PYTHON"
_LAST_WORDS = 160


@dataclass(frozen=True, slots=True)
class SubRun:
    """What came out of a part.

    Attributes:
        result: What it printed; None when it failed.
        reason: Why it failed, else empty.
        peak_mb: Largest PSS of the process with all that it started.
        wall_s: How long it took.
    """

    result: dict[str, Any] | None
    reason: str = ""
    peak_mb: float = 0.0
    wall_s: float = 0.0


def peers_python() -> Path:
    """The interpreter of the peers' environment.

    Raises:
        ConfigError: There is none.
    """
    python = Path(os.environ.get(PEERS_VARIABLE) or ROOT / ".venv-peers" / "bin" / "python")
    if not python.exists():
        raise ConfigError(
            f"There is no peers' environment at {python}", next_step="Make it with: bootstrap/setup peers"
        )
    return python


def part(
    module: str,
    settings: dict[str, Any],
    timeout_s: float,
    *,
    peers: bool = False,
    niceness: int = 0,
    extra: Mapping[str, str] | None = None,
) -> SubRun:
    """Run `python -m module JSON` and read the JSON that it prints last.

    Args:
        module: With a `main` that does so.
        settings: Its only argument.
        timeout_s: After that it is killed with all that it started.
        peers: Run it in the peers' environment.
        niceness: Asked for; without the right to it the part runs at 0.
        extra: Environment variables.
    """
    argv = [str(peers_python()) if peers else sys.executable, "-m", module, json.dumps(settings)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=_environment() | dict(extra or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        renice(process.pid, niceness)
        try:
            with PeakMemory(lambda: family(process.pid)) as memory:
                process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return SubRun(None, f"it was not done after {timeout_s:.0f} s", memory.peak_mb, timeout_s)
        finally:
            _kill_all(process)
        wall_s = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return _read(process.returncode, out.read(), err.read(), memory.peak_mb, wall_s)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def renice(pid: int, niceness: int) -> None:
    """Ask for a niceness for a process of ours; without the right to it nothing happens."""
    if niceness:
        try:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
        except OSError:
            return


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """End what the part left behind: it leads a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _read(code: int, out: str, err: str, peak_mb: float, wall_s: float) -> SubRun:
    lines = [line for line in out.splitlines() if line.strip()]
    if code == 0 and lines:
        try:
            return SubRun(json.loads(lines[-1]), "", peak_mb, wall_s)
        except ValueError:
            return SubRun(None, "what it printed is not JSON", peak_mb, wall_s)
    said = [line.strip() for line in err.splitlines() if line.strip()]
    reason = f"it ended with code {code}" if code >= 0 else f"it was ended by signal {-code}"
    return SubRun(None, f"{reason}: {said[-1][:_LAST_WORDS]}" if said else reason, peak_mb, wall_s)


class Kept:
    """Results of parts in a file, one JSON object a line; a benchmark that is started again skips them.

    Args:
        path: The file, made when it is not there; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[str, SubRun] = {}
        self.taken_over = 0
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # one may be half written
                    row = json.loads(line)
                    key = row.pop("key")
                    self._found[key] = SubRun(**row)

    def get(self, name: str, settings: dict[str, Any]) -> SubRun | None:
        """The result of a part that was done before with the same settings."""
        found = self._found.get(_key(name, settings))
        self.taken_over += found is not None
        return found

    def put(self, name: str, settings: dict[str, Any], run: SubRun) -> SubRun:
        """Keep a result; a failed part is tried again the next time."""
        if self._path is not None and run.result is not None:
            row = {"key": _key(name, settings), "result": run.result, "reason": run.reason}
            row |= {"peak_mb": run.peak_mb, "wall_s": run.wall_s}
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(row))
        return run


def _key(name: str, settings: dict[str, Any]) -> str:
    text = json.dumps(settings, sort_keys=True)
    return f"{name} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Budget:
    """Time for a benchmark: a part that is not expected to fit into the rest is left out, and said so.

    Args:
        minutes: In all.
    """

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self._end_s = time.monotonic() + 60.0 * minutes

    def allows(self, expected_s: float) -> bool:
        """Whether a part of that length still fits."""
        return time.monotonic() + expected_s <= self._end_s

    @property
    def reason(self) -> str:
        """Why a part was left out."""
        return f"left out: {self.minutes:g} minutes were given to this benchmark"
