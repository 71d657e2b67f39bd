"""Setup, Devices: looking for devices, adding them to the station, how they do, pairing a headset."""

import threading
from dataclasses import replace

import pytest
from PyQt6.QtWidgets import QAbstractButton

from devices.driver import Driver, DriverKind, Found, Options
from devices.protocols import Verification
from devices.registry import Broken
from teleop_app.core.config import load_station
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus
from ui.theme import Role
from ui.viewmodels.device_words import figures, state_words
from ui.viewmodels.devices import DevicesModel
from ui.viewmodels.driver_catalog import DriverCatalog
from ui.viewmodels.setup import SetupModel
from ui.widgets.devices_editor import DevicesEditor
from ui.widgets.pairing_card import PairingCard, clients_text, qr_pixmap


class SquidOptions(Options):
    """Settings.

    Attributes:
        port: Where it is plugged in.
    """

    port: str = ""


def fake_driver(name, kind, discover=tuple, verification=Verification.EMULATOR):
    return Driver(
        name, kind, name.title(), verification, "By bytes.", lambda *_: None, SquidOptions, discover
    )


FOUND = Found("Squid on /dev/ttyUSB7", "S1", {"port": "/dev/ttyUSB7"}, "servo 3 is missing")


def busy():
    raise DeviceError("The port is busy", next_step="Close the other program")


def crash():
    raise ZeroDivisionError("not ours")


def make(tmp_path, qtbot, port=None):
    path = tmp_path / "station.toml"
    drivers = [
        fake_driver("squid", DriverKind.INPUT, lambda: [FOUND]),
        fake_driver("webxr", DriverKind.INPUT),
        fake_driver("kraken", DriverKind.FOLLOWER, lambda: [Found("Kraken", options={"port": "k"})]),
        fake_driver("eye", DriverKind.CAMERA, busy, Verification.IMPORT_ONLY),
        fake_driver("nose", DriverKind.SENSOR, crash),
        fake_driver("wheels", DriverKind.BASE, lambda: [Found("Wheels")]),
    ]
    broken = [Broken("octopus", DriverKind.INPUT, "octopus-plugin", "It does not load: no ink.")]
    catalog = DriverCatalog(lambda: (drivers, broken))
    setup = SetupModel(path, port, drivers=catalog)
    model = DevicesModel(setup, catalog, port)
    with qtbot.waitSignal(catalog.changed):
        catalog.load()
    return model, setup, catalog


@pytest.fixture
def rig(qtbot, tmp_path, direct_port):
    model, setup, catalog = make(tmp_path, qtbot, direct_port)
    yield model, setup, catalog, direct_port
    model.close()
    catalog.close()


def find_all(qtbot, model):
    model.discover()
    qtbot.waitUntil(lambda: model.searched)


def test_every_driver_is_asked_off_the_gui_thread_and_what_fails_is_a_sentence(qtbot, rig):
    model, *_ = rig
    find_all(qtbot, model)
    assert [offer.found.title for offer in model.offers()] == ["Squid on /dev/ttyUSB7", "Kraken", "Wheels"]
    assert model.search.done == model.search.of == 6
    assert "busy" in model.search.problems["eye"]
    assert "ZeroDivisionError" in model.search.problems["nose"]


def test_a_driver_that_hangs_does_not_hold_the_window_and_is_cancelled(qtbot, tmp_path):
    go = threading.Event()
    slow = fake_driver("slow", DriverKind.INPUT, lambda: go.wait(10) and ())
    catalog = DriverCatalog(lambda: ([slow, fake_driver("squid", DriverKind.INPUT, lambda: [FOUND])], []))
    model = DevicesModel(SetupModel(tmp_path / "s.toml", drivers=catalog), catalog)
    with qtbot.waitSignal(catalog.changed):
        catalog.load()
    model.discover()
    assert model.search.driver == "slow"
    model.cancel()
    go.set()
    qtbot.waitUntil(lambda: not model.search.running)
    assert model.offers() == ()
    model.close()
    catalog.close()


def test_a_found_input_is_added_to_the_file_with_its_options_and_taken_back(qtbot, rig):
    model, setup, *_ = rig
    find_all(qtbot, model)
    offer = model.offers()[0]
    assert offer.station_place == ""
    with qtbot.waitSignal(model.told) as told:
        model.add(offer.driver, offer.found)
    assert model.offers()[0].station_place == "inputs.devices[0]"
    assert setup.save()
    device = load_station(setup.path).inputs.devices[0]
    assert (device.name, device.driver, device.options) == ("squid", "squid", {"port": "/dev/ttyUSB7"})
    told.args[1]()
    assert setup.value("inputs.devices") == []


def test_a_follower_takes_the_place_of_a_simulated_arm_and_gives_it_back(qtbot, rig):
    model, setup, *_ = rig
    find_all(qtbot, model)
    offer = model.offers()[1]
    model.add(offer.driver, offer.found, "right")
    assert setup.value("arms[1].follower") == "kraken"
    assert "cannot mix" in setup.section_problem("arms")
    model.add(offer.driver, offer.found, "left")
    assert setup.problems == {}
    device = next(d for d in model.devices() if d.name == "right")
    assert device.process == "follower-right"
    model.remove(device)
    assert setup.value("arms[1].follower") == "sim"


def test_a_base_is_added_and_removed(qtbot, rig):
    model, setup, *_ = rig
    find_all(qtbot, model)
    model.add(model.offers()[2].driver, model.offers()[2].found)
    base = next(d for d in model.devices() if d.kind is DriverKind.BASE)
    assert (base.driver, base.saved) == ("wheels", False)
    model.remove(base)
    assert setup.value("mobile_base.driver") == ""


def status(**processes):
    each = [
        ProcessStatus(
            name.replace("_", "-"), 1, state, 0, text, {"rate_hz": 72.0, "age_ms": 8.0, "lost": 3.0}
        )
        for name, (state, text) in processes.items()
    ]
    return StationStatus("Cell", 0, tuple(each), 1)


def test_live_values_are_asked_of_processes_that_run_one_question_at_a_time(qtbot, rig):
    model, setup, _, port = rig
    setup.add_item("inputs.devices", {"name": "quest", "driver": "squid"})
    setup.save()
    answers = []
    port.call = lambda process, command, done=None, failed=None, **_: answers.append((process, command, done))
    model.poll()
    assert answers == []  # it does not run yet
    model.on_station(status(input_quest=(ProcessState.RUNNING, "")))
    model.poll()
    model.poll()
    assert [(process, command) for process, command, _ in answers] == [("input-quest", "status")]
    answers[0][2]({"device": "quest", "state": "driving", "text": "", "values": {"left.x": 0.25, "bad": "x"}})
    device = next(d for d in model.devices() if d.name == "quest")
    live = model.live(device)
    assert live.values == {"left.x": 0.25}
    assert figures(live.metrics) == ["72 Hz", "8 ms old", "3 lost"]
    assert state_words(device, live, "")[0] == "Driving."
    idle = replace(live, device_state="waiting")
    assert state_words(device, idle, "") == ("Nobody is connected yet.", Role.MUTED)
    model.on_link(False)
    assert model.live(device).state is None


def test_a_headset_is_paired_by_code_address_and_pin(qtbot, rig):
    model, setup, catalog, port = rig
    setup.add_item("inputs.devices", {"name": "quest", "driver": "webxr"})
    setup.save()
    model.on_station(status(input_quest=(ProcessState.RUNNING, "No headset is connected")))
    editor = DevicesEditor(model, setup, catalog)
    qtbot.addWidget(editor)
    card = next(iter(editor.pairing.values()))
    assert card.isHidden()
    pairing = {
        "url": "https://10.0.0.2:8443/",
        "urls": ["https://10.0.0.2:8443/"],
        "pin": "481516",
        "note": "The certificate was renewed; trust it once more.",
        "qr_url": "https://10.0.0.2:8443/#token=abc",
        "clients": [
            {"id": "1", "title": "Quest 3", "connected": True},
            {"id": "2", "title": "Tablet", "connected": True},
            {"id": "3", "title": "Phone", "connected": False},
        ],
        "driver": "Quest 3",
    }
    answers = {"pairing": pairing, "status": {"values": {}}}
    calls = []

    def call(process, command, done=None, failed=None, **args):
        calls.append((process, command, args))
        done(answers.get(command, {}))

    port.call = call
    model.poll()
    model.poll()
    assert not card.isHidden()
    assert (card.url.text(), card.pin.text()) == ("https://10.0.0.2:8443/", "481516")
    assert card.clients.text() == "Quest 3 (drives), Tablet (watches), Phone (away)"
    assert "trust it once more" in card.note.text()
    assert not card.code.pixmap().isNull()
    with qtbot.waitSignal(model.told):
        card.revoke.click()
    assert calls[-1][:2] == ("input-quest", "revoke")
    card.hand_over.click()
    assert calls[-1][:2] == ("input-quest", "hand_over")


def test_a_qr_code_has_its_quiet_zone_and_both_colours(qtbot):
    image = qr_pixmap("https://10.0.0.2:8443/#token=abcdefghij", 160).toImage()
    assert image.pixelColor(1, 1).name() == "#ffffff"
    colors = {image.pixelColor(x, y).name() for x in range(0, 160, 3) for y in range(0, 160, 3)}
    assert colors == {"#000000", "#ffffff"}
    assert clients_text([], "") == "Nobody is paired yet"
    card = PairingCard()
    qtbot.addWidget(card)
    card.show_answer({})
    assert card.isHidden()


def test_the_page_shows_devices_offers_and_drivers_with_their_proof(qtbot, rig):
    model, setup, catalog, _ = rig
    editor = DevicesEditor(model, setup, catalog)
    qtbot.addWidget(editor)
    editor.show()
    assert len(editor.rows) == 5  # two simulated arms, three simulated cameras
    editor.finder.look.click()
    qtbot.waitUntil(lambda: model.searched)
    assert editor.finder.status.text() == "3 devices were found."
    assert editor.table.broken == 1
    model.add(fake_driver("squid", DriverKind.INPUT))
    row = next(row for row in editor.rows.values() if row.device.driver == "squid")
    assert row.badge.text() == "emulator-verified"
    assert "By bytes." in row.badge.toolTip()
    assert "Save" in row.sentence.text()
    row.remove.click()
    assert all(row.device.driver != "squid" for row in editor.rows.values())


def test_a_device_of_a_broken_plug_in_says_why(qtbot, rig):
    model, setup, *_ = rig
    setup.add_item("inputs.devices", {"name": "arm", "driver": "octopus"})
    device = next(d for d in model.devices() if d.name == "arm")
    assert "no ink" in model.problem_of(device)
    words, _ = state_words(device, model.live(device), model.problem_of(device))
    assert words.endswith(".")


def test_the_tab_key_goes_down_the_page(qtbot, rig):
    model, setup, catalog, _ = rig
    editor = DevicesEditor(model, setup, catalog)
    qtbot.addWidget(editor)
    editor.show()
    find_all(qtbot, model)
    adding = [b for b in editor.finder.findChildren(QAbstractButton) if b.text().startswith("Add")]
    # Qt shows a widget that joins a visible page in a later turn of the event loop.
    qtbot.waitUntil(lambda: bool(adding) and all(button.isVisible() for button in adding))
    buttons = editor.findChildren(QAbstractButton)
    stop, order = next(iter(editor.rows.values())).remove, []
    for _ in range(400):
        stop = stop.nextInFocusChain()
        if stop in buttons and stop.isVisible() and stop.isEnabled():
            order.append(stop)
    places = [
        order.index(widget)
        for widget in (editor.finder.look, *editor.table.findChildren(QAbstractButton)[:1])
    ]
    offers = [
        order.index(b)
        for b in editor.finder.findChildren(QAbstractButton)
        if b in order and b is not editor.finder.look
    ]
    removes = [
        order.index(row.remove)
        for row in editor.rows.values()
        if row.remove in order and row.remove.isVisible()
    ]
    assert max(removes) < places[0] < min(offers) <= max(offers) < places[1]
