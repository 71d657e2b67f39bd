"""The station file as it is edited: draft, problems, saving, and what has to be restarted."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError
from PyQt6.QtCore import QObject, pyqtSignal

from devices.registry import driver_names
from teleop_app.core.config import (
    RESERVED_SOURCES,
    LatencySection,
    MappingSection,
    StationConfig,
    field_problems,
    latencies_text,
    station_text,
)
from teleop_app.core.errors import ConfigError, StorageError, TeleopError
from teleop_app.station.roster import is_simulated
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup_fields import DRIVER_FIELDS, is_list, item_defaults
from ui.viewmodels.setup_file import parsed, write_whole
from ui.viewmodels.setup_restart import STATION, to_restart

log = logging.getLogger(__name__)

_PART = re.compile(r"([a-z_0-9]+)|\[(\d+)\]")


class StationCommands(Protocol):
    """What the page needs of a running station: the bridge has it."""

    def call(
        self,
        process: str,
        command: str,
        /,
        done: Callable[[dict[str, Any]], object] | None = None,
        failed: Callable[[TeleopError], object] | None = None,
        **args: Any,
    ) -> None:
        """Runs a command without blocking."""
        ...


class SetupModel(QObject):
    """Edits one station file. GUI thread only; the file is small, so reading and writing do not wait.

    Args:
        path: The station file; need not exist.
        port: A running station's commands, None without one.
        parent: Owner.
        drivers: Installed drivers, by which settings of devices are checked; None checks none.
    """

    changed = pyqtSignal()
    """A value, a problem, or what is saved changed."""
    reloaded = pyqtSignal()
    """The file was read or the draft thrown away: every editor must take its value anew."""
    told = pyqtSignal(str)
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    tuned = pyqtSignal(object)
    """`MappingSection` that the running station was given."""
    stationWanted = pyqtSignal()
    """The station as a whole is to be started anew."""

    def __init__(
        self,
        path: Path,
        port: StationCommands | None = None,
        parent: QObject | None = None,
        drivers: DriverCatalog | None = None,
    ) -> None:
        super().__init__(parent)
        self.path = path
        self.drivers = drivers
        self._port = port
        self._linked = False
        self._running: tuple[str, ...] = ()
        self._disk_text = ""
        self._saved = StationConfig()
        self._draft: dict[str, Any] = {}
        self._config: StationConfig | None = None
        self.problems: dict[str, str] = {}
        self.file_problem: TeleopError | None = None
        self._to_restart: dict[str, None] = {}
        self._restarting: set[str] = set()
        if drivers is not None:
            drivers.changed.connect(self._on_drivers)
        self.load()

    # What stands in the file

    @property
    def broken(self) -> bool:
        """The file on disk cannot be read as a station; only its text can be edited."""
        return self.file_problem is not None

    @property
    def dirty(self) -> bool:
        """Whether the draft differs from the file."""
        return not self.broken and self._draft != self._saved.model_dump(mode="json")

    @property
    def config(self) -> StationConfig | None:
        """The draft as a station, None while it has problems."""
        return self._config

    @property
    def saved(self) -> StationConfig:
        """The station as it stands in the file; the defaults while that is broken."""
        return self._saved

    @property
    def text(self) -> str:
        """The file's text as saving would leave it; as it is on disk while there are problems."""
        if self.broken or self._config is None:
            return self._disk_text
        return station_text(self._config, self._disk_text) if self.dirty else self._disk_text

    def load(self) -> None:
        """Reads the file; a missing one counts as the defaults."""
        self.file_problem = None
        try:
            self._disk_text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            self._disk_text = ""
            self.file_problem = ConfigError(f"The station file {self.path} cannot be read", why=str(error))
        if not self.broken:
            config, problems, reason = parsed(self._disk_text, self.path.name)
            if config is not None:
                self._saved = config
            else:
                self.problems, self.file_problem = problems, reason
        if not self.broken:
            self._set_draft(self._saved.model_dump(mode="json"))
        else:
            self._config = None
        self.reloaded.emit()
        self.changed.emit()

    def check_disk(self) -> None:
        """Takes over what another program wrote into the file, unless there are unsaved changes."""
        try:
            now = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        except (OSError, UnicodeDecodeError):
            now = None
        if now == self._disk_text:
            return
        if self.dirty:
            self.told.emit(
                "The station file was changed by another program. Save to replace that, or revert to take it."
            )
        else:
            self.load()

    # Editing

    def value(self, place: str) -> Any:
        """Returns a value of the draft by its dotted place."""
        found: Any = self._draft
        for part in parts_of(place):
            found = found[part]
        return found

    def set_value(self, place: str, value: Any) -> None:
        """Changes a value of the draft; `problems` says what is wrong with it."""
        parts = parts_of(place)
        holder: Any = self._draft
        for part in parts[:-1]:
            holder = holder[part]
        if holder[parts[-1]] != value or type(holder[parts[-1]]) is not type(value):
            holder[parts[-1]] = value
            self._validate()
            self.changed.emit()

    def problem_at(self, place: str) -> str:
        """Returns the sentence on a field, or on a part of it such as one number of a vector."""
        for where, sentence in self.problems.items():
            if where == place or where.startswith((f"{place}.", f"{place}[")):
                return sentence[:1].upper() + sentence[1:] + "."
        return ""

    def section_problem(self, place: str) -> str:
        """Returns the sentence on a section or item as a whole, such as two limits that contradict."""
        sentence = self.problems.get(place, "")
        return sentence[:1].upper() + sentence[1:] + "." if sentence else ""

    def problems_in(self, section: str) -> int:
        """Returns how many problems a section has."""
        return sum(1 for where in self.problems if re.split(r"[.\[]", where)[0] == section)

    def count(self, section: str) -> int:
        """Returns the number of items of a list section."""
        return len(self.value(section))

    def add_item(self, section: str, given: Mapping[str, Any] | None = None) -> str:
        """Adds an item to a list section and returns the name it got.

        Args:
            section: e.g. `arms` or `inputs.devices`.
            given: What is known of it; its name is made one that nobody else has.
        """
        known = dict(given or {})
        if "driver" not in known and section in DRIVER_FIELDS and section not in ("arms", "cameras"):
            known["driver"] = (driver_names(DRIVER_FIELDS[section][1]) or ("none",))[0]
        if section == "hands" and "arm" not in known:
            known["arm"] = self.value("arms[0].name")
        stem = str(known.get("name") or stem_of(section))
        known["name"] = self._free_name(section, stem, numbered="name" not in known)
        self._put(section, [*self.value(section), item_defaults(section, known)])
        return known["name"]

    def _free_name(self, section: str, stem: str, numbered: bool) -> str:
        taken = {item.get("name") for item in self.value(section)}
        taken |= set(RESERVED_SOURCES) if section == "inputs.devices" else set()
        if not numbered and stem not in taken:
            return stem
        return next(f"{stem}_{n}" for n in range(1, 100) if f"{stem}_{n}" not in taken)

    def remove_item(self, section: str, index: int) -> None:
        """Removes an item of a list section from the draft."""
        if is_list(section) and 0 <= index < self.count(section):
            items = list(self.value(section))
            del items[index]
            self._put(section, items)

    def undo_to(self, section: str, items: list[dict[str, Any]]) -> None:
        """Takes a list section of the draft back to what it was."""
        self._put(section, copy.deepcopy(items))

    def _put(self, section: str, value: Any) -> None:
        parts = parts_of(section)
        holder: Any = self._draft
        for part in parts[:-1]:
            holder = holder[part]
        holder[parts[-1]] = value
        self._validate()
        self.reloaded.emit()
        self.changed.emit()

    def set_option(self, place: str, name: str, value: Any, default: Any) -> None:
        """Changes one setting of a driver; what equals its default is not written into the file."""
        options = dict(self.value(place))
        if value == default or value is None:
            options.pop(name, None)
        else:
            options[name] = value
        self.set_value(place, options)

    def revert(self) -> None:
        """Throws the draft away and reads the file again."""
        self.load()

    def _set_draft(self, draft: dict[str, Any]) -> None:
        self._draft = copy.deepcopy(draft)
        self._validate()

    def _validate(self) -> None:
        try:
            self._config = StationConfig.model_validate(self._draft)
            self.problems = self._problems_between(self._config)
            if self.problems:
                self._config = None
        except ValidationError as error:
            self._config = None
            self.problems = field_problems(error)

    def _problems_between(self, config: StationConfig) -> dict[str, str]:
        """What is wrong with a file whose fields are right one by one."""
        problems = self.drivers.problems(self._draft) if self.drivers is not None else {}
        try:
            is_simulated(config)
        except ConfigError as error:
            problems["arms"] = error.sentence.rstrip(".")
        return problems

    def _on_drivers(self) -> None:
        if not self.broken:
            self._validate()
            self.reloaded.emit()
            self.changed.emit()

    # Saving

    def save(self) -> bool:
        """Writes the draft, keeping the file's comments; returns whether it is on disk."""
        if self._config is None or not self.dirty:
            return False
        return self._write(station_text(self._config, self._disk_text), self._config)

    def save_text(self, text: str) -> bool:
        """Writes a text as it is, if it is a station; returns whether it is on disk."""
        config, _, problem = parsed(text, self.path.name)
        if config is None:
            if problem is not None:
                self.refused.emit(problem)
            return False
        return self._write(text, config)

    def save_latencies(self, latencies: Sequence[LatencySection]) -> bool:
        """Writes other calibrations into the file, unless it has unsaved edits; returns whether it did."""
        if self.broken or self.dirty:
            self.refused.emit(
                ConfigError(
                    "The latency was not written into the station file",
                    why="the file has unsaved changes" if self.dirty else "the file cannot be read",
                    next_step="Save or revert them on the other sections, then apply it again",
                )
            )
            return False
        config = self._saved.model_copy(update={"latencies": list(latencies)})
        return self._write(latencies_text(list(latencies), self._disk_text), config)

    def _write(self, text: str, config: StationConfig) -> bool:
        try:
            write_whole(self.path, text)
        except StorageError as error:
            self.refused.emit(error)
            return False
        before = self._saved if not self.broken else None
        self.load()
        self._note_changes(before, config)
        self.told.emit("Saved the station file")
        return True

    def _note_changes(self, before: StationConfig | None, after: StationConfig) -> None:
        if before is None or before.mapping != after.mapping:
            self.tune(after.mapping)
        if self._linked:
            self._to_restart.update(dict.fromkeys(to_restart(before, after)))
        self.changed.emit()

    def tune(self, mapping: MappingSection) -> None:
        """Gives a mapping to the running station, saved or not."""
        if self._port is not None and self._linked:
            self.tuned.emit(mapping)
            self._port.call(
                "control",
                "set_mapping",
                failed=self.refused.emit,
                **mapping.model_dump(),
            )

    # Restarting

    @property
    def linked(self) -> bool:
        """Whether a station runs."""
        return self._linked

    def set_linked(self, linked: bool) -> None:
        """Tells whether a station runs; one that starts reads the file anew."""
        if linked != self._linked:
            self._linked = linked
            if not linked:
                self._to_restart.clear()
                self._restarting.clear()
            self.changed.emit()

    def set_running(self, processes: Sequence[str]) -> None:
        """Tells which processes the station has."""
        self._running = tuple(processes)

    def need_restart(self, *processes: str) -> None:
        """Tells that processes run with something older than what is stored."""
        if self._linked:
            self._to_restart.update(dict.fromkeys(processes))
            self.changed.emit()

    @property
    def to_restart(self) -> tuple[str, ...]:
        """Processes that still run with the values before."""
        if STATION in self._to_restart:
            return (STATION,)
        names = tuple(self._to_restart)
        if self._running and any(name not in (*self._running, STATION, "gamepad") for name in names):
            return (STATION,)
        return tuple(name for name in names if not self._running or name in self._running)

    @property
    def restarting(self) -> bool:
        """Whether a restart is under way."""
        return bool(self._restarting)

    def restart(self) -> None:
        """Restarts the processes that still run with the values before, in the order of the station."""
        port = self._port
        if port is None or not self.to_restart or self.restarting:
            return
        names = self.to_restart
        if names == (STATION,):
            self.stationWanted.emit()
            return
        self._restarting = set(names)
        for name in names:
            port.call(
                "station",
                "restart",
                done=lambda _, restarted=name: self._restarted(restarted),
                failed=lambda error, asked=name: self._restart_failed(asked, error),
                process=name,
            )
        self.changed.emit()

    def _restarted(self, process: str) -> None:
        self._to_restart.pop(process, None)
        self._restarting.discard(process)
        if not self._restarting and not self._to_restart:
            self.told.emit("The station runs with the new values")
        self.changed.emit()

    def _restart_failed(self, process: str, error: TeleopError) -> None:
        self._restarting.discard(process)
        self.refused.emit(error)
        self.changed.emit()


def stem_of(section: str) -> str:
    """Returns what one item of a list section is called, e.g. `input` of `inputs.devices`."""
    return section.partition(".")[0].removesuffix("s")


def parts_of(place: str) -> list[str | int]:
    """Returns the keys and indices of a dotted place, e.g. `arms[0].name`."""
    return [int(index) if index else key for key, index in _PART.findall(place)]
