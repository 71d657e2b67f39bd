"""Setup, Calibration: the arms and cameras that can be calibrated, and the wizard of the one chosen."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from devices.driver import DriverKind
from teleop_app.core.calibration import ArmCalibration, CalibrationStore, CameraCalibration
from teleop_app.core.errors import TeleopError
from ui import theme
from ui.viewmodels.arm_wizard import ArmWizard
from ui.viewmodels.camera_wizard import CameraWizard
from ui.viewmodels.devices import DevicesModel, StationDevice
from ui.widgets.arm_wizard_panel import ArmWizardPanel
from ui.widgets.camera_wizard_panel import CameraWizardPanel

_EMPTY = (
    "Nothing here needs a calibration: the simulated cell knows itself. Arms of servos (leaders and "
    "followers) and real cameras appear here once they are in the station."
)
_INTRO = (
    "Measured once, and kept by serial number until the device changes; each episode carries what was in "
    "force."
)


class CalibrationEditor(QWidget):
    """Lists what can be calibrated.

    Args:
        devices: Of the station.
        store: Calibrations.
        arm: Its wizard.
        arm_panel: Shows it.
        camera: Its wizard.
        camera_panel: Shows it.
        parent: Owner.
    """

    devicesWanted = pyqtSignal()
    """Somebody wants to find devices: nothing here can be calibrated yet."""

    def __init__(
        self,
        devices: DevicesModel,
        store: CalibrationStore,
        arm: ArmWizard,
        arm_panel: ArmWizardPanel,
        camera: CameraWizard,
        camera_panel: CameraWizardPanel,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._devices = devices
        self._store = store
        self._arm = arm
        self._camera = camera
        self._shown: object = None
        self.buttons: dict[str, QPushButton] = {}
        title = QLabel("Calibration")
        title.setProperty("kind", "title")
        self._intro = QLabel()
        self._intro.setProperty("kind", "muted")
        self._intro.setWordWrap(True)
        self.find_devices = QPushButton("Find devices")
        self.find_devices.clicked.connect(self.devicesWanted)
        self._card = QFrame()
        self._card.setProperty("surface", "panel")
        self._grid = QGridLayout(self._card)
        self._grid.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1))
        self._grid.setHorizontalSpacing(theme.grid(2))
        self._grid.setColumnStretch(2, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1.5))
        for widget in (title, self._intro, self._card, arm_panel, camera_panel):
            box.addWidget(widget)
        box.addWidget(self.find_devices, 0, Qt.AlignmentFlag.AlignLeft)
        box.addStretch(1)
        devices.changed.connect(self.refresh)
        arm.changed.connect(self.refresh)
        camera.changed.connect(self.refresh)
        self.refresh()

    def open(self, device: StationDevice) -> None:
        """Shows the wizard of a device, unless another one is under way."""
        if self._arm.running or self._camera.running:
            return
        if device.kind is DriverKind.CAMERA:
            self._arm.leave()
            self._camera.open(device.name)
        else:
            self._camera.open("")
            self._arm.open(device)

    def refresh(self) -> None:
        """Lists the devices with what is known of each."""
        found = [device for device in self._devices.devices() if self._devices.calibratable(device)]
        self._intro.setText(_INTRO if found else _EMPTY)
        self._card.setVisible(bool(found))
        self.find_devices.setVisible(not found)
        idle = not (self._arm.running or self._camera.running)
        rows = [(device, self._known(device)) for device in found]
        if rows != self._shown:
            self._shown = rows
            self._build(rows)
        for button in self.buttons.values():
            button.setEnabled(idle)

    def _build(self, rows: list[tuple[StationDevice, str]]) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.setParent(None)
                widget.deleteLater()
        self.buttons.clear()
        for row, (device, known) in enumerate(rows):
            name = QLabel(device.name)
            what = QLabel(f"{device.kind.value} \N{MIDDLE DOT} {device.driver}")
            what.setProperty("kind", "muted")
            state = QLabel(known)
            state.setProperty("kind", "muted")
            state.setWordWrap(True)
            button = QPushButton("Calibrate")
            button.setStyleSheet("padding: 3px 10px;")
            button.setAccessibleName(f"Calibrate {device.name}")
            button.clicked.connect(self._opener(device))
            for column, widget in enumerate((name, what, state, button)):
                self._grid.addWidget(widget, row, column)
            self.buttons[device.name] = button

    def _opener(self, device: StationDevice) -> Callable[[], None]:
        return lambda: self.open(device)

    def _known(self, device: StationDevice) -> str:
        """When it was calibrated last, by the serial number or name that the file has."""
        serial = str(device.options.get("serial") or device.name)
        try:
            if device.kind is DriverKind.CAMERA:
                camera = self._store.load(CameraCalibration, serial)
                if camera is None:
                    return ""
                return (
                    f"{camera.reprojection_px:.2f} px over {camera.views} views, {camera.measured_utc[:10]}"
                )
            arm = self._store.load(ArmCalibration, serial)
            return "" if arm is None else f"{len(arm.joints)} joints, {arm.measured_utc[:10]}"
        except TeleopError as error:
            return error.sentence
