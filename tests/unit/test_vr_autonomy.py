"""What the headset tells of a policy: who drives, a call for help, and its pulse."""

import re
from pathlib import Path

import numpy as np
import pytest

import devices.vr.haptics
from devices.vr.haptics import PATTERNS
from devices.vr.station_view import StationView
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    AutonomyPhase,
    AutonomyTick,
    ControlState,
    ControlTick,
    Event,
)


def tick(actor=Actor.NONE, phase=AutonomyPhase.IDLE, state=ControlState.IDLE, autonomy=True):
    joints = np.zeros(7)
    told = AutonomyTick(AuthorityMode.SUPERVISED, phase, 0, 1.0, 0, -1.0, 0) if autonomy else None
    return ControlTick(
        1, 1000, 1000, state, actor, "", (False,), 0, np.full((1, 7), np.nan), np.full(1, np.nan),
        None, joints, joints, 1000, joints, joints, joints, 1000, 0, autonomy=told,
    )  # fmt: skip


def told(view):
    return view.message({}, {})


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (tick(autonomy=False), ""),
        (tick(Actor.POLICY, AutonomyPhase.POLICY, ControlState.ENGAGED), "drives"),
        (tick(Actor.BLEND, AutonomyPhase.BLEND, ControlState.ENGAGED), "both"),
        (tick(phase=AutonomyPhase.HOLD), "holds"),
        (tick(Actor.HUMAN, AutonomyPhase.CORRECT, ControlState.ENGAGED), ""),
        (tick(Actor.POLICY, AutonomyPhase.POLICY, ControlState.ESTOP), ""),
    ],
)
def test_the_page_is_told_who_drives(seen, says):
    view = StationView("quest", {"left": "left"})
    view.observe(seen)
    assert told(view)["policy"] == says


def test_a_call_for_help_is_shown_until_somebody_takes_over():
    view = StationView("quest", {"left": "left"})
    view.observe(tick(phase=AutonomyPhase.HOLD))
    view.observe(Event("autonomy.help", 1000, "policy", "The policy is unsure."))
    assert (told(view)["policy"], told(view)["warning"]) == ("asks", "The policy is unsure.")
    view.observe(Event("autonomy.takeover", 2000, "control", "taken"))
    assert told(view)["warning"] == ""


def test_page_and_driver_have_the_same_pulses():
    script = Path(devices.vr.haptics.__file__).with_name("web") / "haptics.js"
    played = re.search(r"const PATTERNS = \{(.*?)\};", script.read_text(), re.S)
    assert played is not None
    rows = re.findall(r"(\w+): (\[\[.*?\]\]),", played.group(1))
    pulses = {
        name: tuple(tuple(float(n) for n in row.split(",")) for row in re.findall(r"\[([\d., ]+)\]", text))
        for name, text in rows
    }
    assert pulses == {name: tuple(tuple(map(float, row)) for row in rows) for name, rows in PATTERNS.items()}
    assert "help" in pulses
