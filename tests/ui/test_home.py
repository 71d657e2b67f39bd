"""Home: three questions on first run, then one button; lists and health."""

import time
import uuid

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QLabel, QPushButton

from sessions.repository import open_catalog
from sessions.roster_access import TaskDefault
from sessions.rows import Author, EpisodeRow
from sessions.states import EpisodeState
from teleop_app.core.errors import StationError
from teleop_app.core.types import ProcessState, ProcessStatus, RecorderState, RecorderStatus, StationStatus
from ui.pages.home import EpisodeRowButton, HomePage, ago
from ui.viewmodels.home import HealthLevel, HomeModel

TASKS = (
    TaskDefault(name="hand-over", instruction="Hand the bar over", target_count=10),
    TaskDefault(name="pick-place", instruction="Pick up the red cube", target_count=20),
)


class Starter:
    def __init__(self) -> None:
        self.name = "Simulated cell"
        self.running = False
        self.error = None

    def start(self, name: str) -> None:
        if self.error:
            raise self.error
        self.name, self.running = name, True


@pytest.fixture
def starter():
    return Starter()


@pytest.fixture
def catalog(tmp_path):
    with open_catalog(tmp_path, Author.process("test")) as catalog:
        catalog.seed_defaults(TASKS)
        yield catalog


@pytest.fixture
def model(qapp, catalog, direct_port, starter):
    return HomeModel(catalog, direct_port, starter, "pick-place")


def ready(model):
    processes = tuple(
        ProcessStatus(name, 1, ProcessState.RUNNING, 0)
        for name in ("simulation", "control", "cameras", "recorder")
    )
    model.on_link(True)
    model.on_recorder(RecorderStatus(RecorderState.IDLE, 0))
    model.on_station(StationStatus("cell", 0, processes, 10**9))


def add_episode(catalog, **fields):
    session = catalog.open_session(
        catalog.ensure_station("Simulated cell").id, catalog.ensure_person("Ada").id
    )
    row = EpisodeRow(
        **{
            "uuid": str(uuid.uuid4()),
            "session_id": session.id,
            "station": "Simulated cell",
            "operator": "Ada",
            "task": "hand-over",
            "instruction": "Hand the bar over",
            "index_in_session": 0,
            "path": f"episodes/{uuid.uuid4()}.mcap",
            "started_utc_ns": time.time_ns(),
            "duration_ns": 9 * 10**9,
            "frame_count": 1,
            "size_bytes": 1,
            "blake3": "0" * 64,
            "format_version": "1",
            "software_version": "0",
            "state": EpisodeState.SAVED,
            **fields,
        }
    )

    return catalog.add_episode(row)


def test_enter_three_times_starts_the_cell_and_opens_the_session(qtbot, model, direct_port, starter):
    page = HomePage(model)
    qtbot.addWidget(page)
    with qtbot.waitActive(page):
        page.show()
        page.windowHandle().requestActivate()
    assert page.asks
    page.welcome.station.setFocus()
    for _ in range(3):
        QTest.keyClick(page.focusWidget(), Qt.Key.Key_Return)
    assert starter.running
    assert page.welcome.note.text().startswith("Starting the station")
    assert not page.welcome.start.isEnabled()
    with qtbot.waitSignal(page.collectWanted):
        ready(model)
    assert direct_port.commands == ["open_session", "prepare"]
    arguments = direct_port.calls[0][2]
    assert arguments["task"] == "pick-place"
    assert arguments["target"] == 20
    assert not page.asks


def test_a_missing_answer_is_asked_for(model, starter, qtbot):
    with qtbot.waitSignal(model.refused) as shown:
        assert not model.begin("  ", "Ada", "")
    assert shown.args[0].what == "Please give a station name and a task"
    assert not starter.running


def test_the_person_and_the_station_are_kept(model, catalog):
    model.begin("Cell 7", "Grace", "pick-place")
    assert [person.name for person in catalog.list_people()] == ["Grace"]
    assert [station.name for station in catalog.list_stations()] == ["Cell 7"]
    model.refresh()
    assert not model.first_run


def test_a_station_that_does_not_start_unlocks_the_page(model, starter, qtbot):
    starter.error = StationError("Another station runs on this data directory")
    with qtbot.waitSignal(model.refused):
        assert not model.begin("Cell", "Ada", "pick-place")
    starter.error = None
    model.begin("Cell", "Ada", "pick-place")
    assert model.busy
    with qtbot.waitSignal(model.refused):
        model.on_start_failed(StationError("It ended"))
    assert model.busy == ""


def test_a_refused_session_is_shown_and_unlocks(model, direct_port, qtbot):
    direct_port.errors["open_session"] = StationError("The recorder is busy")
    ready(model)
    with qtbot.waitSignal(model.refused):
        model.start_session("Ada", "pick-place")
    assert model.busy == ""


def test_a_new_session_closes_the_one_before(model, direct_port):
    ready(model)
    model.on_recorder(RecorderStatus(RecorderState.IDLE, 0, session="old", task="hand-over"))
    model.start_session("Ada", "pick-place")
    assert direct_port.commands == ["close_session", "open_session", "prepare"]


def test_progress_and_newest_episodes_come_from_the_catalog(model, catalog):
    add_episode(catalog)
    add_episode(catalog, state=EpisodeState.DISCARDED)
    model.refresh()
    assert [(task.name, task.saved, task.target) for task in model.tasks] == [
        ("hand-over", 1, 10),
        ("pick-place", 0, 20),
    ]
    assert {line.state for line in model.recent} == {EpisodeState.SAVED, EpisodeState.DISCARDED}
    assert model.defaults()[1:] == ("Ada", "hand-over")


def test_the_catalog_is_read_again_only_when_it_changed(model, catalog):
    changes = []
    model.changed.connect(lambda: changes.append(1))
    model.refresh()
    assert changes == []
    catalog.ensure_person("Ada")
    model.refresh()
    assert changes == [1]


def test_health_names_what_is_down_with_its_sentence(model, starter):
    assert model.health()[0].level is HealthLevel.WAIT
    ready(model)
    dead = ProcessStatus("cameras", 1, ProcessState.FAULT, 0, "No OpenGL.")
    model.on_station(StationStatus("cell", 0, (dead,), 10**9))
    line = model.health()[1]
    assert (line.name, line.level, line.text) == ("Cameras", HealthLevel.FAULT, "No OpenGL.")


def shown_page(qtbot, model):
    page = HomePage(model)
    qtbot.addWidget(page)
    page.resize(1210, 720)
    page.show()
    return page


def test_an_empty_list_offers_the_one_button_that_fills_it(qtbot, model, catalog, direct_port):
    catalog.ensure_person("Ada")
    model.refresh()
    ready(model)
    page = shown_page(qtbot, model)
    buttons = {button.text(): button for button in page.overview.findChildren(QPushButton)}
    buttons["Record the first one"].click()
    assert "open_session" in direct_port.commands


def test_a_click_on_an_episode_asks_for_it(qtbot, model, catalog):
    row = add_episode(catalog)
    model.refresh()
    page = shown_page(qtbot, model)
    with qtbot.waitSignal(page.episodeChosen) as chosen:
        page.overview.findChild(EpisodeRowButton).click()
    assert chosen.args == [row.uuid]


def test_an_open_session_is_gone_on_with(qtbot, model, catalog, direct_port):
    catalog.ensure_person("Ada")
    model.refresh()
    ready(model)
    page = shown_page(qtbot, model)
    assert page.overview.start.text() == "Start collecting"
    model.on_recorder(RecorderStatus(RecorderState.IDLE, 0, session="s", task="pick-place"))
    assert page.overview.start.text() == "Go on collecting"
    with qtbot.waitSignal(page.collectWanted):
        page.overview.start.click()
    assert direct_port.commands == []


def test_the_overview_says_how_the_station_is(qtbot, model, catalog):
    catalog.ensure_person("Ada")
    model.refresh()
    page = shown_page(qtbot, model)
    ready(model)
    texts = [label.text() for label in page.overview.findChildren(QLabel)]
    assert "Control loop" in texts


@pytest.mark.parametrize(("seconds", "text"), [(5, "just now"), (120, "2 min ago"), (7300, "2 h ago")])
def test_recent_times_are_told_as_distances(seconds, text):
    assert ago(10**18, 10**18 + int(seconds * 1e9)) == text


def test_the_lists_are_there_after_the_first_session_and_a_change(qtbot, model, catalog):
    page = shown_page(qtbot, model)
    model.begin("Cell", "Ada", "pick-place")
    ready(model)
    page.hide()
    page.show()
    add_episode(catalog)
    model.refresh()
    assert all(body.isVisible() for body in page.overview._bodies.values())
    assert len(page.overview._bodies) == 3
    assert page.overview.findChild(EpisodeRowButton).isVisible()
