"""Which processes and devices a station has, from its file alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from teleop_app import app
from teleop_app.core.calibration import ArmCalibration, CalibrationStore, JointCalibration
from teleop_app.core.config import parse_station
from teleop_app.core.errors import ConfigError
from teleop_app.core.paths import DataDir
from teleop_app.station import headless
from teleop_app.station.client import StationCard
from teleop_app.station.device_roster import calibrations_in_force, joint_names, robot_type, station_devices
from teleop_app.station.episode_head import calibration_attachments
from teleop_app.station.roster import affected, process_names, roster

BOX = "workspace_min = [-1.0, -1.0, 0.0]\nworkspace_max = [1.0, 1.0, 1.0]"
REAL = f"""
[[arms]]
name = "left"
follower = "dynamixel"
model = "viperx300"
{BOX}
options = {{ serial = "FT1" }}
[[arms]]
name = "right"
follower = "ur"
model = "ur5e"
{BOX}
[[cameras]]
name = "top"
driver = "uvc"
[[inputs.devices]]
name = "quest"
driver = "webxr"
[[sensors]]
name = "wrist"
driver = "serial-wrench"
"""
SIMULATED = ("simulation", "control", "cameras", "recorder", "policy", "operator", "gamepad")


def test_the_default_station_has_the_processes_it_had():
    assert process_names(parse_station("")) == SIMULATED


def test_a_real_station_has_a_process_for_each_device():
    config = parse_station(REAL)
    assert process_names(config) == (
        "follower-left",
        "follower-right",
        "control",
        "cameras",
        "sensor-wrist",
        "recorder",
        "policy",
        "input-quest",
        "gamepad",
    )
    roles = {role.name: role for role in roster(config, gamepad=False)}
    assert "gamepad" not in roles
    devices = ("follower-left", "cameras", "sensor-wrist", "input-quest")
    assert [roles[name].niceness for name in devices] == [-10, -5, -5, -5]
    assert not roles["input-quest"].essential and roles["control"].essential
    assert "Arm 'left' holds its place" in roles["follower-left"].consequence
    assert affected(config, ["safety"]) == ("follower-left", "follower-right", "control", "policy")
    assert affected(config, ["mapping"]) == ()
    assert affected(config, ["autonomy"]) == ("control", "policy") and not roles["policy"].essential


def test_every_process_of_a_roster_can_be_built():
    config = parse_station(REAL)
    for name in process_names(config):
        assert callable(app._builder(config, name))
    with pytest.raises(ConfigError, match="no process 'input-glove'. It has: follower-left"):
        app._builder(config, "input-glove")


def test_simulated_and_real_arms_do_not_mix():
    text = REAL.replace('follower = "ur"', 'follower = "sim"')
    with pytest.raises(ConfigError, match="cannot mix simulated and real arms: 'right' is simulated, 'left'"):
        roster(parse_station(text))


def test_the_recorded_robot_comes_from_the_models():
    config = parse_station(REAL)
    names = joint_names(config)
    assert names[:2] == ("left/waist", "left/shoulder")
    assert names[6:8] == ("left/gripper", "right/joint1") and len(names) == 14
    assert robot_type(config) == "viperx300_ur5e"
    assert robot_type(parse_station("")) == "viperx_bimanual"
    assert joint_names(parse_station(""))[0] == "left/waist"
    single = f'[[arms]]\nname = "arm"\nfollower = "feetech"\nmodel = "so101"\n{BOX}'
    assert robot_type(parse_station(single)) == "so101"
    assert len(joint_names(parse_station(single))) == 6


def test_devices_say_their_driver_and_how_far_it_is_proven():
    found = {device.name: device for device in station_devices(parse_station(REAL))}
    assert (found["left"].driver, found["left"].model, found["left"].serial) == (
        "dynamixel",
        "viperx300",
        "FT1",
    )
    assert found["left"].verification == "emulator-verified"
    simulated = {device.name: device for device in station_devices(parse_station(""))}
    assert simulated["left"].verification == "simulated" and simulated["left"].model == ""


def test_calibrations_in_force_are_those_of_the_devices(tmp_path):
    store = CalibrationStore(DataDir(tmp_path).calibrations)
    joint = JointCalibration(name="waist", servo=1)
    for serial in ("FT1", "FT2"):
        store.save(ArmCalibration(serial=serial, driver="dynamixel", model="viperx300", joints=[joint]))
    config = parse_station(REAL.split('[[arms]]\nname = "right"')[0])
    kept = calibrations_in_force(config, store.files())
    assert [path.name for path in kept] == ["FT1.toml"]
    (attached,) = calibration_attachments(config, store)
    assert attached.name == "calibrations/arms/FT1.toml" and b"FT1" in attached.content
    unnamed = parse_station(REAL)  # the UR gives no serial number: either may be in force
    assert {path.name for path in calibrations_in_force(unnamed, store.files())} == {"FT1.toml", "FT2.toml"}
    assert calibrations_in_force(unnamed, [Path("calibrations/cameras/other.toml")])
    assert not calibrations_in_force(parse_station(""), store.files())


def test_nobody_drives_real_arms_without_a_window():
    class Client:
        def card(self):
            return StationCard(1, "Kitchen", "", "", ready=True, processes=("follower-left", "control"))

    with pytest.raises(ConfigError, match="Nobody can drive the station 'Kitchen'"):
        headless._check_task(Client(), "wipe")
