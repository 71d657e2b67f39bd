"""The station supervisor: starts the processes of a cell, watches them, restarts what dies.

It imports no device and no window. Each child is a fresh interpreter (spawn, never fork).
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import filelock
import zmq

from teleop_app.core.bus import Subscriber
from teleop_app.core.errors import ConfigError, StationError, StorageError
from teleop_app.core.paths import DataDir, make_private
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from teleop_app.station.client import StationCard
from teleop_app.station.process import ProcessContext, take_last_words

logger = logging.getLogger(__name__)

SILENT_AFTER_S = 2.0
"""A process that sends no heartbeat for this long is shown as a fault."""
KILL_SILENT_AFTER_S = 15.0
"""And one that stays silent this long is killed and started anew."""
START_PATIENCE_S = 90.0
"""How long a process may take to its first heartbeat (imports on a busy machine, recovery of a store)."""
MAX_RESTARTS = 5
"""Within `RESTART_WINDOW_S`; then it stays down until somebody presses Restart."""
RESTART_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process to run.

    Attributes:
        name: Process name.
        argv: Command line.
        environment: Variables on top of the supervisor's own.
        essential: The station is ready only when it runs.
        consequence: What its death means, for the sentence shown to the operator.
    """

    name: str
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    essential: bool = True
    consequence: str = ""


@dataclass(slots=True)
class _Child:
    plan: ProcessPlan
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    heard_s: float = 0.0
    status: ProcessStatus | None = None
    deaths_s: list[float] = field(default_factory=list)
    restart_at_s: float | None = None
    text: str = ""
    suspended: bool = False


class StationLock:
    """One station per data directory: held by the supervisor for its whole life."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._lock = filelock.FileLock(data.lock_file, blocking=False)

    def __enter__(self) -> StationLock:
        """Take the lock.

        Raises:
            StationError: Another station holds it.
            StorageError: The lock file cannot be made.
        """
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            card = StationCard.read(self._data.run_dir())
            who = f"station {card.name!r} (process {card.pid})" if card else "another station"
            raise StationError(
                f"The data directory {self._data.root} is in use by {who}",
                next_step="Stop that one, attach to it with `teleop`, or choose another --data-dir",
            ) from error
        except OSError as error:
            raise StorageError(f"The lock {self._data.lock_file} cannot be made", why=str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock."""
        self._lock.release()


class Supervisor:
    """Runs the processes of one station until told to stop.

    Args:
        context: Context of the process named `station`.
        plans: Processes, in start order; they are stopped in the reverse one.
        station_file: Shown in the station's card.
    """

    def __init__(self, context: ProcessContext, plans: Sequence[ProcessPlan], station_file: str) -> None:
        self._context = context
        self._children = {plan.name: _Child(plan) for plan in plans}
        self._station_file = station_file
        self._card: StationCard | None = None
        self._status_due_s = 0.0
        self._shown: tuple[object, ...] = ()

    def run(self) -> None:
        """Start everything, watch it, and stop it in order at the end. Blocks.

        Raises:
            StationError: Another station uses the data directory.
        """
        context = self._context
        run_dir = make_private(context.endpoints.run_dir)
        with StationLock(context.data), contextlib.ExitStack() as stack:
            publisher = context.publisher()
            stack.callback(publisher.close)
            commands = context.commands(
                {
                    "status": self._command_status,
                    "restart": self._command_restart,
                    "suspend": self._command_suspend,
                    "shutdown": self._command_shutdown,
                }
            )
            stack.callback(commands.close)
            heartbeats = Subscriber([context.endpoints.publish(n) for n in self._children], ["status"])
            stack.callback(heartbeats.close)
            self._publisher = publisher
            stack.callback(shutil.rmtree, context.rings, ignore_errors=True)
            stack.callback(self._stop_all)
            stack.callback((run_dir / "station.json").unlink, missing_ok=True)
            for child in self._children.values():
                self._start(child)
            poller = zmq.Poller()
            poller.register(commands.socket, zmq.POLLIN)
            poller.register(heartbeats.socket, zmq.POLLIN)
            while not context.stopping:
                poller.poll(100)
                commands.serve()
                for _, status in heartbeats.drain():
                    if isinstance(status, ProcessStatus) and status.process in self._children:
                        self._hear(self._children[status.process], status)
                self._watch()
                self._publish()

    def _command_status(self) -> dict[str, Any]:
        status = self._status()
        return {
            "name": status.name,
            "faults": list(status.faults),
            "disk_free_bytes": status.disk_free_bytes,
            "processes": [
                {
                    "process": p.process,
                    "pid": p.pid,
                    "state": p.state,
                    "text": p.text,
                    "metrics": p.metrics,
                    "essential": self._children[p.process].plan.essential,
                }
                for p in status.processes
            ],
        }

    def _command_restart(self, process: str) -> None:
        child = self._named(process)
        child.deaths_s.clear()
        self._terminate(child)
        self._start(child)

    def _command_suspend(self, process: str) -> None:
        """Stop a process until it is restarted: its device is free meanwhile, e.g. for a calibration."""
        child = self._named(process)
        self._terminate(child)
        child.suspended, child.restart_at_s = True, None
        child.text = f"The {process} process was stopped, so that its device can be calibrated."

    def _named(self, process: str) -> _Child:
        child = self._children.get(process)
        if child is None:
            raise StationError(
                f"This station has no process {process!r}", next_step=f"It has: {', '.join(self._children)}"
            )
        return child

    def _command_shutdown(self) -> None:
        self._context.stop()

    def _start(self, child: _Child) -> None:
        now_s = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603 - the plan comes from our own composition root
            child.plan.argv,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **child.plan.environment},
            start_new_session=True,  # a Ctrl-C in the terminal reaches the supervisor alone
        )
        child.started_s = child.heard_s = now_s
        child.status, child.restart_at_s, child.text, child.suspended = None, None, "", False
        logger.info("started %s (process %d)", child.plan.name, child.process.pid)

    def _hear(self, child: _Child, status: ProcessStatus) -> None:
        if child.process is not None and status.pid == child.process.pid:
            child.heard_s = time.monotonic()
            child.status = status

    def _watch(self) -> None:
        now_s = time.monotonic()
        for child in self._children.values():
            if child.restart_at_s is not None and now_s >= child.restart_at_s:
                self._start(child)
                self._announce(
                    "process.restarted", f"The {child.plan.name} process was started again.", child
                )
                continue
            if child.process is None:
                continue
            code = child.process.poll()
            if code is not None:
                self._on_death(child, code, now_s)
            elif now_s - child.heard_s > (KILL_SILENT_AFTER_S if child.status else START_PATIENCE_S):
                logger.error("%s is silent, killing it", child.plan.name)
                child.process.kill()

    def _on_death(self, child: _Child, code: int, now_s: float) -> None:
        child.process = None
        child.deaths_s = [t for t in child.deaths_s if now_s - t < RESTART_WINDOW_S] + [now_s]
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        log = self._context.data.logs / f"{child.plan.name}.log"
        head = f"The {child.plan.name} process {how}"
        effect = f" {child.plan.consequence}" if child.plan.consequence else ""
        said = take_last_words(self._context.endpoints.run_dir, child.plan.name)
        if code == ConfigError.exit_code:  # starting it again would fail in the same way
            child.text = said or f"{head}. See {log}."
        elif len(child.deaths_s) > MAX_RESTARTS:
            told = said or f"{head}, for the {len(child.deaths_s)}th time."
            child.text = f"{told}{effect} See {log}, then press Restart."
        else:
            child.restart_at_s = now_s + min(0.2 * 2 ** (len(child.deaths_s) - 1), 5.0)
            child.text = f"{said or head + '.'}{effect} It is being started again; details in {log}."
        logger.error("%s", child.text)
        self._announce("process.died", child.text, child)

    def _announce(self, kind: str, text: str, child: _Child) -> None:
        self._publisher.send("event", self._context.event(kind, text, process=child.plan.name))

    def _process_status(self, child: _Child, now_s: float) -> ProcessStatus:
        now_ns = self._context.clock.now_ns()
        if child.process is None:
            state = ProcessState.STOPPED if child.suspended else ProcessState.FAULT
            return ProcessStatus(child.plan.name, 0, state, now_ns, child.text)
        status = child.status
        silent_s = now_s - child.heard_s
        if status is None:
            late = silent_s > KILL_SILENT_AFTER_S
            text = f"The {child.plan.name} process is slow to start." if late else ""
            return ProcessStatus(child.plan.name, child.process.pid, ProcessState.STARTING, now_ns, text)
        if silent_s > SILENT_AFTER_S:
            text = f"The {child.plan.name} process has not answered for {silent_s:.0f} s."
            text = f"{text} {child.plan.consequence}".strip()
            return ProcessStatus(child.plan.name, status.pid, ProcessState.FAULT, now_ns, text)
        return status

    def _status(self) -> StationStatus:
        now_s = time.monotonic()
        processes = tuple(self._process_status(child, now_s) for child in self._children.values())
        return StationStatus(
            name=self._context.config.station.name,
            capture_ns=self._context.clock.now_ns(),
            processes=processes,
            disk_free_bytes=shutil.disk_usage(self._context.data.root).free,
            faults=tuple(p.text for p in processes if p.state is ProcessState.FAULT and p.text),
        )

    def _publish(self) -> None:
        now_s = time.monotonic()
        status = self._status()
        shown = (status.faults, tuple(p.state for p in status.processes))
        if now_s < self._status_due_s and shown == self._shown:
            return
        self._status_due_s, self._shown = now_s + 0.5, shown
        self._publisher.send("station", status)
        running = {p.process for p in status.processes if p.state is ProcessState.RUNNING}
        ready = all(c.plan.name in running for c in self._children.values() if c.plan.essential)
        card = StationCard(
            os.getpid(),
            status.name,
            str(self._context.data.root),
            self._station_file,
            ready=ready,
            processes=tuple(self._children),
        )
        if card != self._card:
            self._card = card
            card.write(self._context.endpoints.run_dir)

    def _stop_all(self) -> None:
        for child in reversed(self._children.values()):
            self._terminate(child)

    def _terminate(self, child: _Child, patience_s: float = 10.0) -> None:
        """Ask a child to end; the recorder may need seconds to close an episode on a slow disk."""
        process, child.process = child.process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            logger.error("%s did not stop in %g s, killing it", child.plan.name, patience_s)
            process.kill()
            process.wait()
