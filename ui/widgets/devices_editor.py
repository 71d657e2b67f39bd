"""Setup, Devices: what the station has, what is there, and every driver."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Sequence
from itertools import pairwise

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtGui import QHideEvent, QShowEvent
from PyQt6.QtWidgets import QAbstractButton, QLabel, QVBoxLayout, QWidget

from teleop_app.core.types import ProcessState
from ui import theme
from ui.viewmodels.devices import PAIRED, DevicesModel, StationDevice
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup import SetupModel
from ui.widgets.device_finder import DeviceFinder
from ui.widgets.device_row import DeviceRow
from ui.widgets.driver_table import DriverTable
from ui.widgets.leader_card import LeaderCard
from ui.widgets.pairing_card import PairingCard

_POLL_MS = 200
_INTRO = (
    "What the station file names, with live values while the station runs. The sections below hold every "
    "setting of each device."
)
_NO_STATION = "The station does not run, so there are no live values: start it on Home."


class DevicesEditor(QWidget):
    """The three parts under each other; asks the station for live values while it is seen.

    Args:
        model: Devices.
        setup: The station file.
        catalog: Drivers.
        calibratable: Whether there is a wizard for a device.
        parent: Owner.
    """

    calibrationWanted = pyqtSignal(object)
    """A `StationDevice`."""

    def __init__(
        self,
        model: DevicesModel,
        setup: SetupModel,
        catalog: DriverCatalog,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._setup = setup
        self.rows: dict[str, DeviceRow] = {}
        self.pairing: dict[str, PairingCard] = {}
        self.leaders: dict[str, LeaderCard] = {}
        title = QLabel("Devices")
        title.setProperty("kind", "title")
        self._intro = QLabel(_INTRO)
        self._intro.setProperty("kind", "muted")
        self._intro.setWordWrap(True)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(theme.grid(1))
        found = QLabel("Find devices")
        found.setFont(theme.font(bold=True))
        self.finder = DeviceFinder(model)
        self.table = DriverTable(catalog, model)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        box.addWidget(title)
        box.addWidget(self._intro)
        box.addLayout(self._rows)
        box.addWidget(found)
        box.addWidget(self.finder)
        box.addWidget(self.table)
        box.addStretch(1)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(model.poll)
        model.changed.connect(self.refresh)
        model.lived.connect(self._refresh_live)
        self.refresh()

    def refresh(self) -> None:
        """Shows the devices of the station file; rows of those that stay are kept."""
        if self._setup.broken:
            return
        devices = self._model.devices()
        keys = [_key(device) for device in devices]
        for key in [key for key in self.rows if key not in keys]:
            self._drop_row(key)
        for key, device in zip(keys, devices, strict=True):
            if key in self.leaders and self.leaders[key].arms != self._model.led_arms(device):
                self._drop_row(key)
        for position, (key, device) in enumerate(zip(keys, devices, strict=True)):
            if key not in self.rows:
                self.rows[key] = self._make_row(key, device)
            self.rows[key].set_device(device)
            if self._rows.indexOf(self.rows[key]) != position:
                self._rows.insertWidget(position, self.rows[key])
        self.finder.set_arms(tuple(each["name"] for each in self._setup.value("arms")))
        self._intro.setText(_INTRO if self._setup.linked else f"{_INTRO} {_NO_STATION}")
        self._order_focus([self.rows[key] for key in keys])
        self._refresh_live()

    def _order_focus(self, rows: Sequence[QWidget]) -> None:
        """Lets the Tab key go down the page, whatever was made last."""
        parts = (*rows, self.finder, self.table)
        stops = [stop for part in parts for stop in part.findChildren(QAbstractButton)]
        for first, second in pairwise(stops):
            QWidget.setTabOrder(first, second)

    def _drop_row(self, key: str) -> None:
        row = self.rows.pop(key)
        self.pairing.pop(key, None)
        self.leaders.pop(key, None)
        self._rows.removeWidget(row)
        row.setParent(None)
        row.deleteLater()

    def _make_row(self, key: str, device: StationDevice) -> DeviceRow:
        row = DeviceRow(device, self._model.calibratable(device))
        row.removed.connect(lambda: self._model.remove(row.device))
        row.calibrationWanted.connect(lambda: self.calibrationWanted.emit(row.device))
        if device.driver in PAIRED:
            card = PairingCard()
            card.revoked.connect(
                lambda: self._model.command(row.device, "revoke", "Every headset needs the PIN again")
            )
            card.handedOver.connect(
                lambda: self._model.command(row.device, "hand_over", "The other headset drives")
            )
            self.pairing[key] = card
            row.add_below(card)
        arms = self._model.led_arms(device)
        if arms:
            self._add_leader(key, row, arms)
        return row

    def _add_leader(self, key: str, row: DeviceRow, arms: tuple[str, ...]) -> None:
        model, card = self._model, LeaderCard(row.device.name, arms)

        def engage(arm: str, on: bool) -> None:
            text = f"{row.device.name} asks for the {arm} arm" if on else f"Let go of the {arm} arm"
            model.command(row.device, "engage", text, on=on, arm=arm)

        def follow(arm: str, on: bool) -> None:
            text = "goes to where its arm is" if on else "is set free"
            model.command(row.device, "follow", f"{row.device.name} {text}", on=on, arm=arm)

        card.engaged.connect(engage)
        card.followed.connect(follow)
        self.leaders[key] = card
        row.add_below(card)

    def _refresh_live(self) -> None:
        for key, row in self.rows.items():
            live = self._model.live(row.device)
            row.show_live(live, self._model.problem_of(row.device))
            if key in self.pairing:
                self.pairing[key].show_answer(self._model.pairing(row.device))
            if key in self.leaders:
                running = live.state is ProcessState.RUNNING
                self.leaders[key].show_state(live.device_state if running else "")

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Asks for live values while they are seen."""
        super().showEvent(a0)
        self._timer.start()
        self._model.poll()
        self.refresh()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Rests; a search goes on."""
        super().hideEvent(a0)
        self._timer.stop()

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        for row in self.rows.values():
            row.retheme()
        for card in self.leaders.values():
            card.retheme()
        self.table.refresh()
        self.finder.retheme()
        self._refresh_live()


def _key(device: StationDevice) -> str:
    return f"{device.kind} {device.driver} {device.name}"
