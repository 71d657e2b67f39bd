"""The bridge: nothing queues without bound, the newest picture wins, commands never block."""

import threading

import numpy as np
import pytest

from teleop_app.core.errors import StationError
from teleop_app.core.ring import RingRecord
from teleop_app.core.types import (
    CameraSetup,
    FrameNotice,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
    StationStatus,
    WorldState,
)
from ui.bridge import DRAIN_LIMIT, CameraMeter, ControlMeter, StationBridge
from ui.widgets import status_cells
from ui.widgets.status_cells import Level, Link, link_state


@pytest.fixture
def bridge(qapp, fake_station):
    bridge = StationBridge(fake_station)
    bridge.start()
    bridge._timer.stop()
    yield bridge
    bridge.stop()
    assert fake_station.closed


def notice(seq, camera="overhead"):
    return FrameNotice(camera, seq, seq * 33_000_000, 4, 2)


def test_only_the_newest_world_is_passed_on_but_every_tick_is_counted(bridge, fake_station, make_tick):
    worlds, batches = [], []
    bridge.worldChanged.connect(worlds.append)
    bridge.ticksArrived.connect(batches.append)
    fake_station.put(*[make_tick(n) for n in range(8)])
    fake_station.put(*[WorldState(n, n, 0.0, np.zeros(1)) for n in range(5)])
    bridge.drain()
    assert [world.seq for world in worlds] == [4]
    assert [len(batch) for batch in batches] == [8]
    assert bridge.control.rate_hz == pytest.approx(200.0)


def test_a_flood_is_taken_in_bounded_portions(bridge, fake_station, make_tick):
    fake_station.put(*[make_tick(n) for n in range(DRAIN_LIMIT + 10)])
    bridge.drain()
    assert len(fake_station.waiting) == 10


def test_the_newest_frame_is_shown_and_its_memory_kept(bridge, fake_station):
    frames = []
    bridge.frameArrived.connect(frames.append)
    pixels = bytes(range(24))
    fake_station.open_ring("camera.overhead").record = RingRecord(2, 66, pixels)
    fake_station.put(notice(0), notice(1), notice(2))
    bridge.drain()
    (frame,) = frames
    assert (frame.camera, frame.seq, frame.image.width(), frame.image.height()) == ("overhead", 2, 4, 2)
    assert frame.image.pixelColor(1, 0).getRgb()[:3] == (3, 4, 5)
    bridge.drain()
    assert len(frames) == 1


def test_frames_skipped_by_the_window_do_not_count_as_lost(bridge, fake_station):
    lost = []
    bridge.framesLost.connect(lambda *what: lost.append(what))
    fake_station.put(notice(0), notice(1), notice(2), notice(3))
    bridge.drain()
    assert lost == []
    fake_station.put(notice(6))
    bridge.drain()
    assert lost == [("overhead", 2, notice(6).capture_ns)]


def test_a_frame_of_another_size_than_announced_is_not_drawn(bridge, fake_station):
    frames = []
    bridge.frameArrived.connect(frames.append)
    fake_station.open_ring("camera.overhead").record = RingRecord(2, 66, b"short")
    fake_station.put(notice(2))
    bridge.drain()
    assert frames == []


def test_the_link_is_told_when_it_comes_and_when_it_goes(bridge, fake_station, make_tick, monkeypatch):
    links = []
    bridge.linkChanged.connect(links.append)
    now = [100.0]
    monkeypatch.setattr("ui.bridge.time.monotonic", lambda: now[0])
    fake_station.put(make_tick())
    bridge.drain()
    now[0] += 1.0
    bridge.drain()
    assert links == [True]
    now[0] += 1.5
    bridge.drain()
    assert links == [True, False]


def test_commands_answer_on_the_gui_thread(bridge, fake_station, qtbot):
    fake_station.answers["record"] = {"episode": "u"}
    answers = []
    bridge.call("recorder", "record", done=lambda a: answers.append((a, threading.current_thread())))
    qtbot.waitUntil(lambda: bool(answers))
    assert answers == [({"episode": "u"}, threading.main_thread())]


def test_a_refusal_goes_to_whoever_waits_else_to_everybody(bridge, fake_station, qtbot):
    fake_station.answers["save"] = StationError("There is nothing to save")
    errors = []
    bridge.call("recorder", "save", failed=errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    with qtbot.waitSignal(bridge.failed) as shown:
        bridge.call("recorder", "save")
    assert shown.args[0].what == "There is nothing to save"


def test_a_slow_recorder_does_not_delay_the_estop(bridge, fake_station, qtbot, monkeypatch):
    gate = threading.Event()
    stopped = threading.Event()

    def call(process, command, *, timeout_s=5.0, **args):
        gate.wait(10) if process == "recorder" else stopped.set()
        return {}

    monkeypatch.setattr(fake_station, "call", call)
    bridge.call("recorder", "stop")
    bridge.call("control", "estop")
    try:
        assert stopped.wait(10)
    finally:
        gate.set()


def test_camera_meter_counts_gaps_and_forgives_a_restart():
    meter = CameraMeter()
    for seq in (0, 1, 2, 5, 6, 7, 8, 9):
        meter.add(notice(seq))
    assert meter.lost_share == pytest.approx(0.2)
    meter.add(notice(0))
    assert meter.lost_share == 0.0


class TestStatusCells:
    def control(self, make_tick, late_ms):
        meter = ControlMeter()
        for n in range(100):
            meter.add(make_tick(n, late_ns=int(late_ms * 1e6)))
        return meter

    def test_a_regular_loop_is_quiet(self, make_tick):
        cell = status_cells.control_cell(self.control(make_tick, 0.2), 200)
        assert cell.level is Level.QUIET
        assert cell.text == "Control 200 Hz  p99 0.2 ms"

    def test_a_late_loop_says_what_to_do(self, make_tick):
        cell = status_cells.control_cell(self.control(make_tick, 8.0), 200)
        assert cell.level is Level.WARNING
        assert "real-time" in cell.remedy

    def test_a_slow_loop_is_a_fault(self, make_tick):
        assert status_cells.control_cell(self.control(make_tick, 0.2), 500).level is Level.FAULT

    def test_a_camera_below_its_rate_warns(self):
        meter = CameraMeter()
        for seq in range(30):
            meter.add(FrameNotice("overhead", seq, seq * 66_000_000, 4, 2))
        setup = CameraSetup("overhead", 4, 2, 30, "", "", np.eye(3), "world", np.zeros(7))
        cell = status_cells.camera_cell("overhead", meter, setup)
        assert cell.level is Level.WARNING
        assert "15 of 30" in cell.remedy

    def test_a_dead_process_is_named_with_its_reason(self):
        dead = ProcessStatus("cameras", 1, ProcessState.FAULT, 0, "No OpenGL.")
        cell = status_cells.link_cell(Link.LINKED, StationStatus("s", 0, (dead,), 10**9))
        assert cell.level is Level.FAULT
        assert "cameras process is down. No OpenGL." in cell.remedy

    @pytest.mark.parametrize(("left", "level"), [(-1, 0), (500, 0), (10, 1), (2, 2)])
    def test_the_disk_lights_when_few_episodes_fit(self, left, level):
        recorder = RecorderStatus(RecorderState.IDLE, 0, episodes_left=left)
        assert status_cells.disk_cell(recorder, None).level == level

    @pytest.mark.parametrize(
        ("link", "level"),
        [(Link.NOT_STARTED, Level.QUIET), (Link.STARTING, Level.QUIET), (Link.LOST, Level.FAULT)],
    )
    def test_only_a_station_that_was_lost_lights_the_link(self, link, level):
        cells = status_cells.all_cells(
            link=link,
            station=None,
            recorder=None,
            control=ControlMeter(),
            wanted_hz=200,
            meters={},
            setups={},
        )
        assert cells[-1].level is level
        assert all(cell.remedy for cell in cells)

    @pytest.mark.parametrize(
        ("linked", "was_linked", "running", "link"),
        [
            (False, False, False, Link.NOT_STARTED),
            (False, False, True, Link.STARTING),
            (True, True, True, Link.LINKED),
            (False, True, True, Link.LOST),
            (False, True, False, Link.LOST),
        ],
    )
    def test_the_link_is_lost_only_after_it_was_there(self, linked, was_linked, running, link):
        assert link_state(linked=linked, was_linked=was_linked, running=running) is link


def test_pictures_are_passed_on_no_more_often_than_wanted_and_none_is_counted_as_lost(
    bridge, fake_station, monkeypatch
):
    frames, lost, now = [], [], [100.0]
    bridge.frameArrived.connect(frames.append)
    bridge.framesLost.connect(lambda *what: lost.append(what))
    monkeypatch.setattr("ui.bridge.time.monotonic", lambda: now[0])
    bridge.set_frame_period("overhead", 0.1)
    for seq in range(31):
        fake_station.open_ring("camera.overhead").record = RingRecord(seq, seq, bytes(24))
        fake_station.put(notice(seq))
        bridge.drain()
        now[0] += 0.033
    assert len(frames) == pytest.approx(10, abs=1)
    assert lost == []
    assert bridge.cameras["overhead"].fps == pytest.approx(30, abs=1)


def test_the_newest_picture_is_shown_when_no_more_come(bridge, fake_station, monkeypatch):
    frames, now = [], [100.0]
    bridge.frameArrived.connect(frames.append)
    monkeypatch.setattr("ui.bridge.time.monotonic", lambda: now[0])
    bridge.set_frame_period("overhead", 0.1)
    for seq in range(2):
        fake_station.open_ring("camera.overhead").record = RingRecord(seq, seq, bytes(24))
        fake_station.put(notice(seq))
        bridge.drain()
    assert [frame.seq for frame in frames] == [0]
    now[0] += 0.1
    bridge.drain()
    assert [frame.seq for frame in frames] == [0, 1]


def test_a_camera_that_falls_silent_has_no_rate(bridge, fake_station, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("ui.bridge.time.monotonic", lambda: now[0])
    fake_station.put(*[notice(seq) for seq in range(10)])
    bridge.drain()
    assert bridge.cameras["overhead"].fps > 0
    now[0] += 2.5
    bridge.drain()
    assert bridge.cameras["overhead"].fps == 0
