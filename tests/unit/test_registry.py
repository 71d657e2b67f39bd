"""The registry of drivers: broken plug-ins are reported, not fatal; names and kinds are checked."""

import re
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from devices import registry
from devices.driver import DeviceContext, Driver, DriverKind, Options, vendor_module
from devices.protocols import Verification
from devices.registry import all_drivers, driver_names, find_driver, make_device
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError


class Speed(Options):
    speed: float = 1.0


def made(context: DeviceContext, options: Any) -> Any:
    return context.name, options.speed


GOOD = Driver("good", DriverKind.SENSOR, "Good", Verification.SIMULATED, "Nothing", made, Speed)
_UNTRIED = (Verification.EMULATOR, Verification.IMPORT_ONLY)
NOT_A_DRIVER = "hello"


class Point(EntryPoint):
    """An entry point of an installed distribution."""

    @property
    def dist(self) -> Any:
        return SimpleNamespace(name=self.value.partition(".")[0])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """The entry points that are installed, as far as the registry can see."""
    points: list[Point] = []

    def entry_points(group: str, name: str = "") -> list[Point]:
        return [point for point in points if point.group == group and name in ("", point.name)]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return points


def add(points: list[Point], name: str, value: str, kind: DriverKind = DriverKind.SENSOR) -> None:
    points.append(Point(name, value, kind.group))


def provide(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "acme_devices", SimpleNamespace(**members))


@pytest.fixture
def context(tmp_path: Any) -> DeviceContext:
    return DeviceContext("thing", (), StationConfig(), CalibrationStore(tmp_path), FakeClock())


def test_a_driver_is_found_and_makes_its_device(
    installed: list[Point], monkeypatch: pytest.MonkeyPatch, context: DeviceContext
) -> None:
    provide(monkeypatch, DRIVER=GOOD)
    add(installed, "good", "acme_devices:DRIVER")
    assert driver_names(DriverKind.SENSOR) == ("good",)
    assert make_device(DriverKind.SENSOR, "good", context, {"speed": 2}) == ("thing", 2.0)


def test_an_unknown_name_lists_those_that_are_there(installed: list[Point]) -> None:
    add(installed, "good", "acme_devices:DRIVER")
    with pytest.raises(ConfigError, match="There is no sensor driver 'goood'. Choose one of: good"):
        find_driver(DriverKind.SENSOR, "goood")
    with pytest.raises(ConfigError, match="Choose one of: none is installed"):
        find_driver(DriverKind.HAND, "good")


def test_two_of_one_name_name_their_packages(installed: list[Point]) -> None:
    add(installed, "good", "acme_devices:DRIVER")
    add(installed, "good", "other_devices:DRIVER")
    with pytest.raises(
        DeviceError, match="'good' is installed more than once: by acme_devices:DRIVER, other"
    ):
        find_driver(DriverKind.SENSOR, "good")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("acme_devices:MISSING", "does not load: AttributeError"),
        ("no_such_module:DRIVER", "does not load: ModuleNotFoundError: No module named 'no_such_module'"),
        (
            "acme_devices:NOT_A_DRIVER",
            "is not one: acme_devices:NOT_A_DRIVER must be a devices.driver.Driver",
        ),
        ("acme_devices:OTHER_NAME", "is not one"),
        ("acme_devices:OTHER_KIND", "is not one"),
    ],
)
def test_a_broken_plug_in_is_a_sentence_and_the_others_work(
    installed: list[Point], monkeypatch: pytest.MonkeyPatch, value: str, sentence: str
) -> None:
    other_name = Driver("better", DriverKind.SENSOR, "x", Verification.SIMULATED, "x", made)
    other_kind = Driver("bad", DriverKind.INPUT, "x", Verification.SIMULATED, "x", made)
    provide(monkeypatch, DRIVER=GOOD, NOT_A_DRIVER=NOT_A_DRIVER, OTHER_NAME=other_name, OTHER_KIND=other_kind)
    add(installed, "good", "acme_devices:DRIVER")
    add(installed, "bad", value)
    with pytest.raises(DeviceError) as error:
        find_driver(DriverKind.SENSOR, "bad")
    assert sentence in error.value.sentence
    drivers, broken = all_drivers()
    assert [driver.name for driver in drivers] == ["good"]
    assert [(each.name, each.kind) for each in broken] == [("bad", DriverKind.SENSOR)]
    assert sentence in broken[0].sentence


def test_wrong_settings_are_all_named(
    installed: list[Point], monkeypatch: pytest.MonkeyPatch, context: DeviceContext
) -> None:
    provide(monkeypatch, DRIVER=GOOD)
    add(installed, "good", "acme_devices:DRIVER")
    with pytest.raises(ConfigError) as error:
        make_device(DriverKind.SENSOR, "good", context, {"speed": float("nan"), "spead": 1})
    assert error.value.sentence.startswith("The options of the sensor 'thing' are wrong: ")
    assert "speed: " in error.value.sentence and "spead: " in error.value.sentence


def test_a_package_that_is_missing_says_what_to_install() -> None:
    with pytest.raises(
        DeviceError, match=r"needs the package 'no_vendor': .* pip install 'teleop-app\[acme\]'"
    ):
        vendor_module("no_vendor", "acme", "acme")
    with pytest.raises(DeviceError, match="Install no_vendor"):
        vendor_module("no_vendor", "acme")


def test_drivers_that_were_not_run_on_their_devices_say_so() -> None:
    claims = {each.name: each.proof for each in all_drivers()[0] if each.verification in _UNTRIED}
    assert {"spacemouse", "ur", "webxr"} <= set(claims)
    assert [name for name, said in claims.items() if not re.search(r"\b(no|not|nothing|never)\b", said)] == []
