"""What the Home page shows and does, without widgets: first run, sessions, progress, health."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from PyQt6.QtCore import QObject, pyqtSignal

from sessions.rows import EpisodePage, PersonRow, StationRow, TaskProgress, TaskRow, Thumbnail
from sessions.states import EpisodeState, Role
from teleop_app.core.errors import StationError, TeleopError
from teleop_app.core.types import ProcessState, RecorderStatus, StationStatus
from ui.viewmodels.collect import CommandPort

RECENT = 5
FIRST_STATION = "Simulated cell"
_MAX_NAME = 80


class HomeCatalog(Protocol):
    """What Home needs of the catalog (`sessions.repository.Catalog`)."""

    def list_tasks(self, *, archived: bool | None = False) -> tuple[TaskRow, ...]:
        """Returns the tasks in use."""
        ...

    def list_people(self, role: Role | None = None) -> tuple[PersonRow, ...]:
        """Returns the people."""
        ...

    def ensure_station(self, name: str) -> StationRow:
        """Makes a station if unknown."""
        ...

    def ensure_person(self, name: str, roles: Any = ...) -> PersonRow:
        """Makes a person if unknown."""
        ...

    def progress_of_all(self) -> Mapping[str, TaskProgress]:
        """Returns progress by task id."""
        ...

    def episodes(self, *, limit: int = 100) -> EpisodePage:
        """Returns the newest episodes."""
        ...

    def thumbnail(self, uuid: str) -> Thumbnail | None:
        """Returns the picture of an episode."""
        ...

    def latest_event_id(self) -> int:
        """Returns a number that grows with every change."""
        ...


class StationStarter(Protocol):
    """Starts the station of this window."""

    @property
    def name(self) -> str:
        """Name of the station, the default on first run."""
        ...

    @property
    def running(self) -> bool:
        """Whether it runs or is being started."""
        ...

    def start(self, name: str) -> None:
        """Writes the name into the station file and starts the station; does not block.

        Raises:
            TeleopError: The station file cannot be written.
        """
        ...


class HealthLevel(StrEnum):
    """How a line of the health list is."""

    OK = "ok"
    WAIT = "wait"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class HealthLine:
    """One line of the health list: what, how it is, and a sentence when not well."""

    name: str
    level: HealthLevel
    text: str


@dataclass(frozen=True, slots=True)
class TaskLine:
    """Progress of one task: saved episodes on disk, and how many are wanted (0: no target)."""

    name: str
    instruction: str
    saved: int
    target: int


@dataclass(frozen=True, slots=True)
class RecentLine:
    """One of the newest episodes."""

    uuid: str
    task: str
    operator: str
    state: EpisodeState
    started_utc_ns: int
    duration_s: float


_PROCESS_WORDS = {
    "simulation": "Simulated cell",
    "control": "Control loop",
    "cameras": "Cameras",
    "recorder": "Recorder",
    "operator": "Scripted operator",
    "policy": "Policy",
    "gamepad": "Gamepad",
}


class HomeModel(QObject):
    """Follows catalog and station, and opens sessions. GUI thread only.

    Args:
        catalog: The open catalog.
        port: Where commands go.
        starter: Starts the station.
        first_task: Offered first where nobody has collected yet.
        parent: Owner.
    """

    changed = pyqtSignal()
    sessionOpened = pyqtSignal(str, str)
    """Operator and task; the scene has been set up."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    busyChanged = pyqtSignal(str)
    """What is under way, empty when nothing is."""

    def __init__(
        self,
        catalog: HomeCatalog,
        port: CommandPort,
        starter: StationStarter,
        first_task: str = "",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._catalog = catalog
        self._port = port
        self._starter = starter
        self._first_task = first_task
        self._seen_event = -1
        self._station: StationStatus | None = None
        self._recorder: RecorderStatus | None = None
        self._linked = False
        self._busy = ""
        self._waiting: tuple[str, str] | None = None
        self.tasks: tuple[TaskLine, ...] = ()
        self.people: tuple[str, ...] = ()
        self.recent: tuple[RecentLine, ...] = ()
        self.refresh()

    @property
    def first_run(self) -> bool:
        """Whether nobody has collected here yet."""
        return not self.people

    @property
    def busy(self) -> str:
        """What is under way, empty when nothing is."""
        return self._busy

    @property
    def session(self) -> bool:
        """Whether a session is open."""
        return self._recorder is not None and bool(self._recorder.session)

    @property
    def current_task(self) -> str:
        """Task of the open session, empty when none is open."""
        return self._recorder.task if self._recorder is not None and self._recorder.session else ""

    def defaults(self) -> tuple[str, str, str]:
        """Returns station, person and task to offer: the latest ones, or those of a first run."""
        names = [task.name for task in self.tasks]
        wanted = self.current_task or (self.recent[0].task if self.recent else self._first_task)
        task = wanted if wanted in names else next(iter(names), "")
        person = self.recent[0].operator if self.recent else next(iter(self.people), _own_name())
        return self._starter.name or FIRST_STATION, person, task

    def refresh(self) -> None:
        """Reads the catalog if it changed since the last time."""
        try:
            latest = self._catalog.latest_event_id()
            if latest == self._seen_event:
                return
            progress = self._catalog.progress_of_all()
            self.tasks = tuple(_task_line(task, progress.get(task.id)) for task in self._catalog.list_tasks())
            self.people = tuple(person.name for person in self._catalog.list_people(Role.OPERATOR))
            self.recent = tuple(
                RecentLine(
                    row.uuid, row.task, row.operator, row.state, row.started_utc_ns, row.duration_ns / 1e9
                )
                for row in self._catalog.episodes(limit=RECENT).rows
            )
            self._seen_event = latest
        except TeleopError as error:
            self.refused.emit(error)
            return
        self.changed.emit()

    def thumbnail(self, uuid: str) -> bytes | None:
        """Returns the encoded picture of an episode, None if it has none."""
        picture = self._catalog.thumbnail(uuid)
        return None if picture is None else picture.image

    def on_link(self, linked: bool) -> None:
        """The station was found or lost."""
        self._linked = linked
        if not linked:
            self._station = None
            self._recorder = None
        self.changed.emit()

    def on_station(self, status: StationStatus) -> None:
        """The station's processes."""
        before = self._station
        self._station = status
        if before is None or _states(before) != _states(status):
            self.changed.emit()
        self._go_on()

    def on_recorder(self, status: RecorderStatus) -> None:
        """The recorder's state."""
        before = self._recorder
        self._recorder = status
        if before is None or (before.session, before.task) != (status.session, status.task):
            self.changed.emit()
        self._go_on()

    def on_start_failed(self, error: TeleopError) -> None:
        """The station could not be started."""
        self._waiting = None
        self._set_busy("")
        self.refused.emit(error)
        self.changed.emit()

    def health(self) -> list[HealthLine]:
        """Returns how the station and each of its processes are."""
        if not self._linked:
            if self._starter.running:
                return [
                    HealthLine("Station", HealthLevel.WAIT, "Starting. The first start takes a few seconds.")
                ]
            return [HealthLine("Station", HealthLevel.WAIT, "Not running. It starts with the next session.")]
        lines = [HealthLine("Station", HealthLevel.OK, "Linked")]
        for process in self._station.processes if self._station is not None else ():
            name = _PROCESS_WORDS.get(process.process, process.process)
            if process.state is ProcessState.FAULT:
                text = process.text or "Down. It is started anew by itself."
                lines.append(HealthLine(name, HealthLevel.FAULT, text))
            elif process.state is ProcessState.RUNNING:
                lines.append(HealthLine(name, HealthLevel.OK, process.text or "Running"))
            else:
                lines.append(
                    HealthLine(name, HealthLevel.WAIT, process.text or str(process.state).capitalize())
                )
        return lines

    def begin(self, station: str, operator: str, task: str) -> bool:
        """Answers the three questions and starts; returns False when an answer is missing.

        Starts the station when it does not run yet, and opens the session as soon as it is ready.
        """
        station, operator = station.strip()[:_MAX_NAME], operator.strip()[:_MAX_NAME]
        missing = [
            what
            for what, given in (("a station name", station), ("your name", operator), ("a task", task))
            if not given
        ]
        if missing:
            self.refused.emit(
                StationError(f"Please give {' and '.join(missing)}", next_step="Then press Enter")
            )
            return False
        try:
            self._catalog.ensure_station(station)
            self._catalog.ensure_person(operator, (Role.OPERATOR,))
            if not self._starter.running:
                self._starter.start(station)
        except TeleopError as error:
            self.refused.emit(error)
            return False
        self._waiting = (operator, task)
        self._set_busy("Starting the station" if not self._ready() else "Opening the session")
        self._go_on()
        return True

    def start_session(self, operator: str, task: str) -> bool:
        """Opens a session on this station; returns False when an answer is missing."""
        return self.begin(self._starter.name or FIRST_STATION, operator, task)

    def _ready(self) -> bool:
        if not self._linked or self._recorder is None or self._station is None:
            return False
        essential = [p for p in self._station.processes if p.process in ("control", "recorder", "simulation")]
        return all(p.state is ProcessState.RUNNING for p in essential)

    def _go_on(self) -> None:
        """Opens the session that was asked for once the station is ready."""
        if self._waiting is None or not self._ready():
            return
        (operator, task), self._waiting = self._waiting, None
        self._set_busy("Opening the session")
        if self.session:
            self._call("close_session", lambda _answer: self._open(operator, task))
        else:
            self._open(operator, task)

    def _open(self, operator: str, task: str) -> None:
        line = next((line for line in self.tasks if line.name == task), None)
        target = line.target if line is not None else 0

        def opened(_answer: dict[str, Any]) -> None:
            self._set_busy("Setting up the scene")
            self._call("prepare", lambda _answer: self._opened(operator, task))

        self._call("open_session", opened, operator=operator, task=task, target=target)

    def _opened(self, operator: str, task: str) -> None:
        self._set_busy("")
        self.refresh()
        self.sessionOpened.emit(operator, task)

    def _call(self, command: str, done: Callable[[dict[str, Any]], object], **args: Any) -> None:
        self._port.call("recorder", command, done=done, failed=self._failed, **args)

    def _failed(self, error: TeleopError) -> None:
        self._set_busy("")
        self.refused.emit(error)

    def _set_busy(self, busy: str) -> None:
        if busy != self._busy:
            self._busy = busy
            self.busyChanged.emit(busy)


def _task_line(task: TaskRow, progress: TaskProgress | None) -> TaskLine:
    saved = progress.saved_on_disk if progress is not None else 0
    return TaskLine(task.name, task.instruction, saved, task.target_count)


def _states(status: StationStatus) -> Sequence[tuple[str, ProcessState, str]]:
    return [(p.process, p.state, p.text) for p in status.processes]


def _own_name() -> str:
    """Returns the login name with a capital, which the person will correct if it is not theirs."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "Operator"
    return "Operator" if name in ("root", "") else name.capitalize()
