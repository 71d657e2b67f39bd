"""The registry of policy drivers: broken plug-ins are reported, not fatal; options are checked."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from teleop_app.autonomy import registry
from teleop_app.autonomy.registry import all_drivers, driver_names, find_driver, make_policy
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import ConfigError, PolicyError
from teleop_app.core.policy import PolicyContext, PolicyDriver, PolicyKind, PolicyOptions

CONTEXT = PolicyContext("mine", ("left",), (), 20.0, 16, FakeClock())


class Speed(PolicyOptions):
    speed: float = 1.0


GOOD = PolicyDriver("good", "Good", PolicyKind.BUILT_IN, lambda context, options: (context, options), Speed)


class Point(EntryPoint):
    @property
    def dist(self) -> Any:
        return SimpleNamespace(name=self.value.partition(".")[0])


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    points: list[Point] = []
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group, name="": [each for each in points if each.group == group and name in ("", each.name)],
    )
    monkeypatch.setitem(sys.modules, "acme", SimpleNamespace(GOOD=GOOD, TEXT="hello"))
    return lambda name, value: points.append(Point(name, value, registry.GROUP))


def test_a_policy_is_made_with_checked_options(install: Any) -> None:
    install("good", "acme:GOOD")
    assert driver_names() == ("good",)
    assert make_policy("good", CONTEXT, {"speed": 2.0}) == (CONTEXT, Speed(speed=2.0))
    with pytest.raises(ConfigError, match="The options of the policy 'mine' .good. are wrong: .*seed: extra"):
        make_policy("good", CONTEXT, {"seed": 2.0})
    with pytest.raises(ConfigError, match="no policy driver 'bad'. Choose one of: good"):
        make_policy("bad", CONTEXT, {})


def test_broken_plug_ins_are_only_reported(install: Any) -> None:
    install("good", "acme:GOOD")
    install("other", "acme:GOOD")
    install("text", "acme:TEXT")
    install("lost", "nowhere:DRIVER")
    install("twice", "acme:GOOD")
    install("twice", "acme:GOOD")
    drivers, broken = all_drivers()
    assert drivers == [GOOD]
    told = {each.name: each.sentence for each in broken}
    assert "does not load: ModuleNotFoundError" in told["lost"]
    assert "is not one: acme:GOOD" in told["other"] and "is not one" in told["text"]
    assert "more than once" in told["twice"]
    with pytest.raises(PolicyError):
        find_driver("lost")


@pytest.mark.parametrize("name", ["openpi", "groot", "starvla"])
def test_our_clients_are_installed(name: str) -> None:
    driver = find_driver(name)
    assert driver.kind is PolicyKind.CLIENT and driver.proof
    make_policy(name, CONTEXT, {})
