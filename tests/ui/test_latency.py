"""Setup, Time and latency: the table of streams, a measurement from start to file, and taking it back."""

import dataclasses

import numpy as np
import pytest
from PyQt6.QtGui import QImage

from teleop_app.core.config import load_station
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import CameraSetup, ClockFit, FrameNotice, Resampling, StreamSetup
from teleop_app.station.latency_calibration import CalibrationProgress
from teleop_app.station.latency_codes import LatencyResult
from ui.bridge import CameraFrame, CameraMeter
from ui.viewmodels.latency import LatencyModel, change_text, encoders_text
from ui.viewmodels.setup import SetupModel
from ui.widgets.latency_editor import LatencyEditor
from ui.widgets.time_code_window import TimeCodeWindow

RESULT = LatencyResult("overhead", 35.24, 0.9, "barcode", 178, 2, "2026-11-20T10:00:00+00:00", "A note.")


class FakeCalibrator:
    """Answers as told, after one word on its progress."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def make(self, progress, cancelled):
        self.progress, self.cancelled = progress, cancelled
        return self

    def camera(self, name, seconds=6.0, display_period_ms=0.0):
        self.asked.append((name, display_period_ms))
        self.progress(CalibrationProgress(name, 0.5, 10, 9, "9 of 10 pictures."))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def arm(self, name, camera, seconds=20.0):
        self.asked.append((name, camera))
        return dataclasses.replace(RESULT, stream=name, method="motion")


@pytest.fixture
def setup(qapp, tmp_path):
    file = tmp_path / "station.toml"
    cameras = "".join(
        f'[[cameras]]\nname = "{name}"\ndriver = "{driver}"\n'
        for name, driver in (("overhead", "synthetic"), ("left_wrist", "v4l2"), ("right_wrist", "sim"))
    )
    file.write_text(f'# My cell\n[station]\nname = "Cell"\n{cameras}')
    model = SetupModel(file)
    model.set_linked(True)
    return model


@pytest.fixture
def made(qtbot, setup):
    models = []

    def make(answer=RESULT, meters=None):
        calibrator = FakeCalibrator(answer)
        model = LatencyModel(setup, lambda: meters or {}, calibrator.make)
        models.append(model)
        return model, calibrator

    yield make
    for model in models:
        model.close()


@pytest.fixture
def editor_of(qtbot):
    """Makes editors that live until the test is over: a widget collected while it paints is a crash."""
    kept = []

    def make(model):
        editor = LatencyEditor(model)
        qtbot.addWidget(editor)
        kept.append(editor)
        return editor

    yield make
    for editor in kept:
        editor.close()


def measured(qtbot, model, stream="overhead"):
    model.measure_camera(stream)
    qtbot.waitUntil(lambda: not model.measuring)


def test_the_table_tells_rate_age_clock_and_latency(made):
    meter = CameraMeter()
    for seq in range(31):
        at_ns = seq * 33_333_333
        meter.add(FrameNotice("overhead", seq, at_ns, 64, 48, receive_ns=at_ns + 12_000_000))
    model, _ = made(meters={"overhead": meter})
    model.on_clock(ClockFit("overhead", 0, 0, 0, 12.5, 400_000, 100))
    model.on_stream(StreamSetup("left/wrench", "wrench", ("fx",), "N", "", 1000.0, Resampling.LINEAR))
    lines = {line.name: line for line in model.lines()}
    overhead = lines["overhead"]
    assert (overhead.rate, overhead.age) == ("30.0 Hz", "12.0 ms")
    assert (overhead.clock, overhead.latency) == ("+12.5 ppm, 0.4 ms", "none")
    assert lines["left/wrench"].rate == "1000 Hz"
    assert {line.kind for line in lines.values()} == {"camera", "arm", "stream"}
    assert lines["left"].rate == "\N{EN DASH}"


def test_the_encoder_in_force_is_told_with_what_the_probe_said():
    base = CameraSetup("a", 64, 48, 30, "x264 superfast", "", np.eye(3), "world", np.zeros(7))
    probed = dataclasses.replace(base, reason="Affordable. Encoder: x264, as no hardware encoder works.")
    text = encoders_text([probed, dataclasses.replace(probed, name="b")])
    assert text == "x264 superfast (a, b). x264, as no hardware encoder works."
    assert encoders_text([]) == ""


def test_the_rate_of_an_arm_is_that_of_its_readings(made, make_tick):
    model, _ = made()
    model.on_ticks([make_tick(seq) for seq in range(200)])
    arm = next(line for line in model.lines() if line.kind == "arm")
    assert arm.rate == "200 Hz"


def test_a_result_is_applied_to_the_file_and_can_be_taken_back(made, setup, qtbot):
    model, _ = made()
    measured(qtbot, model)
    assert load_station(setup.path).latencies == []
    told = []
    model.told.connect(lambda text, undo: told.append((text, undo)))
    model.apply()
    [latency] = load_station(setup.path).latencies
    assert (latency.stream, latency.latency_ms, latency.method) == ("overhead", 35.24, "barcode")
    assert "# My cell" in setup.path.read_text()
    assert "cameras" in setup.to_restart
    assert told[0][0] == "Latency of overhead: 35.2 ms"
    told[0][1]()
    assert load_station(setup.path).latencies == []


def test_a_latency_the_station_does_not_run_with_yet_says_so(made, setup, qtbot):
    model, _ = made()
    camera = CameraSetup("overhead", 64, 48, 30, "", "", np.eye(3), "world", np.zeros(7))
    model.on_camera(camera)
    measured(qtbot, model)
    model.apply()
    line = {each.name: each.latency for each in model.lines()}
    assert line["overhead"] == "35.2 ± 0.9 ms, after restart"
    assert line["left"] == "none"
    model.on_camera(dataclasses.replace(camera, latency_ns=35_240_000))
    assert model.lines()[0].latency == "35.2 ± 0.9 ms"


def test_a_second_result_replaces_the_first_and_leaves_the_others(made, setup, qtbot):
    model, calibrator = made()
    measured(qtbot, model)
    model.apply()
    model.measure_arm("left", "overhead")
    qtbot.waitUntil(lambda: not model.measuring)
    model.apply()
    calibrator.answer = dataclasses.replace(RESULT, latency_ms=50.0)
    measured(qtbot, model)
    assert change_text(model.result, model.latency_of("overhead")) == "35.2 ms → 50.0 ms"
    model.apply()
    assert {each.stream: each.latency_ms for each in load_station(setup.path).latencies} == {
        "left": 35.24,
        "overhead": 50.0,
    }


def test_unsaved_edits_are_never_swept_away_by_a_calibration(made, setup, qtbot):
    model, _ = made()
    measured(qtbot, model)
    setup.set_value("station.name", "Another")
    refused = []
    setup.refused.connect(refused.append)
    model.apply()
    assert "unsaved changes" in refused[0].sentence
    assert load_station(setup.path).latencies == []
    assert model.result is not None


def test_nothing_is_measured_without_a_station(made, setup):
    model, calibrator = made()
    setup.set_linked(False)
    model.measure_camera("overhead")
    assert calibrator.asked == []


def shown(editor):
    return editor.panel.status.text()


def test_the_page_goes_from_start_to_apply(made, setup, qtbot, editor_of):
    model, calibrator = made()
    editor = editor_of(model)
    editor.show()
    assert editor.panel.isHidden()
    editor.buttons["overhead"].click()
    assert not model.needs_code("overhead")
    editor.panel.start.click()
    qtbot.waitUntil(lambda: not model.measuring)
    assert calibrator.asked == [("overhead", 0.0)]
    assert editor.panel.change.text() == "none → 35.2 ms"
    assert shown(editor) == "Spread 0.9 ms (p95); 178 samples used, 2 refused."
    assert editor.panel.note.text() == "A note."
    editor.panel.apply.click()
    assert any(label.text().startswith("35.2 ± 0.9 ms") for label in editor._cells["overhead"])
    assert not editor.panel.apply.isVisible()


def test_a_refusal_is_shown_where_it_was_asked(made, qtbot, editor_of):
    model, _ = made(DeviceError("Only 3 of 60 pictures show a time"))
    editor = editor_of(model)
    editor.buttons["overhead"].click()
    editor.panel.start.click()
    qtbot.waitUntil(lambda: not model.measuring)
    assert shown(editor).startswith("Only 3 of 60 pictures")
    assert editor.panel.start.text() == "Measure again"


def test_the_live_picture_is_that_of_the_camera_measured(made, qtbot, fake_station, editor_of):
    model, _ = made()
    editor = editor_of(model)
    editor.show()
    editor.buttons["left"].click()
    editor.panel.against.setCurrentText("left_wrist")
    pixels = np.zeros((24, 32, 3), np.uint8).tobytes()
    for camera in ("overhead", "left_wrist"):
        image = QImage(pixels, 32, 24, 96, QImage.Format.Format_RGB888)
        editor._on_frame(CameraFrame(camera, 1, 1, image, pixels))
    assert editor.panel.picture.frame.camera == "left_wrist"


def test_a_real_camera_is_shown_the_time_until_the_measurement_ends(made, qtbot, editor_of):
    model, calibrator = made()
    editor = editor_of(model)
    editor.buttons["left_wrist"].click()
    windows = []
    model.progressed.connect(lambda _: windows.append(editor.panel._code))
    editor.panel.start.click()
    qtbot.waitUntil(lambda: not model.measuring)
    assert calibrator.asked[0][1] > 0.0
    assert isinstance(windows[0], TimeCodeWindow)
    assert editor.panel._code is None


def test_a_camera_of_the_simulated_cell_has_nothing_to_measure(made, qtbot, editor_of):
    model, _ = made()
    editor = editor_of(model)
    assert "right_wrist" not in editor.buttons
    assert {line.name: line.latency for line in model.lines()}["right_wrist"] == "none needed"


def test_the_shown_code_is_the_present_time(qtbot):
    import time

    from devices.cameras.time_code import TimeCodeReader

    window = TimeCodeWindow()
    qtbot.addWidget(window)
    window.resize(480, 400)
    now_ns = time.monotonic_ns()
    image = window.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    pixels = np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = pixels[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    found = TimeCodeReader().read(np.ascontiguousarray(pixels))
    assert found is not None
    assert 0 <= found.near_ns(now_ns) - now_ns + 1000 < 5 * 10**9
    window.close()
