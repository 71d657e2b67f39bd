"""Memory of a process with all that it started, looked at now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import psutil

_EVERY_S = 1.0


def pss_mb(pid: int) -> float:
    """Proportional set size of a process: shared pages count by share. 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    sizes = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return sum(sizes) * 1024 / 1e6


def family(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


class PeakMemory:
    """Largest sum over some processes while the block runs.

    Args:
        processes: Tells which, each time.
    """

    def __init__(self, processes: Callable[[], list[int]]) -> None:
        self._processes = processes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self.peak_mb = 0.0

    def _run(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, sum(pss_mb(pid) for pid in self._processes()))
            if self._done.wait(_EVERY_S):
                return

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
