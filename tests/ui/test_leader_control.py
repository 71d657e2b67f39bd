"""Leader arms from the window: engaged on Collect by a key, driven to their arms on Setup."""

import pytest

from devices.driver import DriverKind
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Actor, ControlState, ProcessState, ProcessStatus, StationStatus
from ui.actions import ActionRegistry
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.devices import DevicesModel
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup import SetupModel
from ui.widgets.devices_editor import DevicesEditor
from ui.widgets.leader_button import LeaderButton
from ui.widgets.leader_card import LeaderCard, states_of

BOTH = {"name": "gello", "driver": "dynamixel-leader"}
ONE_EACH = [
    {"name": "lead_l", "driver": "feetech-leader", "arms": ["left"]},
    {"name": "lead_r", "driver": "feetech-leader", "arms": ["right"]},
]


def collect(port, *devices):
    model = CollectModel(port, StationConfig(inputs={"devices": list(devices)}), ActionRegistry().key_label)
    model.on_link(True)
    model.notes = []
    model.told.connect(lambda text, _undo: model.notes.append(text))
    return model


def test_the_key_engages_the_leader_and_lets_go_of_the_one_that_drives(direct_port, make_tick):
    model = collect(direct_port, BOTH)
    model.driving.toggle_clutch()
    model.toggle_leader()
    assert direct_port.calls == [("input-gello", "engage", {"on": True})]
    assert model.driving.engaged is None  # the keys have let go first
    for state in (ControlState.ALIGNING, ControlState.ENGAGED):
        tick = make_tick(state=state, actor=Actor.HUMAN, engaged=(True, False), source="gello")
        model.on_ticks([tick])
        assert model.leaders.driving(model.tick) == "gello"
    model.toggle_leader()
    assert direct_port.calls[-1] == ("input-gello", "engage", {"on": False})


def test_of_several_leaders_the_one_of_the_selected_arm_is_engaged(direct_port):
    model = collect(direct_port, *ONE_EACH)
    model.driving.select("right")
    model.toggle_leader()
    assert [process for process, *_ in direct_port.calls] == ["input-lead_r"]
    only_left = collect(direct_port, ONE_EACH[0])
    only_left.driving.select("right")
    only_left.toggle_leader()
    assert only_left.notes == ["No leader leads the right arm. Select another arm, then engage."]


def test_a_leader_is_not_engaged_while_stopped_and_a_refusal_is_told(direct_port, make_tick):
    model = collect(direct_port, BOTH)
    model.on_ticks([make_tick(state=ControlState.ESTOP)])
    model.toggle_leader()
    assert direct_port.calls == []
    assert "e-stop is latched" in model.notes[0]
    model.on_ticks([make_tick(1)])
    direct_port.errors["engage"] = DeviceError(
        "The leader 'gello' is driven to its arm", next_step="Set it free first"
    )
    model.toggle_leader()
    assert "Set it free first" in model.notes[1]


def test_without_leaders_the_key_does_nothing(direct_port):
    model = collect(direct_port)
    model.toggle_leader()
    assert direct_port.calls == []
    assert not model.leaders


def test_the_button_says_what_the_next_press_does(qtbot):
    button = LeaderButton("L")
    qtbot.addWidget(button)
    assert button.text().split() == ["Engage", "the", "leader", "L"]
    button.set_driving("gello")
    button.set_key("K")
    assert button.text().split() == ["Release", "gello", "K"]


def test_a_leader_moves_by_its_motors_only_after_a_warning(qtbot):
    card = LeaderCard("gello", ("left", "right"))
    qtbot.addWidget(card)
    asked = []
    card.followed.connect(lambda arm, on: asked.append((arm, on)))
    card.show_state("free")
    card.follow["right"].click()
    assert not card.question.isHidden()
    assert asked == []
    card.cancel.click()
    assert card.question.isHidden()
    card.follow["right"].click()
    card.confirm.click()
    assert asked == [("right", True)]
    card.show_state("left free, right follow")
    assert (card.follow["left"].text(), card.follow["right"].text()) == ("Drive leader to arm", "Set free")
    assert card.engage["left"].isEnabled()
    assert not card.engage["right"].isEnabled()
    card.follow["right"].click()
    assert asked[-1] == ("right", False)  # what ends a motion needs no question
    card.show_state("lost")
    assert not card.follow["left"].isEnabled()
    card.show_state("")
    assert card.isHidden()


def test_states_of_one_or_several_arms():
    assert states_of("gravity", ("left",)) == {"left": "gravity"}
    assert states_of("left free, right lost", ("left", "right")) == {"left": "free", "right": "lost"}
    assert states_of("", ("left",)) == {}


@pytest.fixture
def editor(qtbot, tmp_path, direct_port):
    catalog = DriverCatalog(lambda: ([], []))
    setup = SetupModel(tmp_path / "station.toml", direct_port, drivers=catalog)
    setup.add_item("inputs.devices", dict(BOTH))
    setup.save()
    model = DevicesModel(setup, catalog, direct_port)
    made = DevicesEditor(model, setup, catalog)
    qtbot.addWidget(made)
    yield made, model, setup
    model.close()
    catalog.close()


def test_setup_engages_and_drives_each_arm_of_a_leader(qtbot, editor, direct_port):
    made, model, setup = editor
    card = next(iter(made.leaders.values()))
    assert card.arms == ("left", "right")
    assert card.isHidden()  # its process does not run
    direct_port.call = lambda process, command, done=None, failed=None, **args: (
        done({"state": "free", "values": {}} if command == "status" else {}),
        direct_port.calls.append((process, command, args)),
    )
    running = ProcessStatus("input-gello", 1, ProcessState.RUNNING, 0, "", {})
    model.on_station(StationStatus("Cell", 0, (running,), 1))
    model.poll()
    assert not card.isHidden()
    card.engage["left"].click()
    assert direct_port.calls[-1] == ("input-gello", "engage", {"on": True, "arm": "left"})
    card.release["left"].click()
    assert direct_port.calls[-1] == ("input-gello", "engage", {"on": False, "arm": "left"})
    card.follow["left"].click()
    card.confirm.click()
    assert direct_port.calls[-1] == ("input-gello", "follow", {"on": True, "arm": "left"})
    setup.set_value("inputs.devices[0].arms", ["right"])
    model.changed.emit()
    assert next(iter(made.leaders.values())).arms == ("right",)
    assert all(model.led_arms(d) == () for d in model.devices() if d.kind is not DriverKind.INPUT)


def test_on_a_low_screen_the_buttons_share_a_line_and_keep_their_names(qtbot):
    button = LeaderButton("H")
    qtbot.addWidget(button)
    button.set_compact(True)
    assert button.text().split() == ["Leader", "H"]
    assert button.accessibleName() == "Engage the leader"
