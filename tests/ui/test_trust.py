"""The meter of trust: silent while all is well, amber while a queue fills, red once samples are lost."""

import pytest
from PyQt6.QtWidgets import QLabel

from teleop_app.core.types import RecorderState, RecorderStatus
from ui.viewmodels.trust import Loss, Trust, TrustView, TrustWatch, losses, stream_name
from ui.widgets.record_panel import RecordPanel
from ui.widgets.status_cells import Level, recorder_cell
from ui.widgets.trust_meter import TrustMeter


def status(state=RecorderState.RECORDING, **fields):
    return RecorderStatus(state, 0, session="s", **fields)


def observed(*fills):
    watch = TrustWatch()
    return [watch.observe(status(backlog=fill), "Bksp").trust for fill in fills]


def test_it_is_silent_while_all_is_well():
    assert TrustWatch().observe(status(backlog=0.2), "Bksp") == TrustView()


def test_a_growing_backlog_is_amber_until_it_has_gone_down_well():
    sound, strained = Trust.SOUND, Trust.STRAINED
    assert observed(0.1, 0.6, 0.4, 0.29, 0.4) == [sound, strained, strained, sound, sound]


def test_a_loss_names_the_count_the_streams_and_the_remedy():
    view = TrustWatch().observe(
        status(lost={"overhead": 12, "wrist": 0}, dropped={"/force/left: queue full": 40}), "Bksp"
    )
    assert view.trust is Trust.LOST
    assert view.sentence == "52 samples lost: left 40, overhead 12."
    assert view.remedy.startswith("Bksp starts over.")
    assert view.lines == ("left  40 lost: queue full", "overhead  12 lost")


def test_what_the_last_episode_lost_is_not_held_against_the_next():
    watch = TrustWatch()
    assert watch.observe(status(lost={"overhead": 3}), "Bksp").trust is Trust.LOST
    assert watch.observe(status(RecorderState.IDLE, lost={"overhead": 3}), "Bksp").trust is Trust.SOUND


def test_a_frame_dropped_on_the_way_is_not_counted_twice():
    found = losses({"overhead": 5}, {"/camera/overhead/video: queue full": 4, "/joints/sent: late": 2})
    assert found == (Loss("overhead", 5, ("queue full",)), Loss("joints sent", 2, ("late",)))


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("/camera/left/top/video", "left/top"),
        ("video/overhead", "overhead"),
        ("/camera/overhead/depth", "overhead depth"),
        ("/stream/left/wrench", "left/wrench"),
        ("stream left/wrench", "left/wrench"),
        ("/joints/measured", "joints measured"),
        ("overhead", "overhead"),
    ],
)
def test_streams_are_called_as_people_call_them(topic, name):
    assert stream_name(topic) == name


def test_the_meter_keeps_its_height_and_tells_each_stream_on_hover(qtbot):
    meter = TrustMeter()
    qtbot.addWidget(meter)
    before = meter.height()
    meter.set_view(TrustView(Trust.LOST, 1.0, "3 samples lost: a 3.", "Do this.", ("a  3 lost",)))
    assert meter.height() == before
    assert meter.toolTip() == "3 samples lost: a 3.\na  3 lost\nDo this."
    assert "a  3 lost" in meter.accessibleDescription()
    meter.set_view(TrustView())
    assert [label.text() for label in meter.findChildren(QLabel) if label.text()] == []


def test_the_panel_says_what_is_kept_from_before_the_key(qtbot):
    panel = RecordPanel("R", preroll_s=2.0)
    qtbot.addWidget(panel)
    panel.set_preroll(1.4, RecorderState.IDLE)
    assert panel.preroll.text() == "+1 s before"
    assert "last 1.4 s before R" in panel.preroll.toolTip()
    panel.set_preroll(0.0, RecorderState.RECORDING)
    assert panel.preroll.text() == ""
    without = RecordPanel("R")
    qtbot.addWidget(without)
    without.set_preroll(0.0, RecorderState.IDLE)
    assert without.preroll.text() == ""


def test_the_strip_counts_every_lost_stream():
    cell = recorder_cell(status(lost={"overhead": 2}, dropped={"/force/left: queue full": 3}))
    assert (cell.text, cell.level) == ("Recorder recording  5 lost", Level.FAULT)
    assert "left  3 lost: queue full" in cell.remedy
