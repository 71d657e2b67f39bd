"""The window as a whole: pages, bridge and station put together."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer
from PyQt6.QtWidgets import QApplication

from sessions import Author, Catalog, TaskDefault, open_catalog
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.config import StationConfig
from teleop_app.core.paths import DataDir
from teleop_app.core.types import CameraSetup, RecorderState, RecorderStatus, StationStatus
from teleop_app.station.checks import Check
from teleop_app.station.client import StationClient
from teleop_app.station.latency_calibration import LatencyCalibration
from ui import theme
from ui.actions import ACTIONS, ActionRegistry, Scope
from ui.bridge import StationBridge
from ui.gl.scene_feed import SceneSource
from ui.main_window import MainWindow, Page, open_settings
from ui.pages.autonomy import AutonomyPage
from ui.pages.collect import CollectPage
from ui.pages.episodes import EPISODE_ACTIONS, EpisodesPage
from ui.pages.home import HomePage
from ui.pages.setup import SetupPage
from ui.sounds import SoundPlayer
from ui.station_host import StationHost
from ui.theme import Role
from ui.viewmodels.autonomy import AutonomyModel
from ui.viewmodels.autonomy_summary import AutonomySummaryModel
from ui.viewmodels.calibration_makers import station_makers
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.home import HomeModel
from ui.widgets.autonomy_summary import AutonomySummary
from ui.widgets.setup_parts import DriverLabel
from ui.widgets.status_cells import all_cells, link_state

log = logging.getLogger(__name__)
_STRIP_INTERVAL_MS = 500


@dataclass(frozen=True, slots=True)
class WindowParts:
    """What the composition root gives the window.

    Attributes:
        data: The store, made.
        config: The station file.
        station_file: Where it lies.
        scene: What the 3-D view draws, None without a model.
        tasks: Tasks offered on first run.
        device_checks: Pre-flight checks of the station's devices.
        drivers: Drivers of the simulated cell and how far each is proven.
    """

    data: DataDir
    config: StationConfig
    station_file: Path
    scene: SceneSource | None
    tasks: Sequence[TaskDefault]
    device_checks: Callable[[], Iterable[Check]]
    drivers: Sequence[DriverLabel]


class Application(QObject):
    """Owns the models, the bridge and the window, and connects them.

    Args:
        app: The Qt application.
        parts: See `WindowParts`.
    """

    def __init__(self, app: QApplication, parts: WindowParts) -> None:
        super().__init__()
        self._parts = parts
        self.settings = open_settings(parts.data.root)
        theme.apply(app, str(self.settings.value("theme", "dark")))
        self.catalog: Catalog = open_catalog(parts.data.root, Author.person("window"))
        self.catalog.seed_defaults(parts.tasks)
        self.actions = ActionRegistry(self.settings, (*ACTIONS, *EPISODE_ACTIONS))
        self.client = StationClient(parts.data)
        self.bridge = StationBridge(self.client, hands=[hand.name for hand in parts.config.hands])
        self.host = StationHost(parts.data, parts.station_file, parts.config)
        self.collect = CollectModel(self.bridge, parts.config, self.actions.key_label)
        self.autonomy = AutonomyModel(self.bridge, self.collect, self.actions.key_label)
        self.summary = AutonomySummaryModel(self.catalog)
        self.home = HomeModel(self.catalog, self.bridge, self.host, parts.config.simulation.task)
        self.sounds = SoundPlayer(parts.config.inputs.sounds)
        self._setups: dict[str, CameraSetup] = {}
        self._station: StationStatus | None = None
        self._recorder: RecorderStatus | None = None
        self._fault = ""
        self._help = ""
        self._session_since_s: float | None = None
        self._operator = ""
        self.window = MainWindow(self._pages(), self.actions, self.settings)
        self.sounds.enabled = parts.config.inputs.sounds and self.window.sounds
        self.window.top_bar.station.set_value(self.host.name)
        self._connect()
        self._strip = QTimer(self)
        self._strip.setInterval(_STRIP_INTERVAL_MS)
        self._strip.timeout.connect(self._refresh_strip)

    def start(self) -> None:
        """Show the window and link it; a store that was used before starts its station at once."""
        self.bridge.start()
        self._strip.start()
        self._refresh_strip()
        if not self.home.first_run:
            self.host.ensure()
        self.window.show()

    def stop(self) -> None:
        """Unlink, stop the station this window started, close the catalog."""
        self._strip.stop()
        for title in ("Episodes", "Setup"):
            page = self.window.page_widget(title)
            if isinstance(page, EpisodesPage | SetupPage):
                page.close_page()
        self.summary.close()
        self.bridge.stop()
        self.host.stop()
        self.client.close()
        self.catalog.close()
        self.sounds.stop()

    def _pages(self) -> list[Page]:
        return [
            Page("Home", "home-outline", Scope.HOME, self._make_home),
            Page("Collect", "record-circle-outline", Scope.COLLECT, self._make_collect),
            Page("Autonomy", "robot-outline", Scope.AUTONOMY, self._make_autonomy),
            Page("Episodes", "filmstrip", Scope.EPISODES, self._make_episodes),
            Page("Setup", "tune-variant", Scope.SETUP, self._make_setup),
        ]

    def _make_home(self) -> HomePage:
        page = HomePage(self.home)
        page.collectWanted.connect(lambda: self.window.show_titled("Collect"))
        page.episodeChosen.connect(self._show_episode)
        return page

    def _make_collect(self) -> CollectPage:
        page = CollectPage(self.bridge, self.collect, self.actions, self._parts.scene, self.settings)
        page.sessionWanted.connect(lambda: self.window.show_titled("Home"))
        return page

    def _make_autonomy(self) -> AutonomyPage:
        page = AutonomyPage(
            self.bridge,
            self.autonomy,
            self.actions,
            self._parts.scene,
            self.settings,
            AutonomySummary(self.summary),
        )
        page.sessionWanted.connect(lambda: self.window.show_titled("Home"))
        return page

    def _make_episodes(self) -> EpisodesPage:
        page = EpisodesPage(self.catalog, self._parts.data.root, self.actions, self._author, self.settings)
        page.told.connect(lambda text, undo: self.window.toast(text, undo))
        page.refused.connect(lambda error: self.window.show_error(error))
        page.collectWanted.connect(lambda: self.window.show_titled("Collect"))
        self.bridge.recorderChanged.connect(page.on_recorder)
        return page

    def _make_setup(self) -> SetupPage:
        parts = self._parts
        page = SetupPage(
            parts.data,
            parts.station_file,
            self.catalog,
            self._author,
            self.bridge,
            parts.device_checks,
            parts.drivers,
            self.settings,
            lambda progress, cancelled: LatencyCalibration(self.client, progress, cancelled),
            station_makers(
                self.client,
                CalibrationStore(parts.data.calibrations),
                parts.scene,
            ),
        )
        # Without a key on the button: Undo has none on this page.
        page.told.connect(lambda text, undo: self.window.toasts.show_text(text, undo))
        page.refused.connect(lambda error: self.window.show_error(error))
        page.soundsWanted.connect(lambda on: self.window.set_sounds(on))
        page.stationWanted.connect(self.host.restart)
        page.tuned.connect(self.collect.on_mapping)
        return page

    def _author(self) -> Author:
        """Who signs what is done in this window: the operator of the session, else the window."""
        return Author.person(self._operator or "window")

    def _show_episode(self, uuid: str) -> None:
        self.window.show_titled("Episodes")
        page = self.window.page_widget("Episodes")
        if isinstance(page, EpisodesPage):
            page.show_episode(uuid)

    def _connect(self) -> None:
        bridge, window, collect, home = self.bridge, self.window, self.collect, self.home
        bridge.ticksArrived.connect(collect.on_ticks)
        bridge.forceArrived.connect(collect.on_force)
        bridge.framesLost.connect(collect.on_lost)
        bridge.taskChanged.connect(collect.on_task)
        bridge.eventHappened.connect(collect.on_event)
        autonomy = self.autonomy
        bridge.ticksArrived.connect(autonomy.on_ticks)
        bridge.eventHappened.connect(autonomy.on_event)
        bridge.policyChanged.connect(autonomy.on_policy)
        autonomy.cue.connect(self.sounds.play)
        autonomy.told.connect(window.toast)
        autonomy.helpCalled.connect(self._on_help)
        autonomy.desk.changed.connect(lambda: self.summary.set_blind(autonomy.desk.blind))
        self.summary.failed.connect(window.show_error)
        for model in (collect, home, autonomy):
            bridge.linkChanged.connect(model.on_link)
            bridge.recorderChanged.connect(model.on_recorder)
        bridge.stationChanged.connect(home.on_station)
        bridge.stationChanged.connect(self._on_station)
        bridge.recorderChanged.connect(self._on_recorder)
        bridge.cameraChanged.connect(self._on_camera)
        bridge.linkChanged.connect(self._on_link)
        bridge.failed.connect(window.show_error)
        collect.refused.connect(window.show_error)
        home.refused.connect(window.show_error)
        self.host.failed.connect(home.on_start_failed)
        collect.cue.connect(self.sounds.play)
        collect.told.connect(lambda text, undo: window.toast(text, collect.undo if undo else None))
        collect.outdated.connect(window.toasts.drop)
        home.sessionOpened.connect(self._on_session)
        window.estopRequested.connect(collect.estop)
        window.estopResetRequested.connect(collect.reset_estop)
        window.soundsToggled.connect(self._on_sounds)

    def _on_session(self, operator: str, task: str) -> None:
        self._session_since_s = time.monotonic()
        self._operator = operator
        self.window.top_bar.station.set_value(self.host.name)
        self.window.top_bar.operator.set_value(operator)
        self.window.top_bar.task.set_value(task)

    def _on_station(self, status: StationStatus) -> None:
        self._station = status
        fault = status.faults[0] if status.faults else ""
        if fault and fault != self._fault:
            self.window.banner.show_sentence(fault)
        elif self._fault and not fault and self.window.banner.sentence == self._fault:
            self.window.banner.clear()
        self._fault = fault

    def _on_help(self, text: str) -> None:
        """The policy asks for help while another page is shown; empty when it was answered."""
        window = self.window
        if text and window.current_title != "Autonomy":
            window.banner.show_sentence(
                text, role=Role.POLICY, act="Open Autonomy", callback=lambda: window.show_titled("Autonomy")
            )
            self._help = text
        elif not text and self._help:
            if window.banner.sentence == self._help:
                window.banner.clear()
            self._help = ""

    def _on_recorder(self, status: RecorderStatus) -> None:
        self._recorder = status
        self.summary.set_session(status.session)
        self.window.set_recording(status.state is RecorderState.RECORDING)
        self.window.set_estop(self.collect.view().estop)

    def _on_link(self, linked: bool) -> None:
        if not linked:
            self._recorder = self._station = None
            self.window.set_recording(False)

    def _on_camera(self, setup: CameraSetup) -> None:
        self._setups[setup.name] = setup

    def _on_sounds(self, on: bool) -> None:
        self.sounds.enabled = on

    def _refresh_strip(self) -> None:
        since = self._session_since_s
        self.collect.set_starting(self.host.running)
        self.autonomy.set_starting(self.host.running)
        self.window.top_bar.set_session_seconds(None if since is None else time.monotonic() - since)
        cells = all_cells(
            link=link_state(
                linked=self.bridge.linked,
                was_linked=self.bridge.was_linked and not self.host.restarting,
                running=self.host.running,
            ),
            station=self._station,
            recorder=self._recorder,
            control=self.bridge.control,
            wanted_hz=self._parts.config.control.rate_hz,
            meters=self.bridge.cameras,
            setups=self._setups,
        )
        self.window.strip.set_cells(cells)


def run_window(parts: WindowParts) -> int:
    """Open the window and stay until it is closed; the exit code.

    Raises:
        TeleopError: The store or its catalog cannot be opened.
    """
    qt = QApplication(sys.argv[:1])
    qt.setApplicationName("teleop-app")
    application = Application(qt, parts)
    signal.signal(signal.SIGINT, lambda *_: qt.quit())
    signal.signal(signal.SIGTERM, lambda *_: qt.quit())
    application.start()
    gc.collect()
    gc.freeze()  # what the imports left is never garbage; collecting past it stalls the GUI thread
    try:
        return qt.exec()
    finally:
        application.stop()
