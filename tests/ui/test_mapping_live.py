"""Setup, Mapping while the station runs: live values, the hand raw and filtered, which way is ahead."""

import numpy as np
import pytest

from teleop_app.core.errors import StationError
from teleop_app.core.types import StreamBatch
from teleop_app.mapping.filters import PoseFilter
from ui.bridge import StationBridge
from ui.viewmodels.hand_trace import HandTrace
from ui.viewmodels.mapping_live import MappingLive
from ui.viewmodels.setup import SetupModel
from ui.widgets.mapping_editor import MappingEditor

RATE_HZ = 90.0


def batches(positions, stream="quest/left/mapping", filter_=None):
    """What control would publish for these raw positions, through the real filter."""
    pose_filter = filter_ or PoseFilter(2.0, 20.0)
    at_ns = (np.arange(len(positions)) * 1e9 / RATE_HZ).astype(np.int64) + 1_000_000_000
    poses = np.concatenate([positions, np.tile([1.0, 0, 0, 0], (len(positions), 1))], axis=1)
    filtered = np.array([pose_filter.update(p, int(t))[:3] for p, t in zip(poses, at_ns, strict=True)])
    return StreamBatch(stream, 0, at_ns, np.concatenate([positions, filtered], axis=1))


def resting(count=400):
    return 0.3 + np.random.default_rng(1).normal(0.0, 0.5e-3 / np.sqrt(3), (count, 3))


def reaching(count=400):
    t = np.arange(count) / RATE_HZ
    return np.stack([0.2 * np.sin(2 * np.pi * 0.5 * t), 0.1 * np.cos(2 * np.pi * 0.5 * t), 0 * t], axis=1)


def test_jitter_of_a_resting_hand_is_that_of_the_filter():
    trace = HandTrace()
    trace.add(batches(resting()))
    raw, filtered = trace.jitter_um()
    assert raw == pytest.approx(500.0, rel=0.2)
    assert filtered < 0.5 * raw
    assert trace.lag_ms() is None


def test_lag_of_a_reach_is_found_and_a_pure_delay_is_told_to_the_millisecond():
    trace = HandTrace()
    trace.add(batches(reaching()))
    assert 2.0 < trace.lag_ms() < 30.0
    assert trace.jitter_um() is None
    raw = reaching()
    delayed = HandTrace()
    values = np.concatenate([raw, np.roll(raw, 9, axis=0)], axis=1)[9:]
    at_ns = (np.arange(len(values)) * 1e9 / RATE_HZ).astype(np.int64) + 1
    delayed.add(StreamBatch("quest/left/mapping", 0, at_ns, values))
    assert delayed.lag_ms() == pytest.approx(100.0, abs=2.0)


def test_numbers_that_are_none_old_or_of_another_shape_are_left_out():
    trace = HandTrace()
    stamps = np.array([10, 20, 5, 30], dtype=np.int64)
    values = np.zeros((4, 6))
    values[1] = np.nan
    trace.add(StreamBatch("x", 0, stamps, values))
    trace.add(StreamBatch("x", 0, np.array([40], dtype=np.int64), np.zeros((1, 2))))
    assert trace.newest_ns == 30
    assert len(trace.recent()[0]) == 2
    assert trace.jitter_um() is None


@pytest.fixture
def rig(qtbot, tmp_path, direct_port):
    setup = SetupModel(tmp_path / "station.toml", direct_port)
    setup.set_value("inputs.devices", [{"name": "quest", "driver": "webxr", "arms": [], "options": {}}])
    setup.save()
    model = MappingLive(setup, direct_port)
    setup.set_linked(True)
    return model, setup, direct_port


def tuned(port):
    return [args for _, command, args in port.calls if command == "set_mapping"]


def test_a_value_applies_to_the_running_station_before_it_is_saved(qtbot, rig):
    model, setup, port = rig
    with qtbot.waitSignal(setup.tuned) as told:
        setup.set_value("mapping.scale", 2.0)
    assert told.args[0].scale == 2.0
    assert tuned(port)[-1]["scale"] == 2.0
    assert model.unsaved
    setup.save()
    assert not model.unsaved
    assert setup.to_restart == ()


def test_reverting_gives_the_station_its_old_values_back(qtbot, rig):
    model, setup, port = rig
    with qtbot.waitSignal(setup.tuned):
        setup.set_value("mapping.filter_beta", 5.0)
    with qtbot.waitSignal(setup.tuned):
        setup.revert()
    assert tuned(port)[-1]["filter_beta"] == 20.0
    assert not model.unsaved


def test_a_wrong_value_never_reaches_the_station(qtbot, rig):
    model, setup, port = rig
    setup.set_value("mapping.scale", 99.0)
    qtbot.wait(120)
    assert tuned(port) == []
    model.set_live(False)
    setup.set_value("mapping.scale", 2.0)
    qtbot.wait(120)
    assert tuned(port) == []


def test_the_yaw_is_found_put_in_force_and_taken_back(qtbot, rig):
    model, setup, port = rig
    model.start_yaw("quest", "left")
    assert port.calls[-1][1:] == (
        "calibrate_yaw_start",
        {"source": "quest", "arm": "left", "ahead_deg": 90.0},
    )
    assert model.yaw_source == "quest"
    answer = port.call
    port.call = lambda process, command, done=None, failed=None, **args: (
        done({"yaw_deg": 12.345}) if command == "calibrate_yaw_finish" else answer(process, command, done)
    )
    with qtbot.waitSignal(model.told) as told:
        model.finish_yaw()
    assert setup.value("mapping.yaw_deg") == 12.3
    told.args[1]()
    assert setup.value("mapping.yaw_deg") == 0.0


def test_a_bent_motion_is_a_sentence_and_changes_nothing(qtbot, rig):
    model, setup, port = rig
    port.errors["calibrate_yaw_finish"] = StationError("The yaw was not calibrated", why="the hand bent")
    model.start_yaw("quest", "left")
    model.finish_yaw()
    assert "the hand bent" in model.yaw_text
    assert setup.value("mapping.yaw_deg") == 0.0


def test_the_page_draws_the_hand_and_its_figures(qtbot, fake_station, tmp_path):
    bridge = StationBridge(fake_station)
    bridge.start()
    bridge._timer.stop()
    setup = SetupModel(tmp_path / "station.toml", bridge)
    setup.set_linked(True)
    model = MappingLive(setup, bridge)
    editor = MappingEditor(model, setup, bridge)
    qtbot.addWidget(editor)
    editor.show()
    qtbot.waitUntil(lambda: ("control", "watch_mapping", {"seconds": 5.0}) in fake_station.calls)
    editor._paint()
    assert "headset" in editor.plot.empty.text()
    fake_station.batches.waiting.append(batches(resting()))
    fake_station.batches.waiting.append(batches(resting(3), stream="wrist/wrench"))
    bridge.drain()
    assert list(model.traces) == ["quest/left"]
    for _ in range(8):
        editor._paint()
    assert editor.plot.hands.currentText() == "quest/left"
    assert "\N{MICRO SIGN}m" in editor.plot.jitter.value
    editor.retheme()
    editor.hide()
    assert bridge._batches is None
    bridge.stop()


def test_a_slider_moves_the_value_by_steps_of_the_keyboard_and_follows_it(qtbot, rig):
    model, setup, _ = rig
    editor = MappingEditor(model, setup)
    qtbot.addWidget(editor)
    slider = editor.sliders["mapping.scale"]
    with qtbot.waitSignal(editor.valueSet):
        slider.setValue(slider.value() + 10)
    assert setup.value("mapping.scale") > 1.0
    assert setup.problems == {}
    before = slider.value()
    setup.set_value("mapping.scale", 0.5)
    assert slider.value() < before
