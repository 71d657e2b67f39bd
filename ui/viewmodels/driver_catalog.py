"""The installed drivers, loaded off the GUI thread, and what their settings may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import QObject, pyqtSignal

from devices.driver import Driver, DriverKind
from devices.registry import Broken, all_drivers, driver_names
from teleop_app.core.config import field_problems
from ui.viewmodels.background import Background
from ui.viewmodels.setup_fields import DRIVER_FIELDS, FieldSpec, is_list, model_fields

BUILT_IN: Mapping[DriverKind, tuple[str, ...]] = {
    DriverKind.FOLLOWER: ("sim",),
    DriverKind.CAMERA: ("sim", "synthetic"),
    DriverKind.BASE: ("",),
    DriverKind.LIFT: ("",),
}
"""What a station knows without a driver; empty stands for none."""

LoadDrivers = Callable[[], tuple[list[Driver], list[Broken]]]


class DriverCatalog(QObject):
    """Knows every installed driver once `load` has come back.

    Args:
        load: Finds and imports them; may take a second.
        parent: Owner.
    """

    changed = pyqtSignal()

    def __init__(self, load: LoadDrivers = all_drivers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._load = load
        self._work = Background("drivers", self)
        self.loaded = False
        self.drivers: tuple[Driver, ...] = ()
        self.broken: tuple[Broken, ...] = ()

    def load(self) -> None:
        """Imports the drivers unless that has been done; `changed` follows."""
        if not self.loaded and not self._work.busy:
            self._work.run(self._load, self._on_loaded)

    def _on_loaded(self, found: tuple[list[Driver], list[Broken]]) -> None:
        self.loaded = True
        self.drivers, self.broken = tuple(found[0]), tuple(found[1])
        self.changed.emit()

    def names(self, kind: DriverKind) -> tuple[str, ...]:
        """Returns what can stand in the station file as the driver of a device of this kind."""
        known = driver_names(kind) if not self.loaded else tuple(d.name for d in self.of_kind(kind))
        return (*BUILT_IN.get(kind, ()), *known)

    def of_kind(self, kind: DriverKind) -> tuple[Driver, ...]:
        """Returns the drivers of a kind that load."""
        return tuple(driver for driver in self.drivers if driver.kind is kind)

    def driver(self, kind: DriverKind, name: str) -> Driver | None:
        """Returns a driver, None when it is not known."""
        return next((d for d in self.drivers if d.kind is kind and d.name == name), None)

    def option_fields(self, kind: DriverKind, name: str, place: str) -> tuple[FieldSpec, ...] | None:
        """Returns the settings of a driver as fields of a form, None when it is not known.

        Args:
            kind: Of the driver.
            name: Of the driver.
            place: Of the settings in the station file, e.g. `sensors[0].options`.
        """
        if name in BUILT_IN.get(kind, ()):
            return ()
        driver = self.driver(kind, name)
        return None if driver is None else model_fields(driver.options, place)

    def problems(self, draft: Mapping[str, Any]) -> dict[str, str]:
        """Returns what is wrong with drivers and their settings in a station file, by place."""
        found: dict[str, str] = {}
        for place, field, kind, item in _devices_of(draft):
            name = item[field]
            driver = self.driver(kind, name)
            if driver is not None:
                try:
                    driver.options.model_validate(item["options"])
                except ValidationError as error:
                    for where, sentence in field_problems(error).items():
                        found[f"{place}.options" if where == "file" else f"{place}.options.{where}"] = (
                            sentence
                        )
            elif name in BUILT_IN.get(kind, ()):
                if item["options"]:
                    found[f"{place}.options"] = (
                        f"there are no settings for {name!r}, but it has {', '.join(item['options'])}"
                    )
            elif self.loaded and not any(b.kind is kind and b.name == name for b in self.broken):
                choices = ", ".join(filter(None, self.names(kind)))
                found[f"{place}.{field}"] = f"there is no {kind} driver {name!r}; choose one of {choices}"
        return found

    def close(self) -> None:
        """Ends the thread. Idempotent."""
        self._work.close()


def _devices_of(draft: Mapping[str, Any]) -> Iterator[tuple[str, str, DriverKind, Mapping[str, Any]]]:
    """Yields place, the field of the driver, its kind, and the entry of every device."""
    for section, (field, kind) in DRIVER_FIELDS.items():
        held: Any = draft
        for part in section.split("."):
            held = held.get(part, {})
        if is_list(section):
            yield from ((f"{section}[{i}]", field, kind, item) for i, item in enumerate(held))
        else:
            yield section, field, kind, held
