"""`teleop devices` and the device checks of `teleop doctor`."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from devices import registry
from devices.driver import Driver, DriverKind, Found, Options
from devices.protocols import Verification
from teleop_app.cli import app
from teleop_app.commands import devices as command
from teleop_app.core.attribute_help import attribute_help
from teleop_app.core.calibration import ArmCalibration, CalibrationStore, JointCalibration
from teleop_app.core.config import parse_station
from teleop_app.core.errors import DeviceError, TeleopError
from teleop_app.station.checks import Level
from teleop_app.station.device_checks import check_devices
from teleop_app.station.device_roster import calibrations_in_force, station_devices

BOX = "workspace_min = [-1.0, -1.0, 0.0]\nworkspace_max = [1.0, 1.0, 1.0]"
ARM = f"""
[[arms]]
name = "left"
follower = "{{driver}}"
model = "{{model}}"
{BOX}
options = {{options}}
"""


class Settings(Options):
    """Of a scale.

    Attributes:
        port: Where it is
            connected.
        rate_hz: How often it is read.
    """

    port: str
    rate_hz: float = 50.0


class OwnSettings(Settings):
    """Of an own scale.

    Attributes:
        unit: Of its numbers.
    """

    unit: str = "N"


def scale(discover, *, name="scale", needs=()):
    return Driver(
        name=name,
        kind=DriverKind.SENSOR,
        title="A scale",
        verification=Verification.EMULATOR,
        proof="Nobody weighed anything.",
        make=lambda context, options: None,
        options=OwnSettings,
        discover=discover,
        needs=needs,
        extra="scales" if needs else "",
    )


@pytest.fixture
def drivers(monkeypatch):
    def busy():
        raise DeviceError("The port /dev/ttyUSB0 is busy", why="used by process 12 (minicom)")

    there = Found("A scale on /dev/ttyUSB1", "S1", {"port": "/dev/ttyUSB1", "rate_hz": 50.0}, "It is tilted.")
    made = [
        scale(lambda: [there]),
        scale(busy, name="old-scale"),
        scale(lambda: 1 / 0, name="broken-scale", needs=("no_such_module.inside",)),
    ]
    monkeypatch.setattr(command, "all_drivers", lambda: (made, []))
    return made


def run(*words, code=0):
    done = CliRunner().invoke(app, ["devices", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_find_names_what_is_there_and_what_could_not_look(drivers):
    text = run("find")
    assert "A scale on /dev/ttyUSB1, serial S1" in text
    assert 'options = { port = "/dev/ttyUSB1", rate_hz = 50.0 }' in text
    assert "It is tilted." in text
    assert "The port /dev/ttyUSB0 is busy: used by process 12 (minicom)." in text
    assert "'broken-scale' failed to look for devices: ZeroDivisionError: division by zero." in text
    assert text.splitlines()[-1] == "1 device found, 2 drivers could not look"
    lines = [json.loads(line) for line in run("find", "--json").splitlines()]
    assert lines[0]["serial"] == "S1" and "busy" in lines[1]["problem"]
    assert run("find", "old-scale", code=1), "what was asked for failed"


def test_list_and_show_tell_proof_needs_and_settings(drivers):
    text = run("list")
    assert "sensor    scale             emulator-verified  A scale" in text
    assert "(not installed: no_such_module.inside; pip install 'teleop-app[scales]')" in text
    shown = run("show", "scale")
    assert "emulator-verified. Nobody weighed anything." in shown
    assert "port                     needed                   Where it is connected." in shown
    assert "unit                     default 'N'              Of its numbers." in shown
    assert json.loads(run("show", "scale", "--json"))["options"][1]["default"] == 50.0
    assert attribute_help(OwnSettings)["rate_hz"] == "How often it is read."


def test_a_driver_that_is_not_there_is_named_with_those_that_are(drivers):
    done = CliRunner().invoke(app, ["devices", "show", "balance"])
    assert isinstance(done.exception, TeleopError)
    assert done.exception.sentence == (
        "There is no usable driver 'balance'. Choose one of: broken-scale, old-scale, scale."
    )


def test_the_installed_drivers_are_listed():
    names = {json.loads(line)["name"] for line in run("list", "--json").splitlines()}
    assert {"webxr", "dynamixel", "feetech", "ur", "uvc", "serial-wrench"} <= names


LEADER = """
[[inputs.devices]]
name = "gello"
driver = "dynamixel-leader"
arms = ["left"]
options = {{ layout = "gello-7", {serials} }}
"""


@pytest.mark.parametrize(
    ("serials", "text", "arm"),
    [
        ("serial = 'S1'", "serial S1", "gello"),
        ("serials = { left = 'S1' }", "serial S1", "gello"),
        ("serials = { left = 'OK', right = 'S2' }", "serial S2", "gello/right"),
    ],
)
def test_doctor_asks_for_the_calibration_of_each_arm_of_a_leader(tmp_path, serials, text, arm):
    store = CalibrationStore(tmp_path)
    joint = JointCalibration(name="j1", servo=1, offset_rad=0.0, sign=1, lower_rad=-1.0, upper_rad=1.0)
    store.save(ArmCalibration(serial="OK", driver="dynamixel", model="ur5e", joints=[joint]))
    config = parse_station(LEADER.format(serials=serials))
    found = {c.name: c for c in check_devices(config, store)}["Input gello"]
    assert (found.level, found.remedy) == (Level.FAILURE, f"Calibrate it with: teleop calibrate arm {arm}")
    assert found.text.endswith(f"not calibrated ({text})")
    (device,) = [each for each in station_devices(config) if each.name == "gello"]
    assert device.serial == ", ".join(re.findall(r"'(\w+)'", serials))
    kept = calibrations_in_force(config, store.files())
    assert [path.stem for path in kept] == (["OK"] if "OK" in serials else [])


def checks(tmp_path, driver="feetech", model="so101", options="{ serial = 'S1', layout = 'so101' }"):
    text = "cameras = []" + ARM.format(driver=driver, model=model, options=options)
    return {c.name: c for c in check_devices(parse_station(text), CalibrationStore(tmp_path))}


def test_doctor_checks_driver_options_and_calibration(tmp_path):
    found = checks(tmp_path)["Follower left"]
    assert (found.level, found.remedy) == (Level.FAILURE, "Calibrate it with: teleop calibrate arm left")
    assert found.text == "feetech, emulator-verified; not calibrated (serial S1)"
    joint = JointCalibration(name="elbow_flex", servo=3)
    CalibrationStore(tmp_path).save(
        ArmCalibration(serial="S1", driver="feetech", model="so101", joints=[joint])
    )
    assert checks(tmp_path)["Follower left"].level is Level.OK


def test_simulated_cameras_beside_real_arms_are_told(tmp_path):
    text = ARM.format(driver="feetech", model="so101", options="{}")
    found = next(check_devices(parse_station(text), CalibrationStore(tmp_path)))
    assert found.level is Level.FAILURE
    assert "simulated cameras beside real arms: overhead, left_wrist, right_wrist" in found.text
    assert not list(check_devices(parse_station(""), CalibrationStore(tmp_path))), "nothing but our own parts"


@pytest.mark.parametrize(
    ("given", "name", "sentence"),
    [
        ({"driver": "fanuc"}, "Follower left", "There is no follower driver 'fanuc'"),
        ({"options": "{ speed = 3 }"}, "Follower left", "options of feetech: speed: extra inputs"),
        ({"model": "so102"}, "Cell", "There is no robot model 'so102'"),
    ],
)
def test_doctor_names_what_is_wrong(tmp_path, given, name, sentence):
    found = checks(tmp_path, **given)[name]
    assert found.level is Level.FAILURE and sentence in found.text


def test_a_missing_package_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    found = checks(tmp_path, driver="ur", model="ur5e", options="{ host = '10.0.0.2' }")["Follower left"]
    assert found.level is Level.FAILURE and "ur needs" in found.text
    assert "pip install 'teleop-app[ur]'" in found.remedy


def test_simulated_and_real_arms_together_are_told(tmp_path):
    text = ARM.format(driver="feetech", model="so101", options="{}") + f'[[arms]]\nname = "right"\n{BOX}'
    found = next(check_devices(parse_station(text), CalibrationStore(tmp_path)))
    assert (found.level, found.name) == (Level.FAILURE, "Cell")
    assert "cannot mix simulated and real arms" in found.text
