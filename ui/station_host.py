"""The station of a window: the one that runs on its store, or one started and stopped with it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import ConfigError, StationError, StorageError, TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

log = logging.getLogger(__name__)
_STOP_PATIENCE_S = 40.0
"""A station closes an open episode before it ends."""


class StationHost(QObject):
    """Starts a station without blocking the window. GUI thread only.

    Args:
        data: The store.
        station_file: The station file to start with.
        config: What it holds.
        parent: Owner.
    """

    failed = pyqtSignal(object)
    """`TeleopError`: the station could not be started."""

    def __init__(
        self, data: DataDir, station_file: Path, config: StationConfig, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._data = data
        self._file = station_file
        self._config = config
        self._client = StationClient(data)
        self._own: StationProcess | None = None
        self._waiter: threading.Thread | None = None
        self._restarting = False

    @property
    def name(self) -> str:
        """Name of the station."""
        return self._config.station.name

    @property
    def running(self) -> bool:
        """Whether a station runs here or is being started."""
        return self._restarting or self._own_alive or self._client.card() is not None

    @property
    def restarting(self) -> bool:
        """Whether the station is being stopped and started anew."""
        return self._restarting

    @property
    def _own_alive(self) -> bool:
        return self._own is not None and self._own.alive

    def start(self, name: str) -> None:
        """Write the name into the station file and start the station; returns at once.

        Raises:
            TeleopError: The station file cannot be written.
        """
        if name != self._config.station.name:
            self._rename(name)
        self.ensure()

    def ensure(self) -> None:
        """Start the station unless one runs already."""
        if self.running:
            return
        self._own = own = StationProcess(self._data, self._file)
        self._waiter = threading.Thread(target=self._wait, args=(own,), name="station-start", daemon=True)
        self._waiter.start()

    def restart(self) -> None:
        """Stop the station, whoever started it, and start it with the file as it is; returns at once."""
        if self._restarting or (self._waiter is not None and self._waiter.is_alive()):
            return
        self._restarting = True
        self._waiter = threading.Thread(target=self._start_anew, name="station-restart", daemon=True)
        self._waiter.start()

    def _start_anew(self) -> None:
        try:
            if self._own is not None and self._own.alive:
                self._own.stop()
            elif self._client.card() is not None:
                self._end_foreign()
            self._own = StationProcess(self._data, self._file)
        except TeleopError as error:
            self._restarting = False
            self.failed.emit(error)
            return
        self._wait(self._own)
        self._restarting = False

    def _end_foreign(self) -> None:
        self._client.call("station", "shutdown")
        deadline_s = time.monotonic() + _STOP_PATIENCE_S
        while self._client.card() is not None:
            if time.monotonic() > deadline_s:
                raise StationError(
                    f"The station has not stopped in {_STOP_PATIENCE_S:g} s",
                    next_step=f"See the logs in {self._data.logs}",
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the station if this window started it; an open episode is closed first."""
        if self._own is not None:
            self._own.stop()
        if self._waiter is not None:
            self._waiter.join(5.0)
        self._client.close()

    def _wait(self, own: StationProcess) -> None:
        try:
            own.wait_ready().close()
        except TeleopError as error:
            log.error("%s", error.sentence)
            self.failed.emit(error)  # a queued connection: the receiver lives on the GUI thread

    def _rename(self, name: str) -> None:
        try:
            previous = self._file.read_text(encoding="utf-8")
            self._config = load_station(self._file)
            self._config.station.name = name
            self._file.write_text(station_text(self._config, previous), encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"The station file {self._file} cannot be written", why=str(error)) from error
        except ValueError as error:
            raise ConfigError(f"{name!r} cannot be a station's name", why=str(error)) from error
