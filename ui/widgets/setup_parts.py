"""Parts of the Setup page that only tell: the scrolled column, the drivers, About."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import PYQT_VERSION_STR, QT_VERSION_STR, Qt, QUrl
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from devices.protocols import Verification
from teleop_app.core.paths import DataDir
from ui import theme

FORMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Station", "robot-industrial-outline", ("station", "control", "simulation")),
    ("Arms", "robot-industrial", ("arms",)),
    ("Cameras", "camera-outline", ("cameras",)),
    ("Inputs", "gamepad-variant-outline", ("inputs", "inputs.devices")),
    ("Sensors", "gauge", ("sensors",)),
    ("Base, lift, hands", "hand-back-right-outline", ("mobile_base", "lift", "hands")),
    ("Mapping", "axis-arrow", ("mapping",)),
    ("Safety", "shield-outline", ("safety",)),
    ("Autonomy", "robot-outline", ("autonomy",)),
    ("Recording", "record-circle-outline", ("recording",)),
)
"""Sections of the page that are forms: title, icon, sections of the station file."""

TITLES = {
    "station": "Station",
    "control": "Control loop",
    "simulation": "Simulated cell",
    "arms": "Arms",
    "cameras": "Cameras",
    "mapping": "Mapping",
    "safety": "Safety",
    "autonomy": "Autonomy",
    "recording": "Recording",
    "inputs": "Inputs",
    "inputs.devices": "Input devices",
    "sensors": "Sensors",
    "mobile_base": "Mobile base",
    "lift": "Lift",
    "hands": "Hands",
}

_LIBRARIES = ("PyQt6", "mujoco", "mink", "av", "pyzmq", "SQLAlchemy", "mcap")
_WIDTH = 880
_VERIFICATION_TEXTS = {
    Verification.HARDWARE: "Proven on the real device.",
    Verification.EMULATOR: "Proven against an emulator of the device, not on the device itself.",
    Verification.IMPORT_ONLY: "Loads, but has not been proven.",
    Verification.SIMULATED: "Part of the simulated cell.",
}


@dataclass(frozen=True, slots=True)
class DriverLabel:
    """A driver and how far it is proven.

    Attributes:
        name: As in the station file.
        kind: "input", "follower" or "camera".
        verification: How far.
    """

    name: str
    kind: str
    verification: Verification


def scrolled(widgets: Sequence[QWidget]) -> QScrollArea:
    """Returns widgets under each other in a column that scrolls."""
    body = QWidget()
    column = QVBoxLayout()
    column.setContentsMargins(0, 0, theme.grid(1), theme.grid(2))
    column.setSpacing(theme.grid(3))
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    row = QHBoxLayout(body)
    row.setContentsMargins(0, 0, 0, 0)
    holder = QWidget()
    holder.setLayout(column)
    holder.setMaximumWidth(_WIDTH)
    row.addWidget(holder, 1)
    row.addStretch(0)
    row.setAlignment(holder, Qt.AlignmentFlag(0))
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(body)
    return area


def driver_list(drivers: Sequence[DriverLabel]) -> QWidget:
    """Returns what is known of the drivers; hidden when there are none."""
    part = QWidget()
    box = QVBoxLayout(part)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(theme.grid(1))
    title = QLabel("Built in")
    title.setFont(theme.font(bold=True))
    box.addWidget(title)
    card = QFrame()
    card.setProperty("surface", "panel")
    form = QFormLayout(card)
    form.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
    form.setHorizontalSpacing(theme.grid(3))
    for driver in drivers:
        name = QLabel(f"{driver.name} ({driver.kind})")
        text = QLabel(f"{driver.verification.value}: {_VERIFICATION_TEXTS[driver.verification]}")
        text.setWordWrap(True)
        form.addRow(name, text)
    part.setVisible(bool(drivers))
    box.addWidget(card)
    return part


class About(QWidget):
    """Version, licence, places and libraries, to be copied into a report.

    Args:
        data: The store.
        station_file: The station file in force.
        parent: Owner.
    """

    def __init__(self, data: DataDir, station_file: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts = about_facts(data, station_file)
        title = QLabel("teleop-app")
        title.setProperty("kind", "title")
        text = QLabel("Teleoperates robots and records training data.")
        text.setProperty("kind", "muted")
        form = QFormLayout()
        form.setHorizontalSpacing(theme.grid(3))
        form.setVerticalSpacing(theme.grid(1))
        for caption, value in self._facts:
            name = QLabel(caption)
            name.setProperty("kind", "muted")
            shown = QLabel(value)
            shown.setWordWrap(True)
            shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            form.addRow(name, shown)
        folder = QPushButton("Open the data directory")
        folder.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(data.root))))
        copying = QPushButton("Copy all this")
        copying.clicked.connect(self._copy_about)
        buttons = QHBoxLayout()
        buttons.addWidget(folder)
        buttons.addWidget(copying)
        buttons.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(2))
        box.addWidget(title)
        box.addWidget(text)
        box.addLayout(form)
        box.addLayout(buttons)
        box.addStretch(1)

    def _copy_about(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(f"{caption}: {value}" for caption, value in self._facts))


def about_facts(data: DataDir, station_file: Path) -> list[tuple[str, str]]:
    """Returns captions and values."""
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    return [
        ("Version", importlib.metadata.version("teleop-app")),
        ("Licence", "GNU General Public License, version 3 or later; no warranty"),
        ("Data directory", str(data.root)),
        ("Station file", str(station_file)),
        ("Logs", str(data.logs)),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        ("Qt", f"{QT_VERSION_STR}, PyQt {PYQT_VERSION_STR}"),
        ("Libraries", libraries),
    ]
