"""Base, lift and hands in the window: driven by held keys, shown on Setup and under the cameras."""

import numpy as np
import pytest

from devices.driver import DriverKind
from teleop_app.core.config import MappingSection, StationConfig
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus, StreamBatch, StreamSetup
from ui.bridge import StationBridge
from ui.viewmodels.body_watch import BodyWatch
from ui.viewmodels.device_words import state_words
from ui.viewmodels.devices import DevicesModel, Live, StationDevice
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.driving import KeyDriver
from ui.viewmodels.key_bodies import KeyBodies, key_bodies
from ui.viewmodels.setup import SetupModel
from ui.widgets.device_row import DeviceRow
from ui.widgets.input_strip import InputStrip

MEASURED = ("x", "y", "yaw", "vx", "vy", "wz")
CONFIG = StationConfig(
    mobile_base={"driver": "sim", "max_speed_m_s": 0.4, "max_turn_rad_s": 0.8},
    lift={"driver": "sim", "max_speed_m_s": 0.1},
)


def setup_of(name, *values):
    return StreamSetup(name, "odometry", values, "m", "odom", 200.0)


def batch(name, *rows):
    return StreamBatch(name, 0, np.arange(len(rows)), np.array(rows, dtype=float))


@pytest.fixture
def driver():
    made = KeyDriver(["left", "right"], MappingSection(), key_bodies(CONFIG))
    made.toggle_clutch()
    made.sample(0)
    return made


def test_held_keys_drive_the_base_at_half_of_what_is_allowed(driver):
    driver.press("base.forward")
    assert driver.sample(1).base_twist == pytest.approx([0.2, 0.0, 0.0])
    driver.press("base.right")
    driver.press("base.turn_left")
    twist = driver.sample(2).base_twist
    assert np.hypot(*twist[:2]) == pytest.approx(0.2)  # not faster across
    assert twist[1] < 0.0 < twist[0]
    assert twist[2] == pytest.approx(0.4)
    driver.press("lift.down")
    assert driver.sample(3).lift_m_s == pytest.approx(-0.05)
    for action in ("base.forward", "base.right", "base.turn_left", "lift.down"):
        driver.release(action)
    last = driver.sample(4)
    assert not last.base_twist.any()
    assert last.lift_m_s == 0.0


def test_nothing_drives_without_a_held_clutch(driver):
    driver.press("base.forward")
    driver.toggle_clutch()
    assert driver.sample(1).base_twist is None  # the release
    while (sample := driver.sample(2)) is not None:
        assert sample.base_twist is None
    assert driver.resting(3).base_twist is None


def test_a_station_without_bodies_is_asked_for_nothing():
    assert key_bodies(StationConfig()) == KeyBodies()
    made = KeyDriver(["left"], MappingSection(), KeyBodies())
    made.toggle_clutch()
    made.press("base.forward")
    made.sample(0)
    sample = made.sample(1)
    assert sample.base_twist is None
    assert sample.lift_m_s is None


def test_speed_and_height_are_told_until_they_are_old():
    now = [0]
    watch = BodyWatch(lambda: now[0])
    assert watch.line() == ""
    watch.on_stream(setup_of("base/measured", *MEASURED))
    watch.on_stream(setup_of("lift/measured", "z", "vz"))
    watch.on_batch(batch("base/measured", [0.0] * 6, [1.0, 2.0, 0.5, 0.3, 0.4, -np.pi / 6]))
    watch.on_batch(batch("lift/measured", [0.42, 0.0]))
    assert watch.line() == "Base 0.50 m/s  -30°/s    Lift 0.42 m"
    assert watch.values("base")["measured vx"] == 0.3
    now[0] = 1_100_000_000
    assert watch.line() == ""
    assert watch.values("base") == {}


def test_the_bridge_hears_the_bodies_and_passes_on_the_newest(qtbot, fake_station):
    asked = []
    fake_station.subscribe = lambda topics=("",), processes=None: asked.append(topics) or fake_station
    bridge = StationBridge(fake_station, hands=["inspire"])
    heard = []
    bridge.bodyMoved.connect(heard.append)
    bridge.start()
    fake_station.put(batch("base/sent", [0.1] * 3), batch("base/sent", [0.2] * 3))
    bridge.drain()
    bridge.stop()
    assert {"batch/base/", "batch/lift/", "batch/inspire/"} <= set(asked[0])
    assert [each.values[-1, 0] for each in heard] == [0.2]


def test_setup_shows_a_base_with_its_values_and_its_silence(qtbot, tmp_path, direct_port):
    catalog = DriverCatalog(lambda: ([], []))
    setup = SetupModel(tmp_path / "station.toml", direct_port, drivers=catalog)
    setup.set_value("mobile_base.driver", "sim")
    assert setup.save()
    model = DevicesModel(setup, catalog, direct_port)
    base = next(each for each in model.devices() if each.kind is DriverKind.BASE)
    running = ProcessStatus("control", 1, ProcessState.RUNNING, 0, "Not real time.", {})
    model.on_station(StationStatus("Cell", 0, (running,), 1))
    assert state_words(base, model.live(base), "")[0] == "Control has heard nothing of it for a second."
    model.bodies.on_stream(setup_of("base/measured", *MEASURED))
    model.bodies.on_batch(batch("base/measured", [0.0] * 6))
    live = model.live(base)
    assert live.text == ""  # what ails control is not the base's
    assert set(live.values) == {f"measured {name}" for name in MEASURED}
    model.on_link(False)
    assert model.live(base).values == {}
    model.close()
    catalog.close()


def test_the_strip_has_a_place_for_the_base(qtbot):
    strip = InputStrip()
    qtbot.addWidget(strip)
    strip.set_bodies("Base 0.20 m/s  +0°/s")
    assert strip.bodies.text().startswith("Base")


def test_many_long_values_do_not_widen_the_page(qtbot):
    device = StationDevice(
        "hands[0]", "inspire", DriverKind.HAND, "sim-hand", "control", {}, None, "", saved=True
    )
    row = DeviceRow(device, calibratable=False)
    qtbot.addWidget(row)
    before = row.minimumSizeHint().width()
    values = {f"measured thumb_abduction_{index}": 0.5 for index in range(12)}
    row.show_live(Live(ProcessState.RUNNING, values=values), "")
    assert row.minimumSizeHint().width() <= before + 80
