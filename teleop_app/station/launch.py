"""Start a station as its own process, wait until it is ready, and stop it again."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sessions.repository import open_catalog
from sessions.rows import Author
from teleop_app.core.errors import StationError, TeleopError, error_of_exit_code
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ProcessState
from teleop_app.station.client import StationCard, StationClient
from teleop_app.station.process import take_last_words

logger = logging.getLogger(__name__)

START_TIMEOUT_S = 120.0
"""A start takes about 5 s; this is for a machine that is busy with other things."""


class StationProcess:
    """A station started by this program. `stop` ends it in order; use as a context manager."""

    def __init__(self, data: DataDir, station_file: Path | None = None) -> None:
        self._data = data
        argv = [sys.executable, "-m", "teleop_app.app", "station", "--data-dir", str(data.root)]
        if station_file is not None:
            argv += ["--station", str(station_file)]
        # A window turns MuJoCo's own drawing off for itself; the camera process needs it.
        environment = {k: v for k, v in os.environ.items() if (k, v) != ("MUJOCO_GL", "disable")}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            argv, stdin=subprocess.DEVNULL, start_new_session=True, env=environment
        )

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code of the supervisor, None while it runs."""
        return self._process.poll()

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> StationClient:
        """Block until every essential process runs; a client of the station.

        Raises:
            TeleopError: It ended, with its own kind of error.
            StationError: It has a process that cannot start, or is not ready in time.
        """
        client = StationClient(self._data)
        try:
            self._wait_until_ready(client, timeout_s)
        except TeleopError:
            client.close()
            raise
        return client

    def _wait_until_ready(self, client: StationClient, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        fault_since: float | None = None
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                said = take_last_words(self._data.run_dir(), "station")
                raise error_of_exit_code(self._process.returncode)(
                    said or f"The station ended with code {self._process.returncode} while it started",
                    next_step="" if said else f"See {self._data.logs / 'station.log'}",
                )
            card = client.card()
            if card is not None and card.pid == self._process.pid:
                if card.ready:
                    return
                fault = _standing_fault(client)
                fault_since = (fault_since or time.monotonic()) if fault else None
                if fault and fault_since is not None and time.monotonic() - fault_since > 3.0:
                    raise StationError(fault)
            time.sleep(0.1)
        raise StationError(
            f"The station is not ready after {timeout_s:g} s", next_step=f"See the logs in {self._data.logs}"
        )

    def stop(self) -> None:
        """End the station: an open episode is closed first. May be called twice."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30.0)
            except subprocess.TimeoutExpired:
                logger.error("the station did not stop in 30 s, killing it")
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> StationProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def running_station(data: DataDir, station_file: Path | None = None) -> Iterator[StationClient]:
    """A client of the station on `data`: the one that runs there, else one started for the block.

    Raises:
        CatalogError: The store's catalog cannot be used: a station would only fail to start its recorder.
        StationError: None can be started.
    """
    if StationCard.read(data.run_dir()) is not None:
        client = StationClient.attach(data, START_TIMEOUT_S)
        try:
            yield client
        finally:
            client.close()
        return
    open_catalog(data.root, Author.process("start")).close()
    with StationProcess(data, station_file) as station:
        client = station.wait_ready()
        try:
            yield client
        finally:
            client.close()


def _standing_fault(client: StationClient) -> str:
    """The sentence of a process that has given up and that a station needs, empty while there is hope."""
    try:
        status = client.call("station", "status", timeout_s=1.0)
    except TeleopError:
        return ""
    gone = [
        p["text"]
        for p in status["processes"]
        if p["state"] == ProcessState.FAULT and p["text"] and p["essential"]
    ]
    return str(gone[0]) if gone else ""
