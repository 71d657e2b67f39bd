"""The USB adapter of a servo bus is found by its serial number, and never mistaken for another one."""

from types import SimpleNamespace

import pytest

from devices.servos import adapter
from devices.servos.adapter import find_adapter
from teleop_app.core.errors import DeviceError


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [
        SimpleNamespace(device="/dev/ttyUSB0", serial_number="FT1"),
        SimpleNamespace(device="/dev/ttyACM3", serial_number="5A7C"),
        SimpleNamespace(device="/dev/null", serial_number=None),
    ]
    monkeypatch.setattr(adapter.list_ports, "comports", lambda: there)


def test_an_adapter_is_found_by_either() -> None:
    assert find_adapter("", "5A7C", "lead") == ("/dev/ttyACM3", "5A7C")
    assert find_adapter("/dev/ttyUSB0", "", "lead") == ("/dev/ttyUSB0", "FT1")
    assert find_adapter("/dev/ttyUSB0", "FT1", "lead") == ("/dev/ttyUSB0", "FT1")
    assert find_adapter("/dev/null", "left", "lead") == ("/dev/null", "left")  # one without a number


@pytest.mark.parametrize(
    ("port", "serial", "sentence"),
    [
        (
            "",
            "",
            "The options of 'lead' name no adapter: neither `serial` nor `port` is given; connected are the "
            "serial numbers FT1, 5A7C. Give the option `serial`; Setup, Devices, Find devices fills it in.",
        ),
        (
            "/dev/no-such-port",
            "",
            "The port /dev/no-such-port of 'lead' is not there, and the option `serial` names no adapter: "
            "connected are the serial numbers FT1, 5A7C. Plug it in, or give `serial` instead of `port`.",
        ),
        ("", "X9", "The adapter 'X9' of 'lead' is not connected: connected are FT1, 5A7C. Plug it in."),
        (
            "/dev/ttyUSB0",
            "5A7C",
            "The adapter on /dev/ttyUSB0 is 'FT1', not '5A7C' of 'lead'. "
            "Leave out `port`, so that it is found by its serial number.",
        ),
        (
            "/dev/null",
            "",
            "The adapter on /dev/null has no serial number to know 'lead' by. "
            "Give the arm a name of its own in the option `serial`.",
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence(port: str, serial: str, sentence: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find_adapter(port, serial, "lead")
    assert caught.value.sentence == sentence
