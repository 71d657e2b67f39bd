"""Setup, Devices: what is there, what the station has, and how it does, without widgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from devices.driver import Driver, DriverKind, Found
from devices.protocols import Verification
from devices.registry import look_for
from teleop_app.core.errors import TeleopError
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from ui.viewmodels.background import Background
from ui.viewmodels.body_watch import BodyWatch
from ui.viewmodels.driver_catalog import BUILT_IN, DriverCatalog
from ui.viewmodels.leaders import LEADERS
from ui.viewmodels.setup import SetupModel, StationCommands
from ui.viewmodels.setup_fields import DRIVER_FIELDS

log = logging.getLogger(__name__)

SECTION_OF = {kind: section for section, (_, kind) in DRIVER_FIELDS.items()}
CALIBRATED: Mapping[DriverKind, tuple[str, ...]] = {
    DriverKind.INPUT: LEADERS,
    DriverKind.FOLLOWER: ("dynamixel", "feetech"),
    DriverKind.CAMERA: ("uvc", "stream", "realsense", "oak", "lerobot", "synthetic"),
}
"""Drivers of devices for which there is a wizard."""

PAIRED = ("webxr",)
"""Drivers of headsets that are paired."""
_POLLS_A_PAIRING = 5

BODY_KINDS = (DriverKind.BASE, DriverKind.LIFT, DriverKind.HAND)
"""What control moves itself, and tells of by streams."""

_PROCESSES = {
    DriverKind.INPUT: "input",
    DriverKind.SENSOR: "sensor",
    DriverKind.FOLLOWER: "follower",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A device that was found.

    Attributes:
        driver: Which found it.
        found: What it is.
        station_place: Where the station file has it already, empty when it has not.
    """

    driver: Driver
    found: Found
    station_place: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """How far looking for devices is.

    Attributes:
        driver: Asked now, empty when nothing runs.
        done: Drivers asked.
        of: Drivers to ask.
        problems: Sentence by driver name that could not look.
    """

    driver: str = ""
    done: int = 0
    of: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether drivers are being asked."""
        return bool(self.driver)


@dataclass(frozen=True, slots=True)
class Live:
    """What a device's process says of it.

    Attributes:
        state: Of its process; None when the station does not run it.
        text: A sentence when something is off, else empty.
        device_state: The device's own word, e.g. `waiting for a headset`.
        metrics: Figures such as `rate_hz`, `age_ms`, `lost`.
        values: Live values by name.
    """

    state: ProcessState | None = None
    text: str = ""
    device_state: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StationDevice:
    """A device of the station file.

    Attributes:
        place: In the file, e.g. `inputs.devices[0]`.
        name: Its own.
        kind: What it is.
        driver: Name of its driver.
        process: That runs it, empty when none of its own does.
        options: Its settings.
        verification: How far its driver is proven, None when that is not known.
        proof: What proves it.
        saved: Whether the file on disk has it like this.
    """

    place: str
    name: str
    kind: DriverKind
    driver: str
    process: str
    options: Mapping[str, Any]
    verification: Verification | None
    proof: str
    saved: bool


class DevicesModel(QObject):
    """Looks for devices off the GUI thread and follows those of the station.

    Args:
        setup: The station file; its `drivers` are asked.
        catalog: The installed drivers.
        port: Commands of the running station, None without one.
        parent: Owner.
    """

    changed = pyqtSignal()
    """Devices, offers or the search changed."""
    lived = pyqtSignal()
    """Figures or live values changed."""
    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""

    def __init__(
        self,
        setup: SetupModel,
        catalog: DriverCatalog,
        port: StationCommands | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._setup = setup
        self._catalog = catalog
        self._port = port
        self._work = Background("discovery", self)
        self._asked: set[tuple[str, str]] = set()
        self._statuses: dict[str, ProcessStatus] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._pairings: dict[str, dict[str, Any]] = {}
        self._polls = 0
        self._found: list[tuple[Driver, Found]] = []
        self._queue: list[Driver] = []
        self.bodies = BodyWatch()
        self.search = Search()
        self.searched = False
        setup.changed.connect(self.changed)
        catalog.changed.connect(self.changed)

    # Looking for devices

    def discover(self, kinds: Sequence[DriverKind] = tuple(DriverKind)) -> None:
        """Asks every driver of these kinds what is there, one after another: they share ports."""
        if self.search.running:
            return
        self._found = [pair for pair in self._found if pair[0].kind not in kinds]
        self._queue = [driver for driver in self._catalog.drivers if driver.kind in kinds]
        self.search = Search(of=len(self._queue))
        self._ask_next()

    def cancel(self) -> None:
        """Asks no further driver; the one being asked finishes unheard."""
        self._queue.clear()

    def _ask_next(self) -> None:
        search = self.search
        if not self._queue:
            self.search = Search(done=search.done, of=search.of, problems=search.problems)
            self.searched = True
            self.changed.emit()
            return
        driver = self._queue.pop(0)
        self.search = Search(driver.name, search.done, search.of, search.problems)
        self._work.run(lambda: look_for(driver), lambda outcome: self._on_found(driver, outcome))
        self.changed.emit()

    def _on_found(self, driver: Driver, outcome: tuple[Sequence[Found], str]) -> None:
        found, problem = outcome
        self._found += [(driver, each) for each in found]
        problems = dict(self.search.problems) | ({driver.name: problem} if problem else {})
        self.search = Search(driver.name, self.search.done + 1, self.search.of, problems)
        self._ask_next()

    def offers(self) -> tuple[Offer, ...]:
        """Returns what was found, with where the station file has it."""
        devices = self.devices()
        return tuple(Offer(d, found, _place_of(d, found, devices)) for d, found in self._found)

    # Adding and removing

    def add(self, driver: Driver, found: Found | None = None, arm: str = "") -> None:
        """Puts a device into the draft of the station file; a note takes it back.

        Args:
            driver: Of the device.
            found: What was found, None to add it by hand.
            arm: Which arm a follower is, or carries a hand; empty for the first fitting one.
        """
        setup = self._setup
        if setup.broken:
            return
        options = dict(found.options) if found is not None else {}
        section = SECTION_OF[driver.kind]
        if driver.kind is DriverKind.FOLLOWER:
            self._make_follower(driver, options, arm)
            return
        if driver.kind in (DriverKind.BASE, DriverKind.LIFT):
            before = dict(setup.value(section))
            setup.set_value(f"{section}.driver", driver.name)
            setup.set_value(f"{section}.options", options)
            name = driver.title
            undo: Callable[[], object] = lambda: self._restore(section, before)  # noqa: E731
        else:
            items = list(setup.value(section))
            given = {"name": name_from(driver.name), "driver": driver.name, "options": options}
            if driver.kind is DriverKind.HAND and arm:
                given["arm"] = arm
            name = setup.add_item(section, given)
            undo = lambda: setup.undo_to(section, items)  # noqa: E731
        setup.reloaded.emit()
        self.told.emit(f"Added {name}. Save to keep it", undo)

    def _make_follower(self, driver: Driver, options: dict[str, Any], arm: str) -> None:
        arms: list[dict[str, Any]] = list(self._setup.value("arms"))
        named = [i for i, each in enumerate(arms) if each["name"] == arm]
        simulated = [i for i, each in enumerate(arms) if each["follower"] == "sim"]
        index = (named or simulated or [0])[0]
        before = [dict(each) for each in arms]
        arms[index] = dict(arms[index]) | {"follower": driver.name, "options": options}
        self._setup.undo_to("arms", arms)
        text = f"The {arms[index]['name']} arm is now {driver.title}. Save to keep it"
        self.told.emit(text, lambda: self._setup.undo_to("arms", before))

    def _restore(self, section: str, before: Mapping[str, Any]) -> None:
        for name, value in before.items():
            self._setup.set_value(f"{section}.{name}", value)
        self._setup.reloaded.emit()

    def remove(self, device: StationDevice) -> None:
        """Takes a device out of the draft of the station file; an arm becomes simulated again."""
        setup = self._setup
        section, _, index = device.place.partition("[")
        if device.kind is DriverKind.FOLLOWER:
            before = [dict(each) for each in setup.value("arms")]
            arms = [dict(each) for each in before]
            arms[int(index.rstrip("]"))] |= {"follower": "sim", "options": {}}
            setup.undo_to("arms", arms)
            undo: Callable[[], object] = lambda: setup.undo_to("arms", before)  # noqa: E731
        elif index:
            items = list(setup.value(section))
            setup.remove_item(section, int(index.rstrip("]")))
            undo = lambda: setup.undo_to(section, items)  # noqa: E731
        else:
            held = dict(setup.value(section))
            setup.set_value(f"{section}.driver", "")
            setup.set_value(f"{section}.options", {})
            setup.reloaded.emit()
            undo = lambda: self._restore(section, held)  # noqa: E731
        self.told.emit(f"Removed {device.name}. Save to keep it so", undo)

    # What the station has

    def devices(self) -> tuple[StationDevice, ...]:
        """Returns every device of the draft, those of the simulated cell too."""
        if self._setup.broken:
            return ()
        saved = self._setup.saved.model_dump(mode="json")
        found: list[StationDevice] = []
        for section, (named, kind) in DRIVER_FIELDS.items():
            held = self._setup.value(section)
            entries = held if isinstance(held, list) else [held] if held[named] else []
            before = _at(saved, section)
            before = before if isinstance(before, list) else [before]
            for index, item in enumerate(entries):
                place = f"{section}[{index}]" if isinstance(held, list) else section
                found.append(self._device(place, kind, named, item, item in before))
        return tuple(found)

    def _device(
        self, place: str, kind: DriverKind, named: str, item: Mapping[str, Any], saved: bool
    ) -> StationDevice:
        driver, name = str(item[named]), str(item.get("name", place.replace("_", " ").capitalize()))
        known = self._catalog.driver(kind, driver)
        own = kind in _PROCESSES and driver not in BUILT_IN.get(kind, ())
        builtin = driver in BUILT_IN.get(kind, ())
        return StationDevice(
            place=place,
            name=name,
            kind=kind,
            driver=driver,
            process=f"{_PROCESSES[kind]}-{name}" if own else _shared_process(kind, driver),
            options=item["options"],
            verification=known.verification if known else Verification.SIMULATED if builtin else None,
            proof=known.proof if known else "Part of the simulated cell." if builtin else "",
            saved=saved,
        )

    def problem_of(self, device: StationDevice) -> str:
        """Returns why a device cannot work as it stands in the draft, empty when it can."""
        broken = next(
            (b for b in self._catalog.broken if (b.kind, b.name) == (device.kind, device.driver)), None
        )
        if broken is not None:
            return broken.sentence
        found = [
            f"{place.rpartition('.')[2].replace('_', ' ')}: {sentence}"
            for place, sentence in self._setup.problems.items()
            if place.startswith(f"{device.place}.")
        ]
        return "; ".join(found)

    def calibratable(self, device: StationDevice) -> bool:
        """Whether there is a wizard for a device."""
        return device.driver in CALIBRATED.get(device.kind, ())

    # How they do

    def live(self, device: StationDevice) -> Live:
        """Returns what is known of a device now."""
        status = self._statuses.get(device.process)
        answer = self._answers.get(device.process, {}) if self._own_process(device) else {}
        if status is None:
            return Live()
        if device.kind in BODY_KINDS:
            values = self.bodies.values(_body_name(device))
            silent = device.saved and status.state is ProcessState.RUNNING and not values
            text = "Control has heard nothing of it for a second" if silent else ""
            return Live(state=status.state, text=text, values=values)
        metrics = dict(status.metrics) if self._own_process(device) else {}
        return Live(
            state=status.state,
            text=self._said(device, status.text) or str(answer.get("text", "")),
            device_state=str(answer.get("state", "")),
            metrics=metrics | {k: v for k, v in answer.items() if isinstance(v, float) and k in metrics},
            values=_numbers(answer.get("values")),
        )

    def _said(self, device: StationDevice, text: str) -> str:
        """What a process says of this device: of those that share one, the first or the one named."""
        if self._own_process(device) or not text:
            return text
        if device.kind is DriverKind.CAMERA:
            names = [each.name for each in self._setup.saved.cameras]
            if any(name in text for name in names):
                return text if device.name in text else ""
        return text if device.place.endswith("[0]") or "[" not in device.place else ""

    @staticmethod
    def _own_process(device: StationDevice) -> bool:
        return "-" in device.process

    def on_station(self, status: StationStatus) -> None:
        """The processes of the station."""
        self._statuses = {each.process: each for each in status.processes}
        for process in list(self._answers):
            if process not in self._statuses:
                del self._answers[process]
        self.lived.emit()

    def on_link(self, linked: bool) -> None:
        """The station was found or lost."""
        if not linked:
            self._statuses.clear()
            self._answers.clear()
            self._pairings.clear()
            self.bodies.clear()
            self._asked.clear()
            self.lived.emit()

    def poll(self) -> None:
        """Asks every device's process for its live values, unless the last question waits still."""
        if self._port is None:
            return
        self._polls += 1
        for device in self.devices():
            status = self._statuses.get(device.process)
            if not self._own_process(device) or status is None or status.state is not ProcessState.RUNNING:
                continue
            self._ask(device.process, "status", self._answers)
            if device.driver in PAIRED:
                known = device.process in self._pairings
                if not known or self._polls % _POLLS_A_PAIRING == 0:
                    self._ask(device.process, "pairing", self._pairings)

    def _ask(self, process: str, command: str, kept: dict[str, dict[str, Any]]) -> None:
        key = (process, command)
        if self._port is None or key in self._asked:
            return

        def done(answer: dict[str, Any]) -> None:
            self._asked.discard(key)
            kept[process] = answer
            self.lived.emit()

        def failed(error: TeleopError) -> None:
            self._asked.discard(key)
            kept.pop(process, None)
            log.debug("%s does not answer %s: %s", process, command, error.sentence)

        self._asked.add(key)
        self._port.call(process, command, done=done, failed=failed)

    def pairing(self, device: StationDevice) -> Mapping[str, Any]:
        """Returns how to pair a headset and who is paired, empty while its page does not run."""
        return self._pairings.get(device.process, {})

    def led_arms(self, device: StationDevice) -> tuple[str, ...]:
        """Returns the arms that a leader leads, empty for any other device."""
        if device.kind is not DriverKind.INPUT or device.driver not in LEADERS:
            return ()
        item = self._setup.value(device.place)
        return tuple(item["arms"]) or tuple(arm["name"] for arm in self._setup.value("arms"))

    def command(self, device: StationDevice, command: str, text: str, **args: Any) -> None:
        """Gives a command to a device's process, and tells `text` when it was taken."""
        if self._port is not None:
            self._port.call(
                device.process,
                command,
                done=lambda _: self.told.emit(text, None),
                failed=lambda error: self.told.emit(error.sentence, None),
                **args,
            )

    def close(self) -> None:
        """Ends the search and its thread. Idempotent."""
        self.cancel()
        self._work.close()


def name_from(driver: str) -> str:
    """Returns a name for a device of a driver, as the station file allows it."""
    return _NAMES.get(driver, driver.replace("-", "_"))[:28]


_NAMES = {"webxr": "headset", "openxr": "headset", "microphone": "room", "serial-wrench": "wrist"}


def _body_name(device: StationDevice) -> str:
    """Returns the prefix of a body's streams."""
    return {DriverKind.BASE: "base", DriverKind.LIFT: "lift"}.get(device.kind, device.name)


def _place_of(driver: Driver, found: Found, devices: Sequence[StationDevice]) -> str:
    for device in devices:
        same = device.kind is driver.kind and device.driver == driver.name
        if same and all(device.options.get(name) == value for name, value in found.options.items()):
            return device.place
    return ""


def _shared_process(kind: DriverKind, driver: str) -> str:
    if kind is DriverKind.CAMERA:
        return "cameras"
    return "simulation" if kind is DriverKind.FOLLOWER and driver == "sim" else "control"


def _at(values: Mapping[str, Any], section: str) -> Any:
    for part in section.split("."):
        values = values[part]
    return values


def _numbers(values: object) -> dict[str, float]:
    if not isinstance(values, Mapping):
        return {}
    return {str(k): float(v) for k, v in values.items() if isinstance(v, int | float)}
