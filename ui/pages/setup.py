"""The Setup page: the station file, tasks and people, pre-flight."""

from __future__ import annotations

# ruff: noqa: N802
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PyQt6.QtCore import (
    QEvent,
    QSettings,
    QSize,
    Qt,
    QTimer,
    pyqtSignal,
)
from PyQt6.QtGui import QFontDatabase, QHideEvent, QShowEvent
from PyQt6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from sessions import Author, Catalog
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.paths import DataDir
from teleop_app.core.types import CameraSetup, ProcessState, StationStatus
from teleop_app.station.checks import Check
from ui import theme
from ui.bridge import StationBridge
from ui.theme import Role
from ui.viewmodels.arm_wizard import ArmWizard
from ui.viewmodels.calibration_makers import CalibrationMakers
from ui.viewmodels.camera_wizard import CameraWizard
from ui.viewmodels.devices import DevicesModel, StationDevice
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.latency import LatencyModel, MakeCalibrator
from ui.viewmodels.mapping_live import MappingLive
from ui.viewmodels.setup import SetupModel
from ui.viewmodels.setup_preflight import PreflightModel
from ui.viewmodels.setup_restart import STATION, process_title
from ui.viewmodels.setup_roster import RosterModel
from ui.widgets.arm_wizard_panel import ArmWizardPanel
from ui.widgets.calibration_editor import CalibrationEditor
from ui.widgets.camera_wizard_panel import CameraWizardPanel
from ui.widgets.checklist import Checklist
from ui.widgets.devices_editor import DevicesEditor
from ui.widgets.form import SectionForm
from ui.widgets.form_fields import SwitchBox
from ui.widgets.form_roster import PeopleEditor, TasksEditor
from ui.widgets.latency_editor import LatencyEditor
from ui.widgets.mapping_editor import MappingEditor
from ui.widgets.setup_parts import FORMS, TITLES, About, DriverLabel, driver_list, scrolled

_SECTION_KEY = "setup/section"


class SetupPage(QWidget):
    """Edits the station file, tasks and people, and says whether everything is fit to record.

    Args:
        data: The store.
        station_file: The station file in force; need not exist.
        catalog: Open catalog; not closed here.
        author: Who signs edits of tasks and people.
        bridge: Signals and commands of the station; None where there is none.
        more_checks: Checks of the devices, which only the composition root knows.
        drivers: What every station has without a driver.
        settings: Where the section shown is kept.
        calibrator: Makes what measures latencies; None where there is no station.
        makers: Make what calibrates arms and cameras; None where there is no station.
        parent: Owner.
    """

    told = pyqtSignal(str, object)
    """A note for a toast, and what takes it back, or None."""
    refused = pyqtSignal(object)
    """A `TeleopError` to show."""
    tuned = pyqtSignal(object)
    """`MappingSection` that the running station was given."""
    stationWanted = pyqtSignal()
    """The station is to be started anew."""
    soundsWanted = pyqtSignal(bool)
    """Sounds of this window on or off."""

    def __init__(
        self,
        data: DataDir,
        station_file: Path,
        catalog: Catalog,
        author: Callable[[], Author],
        bridge: StationBridge | None = None,
        more_checks: Callable[[], Iterable[Check]] | None = None,
        drivers: Sequence[DriverLabel] = (),
        settings: QSettings | None = None,
        calibrator: MakeCalibrator | None = None,
        makers: CalibrationMakers | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings = settings
        self._checked = False
        self.drivers = DriverCatalog(parent=self)
        self.model = SetupModel(station_file, bridge, self, self.drivers)
        self.roster = RosterModel(catalog, author, self)
        self.preflight = PreflightModel(data, lambda: self.model.saved, more_checks, self)
        self.latency = LatencyModel(
            self.model, lambda: bridge.cameras if bridge is not None else {}, calibrator, self
        )
        self.forms: dict[str, SectionForm] = {}
        self.sections = QListWidget()
        self.sections.setAccessibleName("Sections of the set-up")
        self.sections.setFixedWidth(theme.grid(24))
        self.sections.setIconSize(QSize(18, 18))
        self._pages = QStackedWidget()
        self.devices = DevicesModel(self.model, self.drivers, bridge, self)
        self.mapping = MappingLive(self.model, bridge, self)
        self.devices_editor = DevicesEditor(self.devices, self.model, self.drivers)
        for title, icon, names in FORMS:
            self._add_section(title, icon, self._form_page(title, names, bridge))
            if title == "Station":
                self._add_section(
                    "Devices", "connection", scrolled([self.devices_editor, driver_list(drivers)])
                )
        self.latency_editor = LatencyEditor(self.latency, bridge)
        self._add_section("Time and latency", "timer-cog-outline", scrolled([self.latency_editor]))
        tasks = TasksEditor(self.roster)
        self._add_section(
            "Calibration", "tune-vertical", scrolled([self._calibration_page(data, bridge, makers)])
        )
        self._add_section("Tasks", "clipboard-list-outline", scrolled([tasks]))
        self._add_section("People", "account-group-outline", scrolled([PeopleEditor(self.roster)]))
        self._checklist = Checklist(self.preflight)
        self._add_section("Pre-flight", "clipboard-check-outline", scrolled([self._checklist]))
        self._add_section("File", "file-code-outline", self._text_page())
        self._add_section("About", "information-outline", scrolled([About(data, station_file)]))
        box = QHBoxLayout(self)
        box.setContentsMargins(theme.grid(1), theme.grid(1), theme.grid(1), theme.grid(1))
        box.setSpacing(theme.grid(2))
        box.addWidget(self.sections)
        right = QVBoxLayout()
        right.setSpacing(theme.grid(1))
        right.addWidget(self._build_notice())
        right.addWidget(self._pages, 1)
        right.addWidget(self._build_bar())
        box.addLayout(right, 1)
        self._repaint = QTimer(self)
        self._repaint.setSingleShot(True)
        self._repaint.setInterval(0)
        self._repaint.timeout.connect(self._retheme)
        self._theme = theme.tokens().name
        self._connect(bridge)
        self._restore()
        self.refresh()

    # Building

    def _add_section(self, title: str, icon: str, page: QWidget) -> None:
        item = QListWidgetItem(title)
        item.setData(Qt.ItemDataRole.UserRole, icon)
        item.setData(Qt.ItemDataRole.UserRole + 1, title)
        item.setSizeHint(QSize(0, theme.grid(4.5)))
        self.sections.addItem(item)
        self._pages.addWidget(page)

    def _form_page(
        self,
        title: str,
        names: Sequence[str],
        bridge: StationBridge | None,
    ) -> QWidget:
        widgets: list[QWidget] = []
        for name in names:
            form = SectionForm(self.model, name, TITLES[name])
            self.forms[name] = form
            widgets.append(form)
        if title == "Mapping":
            self.mapping_editor = MappingEditor(self.mapping, self.model, bridge)
            self.mapping_editor.valueSet.connect(self.forms["mapping"].fill)
            widgets.insert(0, self.mapping_editor)
        if title == "Safety":
            note = QLabel(
                "These limits are software above the robot's own safety. They do not replace a rated "
                "emergency stop."
            )
            note.setWordWrap(True)
            widgets.insert(0, note)
        if title == "Recording":
            self.encoders = QLabel()
            self.encoders.setProperty("kind", "muted")
            self.encoders.setWordWrap(True)
            self.encoders.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            widgets.append(self.encoders)
        if title == "Inputs":
            widgets.append(self._sound_switch())
        return scrolled(widgets)

    def _calibration_page(
        self, data: DataDir, bridge: StationBridge | None, makers: CalibrationMakers | None
    ) -> CalibrationEditor:
        makers = makers or CalibrationMakers()
        store = CalibrationStore(data.calibrations)
        self.arm_wizard = ArmWizard(self.model, self.devices, store, makers.arm, bridge, self)
        self.camera_wizard = CameraWizard(store, makers.camera, self)
        board = data.calibrations / "board.pdf"
        camera_panel = CameraWizardPanel(self.camera_wizard, makers.links, board)
        self.calibration = CalibrationEditor(
            self.devices,
            store,
            self.arm_wizard,
            ArmWizardPanel(self.arm_wizard),
            self.camera_wizard,
            camera_panel,
        )
        self.calibration.devicesWanted.connect(lambda: self.show_titled("Devices"))
        self.devices_editor.calibrationWanted.connect(self._calibrate)
        for wizard in (self.arm_wizard, self.camera_wizard):
            wizard.told.connect(self.told)
        self.camera_wizard.stored.connect(lambda _: self.model.need_restart("cameras", "recorder"))
        return self.calibration

    def _calibrate(self, device: StationDevice) -> None:
        self.show_titled("Calibration")
        self.calibration.open(device)

    def _sound_switch(self) -> QWidget:
        card = QFrame()
        card.setProperty("surface", "panel")
        box = QVBoxLayout(card)
        box.setContentsMargins(theme.grid(2), theme.grid(1.5), theme.grid(2), theme.grid(1.5))
        self.sounds = SwitchBox("Sounds in this window")
        self.sounds.setToolTip("Everything that sounds is also shown.")
        self.sounds.setChecked(
            self._settings is None or str(self._settings.value("sounds", True)).lower() in ("true", "1")
        )
        self.sounds.clicked.connect(self.soundsWanted)
        box.addWidget(self.sounds)
        return card

    def _text_page(self) -> QWidget:
        page = QWidget()
        title = QLabel("Station file")
        title.setProperty("kind", "title")
        self._path = QLabel()
        self._path.setProperty("kind", "muted")
        self._path.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text = QPlainTextEdit()
        self.text.setAccessibleName("Text of the station file")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.textChanged.connect(self._refresh_bar)
        box = QVBoxLayout(page)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.grid(1))
        box.addWidget(title)
        box.addWidget(self._path)
        box.addWidget(self.text, 1)
        return page

    def _build_notice(self) -> QFrame:
        """The line over the forms: a file that cannot be read, or processes to restart."""
        self._notice = QFrame()
        self._notice.setProperty("surface", "raised")
        self._notice_icon = QLabel()
        self._notice_text = QLabel()
        self._notice_text.setWordWrap(True)
        self._notice_text.setTextFormat(Qt.TextFormat.PlainText)
        self._notice_text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.notice_button = QPushButton()
        self.notice_button.clicked.connect(self._act_on_notice)
        line = QHBoxLayout(self._notice)
        line.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1))
        line.setSpacing(theme.grid(1.5))
        line.addWidget(self._notice_icon)
        line.addWidget(self._notice_text, 1)
        line.addWidget(self.notice_button)
        return self._notice

    def _build_bar(self) -> QFrame:
        self._bar = QFrame()
        self._bar.setProperty("surface", "panel")
        self._bar_text = QLabel()
        self._bar_text.setProperty("kind", "muted")
        self.revert = QPushButton("Revert")
        self.revert.clicked.connect(self._revert)
        self.save = QPushButton("Save")
        self.save.setProperty("kind", "primary")
        self.save.clicked.connect(self._save)
        line = QHBoxLayout(self._bar)
        line.setContentsMargins(theme.grid(2), theme.grid(1), theme.grid(1), theme.grid(1))
        line.setSpacing(theme.grid(1))
        line.addWidget(self._bar_text, 1)
        line.addWidget(self.revert)
        line.addWidget(self.save)
        return self._bar

    def _connect(self, bridge: StationBridge | None) -> None:
        self.sections.currentRowChanged.connect(self._show_section)
        self.model.changed.connect(self.refresh)
        self.model.reloaded.connect(self._fill_text)
        self.model.told.connect(lambda text: self.told.emit(text, None))
        self.model.refused.connect(self.refused)
        self.model.stationWanted.connect(self.stationWanted)
        self.model.tuned.connect(self.tuned)
        self.roster.told.connect(self.told)
        self.latency.told.connect(self.told)
        self.devices.told.connect(self.told)
        self.mapping.told.connect(self.told)
        self.roster.refused.connect(self.refused)
        self.preflight.refused.connect(self.refused)
        if bridge is not None:
            latency = self.latency
            bridge.cameraChanged.connect(self._on_camera)
            bridge.streamChanged.connect(latency.on_stream)
            bridge.streamChanged.connect(self.devices.bodies.on_stream)
            bridge.bodyMoved.connect(self.devices.bodies.on_batch)
            bridge.clockFitted.connect(latency.on_clock)
            bridge.ticksArrived.connect(latency.on_ticks)
            bridge.linkChanged.connect(self._on_link)
            bridge.stationChanged.connect(self._on_station)
            self._on_link(bridge.linked)

    def _restore(self) -> None:
        title = str(self._settings.value(_SECTION_KEY, "Station")) if self._settings is not None else ""
        self.show_titled("File" if self.model.broken else title or "Station")

    # What is shown

    def show_titled(self, title: str) -> None:
        """Shows a section by its title; an unknown one shows the first."""
        titles = [title for title, _ in self._titles()]
        self.sections.setCurrentRow(titles.index(title) if title in titles else 0)

    def _titles(self) -> list[tuple[str, QListWidgetItem]]:
        items = [self.sections.item(row) for row in range(self.sections.count())]
        return [(item.data(Qt.ItemDataRole.UserRole + 1), item) for item in items if item is not None]

    def _show_section(self, row: int) -> None:
        if row < 0:
            return
        self._pages.setCurrentIndex(row)
        title = self._titles()[row][0]
        if self._settings is not None:
            self._settings.setValue(_SECTION_KEY, title)
        if title == "File" and not self._text_edited():
            self._fill_text()
        if title == "Pre-flight" and not self._checked:
            self._checked = True
            self.preflight.run()
        self._refresh_bar()

    @property
    def section(self) -> str:
        """Title of the section shown."""
        row = self.sections.currentRow()
        return self._titles()[row][0] if row >= 0 else ""

    def refresh(self) -> None:
        """Shows problems, what is unsaved and what has to be restarted."""
        model = self.model
        self._path.setText(str(model.path))
        counts = {title: sum(model.problems_in(name) for name in names) for title, _, names in FORMS}
        for title, item in self._titles():
            count = counts.get(title, 0) if not model.broken else 0
            item.setText(f"{title}  ({count})" if count else title)
            name = "alert" if count else item.data(Qt.ItemDataRole.UserRole)
            item.setIcon(theme.icon(name, Role.FAULT if count else Role.MUTED))
            enabled = not model.broken or title not in counts
            flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
            item.setFlags(flags if enabled else Qt.ItemFlag.NoItemFlags)
        self._refresh_notice()
        self._refresh_bar()

    def _refresh_notice(self) -> None:
        model = self.model
        if model.file_problem is not None:
            self._say("alert-octagon", Role.FAULT, model.file_problem.sentence, "Edit the text")
        elif model.restarting:
            names = ", ".join(model.to_restart)
            self._say("restart", Role.WARNING, f"Restarting {names}. The arms hold meanwhile.", "")
        elif model.to_restart:
            whole = model.to_restart == (STATION,)
            names = "it" if whole else ", ".join(process_title(name) for name in model.to_restart)
            text = (
                f"Saved. The station still runs with the old values: restart {names} to apply the new ones."
            )
            self._say("restart-alert", Role.WARNING, text, "Restart the station" if whole else "Restart them")
        else:
            self._notice.hide()

    def _say(self, icon: str, role: Role, text: str, button: str) -> None:
        self._notice_icon.setPixmap(theme.icon(icon, role).pixmap(QSize(20, 20)))
        self._notice_text.setText(text)
        self.notice_button.setText(button)
        self.notice_button.setVisible(bool(button))
        self._notice.show()

    @property
    def notice(self) -> str:
        """The line over the forms, empty when hidden."""
        return self._notice_text.text() if not self._notice.isHidden() else ""

    def _act_on_notice(self) -> None:
        if self.model.broken:
            self.show_titled("File")
            self.text.setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.model.restart()

    def _refresh_bar(self) -> None:
        model = self.model
        in_text = self.section == "File"
        edited = self._text_edited()
        of_file = in_text or self.section == "Devices" or any(title == self.section for title, _, _ in FORMS)
        self._bar.setVisible(of_file)
        if in_text:
            self.save.setEnabled(edited)
            self.revert.setEnabled(edited)
            text = "The text has unsaved changes." if edited else "Nothing to save."
        else:
            count = len(model.problems)
            self.save.setEnabled(model.dirty and not count)
            self.revert.setEnabled(model.dirty)
            if count:
                text = f"{count} field{'s' if count > 1 else ''} to correct before saving."
            else:
                text = "Unsaved changes." if model.dirty else "Nothing to save."
        self._bar_text.setText(text)

    def _text_edited(self) -> bool:
        return self.text.toPlainText() != self._text_shown

    _text_shown = ""

    def _fill_text(self) -> None:
        self._text_shown = self.model.text
        if self.text.toPlainText() != self._text_shown:
            self.text.setPlainText(self._text_shown)
        self._refresh_bar()

    # Acts

    def _save(self) -> None:
        if self.section == "File":
            self.model.save_text(self.text.toPlainText())
        else:
            self.model.save()

    def _revert(self) -> None:
        if self.section == "File":
            self._fill_text()
        else:
            self.model.revert()

    # Life

    def _on_link(self, linked: bool) -> None:
        self.model.set_linked(linked)
        self.devices.on_link(linked)
        self.preflight.on_link(linked)

    def _on_camera(self, setup: CameraSetup) -> None:
        self.latency.on_camera(setup)
        self.encoders.setText(f"Encoder in force: {self.latency.encoders}")

    def _on_station(self, status: StationStatus) -> None:
        running = [p.process for p in status.processes if p.state is not ProcessState.STOPPED]
        self.model.set_running(running)
        self.devices.on_station(status)
        self.preflight.on_station(status)

    def showEvent(self, a0: QShowEvent | None) -> None:
        """Looks whether file, tasks and people changed meanwhile."""
        super().showEvent(a0)
        self.model.check_disk()
        self.drivers.load()
        self.roster.load()

    def hideEvent(self, a0: QHideEvent | None) -> None:
        """Checks again when pre-flight is looked at the next time."""
        super().hideEvent(a0)
        self._checked = False

    def changeEvent(self, a0: QEvent | None) -> None:
        """Takes the colours of another theme, later: while Qt tells all widgets, none may be deleted."""
        super().changeEvent(a0)
        if a0 is not None and a0.type() == QEvent.Type.PaletteChange:
            if self._theme not in ("", theme.tokens().name):
                self._theme = theme.tokens().name
                self._repaint.start()

    _theme = ""

    def _retheme(self) -> None:
        self.refresh()
        self._checklist.refresh()
        self.devices_editor.retheme()
        self.mapping_editor.retheme()

    def close_page(self) -> None:
        """Ends all threads of the page, before the catalog is closed. Idempotent."""
        self.arm_wizard.close()
        self.camera_wizard.close()
        self.devices.close()
        self.drivers.close()
        self.roster.close()
        self.preflight.close()
        self.latency.close()
