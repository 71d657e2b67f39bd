"""Every intervention of the supervisor becomes an event when it begins and one when it is over."""

from __future__ import annotations

import pytest

from teleop_app.control.flag_events import QUIET_NS, FlagEvents
from teleop_app.core.types import SafetyFlag
from teleop_app.safety.outcome import Intervention

TICK_NS = 5_000_000


@pytest.mark.parametrize("flag", [flag for flag in SafetyFlag if flag is not SafetyFlag.ESTOP])
def test_an_intervention_begins_once_and_ends_once_with_its_numbers(flag):
    events = FlagEvents()
    note = Intervention(flag, "left", "Because.", (2.0,), (1.0,))
    heard = [event for tick in range(20) for event in events.update(tick * TICK_NS, [note])]
    for tick in range(20, 20 + QUIET_NS // TICK_NS + 2):
        heard += events.update(tick * TICK_NS, [])
    begun, ended = heard
    assert begun.kind.startswith("safety.") and ended.kind == "safety.cleared"
    assert (
        begun.text == "Because." and begun.fields["requested"] == [2.0] and begun.fields["limited"] == [1.0]
    )
    assert begun.fields["flag"] == ended.fields["flag"] == (flag.name or "").lower()
    assert begun.fields["arm"] == ended.fields["arm"] == "left"
    assert ended.fields["lasted_s"] == pytest.approx(0.095)


def test_one_that_flickers_is_one_event_and_arms_are_kept_apart():
    events = FlagEvents()
    heard = []
    for tick in range(60):
        notes = [Intervention(SafetyFlag.COLLISION, "left", "Near.")] if tick % 7 == 0 else []
        notes += [Intervention(SafetyFlag.COLLISION, "right", "Near.")] if tick == 30 else []
        heard += events.update(tick * TICK_NS, notes)
    assert [event.fields["arm"] for event in heard] == ["left", "right"]


def test_the_estop_has_events_of_its_own():
    assert FlagEvents().update(0, [Intervention(SafetyFlag.ESTOP, "", "E-stop.")]) == []
