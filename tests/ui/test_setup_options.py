"""Settings of drivers in the form of the station file, and what a changed device restarts."""

import pytest
from pydantic import Field

from devices.driver import Driver, DriverKind, Options
from devices.protocols import Verification
from devices.registry import Broken
from teleop_app.core.config import StationConfig, load_station
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup import SetupModel
from ui.viewmodels.setup_restart import STATION, process_title, to_restart
from ui.widgets.form import SectionForm


class SquidOptions(Options):
    """Settings.

    Attributes:
        port: Where it is plugged in.
        baud: Speed of the line.
        offsets: One for each tentacle.
        buttons: What each sucker does.
        arms: Arm of each tentacle.
    """

    port: str = ""
    baud: int = Field(default=1_000_000, ge=9600, le=4_000_000)
    offsets: list[float] = Field(default_factory=list)
    buttons: dict[str, str] = Field(default_factory=lambda: {"left.lower": "record"})
    arms: dict[str, str] = Field(default_factory=dict)


SQUID = Driver(
    "squid", DriverKind.INPUT, "Squid", Verification.IMPORT_ONLY, "It loads.", lambda *_: None, SquidOptions
)
BROKEN = Broken("octopus", DriverKind.INPUT, "octopus-plugin", "It does not load.")


@pytest.fixture
def model(qtbot, tmp_path):
    path = tmp_path / "station.toml"
    path.write_text("# ours\n[inputs]\ngamepad = false  # none here\n")
    catalog = DriverCatalog(lambda: ([SQUID], [BROKEN]))
    made = SetupModel(path, drivers=catalog)
    with qtbot.waitSignal(catalog.changed):
        catalog.load()
    yield made
    catalog.close()


def test_settings_of_a_driver_are_fields_with_range_and_help(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "squid"})
    form = SectionForm(model, "inputs.devices", "Input devices")
    qtbot.addWidget(form)
    editor = form.editor("inputs.devices[0].options.baud")
    assert (editor.spec.label, editor.spec.limits) == ("Baud rate", "9 600 to 4 000 000")
    assert editor.spec.help == "Speed of the line."
    editor.first.setText("300")
    editor.first.textEdited.emit("300")
    assert "9600" in editor.problem
    assert not model.save()
    editor.first.setText("57600")
    editor.first.textEdited.emit("57600")
    offsets = form.editor("inputs.devices[0].options.offsets")
    offsets.first.setText("0.5, 1")
    offsets.first.textEdited.emit("0.5, 1")
    assert model.save()
    saved = load_station(model.path)
    assert saved.inputs.devices[0].options == {"baud": 57600, "offsets": [0.5, 1.0]}
    assert "# none here" in model.path.read_text()


def test_what_equals_its_default_is_not_written(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "squid", "options": {"baud": 57600}})
    model.set_option("inputs.devices[0].options", "baud", 1_000_000, 1_000_000)
    assert model.value("inputs.devices[0].options") == {}


def test_a_driver_that_is_not_installed_is_told_and_its_settings_are_lines(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "kraken"})
    assert "there is no input driver 'kraken'" in model.problem_at("inputs.devices[0].driver").lower()
    form = SectionForm(model, "inputs.devices", "Input devices")
    qtbot.addWidget(form)
    options = form.grids[0].options
    options.lines[""].setPlainText("port = ")
    assert "not taken over" in options.problem
    options.lines[""].setPlainText('port = "/dev/ttyUSB0"\nbaud = 9600')
    assert model.value("inputs.devices[0].options") == {"port": "/dev/ttyUSB0", "baud": 9600}


def test_a_broken_plug_in_does_not_keep_the_file_from_being_saved(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "octopus"})
    assert model.problems == {}


def test_another_driver_has_other_settings(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "squid"})
    form = SectionForm(model, "inputs.devices", "Input devices")
    qtbot.addWidget(form)
    assert form.grids[0].options.editors
    model.set_value("inputs.devices[0].driver", "octopus")
    assert form.grids[0].options.editors == []
    assert list(form.grids[0].options.lines) == [""]


def test_settings_of_the_simulated_cell_are_refused(qtbot, model):
    model.set_value("arms[0].options", {"port": "x"})
    assert "no settings" in model.problem_at("arms[0].options")


def test_names_of_input_devices_avoid_those_every_station_has(qtbot, model):
    assert model.add_item("inputs.devices", {"name": "keyboard", "driver": "squid"}) == "keyboard_1"
    assert model.add_item("inputs.devices", {"driver": "squid"}) == "input_1"


def test_changed_settings_restart_the_device_and_new_devices_the_station():
    def station(**options):
        return StationConfig(inputs={"devices": [{"name": "arm", "driver": "squid", "options": options}]})

    assert to_restart(station(baud=1), station(baud=2)) == ("recorder", "input-arm")
    assert to_restart(StationConfig(), station()) == (STATION,)
    after = StationConfig(sensors=[{"name": "wrist", "driver": "serial-wrench"}])
    assert to_restart(StationConfig(), after) == (STATION,)
    follower = StationConfig()
    for arm in follower.arms:
        arm.follower = "feetech"
    assert to_restart(StationConfig(), follower) == (STATION,)


def test_one_changed_device_leaves_its_neighbour_alone():
    def station(baud):
        devices = [{"name": n, "driver": "squid", "options": {"baud": b}} for n, b in (("a", 1), ("b", baud))]
        return StationConfig(inputs={"devices": devices})

    assert to_restart(station(1), station(2)) == ("recorder", "input-b")


def test_real_and_simulated_arms_cannot_be_mixed_and_the_form_says_so(qtbot, model):
    model.set_value("arms[0].follower", "feetech")
    assert "cannot mix" in model.section_problem("arms")
    assert not model.save()


def test_a_new_device_restarts_the_station_as_a_whole(qtbot, model):
    model.set_linked(True)
    model.add_item("inputs.devices", {"name": "arm", "driver": "squid"})
    assert model.save()
    assert model.to_restart == (STATION,)
    with qtbot.waitSignal(model.stationWanted, timeout=0) as wanted:
        model._port = object()
        model.restart()
    assert wanted.signal_triggered


def test_processes_have_names_for_people():
    assert process_title("input-quest") == "Input 'quest'"
    assert process_title("follower-left") == "Follower 'left'"
    assert process_title("recorder") == "recorder"


def test_settings_that_are_tables_are_lines_with_their_defaults(qtbot, model):
    model.add_item("inputs.devices", {"name": "arm", "driver": "squid"})
    form = SectionForm(model, "inputs.devices", "Input devices")
    qtbot.addWidget(form)
    options = form.grids[0].options
    assert options.lines["buttons"].toPlainText() == '"left.lower" = "record"'
    options.lines["buttons"].setPlainText('"left.lower" = "estop"')
    assert model.value("inputs.devices[0].options") == {"buttons": {"left.lower": "estop"}}
    options.lines["arms"].setPlainText("one = 1")
    assert "string" in options.problem
    options.lines["arms"].setPlainText("")
    assert options.problem == ""
    assert model.save()
    assert load_station(model.path).inputs.devices[0].options == {"buttons": {"left.lower": "estop"}}
