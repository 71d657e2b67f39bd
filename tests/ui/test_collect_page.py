"""The Collect page in both directions: the model shows, keys and buttons act."""

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QImage, QKeyEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QMainWindow

from teleop_app.core.config import StationConfig
from teleop_app.core.types import (
    Actor,
    CameraSetup,
    ControlState,
    FrameNotice,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
    StationStatus,
)
from ui import theme
from ui.actions import ActionRegistry, Scope
from ui.bridge import CameraFrame, StationBridge
from ui.pages.collect import CollectPage
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.collect_view import Chip
from ui.widgets.camera_tile import letterbox
from ui.widgets.mosaic import places_for


@pytest.fixture
def themed(qapp):
    before = qapp.styleSheet()
    theme.apply(qapp, "dark")
    yield
    qapp.setStyleSheet(before)


@pytest.fixture
def bridge(qapp, fake_station):
    bridge = StationBridge(fake_station)
    bridge.start()
    bridge._timer.stop()
    yield bridge
    bridge.stop()


@pytest.fixture
def page(qtbot, themed, bridge):
    actions = ActionRegistry()
    model = CollectModel(bridge, StationConfig(), actions.key_label)
    model.on_link(True)
    page = CollectPage(bridge, model, actions)
    page.model = model
    qtbot.addWidget(page)
    page.resize(1210, 720)
    actions.activate(Scope.COLLECT)
    with qtbot.waitActive(page):
        page.show()
        page.windowHandle().requestActivate()
    return page


def recorder(state=RecorderState.IDLE, **fields):
    return RecorderStatus(state, 0, **{"session": "s", "task": "pick-place", **fields})


def called(fake_station, qtbot, command):
    qtbot.waitUntil(lambda: command in [name for _, name, _ in fake_station.calls])


def hold(page, key):
    QApplication.sendEvent(page, QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))


def let_go(page, key, *, repeat=False):
    event = QKeyEvent(QEvent.Type.KeyRelease, key, Qt.KeyboardModifier.NoModifier, "", repeat)
    QApplication.sendEvent(page, event)


def test_without_a_session_one_button_leads_to_one(page, qtbot):
    page.model.on_recorder(recorder(session=""))
    page.refresh()
    assert page.stack.currentWidget() is page.start
    with qtbot.waitSignal(page.sessionWanted):
        QTest.keyClick(page, Qt.Key.Key_R)


def test_r_records_and_the_card_follows_the_recorder(page, fake_station, qtbot):
    page.model.on_recorder(recorder())
    page.refresh()
    assert page.stack.currentWidget() is page.record
    QTest.keyClick(page, Qt.Key.Key_R)
    called(fake_station, qtbot, "record")
    page.model.on_recorder(recorder(RecorderState.RECORDING, elapsed_s=61.26))
    page.refresh()
    assert page.record.clock.text() == "1:01.2"
    assert "Stop" in page.record.button.text()
    page.record.button.click()
    called(fake_station, qtbot, "stop")


@pytest.mark.parametrize(
    ("key", "command"),
    [
        (Qt.Key.Key_Return, "save"),
        (Qt.Key.Key_Backspace, "redo"),
        (Qt.Key.Key_X, "discard"),
        (Qt.Key.Key_Z, "undo"),
    ],
)
def test_verdict_keys(page, fake_station, qtbot, key, command):
    page.model.on_recorder(
        recorder(RecorderState.REVIEW, countdown_s=3.0, verdict_reasons=("A frame was lost.",))
    )
    page.refresh()
    assert page.stack.currentWidget() is page.verdict
    assert "A frame was lost." in page.verdict.reasons[0].text()
    QTest.keyClick(page, key)
    called(fake_station, qtbot, command)


def test_any_other_key_stops_the_countdown_once(page, fake_station, qtbot):
    page.model.on_recorder(recorder(RecorderState.REVIEW, countdown_s=3.0))
    page.refresh()
    QTest.keyClick(page, Qt.Key.Key_K)
    QTest.keyClick(page, Qt.Key.Key_J)
    called(fake_station, qtbot, "hold_verdict")
    assert [name for _, name, _ in fake_station.calls].count("hold_verdict") == 1


def test_a_verdict_key_does_not_stop_the_countdown_first(page, fake_station, qtbot):
    page.model.on_recorder(recorder(RecorderState.REVIEW, countdown_s=3.0))
    page.refresh()
    QTest.keyClick(page, Qt.Key.Key_Return)
    called(fake_station, qtbot, "save")
    assert "hold_verdict" not in [name for _, name, _ in fake_station.calls]


def test_space_engages_and_held_keys_drive_until_let_go(page, fake_station, qtbot):
    QTest.keyClick(page, Qt.Key.Key_Space)
    assert page.model.driving.engaged == "left"
    hold(page, Qt.Key.Key_W)
    qtbot.waitUntil(
        lambda: any(
            s.arms["left"].twist is not None and s.arms["left"].twist[1] > 0 for s in fake_station.samples
        )
    )
    let_go(page, Qt.Key.Key_W, repeat=True)
    page._send_sample()
    assert fake_station.samples[-1].arms["left"].twist[1] > 0
    let_go(page, Qt.Key.Key_W)
    page._send_sample()
    assert not fake_station.samples[-1].arms["left"].twist.any()


def test_tab_changes_the_arm_and_shows_it(page):
    QTest.keyClick(page, Qt.Key.Key_Tab)
    assert page.arms.shown == ("right", None)
    QTest.keyClick(page, Qt.Key.Key_Space)
    assert page.arms.shown == ("right", "right")


def test_losing_the_window_drops_the_clutch_at_once(page, fake_station):
    QTest.keyClick(page, Qt.Key.Key_Space)
    hold(page, Qt.Key.Key_W)
    QApplication.sendEvent(page, QEvent(QEvent.Type.WindowDeactivate))
    assert not fake_station.samples[-1].arms["left"].clutch
    count = len(fake_station.samples)
    page._send_sample()
    assert not any(arm.clutch for sample in fake_station.samples[count:] for arm in sample.arms.values())


def test_leaving_the_page_drops_the_clutch_at_once(page, fake_station):
    QTest.keyClick(page, Qt.Key.Key_Space)
    page._send_sample()
    page.hide()
    assert not fake_station.samples[-1].arms["left"].clutch


def test_a_hold_is_explained_in_the_chip(page, make_tick):
    page.model.on_ticks(
        [make_tick(state=ControlState.HOLD, reason="The left arm would leave its workspace.")]
    )
    page.refresh()
    assert page.chip.chip is Chip.HOLD
    assert page.chip.explanation == "The left arm would leave its workspace. Press Space to resume."


def test_frames_are_coloured_by_who_drives(page, make_tick):
    page.model.on_ticks([make_tick(state=ControlState.ENGAGED, actor=Actor.HUMAN, engaged=(True, False))])
    page.refresh()
    tile = page.mosaic.tiles[0]
    edge = tile.grab().toImage().pixelColor(1, 100)
    assert edge.name().upper() == theme.tokens().human


def frame(camera, seq=0, color=(200, 10, 10)):
    pixels = np.full((24, 32, 3), color, np.uint8).tobytes()
    return CameraFrame(camera, seq, seq, QImage(pixels, 32, 24, 96, QImage.Format.Format_RGB888), pixels)


def test_pictures_are_drawn_in_their_tile_and_a_digit_swaps(page, bridge):
    bridge.frameArrived.emit(frame("overhead"))
    bridge.frameArrived.emit(frame("left_wrist", color=(10, 200, 10)))
    assert page.mosaic.large == "overhead"
    large = page.mosaic.tiles[0].geometry()
    QTest.keyClick(page, Qt.Key.Key_2)
    assert page.mosaic.large == "left_wrist"
    tile = page.mosaic.tiles[1]
    assert tile.geometry() == large
    center = tile.content_rect().center()
    assert tile.grab().toImage().pixelColor(center).getRgb()[:3] == (10, 200, 10)
    QTest.mouseClick(page.mosaic.tiles[2], Qt.MouseButton.LeftButton)
    assert page.mosaic.large == "right_wrist"


def test_a_camera_the_station_file_does_not_name_gets_a_tile(page, bridge):
    bridge.frameArrived.emit(frame("front"))
    assert [tile.name for tile in page.mosaic.tiles] == ["overhead", "left_wrist", "right_wrist", "front"]


def test_a_badge_shows_only_when_a_camera_is_off(page, bridge, fake_station):
    fake_station.put(CameraSetup("overhead", 32, 24, 30, "", "", np.eye(3), "world", np.zeros(7)))
    fake_station.put(*[FrameNotice("overhead", n, n * 33_000_000, 32, 24) for n in range(30)])
    bridge.drain()
    page.refresh()
    assert page.mosaic.tiles[0].badge == ""
    fake_station.put(FrameNotice("overhead", 40, 40 * 33_000_000, 32, 24))
    bridge.drain()
    page.refresh()
    assert "lost" in page.mosaic.tiles[0].badge


@pytest.mark.parametrize("small", [1, 2, 3, 4, 5, 8])
def test_tiles_never_overlap_nor_leave_the_mosaic(qapp, small):
    from PyQt6.QtCore import QRect

    room = QRect(0, 0, 850, 580)
    large, places = places_for(room, small)
    everything = [large, *places]
    for index, place in enumerate(everything):
        assert room.contains(place)
        assert not any(place.intersects(other) for other in everything[index + 1 :])
    assert large.width() * large.height() > 2 * places[0].width() * places[0].height()


def test_a_letterbox_keeps_the_shape(qapp):
    from PyQt6.QtCore import QRect, QSize

    assert letterbox(QSize(320, 240), QRect(10, 10, 400, 400)) == QRect(10, 60, 400, 300)


def test_g_lets_the_script_show_it_and_stops_it(page, fake_station, qtbot):
    status = ProcessStatus("operator", 1, ProcessState.RUNNING, 0)
    page.refresh()
    assert not page.demonstrate.isVisible()
    page.model.on_station(StationStatus("s", 0, (status,), 10**9))
    page.refresh()
    assert page.demonstrate.isVisible()
    QTest.keyClick(page, Qt.Key.Key_G)
    called(fake_station, qtbot, "go")
    assert page.demonstrate.running
    page.demonstrate.click()
    called(fake_station, qtbot, "halt")
    assert not page.demonstrate.running


def test_all_remarks_are_seen_and_scroll_only_beyond_six_lines(page):
    def review(count):
        lines = tuple(f"{n} frames of a camera were lost." for n in range(count))
        page.model.on_recorder(recorder(RecorderState.REVIEW, countdown_s=2.0, verdict_reasons=lines))
        page.refresh()
        QApplication.processEvents()
        QApplication.processEvents()
        page.refresh()
        return [line.text() for line in page.verdict.reasons] == list(lines)

    for count in range(1, 7):
        assert review(count)
        assert page.verdict.area.verticalScrollBar().maximum() == 0, count
    assert review(12)
    assert page.verdict.area.verticalScrollBar().maximum() > 0
    assert page.verdict.save.isVisible()


def test_nothing_in_the_column_moves_between_states(page):
    def places():
        bottom = page.stack.mapTo(page, page.stack.rect().bottomLeft())
        return [page.chip.geometry(), page.arms.geometry(), bottom]

    page.model.on_recorder(recorder())
    page.refresh()
    QApplication.processEvents()
    before = places()
    for state in RecorderState:
        page.model.on_recorder(
            recorder(state, countdown_s=2.0, verdict_reasons=("One.", "Two.", "Three.", "Four."))
        )
        page.refresh()
        QApplication.processEvents()
        assert places() == before


@pytest.mark.parametrize(("height", "compact"), [(540, True), (800, False)])
def test_on_a_low_screen_the_record_button_is_seen_without_scrolling(page, qtbot, height, compact):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(page)
    window.resize(960, height)
    window.show()
    page.model.on_recorder(recorder())
    page.refresh()
    QApplication.processEvents()
    assert page.instruction.picture.isVisible() is not compact
    assert page.record.button.isVisible()
    assert page.minimumSizeHint().height() <= height - 78
    window.takeCentralWidget()


def test_frames_the_episode_lost_stand_on_their_tile_while_it_is_recorded(page):
    page.model.on_recorder(recorder(RecorderState.RECORDING, lost={"overhead": 12}))
    page.refresh()
    assert page.mosaic.tiles[0].badge == "12 lost"
    assert page.record.trust.view.sentence == "12 samples lost: overhead 12."
    page.model.on_recorder(recorder(RecorderState.REVIEW, lost={"overhead": 12}))
    page.refresh()
    assert page.mosaic.tiles[0].badge == ""
