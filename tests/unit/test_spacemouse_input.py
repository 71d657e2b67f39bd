"""The SpaceMouse by the bytes of its reports; the link to hidapi is replaced (no /dev/hidraw here)."""

import struct
from collections import deque

import hid
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.inputs import spacemouse as module
from devices.inputs.spacemouse import DRIVER, SpaceMouse, SpaceMouseOptions, connected, open_hid, shape_axes
from devices.inputs.spacemouse_reports import PRODUCTS, CapState
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import InputSample

ARMS = ("left", "right")


def moved(x: int = 0, y: int = 0, z: int = 0) -> bytes:
    return b"\1" + struct.pack("<3h", x, y, z)


def turned(rx: int = 0, ry: int = 0, rz: int = 0) -> bytes:
    return b"\2" + struct.pack("<3h", rx, ry, rz)


def pressed(*numbers: int) -> bytes:
    return b"\3" + sum(1 << number for number in numbers).to_bytes(2, "little")


class FakeHidLink:
    """FAKE: reports by hand, where hidapi would deliver those of a device."""

    def __init__(self) -> None:
        self.reports: deque[bytes] = deque()
        self.gone = self.closed = False

    def read(self) -> bytes:
        if self.gone:
            raise OSError("read error")
        return self.reports.popleft() if self.reports else b""

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, **options: object) -> None:
        self.clock = FakeClock()
        self.link = FakeHidLink()
        self.plugged = True
        made = SpaceMouseOptions.model_validate({"deadzone": 0.0, "expo": 0.0, **options})
        self.mouse = SpaceMouse("puck", ARMS, made, self.clock, self.open)
        self.mouse.start()

    def open(self, serial: str) -> FakeHidLink:
        if not self.plugged:
            raise DeviceError("No SpaceMouse is connected")
        self.link = FakeHidLink()
        return self.link

    def send(self, *reports: bytes) -> InputSample:
        self.link.reports.extend(reports)
        self.clock.advance(0.01)
        sample = self.mouse.poll()
        assert sample is not None
        return sample


def test_translation_and_rotation_are_along_the_operators_axes() -> None:
    bench = Bench()
    options = SpaceMouseOptions()
    sample = bench.send(moved(350, 0, 0), turned(0, 0, 175))
    twist = sample.arms["left"].twist
    assert twist == pytest.approx([options.speed_m_s, 0, 0, 0, 0, -options.turn_rad_s / 2])
    sample = bench.send(moved(0, -350, -350), turned(350, -350, 0))
    full, turn = options.speed_m_s, options.turn_rad_s
    assert sample.arms["left"].twist == pytest.approx([0, full, full, turn, turn, 0])
    assert sample.arms["right"].twist is None and not sample.arms["right"].clutch


def test_devices_that_send_all_axes_in_one_report() -> None:
    bench = Bench()
    combined = b"\1" + struct.pack("<6h", 350, 0, 0, 0, 350, 0)
    assert bench.send(combined).arms["left"].twist == pytest.approx([0.15, 0, 0, 0, -0.8, 0])


def test_axes_can_be_turned_round() -> None:
    bench = Bench(invert=["x", "rz"])
    twist = bench.send(moved(350, -350, 0), turned(0, 0, 350)).arms["left"].twist
    assert twist == pytest.approx([-0.15, 0.15, 0, 0, 0, 0.8])


def test_the_clutch_is_held_or_toggled() -> None:
    held = Bench()
    assert not held.send().arms["left"].clutch
    assert held.send(pressed(0)).arms["left"].clutch
    assert not held.send(pressed()).arms["left"].clutch
    toggled = Bench(clutch="toggle")
    assert not toggled.send(pressed()).arms["left"].clutch
    assert toggled.send(pressed(0)).arms["left"].clutch
    assert toggled.send(pressed()).arms["left"].clutch
    assert not toggled.send(pressed(0), pressed()).arms["left"].clutch


@pytest.mark.parametrize("clutch", ["hold", "toggle"])
def test_a_clutch_that_is_down_when_it_is_found_does_not_count(clutch: str) -> None:
    bench = Bench(clutch=clutch)
    assert not bench.send(pressed(0)).arms["left"].clutch
    bench.send(pressed())
    assert bench.send(pressed(0)).arms["left"].clutch


def test_switching_goes_on_to_the_next_arm_and_needs_a_new_clutch() -> None:
    bench = Bench()
    bench.send(pressed())
    assert bench.send(pressed(0)).arms["left"].clutch
    sample = bench.send(pressed(0, 2))
    assert bench.mouse.selected_arm == "right"
    assert not sample.arms["right"].clutch and not sample.arms["left"].clutch
    bench.send(pressed())
    assert bench.send(pressed(0)).arms["right"].clutch


def test_buttons_grip_make_precise_and_act() -> None:
    bench = Bench(buttons=["clutch", "grip", "none", "precise", "record", "estop"])
    sample = bench.send(pressed(1, 2, 3, 4, 5))
    assert sample.arms["left"].gripper == 0.0 and sample.arms["left"].precise
    assert sample.buttons == ("estop", "record")
    assert bench.send(pressed()).arms["left"].gripper == 1.0
    assert Bench(buttons=["clutch"]).send(pressed()).arms["left"].gripper is None


def test_a_cap_that_no_longer_reports_is_at_rest() -> None:
    """A wireless one that falls asleep while it is deflected must not drive on."""
    bench = Bench()
    assert np.any(bench.send(moved(350)).arms["left"].twist)
    bench.clock.advance(0.3)
    assert not np.any(bench.send().arms["left"].twist)


def test_unplugging_lets_go_and_is_a_sentence_and_it_comes_back() -> None:
    bench = Bench()
    bench.send(moved(350), pressed(), pressed(0))
    bench.link.gone, bench.plugged = True, False
    sample = bench.mouse.poll()
    assert sample is not None and not sample.buttons
    assert all(not arm.valid and not arm.clutch for arm in sample.arms.values())
    assert bench.link.closed
    with pytest.raises(DeviceError, match="The SpaceMouse 'puck' was unplugged. Plug it in again"):
        bench.mouse.poll()
    with pytest.raises(DeviceError, match="No SpaceMouse is connected"):
        bench.mouse.start()
    bench.plugged = True
    bench.mouse.start()
    assert not bench.send(pressed(0)).arms["left"].clutch
    bench.mouse.stop()
    bench.mouse.stop()


@given(st.binary(max_size=20))
def test_any_bytes_give_finite_deflections(report: bytes) -> None:
    cap = CapState.rest()
    cap.take(report)
    for axes in (cap.translation, cap.rotation):
        assert np.all(np.isfinite(axes)) and np.all(np.abs(axes) <= 1.0)


def test_other_reports_change_nothing() -> None:
    cap = CapState.rest()
    assert not cap.take(b"\x17\x64\x00")  # battery
    assert not cap.take(b"\1\2\3")
    assert not np.any(cap.translation)


@given(st.floats(-1, 1), st.floats(0, 0.9), st.floats(0, 1))
def test_the_curve_is_odd_grows_and_stays_in_bounds(x: float, deadzone: float, expo: float) -> None:
    axes = np.array([x, -x, 1.0])
    shaped = shape_axes(axes, deadzone, expo)
    assert shaped[0] == -shaped[1] and shaped[2] == pytest.approx(1.0)
    assert abs(shaped[0]) <= abs(x) + 1e-12 or deadzone == 0.0
    assert (shaped[0] == 0.0) or abs(x) > deadzone


def test_an_unknown_button_action_is_named() -> None:
    with pytest.raises(ValueError, match="a button cannot do 'fly'; choose one of clutch, grip"):
        SpaceMouseOptions(buttons=["fly"])


# hidapi itself, as far as there is something to find.


def entry(usage: tuple[int, int], path: bytes, product: int = 0xC635) -> dict[str, object]:
    return {
        "vendor_id": 0x256F,
        "product_id": product,
        "serial_number": "S1",
        "usage_page": usage[0],
        "usage": usage[1],
        "path": path,
    }


def test_each_device_is_found_once_by_its_multi_axis_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [entry((1, 6), b"keyboard"), entry((1, 8), b"cap"), entry((1, 8), b"cap2")]
    listed.append(entry((1, 8), b"mouse", product=0x1234))
    monkeypatch.setattr(hid, "enumerate", lambda: listed)
    assert [found["path"] for found in connected()] == [b"cap"]
    (found,) = DRIVER.discover()
    assert (found.title, found.serial, found.options) == ("SpaceMouse Compact", "S1", {"serial": "S1"})
    with pytest.raises(DeviceError, match="No SpaceMouse with the serial number 'S2' is connected"):
        open_hid("S2")
    with pytest.raises(DeviceError, match=r"The SpaceMouse Compact cannot be opened: .*udev rule"):
        open_hid("S1")  # the genuine hidapi refuses the path


def test_without_a_device_the_genuine_hidapi_says_so() -> None:
    if connected():
        pytest.skip("a SpaceMouse is connected")
    with pytest.raises(DeviceError, match="No SpaceMouse is connected"):
        SpaceMouse("puck", ARMS, SpaceMouseOptions(), FakeClock()).start()
    assert module.open_hid is open_hid and len(PRODUCTS) == 20
