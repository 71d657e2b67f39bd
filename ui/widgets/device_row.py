"""One device of the station: what it is, how it does, its live values, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from devices.driver import DriverKind
from teleop_app.core.types import ProcessState
from ui import theme
from ui.theme import FontSize, Role
from ui.viewmodels.device_words import figures_text, state_words
from ui.viewmodels.devices import Live, StationDevice
from ui.widgets.device_badge import VerificationBadge
from ui.widgets.labels import ElidedLabel

ICONS = {
    DriverKind.INPUT: "gamepad-variant-outline",
    DriverKind.FOLLOWER: "robot-industrial",
    DriverKind.CAMERA: "camera-outline",
    DriverKind.SENSOR: "gauge",
    DriverKind.BASE: "car-side",
    DriverKind.LIFT: "elevator",
    DriverKind.HAND: "hand-back-right-outline",
}
_ICON_PX = 22
_VALUE_COLUMNS = 4
_LONG_NAMES = 14
"""Names longer than this get half as many columns."""
_MOST_VALUES = 40


class DeviceRow(QFrame):
    """Follows one device; `show_live` is called as often as the figures are wanted.

    Args:
        device: What the station file says.
        calibratable: Whether there is a wizard for it.
        parent: Owner.
    """

    removed = pyqtSignal()
    calibrationWanted = pyqtSignal()

    def __init__(self, device: StationDevice, calibratable: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("surface", "panel")
        self.device = device
        self._look: tuple[str, Role] = ("", Role.MUTED)
        self._icon = QLabel()
        self._icon.setFixedSize(_ICON_PX, _ICON_PX)
        self._name = QLabel()
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._name.setFont(theme.font(FontSize.BASE, bold=True))
        self._what = ElidedLabel()
        self._what.setProperty("kind", "muted")
        self.badge = VerificationBadge()
        self.figures = QLabel()
        self.figures.setFont(theme.font(tabular=True))
        self.calibrate = QPushButton("Calibrate")
        self.calibrate.setStyleSheet("padding: 3px 10px;")
        self.calibrate.clicked.connect(self.calibrationWanted)
        self.calibrate.setVisible(calibratable)
        self.remove = QPushButton("Remove")
        self.remove.setProperty("kind", "plain")
        self.remove.setStyleSheet("padding: 3px 8px;")
        self.remove.clicked.connect(self.removed)
        self.sentence = QLabel()
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.hide()
        self._values = QGridLayout()
        self._values.setHorizontalSpacing(theme.grid(3))
        self._values.setVerticalSpacing(2)
        self._cells: dict[str, QLabel] = {}
        head = QHBoxLayout()
        head.setSpacing(theme.grid(1))
        for widget in (self._icon, self._name):
            head.addWidget(widget)
        head.addWidget(self._what, 1)
        for widget in (self.figures, self.badge, self.calibrate, self.remove):
            head.addWidget(widget)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(theme.grid(1.5), theme.grid(1), theme.grid(1), theme.grid(1))
        self._box.setSpacing(theme.grid(0.5))
        self._box.addLayout(head)
        self._box.addWidget(self.sentence)
        self._box.addLayout(self._values)
        self.set_device(device)

    def add_below(self, widget: QWidget) -> None:
        """Puts what only this kind of device has under its values."""
        self._box.addWidget(widget)

    def set_device(self, device: StationDevice) -> None:
        """Shows what the station file says."""
        self.device = device
        self._name.setText(device.name)
        unsaved = "" if device.saved else ", not saved yet"
        self._what.setText(f"{device.kind.value} \N{MIDDLE DOT} {device.driver or 'no driver'}{unsaved}")
        self.badge.set_verification(device.verification, device.proof)
        self.remove.setAccessibleName(f"Remove {device.name}")
        self.calibrate.setAccessibleName(f"Calibrate {device.name}")
        simulated_arm = device.kind is DriverKind.FOLLOWER and device.driver == "sim"
        self.remove.setVisible(not simulated_arm)

    def show_live(self, live: Live, problem: str) -> None:
        """Shows state, figures and values.

        Args:
            live: What is known.
            problem: Why it cannot work as it stands in the station file, empty when it can.
        """
        words, role = state_words(self.device, live, problem)
        if words != self.sentence.text():
            self.sentence.setText(words)
            self.sentence.setVisible(bool(words))
            self.updateGeometry()
        color = theme.tokens().muted if role in (Role.MUTED, Role.GOOD) else theme.accent_text(role)
        self.sentence.setStyleSheet(f"color: {color};")
        self.figures.setText(figures_text(live))
        self._set_look(ICONS[self.device.kind], role)
        self._show_values(live.values if live.state is ProcessState.RUNNING else {})

    def _set_look(self, icon: str, role: Role) -> None:
        if (icon, role) != self._look:
            self._look = (icon, role)
            color = theme.tokens().muted if role is Role.MUTED else theme.accent_text(role)
            self._icon.setPixmap(theme.icon_in(icon, color).pixmap(QSize(_ICON_PX, _ICON_PX)))

    def _show_values(self, values: Mapping[str, float]) -> None:
        names = list(values)[:_MOST_VALUES]
        if names != list(self._cells):
            for label in self._cells.values():
                self._values.removeWidget(label)
                label.deleteLater()
            self._cells = {}
            columns = _VALUE_COLUMNS // (2 if max(map(len, names), default=0) > _LONG_NAMES else 1)
            for column in range(_VALUE_COLUMNS):
                self._values.setColumnStretch(column, int(column < columns))
            for index, name in enumerate(names):
                label = ElidedLabel()
                label.setFont(theme.font(FontSize.LABEL, tabular=True))
                label.setProperty("kind", "muted")
                label.setToolTip(name)
                self._values.addWidget(label, index // columns, index % columns)
                self._cells[name] = label
        for name, label in self._cells.items():
            label.setText(f"{name} {values[name]:+.3f}")

    def retheme(self) -> None:
        """Takes the colours of the theme in force."""
        self._look = ("", Role.MUTED)
        self.badge.retheme()
