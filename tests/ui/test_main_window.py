"""The frame: pages, keys, e-stop, strip, toasts, banner, settings."""

import pytest
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLabel, QLineEdit, QVBoxLayout, QWidget

from teleop_app.core.errors import StorageError
from ui import theme
from ui.actions import ACTIONS, ActionRegistry, KeyTakenError, Scope
from ui.main_window import MainWindow, Page, open_settings
from ui.sounds import Cue, SoundPlayer, samples
from ui.widgets.labels import clock_text
from ui.widgets.status_cells import Cell, Level


def pages(made=None):
    def factory(title):
        def make() -> QWidget:
            if made is not None:
                made.append(title)
            widget = QWidget()
            QVBoxLayout(widget).addWidget(QLabel(title))
            return widget

        return make

    return [
        Page("Home", "home-outline", Scope.HOME, factory("Home")),
        Page("Collect", "record-circle-outline", Scope.COLLECT, factory("Collect")),
    ]


@pytest.fixture
def themed(qapp):
    before = qapp.styleSheet()
    theme.apply(qapp, "dark")
    yield
    qapp.setStyleSheet(before)


@pytest.fixture
def window(qtbot, themed):
    window = MainWindow(pages(), ActionRegistry())
    qtbot.addWidget(window)
    with qtbot.waitActive(window):  # Xvfb has no window manager that would activate it
        window.show()
        window.windowHandle().requestActivate()
    return window


def test_pages_are_made_when_first_shown_and_kept(qtbot, themed):
    made = []
    window = MainWindow(pages(made), ActionRegistry())
    qtbot.addWidget(window)
    assert made == ["Home"]
    window.show_titled("Collect")
    window.show_titled("Home")
    window.show_titled("Collect")
    assert made == ["Home", "Collect"]
    assert window.current_title == "Collect"


def test_the_estop_acts_on_the_way_down_and_resets_only_when_latched(window, qtbot):
    stops, resets = [], []
    window.estopRequested.connect(lambda: stops.append(1))
    window.estopResetRequested.connect(lambda: resets.append(1))
    QTest.mousePress(window.top_bar.estop, Qt.MouseButton.LeftButton)
    assert stops == [1]
    window.set_estop(True)
    QTest.mouseRelease(window.top_bar.estop, Qt.MouseButton.LeftButton)
    assert resets == []
    QTest.mouseClick(window.top_bar.estop, Qt.MouseButton.LeftButton)
    assert (stops, resets) == ([1], [1])


def test_escape_stops_from_every_page(window, qtbot):
    stops = []
    window.estopRequested.connect(lambda: stops.append(1))
    for title in ("Home", "Collect"):
        window.show_titled(title)
        QTest.keyClick(window, Qt.Key.Key_Escape)
    assert len(stops) == 2


def test_the_key_overlay_lists_every_declared_key(window):
    window.keys.toggle()
    shown = {label.text() for label in window.keys.findChildren(QLabel)}
    for spec in ACTIONS:
        if not spec.id.startswith(("camera.", "page.")):
            assert spec.text in shown
    assert not window.keys.geometry().contains(
        window.top_bar.estop.mapTo(window.centralWidget(), window.top_bar.estop.rect().center())
        - window.keys.mapTo(window.centralWidget(), window.keys.rect().topLeft())
    )
    QTest.keyClick(window.keys, Qt.Key.Key_A)
    assert not window.keys.isVisible()
    window.keys.toggle()
    QTest.keyClick(window, Qt.Key.Key_Escape)
    assert not window.keys.isVisible(), "the e-stop key also closes it"
    window.keys.toggle()
    window.show_titled("Collect")
    assert not window.keys.isVisible()


def test_default_keys_never_collide_where_both_answer():
    registry = ActionRegistry()
    for spec in ACTIONS:
        registry.rebind(spec.id, spec.key)


def test_a_key_can_be_remapped_and_is_remembered(tmp_path, qapp):
    settings = open_settings(tmp_path)
    registry = ActionRegistry(settings)
    with pytest.raises(KeyTakenError, match="already means 'Save'"):
        registry.rebind("record", "Return")
    registry.rebind("record", "F9")
    settings.sync()
    assert ActionRegistry(open_settings(tmp_path)).key_label("record") == "F9"


def test_actions_answer_only_on_their_page(window, qtbot):
    hits = []
    registry = ActionRegistry()
    action = registry.bind("record", lambda: hits.append(1), window)
    registry.activate(Scope.HOME)
    assert not action.isEnabled()
    registry.activate(Scope.COLLECT)
    QTest.keyClick(window, Qt.Key.Key_R)
    assert hits == [1]


def test_typing_a_name_does_not_trigger_single_key_actions(window, qtbot):
    hits = []
    registry = ActionRegistry()
    registry.bind("record", lambda: hits.append(1), window)
    registry.activate(Scope.COLLECT)
    field = QLineEdit(window)
    field.show()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QTest.keyClicks(field, "ro")
    assert field.text() == "ro"
    assert hits == []


def test_green_is_silent_and_trouble_lights_with_a_remedy(window):
    window.strip.set_cells([Cell("control", "200 Hz"), Cell("link", "Linked")])
    quiet = window.strip._labels["control"].styleSheet()
    window.strip.set_cells(
        [Cell("control", "90 Hz", Level.FAULT, "Close other programs."), Cell("link", "Linked")]
    )
    label = window.strip._labels["control"]
    assert label.styleSheet() != quiet
    assert label.text().startswith("■")
    assert label.toolTip() == "Close other programs."
    assert theme.tokens().fault in label.styleSheet()


def test_cells_keep_their_widgets_while_their_names_stay(window):
    window.strip.set_cells([Cell("a", "1"), Cell("b", "2")])
    before = dict(window.strip._labels)
    window.strip.set_cells([Cell("a", "3"), Cell("b", "2")])
    assert window.strip._labels == before


def test_a_toast_offers_undo_once_and_goes_by_itself(window, qtbot):
    undone = []
    toast = window.toasts.show_text("Episode saved", lambda: undone.append(1), "Z")
    assert "Z" in toast.button.text()
    toast.button.click()
    assert undone == [1]
    assert window.toasts.texts == []
    window.toasts.show_text("Gone soon", shown_ms=1)
    qtbot.waitUntil(lambda: window.toasts.texts == [])


def test_only_the_newest_step_can_be_taken_back_and_what_is_left_keeps_its_size(window):
    window.toasts.show_text("Saved", lambda: None, "Z")
    height = window.toasts.height()
    window.toasts.show_text("Discarded", lambda: None, "Z")
    assert window.toasts.texts == ["Discarded"]
    assert window.toasts.height() == height


def test_a_page_that_needs_more_room_than_there_is_scrolls(qtbot, window):
    window.resize(window.minimumSize())
    page = window.page_widget(window.current_title)
    page.setMinimumHeight(2000)
    QApplication.processEvents()
    assert window.height() == window.minimumHeight()
    assert page.height() >= 2000
    assert window.strip.isVisible()


def test_no_more_than_three_toasts_at_once(window):
    for n in range(5):
        window.toast(str(n))
    assert window.toasts.texts == ["2", "3", "4"]


def test_an_error_is_a_sentence_with_details_folded_away(window):
    window.show_error(StorageError("The disk is full", next_step="Free some space"), details="trace")
    assert window.banner.sentence == "The disk is full. Free some space."
    assert not window.banner._details.isVisible()
    window.banner._unfold.click()
    assert window.banner._details.isVisible()
    window.banner._close.click()
    assert window.banner.sentence == ""


def test_the_window_border_is_red_while_recording(window):
    window.set_recording(True)
    assert theme.tokens().recording in window.centralWidget().styleSheet()
    window.set_recording(False)
    assert theme.tokens().recording not in window.centralWidget().styleSheet()


@pytest.mark.display
def test_geometry_page_and_sounds_come_back(qtbot, themed, tmp_path):
    first = MainWindow(pages(), ActionRegistry(), open_settings(tmp_path))
    qtbot.addWidget(first)
    first.show()
    first.resize(QSize(1111, 777))
    first.show_titled("Collect")
    first.toggle_sounds()
    first.close()
    second = MainWindow(pages(), ActionRegistry(), open_settings(tmp_path))
    qtbot.addWidget(second)
    assert second.current_title == "Collect"
    assert second.size() == QSize(1111, 777)
    assert not second.sounds


def test_the_theme_switches_while_running(window, qtbot):
    with qtbot.waitSignal(window.themeChanged):
        window.toggle_theme()
    assert theme.tokens().name == "light"
    window.toggle_theme()
    assert theme.tokens().name == "dark"


def test_it_fits_the_smallest_supported_screen(window):
    window.resize(1280, 800)
    assert window.minimumSizeHint().width() <= 1280
    assert window.minimumSizeHint().height() <= 800


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (61.9, "1:01"), (3725, "1:02:05"), (-3, "0:00")])
def test_durations_are_written_as_clocks(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize("cue", list(Cue))
def test_tones_are_short_quiet_at_the_ends_and_do_not_clip(cue):
    tone = samples(cue)
    assert 0.1 < len(tone) / 22_050 < 1.0
    assert tone[0] == 0
    assert abs(int(tone[-1])) < 500
    assert abs(tone.astype(int)).max() < 16_000


def test_sounds_never_fail_whatever_the_machine_has(qapp):
    player = SoundPlayer()
    heard = player.play(Cue.SAVED)
    assert heard or player.problem
    player.enabled = False
    assert not player.play(Cue.SAVED)
    player.stop()


def test_the_e_stop_key_works_in_every_window_of_the_program(window, qtbot):
    other = QWidget()
    qtbot.addWidget(other)
    with qtbot.waitActive(other):
        other.show()
        other.activateWindow()
    with qtbot.waitSignal(window.estopRequested):
        qtbot.keyClick(other, Qt.Key.Key_Escape)
