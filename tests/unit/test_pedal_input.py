"""Foot pedals: Linux event structs, byte by byte, through a pipe in place of the device file."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.driver import DeviceContext
from devices.inputs import pedal as pedal_module
from devices.inputs.linux_events import KEY_CODES, EventFile, event_devices
from devices.inputs.pedal import DRIVER, Pedal, PedalOptions
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.types import InputSample

SYN, KEY, MSC, DROPPED = 0, 1, 4, 3
KEYS = {"a": "record", "B": "enable", "c": "estop", "f13": "engage:left"}


class EventPipe:
    """EMULATOR of an event device: a named pipe with the kernel's bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # keeps it open until the driver has it
        self._writer = os.open(path, os.O_WRONLY)

    def send(self, *events: tuple[int, int, int]) -> None:
        data = b"".join(struct.pack("@llHHi", 12, 500, *event) for event in events)
        os.write(self._writer, data)

    def raw(self, data: bytes) -> None:
        os.write(self._writer, data)

    def press(self, key: str, value: int = 1) -> None:
        """A key as a USB keyboard sends it: scan code, key, report."""
        self.send((MSC, 4, 0x70004), (KEY, KEY_CODES[key], value), (SYN, 0, 0))

    def unplug(self) -> None:
        os.close(self._writer)
        os.close(self._reader)
        self._writer = self._reader = -1
        self.path.unlink()

    def close(self) -> None:
        if self._writer >= 0:
            self.unplug()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[EventPipe]:
    made = EventPipe(tmp_path / "event7")
    yield made
    made.close()


def make(path: Path, **options: object) -> Pedal:
    return Pedal(
        "foot", PedalOptions.model_validate({"device": str(path), "keys": KEYS, **options}), FakeClock()
    )


@pytest.fixture
def pedal(pipe: EventPipe) -> Iterator[Pedal]:
    device = make(pipe.path)
    device.start()
    device.start()
    yield device
    device.stop()
    device.stop()


def polled(device: Pedal) -> InputSample:
    sample = device.poll()
    assert sample is not None
    return sample


def test_keys_become_actions_while_they_are_down(pipe: EventPipe, pedal: Pedal) -> None:
    assert polled(pedal).buttons == ()
    pipe.press("b")
    pipe.press("f13")
    first = polled(pedal)
    assert first.buttons == ("enable", "engage:left")
    pipe.press("b", value=2)  # autorepeat
    assert polled(pedal).buttons == ("enable", "engage:left")
    pipe.press("b", value=0)
    last = polled(pedal)
    assert last.buttons == ("engage:left",)
    assert last.arms == {} and last.seq > first.seq and last.source == "foot"


def test_other_keys_and_events_mean_nothing(pipe: EventPipe, pedal: Pedal) -> None:
    pipe.press("z")
    pipe.send((3, 0, 17), (SYN, 0, 0))
    assert polled(pedal).buttons == ()


def test_events_may_come_in_pieces(pipe: EventPipe, pedal: Pedal) -> None:
    event = struct.pack("@llHHi", 1, 2, KEY, KEY_CODES["c"], 1)
    pipe.raw(event[:11])
    assert polled(pedal).buttons == ()
    pipe.raw(event[11:])
    assert polled(pedal).buttons == ("estop",)


def test_what_the_kernel_dropped_holds_nothing(pipe: EventPipe, pedal: Pedal) -> None:
    """After SYN_DROPPED nobody knows what is down: a pedal that may have been let go of is let go of."""
    pipe.press("b")
    assert polled(pedal).buttons == ("enable",)
    pipe.send((SYN, DROPPED, 0), (KEY, KEY_CODES["c"], 1), (SYN, 0, 0))
    assert polled(pedal).buttons == ()


def test_a_pedal_that_is_down_when_it_is_found_does_not_count(
    pipe: EventPipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventFile, "keys_down", lambda self: {KEY_CODES["b"], KEY_CODES["z"]})
    device = make(pipe.path)
    device.start()
    pipe.press("b", value=2)
    assert polled(device).buttons == ()
    pipe.press("b", value=0)
    pipe.press("b")
    assert polled(device).buttons == ("enable",)
    device.stop()


def test_unplugging_lets_go_and_is_a_sentence_and_it_comes_back(pipe: EventPipe, pedal: Pedal) -> None:
    pipe.press("b")
    assert polled(pedal).buttons == ("enable",)
    pipe.unplug()
    assert polled(pedal).buttons == ()
    with pytest.raises(DeviceError, match="The pedal 'foot' was unplugged. Plug it in again"):
        pedal.poll()
    with pytest.raises(DeviceError, match="There is no input device"):
        pedal.start()
    again = EventPipe(pipe.path)
    pedal.start()
    again.press("a")
    assert polled(pedal).buttons == ("record",)
    again.close()


def test_a_file_that_may_not_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DeviceError, match="You may not read the input device .* usermod -aG input"):
        make(tmp_path / "event3").start()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"keys": {"space bar": "record"}}, "there is no key 'space bar'"),
        ({"keys": {"a": "fly"}}, "key 'a' cannot do 'fly'; choose one of enable, estop"),
        ({"keys": {}}, "keys must name at least one key"),
        ({"grap": True}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_are_named(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PedalOptions.model_validate(options)


def test_an_arm_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = StationConfig()
    context = DeviceContext("foot", ("left", "right"), config, CalibrationStore(tmp_path), FakeClock())
    with pytest.raises(ConfigError, match="The pedal 'foot' cannot engage 'third': the arms .* left, right"):
        DRIVER.make(context, PedalOptions(keys={"a": "engage:third"}))


def test_pedals_are_found_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(["Power Button", "PCsensor FootSwitch Keyboard"]):
        folder = tmp_path / f"sys/class/input/event{number}/device"
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (tmp_path / "dev/input").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"dev/input/event{number}").touch()
    by_id = tmp_path / "dev/input/by-id/usb-PCsensor_FootSwitch-event-kbd"
    by_id.parent.mkdir()
    by_id.symlink_to("../event1")
    devices = list(event_devices(tmp_path))
    assert [(device.name, Path(device.path).name) for device in devices] == [
        ("Power Button", "event0"),
        ("PCsensor FootSwitch Keyboard", "usb-PCsensor_FootSwitch-event-kbd"),
    ]
    monkeypatch.setattr(pedal_module, "event_devices", lambda: iter(devices))
    (found,) = DRIVER.discover()
    assert found.options == {"device": str(by_id)}
    monkeypatch.setattr(pedal_module, "event_devices", lambda: iter(devices[:1]))
    with pytest.raises(DeviceError, match="No foot pedal is connected"):
        Pedal("foot", PedalOptions(), FakeClock()).start()
