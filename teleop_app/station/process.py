"""What every station process shares: its context, heartbeat and orderly end."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import logging.handlers
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from teleop_app.core.bus import CommandServer, Endpoints, Publisher
from teleop_app.core.clock import NS_PER_S, Clock, MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.core.types import Event, ProcessState, ProcessStatus

HEARTBEAT_S = 0.2


@dataclass(slots=True)
class ProcessContext:
    """Everything a process needs from its station.

    Attributes:
        name: Process name, also of its endpoints.
        config: The station file.
        data: The store.
        endpoints: Addresses of all processes.
        rings: Folder of the shared-memory rings.
        clock: The station's clock.
        stopping: Set by SIGTERM, SIGINT or `stop`; `run()` loops until then.
    """

    name: str
    config: StationConfig
    data: DataDir
    endpoints: Endpoints
    rings: Path
    clock: Clock = field(default_factory=MonotonicClock)
    stopping: bool = False

    def stop(self) -> None:
        """Ask the process loop to end."""
        self.stopping = True

    def publisher(self) -> Publisher:
        """This process's PUB socket; bind it once."""
        return Publisher(self.endpoints.publish(self.name))

    def commands(self, handlers: dict[str, Callable[..., dict[str, Any] | None]]) -> CommandServer:
        """This process's command socket; bind it once."""
        return CommandServer(self.endpoints.command(self.name), handlers)

    def event(self, kind: str, text: str = "", **fields: object) -> Event:
        """An event of this process, stamped now."""
        return Event(kind=kind, capture_ns=self.clock.now_ns(), origin=self.name, text=text, fields=fields)


class Heartbeat:
    """Publishes a ProcessStatus about every 0.2 s and whenever the state or sentence changes."""

    def __init__(self, context: ProcessContext, publisher: Publisher) -> None:
        self._context = context
        self._publisher = publisher
        self._due_ns = 0
        self._last = (ProcessState.STARTING, "")

    def beat(
        self,
        state: ProcessState = ProcessState.RUNNING,
        text: str = "",
        metrics: Callable[[], dict[str, float]] | None = None,
    ) -> None:
        """Call from the loop as often as you like; `metrics` is asked only when a beat is due."""
        now_ns = self._context.clock.now_ns()
        if now_ns < self._due_ns and (state, text) == self._last:
            return
        self._due_ns = now_ns + round(HEARTBEAT_S * NS_PER_S)
        self._last = (state, text)
        status = ProcessStatus(
            process=self._context.name,
            pid=os.getpid(),
            state=state,
            capture_ns=now_ns,
            text=text,
            metrics=metrics() if metrics else {},
        )
        self._publisher.send("status", status)

    @contextlib.contextmanager
    def kept_up(self, state: ProcessState, text: str = "") -> Iterator[None]:
        """Beat from a thread while the caller's blocks; it must not use the publisher meanwhile."""
        done = threading.Event()

        def beat() -> None:
            while True:
                self.beat(state, text)
                if done.wait(HEARTBEAT_S):
                    return

        thread = threading.Thread(target=beat, name="heartbeat")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def stop_on_signals(context: ProcessContext) -> None:
    """SIGTERM and SIGINT end the loop in order; the death of the parent counts as SIGTERM (Linux)."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        context.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def log_to_file(data: DataDir, process: str) -> None:
    """Send this process's log to `logs/<process>.log`, rotated at 2 MB, warnings also to stderr."""
    data.logs.mkdir(parents=True, exist_ok=True)
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    file = logging.handlers.RotatingFileHandler(data.logs / f"{process}.log", maxBytes=2 << 20, backupCount=3)
    file.setFormatter(formatter)
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter(f"{process}: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers[:] = [file, console]


def ask_for_share(niceness: int) -> None:
    """Ask for a larger share of busy processors, in normal scheduling; without the right, go on."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(niceness)


def leave_last_words(run_dir: Path, process: str, sentence: str) -> None:
    """Keep the sentence a process ends with, for its supervisor to show."""
    with contextlib.suppress(OSError):
        (run_dir / f"{process}.fault").write_text(sentence)


def take_last_words(run_dir: Path, process: str) -> str:
    """The sentence `process` left, empty when it left none; it is removed."""
    file = run_dir / f"{process}.fault"
    try:
        sentence = file.read_text()
        file.unlink()
    except OSError:
        return ""
    return sentence
