"""Pre-flight: is everything fit to record? The checks of this machine and of the running station."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PyQt6.QtCore import QObject, Qt, pyqtSignal

from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.core.types import StationStatus
from teleop_app.station.checks import Check, Level, environment_checks, preflight_checks, worst
from ui.viewmodels.background import Background


class PreflightModel(QObject):
    """Runs the machine's checks on a worker thread and follows the station's live.

    Args:
        data: The store.
        config: Returns the station file in force.
        more_checks: Checks of the devices that only the composition root knows; run on the worker too.
        parent: Owner.
    """

    changed = pyqtSignal()
    refused = pyqtSignal(object)
    _found = pyqtSignal(int, object)

    def __init__(
        self,
        data: DataDir,
        config: Callable[[], StationConfig],
        more_checks: Callable[[], Iterable[Check]] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._data = data
        self._config = config
        self._more_checks = more_checks
        self._work = Background("preflight", self)
        self._work.failed.connect(self._on_failed)
        self._round = 0
        self._running = False
        self._machine: list[Check] = []
        self._station: list[Check] = [_NO_STATION]
        self._found.connect(self._take, Qt.ConnectionType.QueuedConnection)  # pyright: ignore[reportCallIssue]

    @property
    def running(self) -> bool:
        """Whether the machine's checks are under way."""
        return self._running

    @property
    def station_checks(self) -> tuple[Check, ...]:
        """The running station's checks, in the order an operator cares."""
        return tuple(self._station)

    @property
    def machine_checks(self) -> tuple[Check, ...]:
        """The machine's checks found so far."""
        return tuple(self._machine)

    @property
    def level(self) -> Level:
        """The worst finding."""
        return worst([*self._station, *self._machine])

    @property
    def verdict(self) -> str:
        """The whole in one sentence."""
        checks = [*self._station, *self._machine]
        failures = sum(1 for check in checks if check.level is Level.FAILURE)
        warnings = sum(1 for check in checks if check.level is Level.WARNING)
        if failures:
            return f"Not ready: {_many(failures, 'problem')}"
        if self._running:
            return "Checking"
        if self._station == [_NO_STATION]:
            return "No station runs"
        return f"Ready, with {_many(warnings, 'warning')}" if warnings else "Ready to record"

    def run(self) -> None:
        """Runs the machine's checks; each shows as it is made."""
        if self._running:
            return
        self._round += 1
        self._running = True
        self._machine = []
        number = self._round

        def work() -> None:
            for check in environment_checks(self._data):
                self._found.emit(number, check)
            for check in self._more_checks() if self._more_checks is not None else ():
                self._found.emit(number, check)

        self._work.run(work, self._finish)
        self.changed.emit()

    def _take(self, number: int, check: Check) -> None:
        if number == self._round:
            self._machine.append(check)
            self.changed.emit()

    def _finish(self, _: object) -> None:
        self._running = False
        self.changed.emit()

    def _on_failed(self, error: object) -> None:
        self._running = False
        self.refused.emit(error)
        self.changed.emit()

    def on_station(self, status: StationStatus) -> None:
        """New word of the station's supervisor."""
        self._set_station(preflight_checks(status, self._config()))

    def on_link(self, linked: bool) -> None:
        """The station was found or lost."""
        if not linked:
            self._set_station([_NO_STATION])

    def _set_station(self, checks: list[Check]) -> None:
        if checks != self._station:
            self._station = checks
            self.changed.emit()

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._work.close()


_NO_STATION = Check("Station", Level.WARNING, "No station runs", "Start it on the Home page")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
