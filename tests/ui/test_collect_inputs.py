"""Collect: how the inputs do, what the supervisor does, aligning a leader, nudges and precision."""

from dataclasses import replace

import numpy as np
import pytest

from teleop_app.core.config import SafetySection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.types import (
    Actor,
    ControlState,
    Event,
    ProcessState,
    ProcessStatus,
    SafetyFlag,
    StationStatus,
)
from ui.actions import ActionRegistry
from ui.sounds import Cue
from ui.viewmodels.collect import CollectModel
from ui.viewmodels.collect_view import Chip
from ui.viewmodels.device_buttons import button_hint, device_buttons
from ui.viewmodels.driving import NUDGES
from ui.viewmodels.input_health import InputWatch
from ui.viewmodels.interventions import InterventionWatch
from ui.widgets.alignment_bars import AlignmentBars, JointOffset
from ui.widgets.arm_selector import ArmSelector
from ui.widgets.input_strip import InputStrip
from ui.widgets.status_cells import Level, device_cell

S = 1_000_000_000
CONFIG = StationConfig(
    inputs={
        "devices": [
            {"name": "quest", "driver": "webxr"},
            {"name": "pedal", "driver": "pedal"},
            {"name": "gello", "driver": "dynamixel-leader"},
        ]
    },
    safety={"deadman": "pedal"},
)


def station(at_s=0.0, state=ProcessState.RUNNING, text="", **metrics):
    figures = {"rate_hz": 72.0, "age_ms": 9.0, "lost": 0.0} | metrics
    quest = ProcessStatus("input-quest", 1, state, 0, text, figures)
    others = [ProcessStatus(f"input-{n}", 1, ProcessState.RUNNING, 0, "", {}) for n in ("pedal", "gello")]
    return StationStatus("Cell", round(at_s * S), (quest, *others), 1)


def health(watch, name="quest", driver=""):
    return next(each for each in watch.view(driver, False) if each.name == name)


def test_an_input_that_is_well_is_quiet_and_the_one_that_drives_says_so():
    watch = InputWatch(CONFIG)
    watch.on_station(station())
    assert (health(watch).level, health(watch).figures) == (Level.QUIET, "72 Hz  9 ms old")
    assert health(watch, driver="quest").drives
    assert [each.name for each in watch.view("", False)] == ["keyboard", "quest", "pedal", "gello"]


def test_dropouts_are_told_with_a_remedy_and_forgotten_after_a_while():
    watch = InputWatch(CONFIG)
    for at_s, lost in ((0, 0), (1, 7), (2, 7)):
        watch.on_station(station(at_s, lost=float(lost)))
    assert health(watch).level is Level.WARNING
    assert "lost 7 samples" in health(watch).sentence
    assert "Wi-Fi" in health(watch).sentence
    for at_s in range(3, 16):
        watch.on_station(station(at_s, lost=7.0))
    assert health(watch).level is Level.QUIET
    watch.on_station(station(17, lost=0.0))  # its process started anew
    assert health(watch).lost == 0


def test_old_samples_of_the_driver_are_red_those_of_others_are_not():
    watch = InputWatch(CONFIG)
    watch.on_station(station(age_ms=400.0))
    assert health(watch).level is Level.QUIET
    driven = health(watch, driver="quest")
    assert driven.level is Level.FAULT
    assert "400 ms old" in driven.sentence


def test_a_dead_missing_or_waiting_input_is_a_sentence():
    watch = InputWatch(CONFIG)
    watch.on_station(station(text="No headset is connected."))
    assert (health(watch).level, health(watch).sentence) == (Level.WARNING, "No headset is connected.")
    watch.on_station(station(state=ProcessState.FAULT, text="It was killed."))
    assert (health(watch).level, health(watch).figures) == (Level.FAULT, "down")
    watch.on_station(StationStatus("Cell", 0, (), 1))
    assert "Restart the station" in health(watch).sentence
    watch.on_link(False)
    assert watch.view("", False) == ()


def test_a_headset_that_nobody_wears_is_waited_for_quietly():
    watch = InputWatch(CONFIG)
    idle = station(rate_hz=0.0, waiting=1.0)
    watch.on_station(idle)
    found = health(watch)
    assert (found.level, found.figures) == (Level.QUIET, "waiting")
    assert "Setup, Devices" in found.sentence
    assert device_cell(idle) is None
    enabling = InputWatch(CONFIG.model_copy(update={"safety": SafetySection(deadman="quest")}))
    enabling.on_station(idle)
    assert health(enabling).level is Level.WARNING  # nobody can drive without it


def test_the_strip_lights_the_worst_and_keeps_chips(qtbot):
    strip = InputStrip()
    qtbot.addWidget(strip)
    watch = InputWatch(CONFIG)
    watch.on_station(station())
    strip.set_inputs(watch.view("quest", False))
    chip = strip.chips["quest"]
    assert chip.text.endswith("drives")
    assert strip.sentence.text() == ""
    watch.on_station(station(state=ProcessState.FAULT, text="It was killed."))
    strip.set_inputs(watch.view("", False))
    assert strip.chips["quest"] is chip
    assert strip.sentence.text() == "It was killed."
    watch.on_link(False)
    strip.set_inputs(watch.view("", False))
    assert strip.chips == {}


def test_a_program_that_drives_is_not_taken_for_a_person():
    watch = InputWatch(CONFIG)
    operator = ProcessStatus("operator", 1, ProcessState.RUNNING, 0, "", {"rate_hz": 0.0})
    watch.on_station(StationStatus("Cell", 0, (operator,), 1))
    scripted = health(watch, "scripted", driver="scripted")
    assert scripted.drives
    assert not scripted.person
    assert scripted.figures == "ready"


def test_devices_that_are_off_have_a_cell_in_the_strip():
    assert device_cell(station()) is None
    cell = device_cell(station(text="No headset is connected."))
    assert (cell.text, cell.level) == ("Input 'quest'", Level.WARNING)
    assert "No headset" in cell.remedy


# Interventions


def limit(flag, at_s=10.0, arm="left", kind="safety.limit"):
    return Event(kind, round(at_s * S), "control", "said", {"flag": flag, "arm": arm})


def test_every_intervention_has_words_a_remedy_and_a_sound():
    for flag in SafetyFlag:
        if flag is SafetyFlag.ESTOP:  # latching it is an event and a state of its own
            continue
        watch = InterventionWatch()
        assert isinstance(watch.on_event(replace(limit(flag.name.lower()), text="")), Cue)
        sentence = watch.active[0].sentence
        assert sentence.startswith("The left arm is ")
        assert sentence.count(".") >= 2 or ":" in sentence


def test_the_same_limit_does_not_sound_again_and_again():
    watch = InterventionWatch()
    heard = [watch.on_event(limit("workspace", 10.0 + 0.3 * i)) for i in range(10)]
    assert heard == [Cue.LIMIT, *[None] * 9]
    assert watch.on_event(limit("workspace", 13.1)) is Cue.LIMIT


def test_two_limits_at_once_are_one_sound_unless_one_is_grave_which_is_shown():
    watch = InterventionWatch()
    assert watch.on_event(limit("tcp_speed")) is Cue.LIMIT
    assert watch.on_event(limit("workspace", 10.01)) is None
    assert watch.on_event(limit("collision", 10.02)) is Cue.BLOCKED
    watch.on_event(limit("workspace", 10.03, kind="safety.cleared"))
    assert watch.active[0].flag is SafetyFlag.COLLISION
    watch.on_event(limit("collision", 10.5, kind="safety.cleared"))
    assert watch.active[0].flag is SafetyFlag.TCP_SPEED


def test_a_limit_whose_end_was_never_told_is_forgotten(make_tick):
    watch = InterventionWatch()
    watch.on_event(limit("workspace", 10.0))
    tick = replace(make_tick(), tick_ns=round(10.5 * S), flags=int(SafetyFlag.WORKSPACE))
    watch.on_ticks([tick])
    assert watch.active
    watch.on_ticks([replace(tick, tick_ns=12 * S, flags=0)])
    assert watch.active == ()


def test_an_event_of_another_kind_is_none():
    watch = InterventionWatch()
    assert watch.on_event(Event("safety.hold", 1, "control", "held", {})) is None
    assert watch.on_event(limit("nonsense")) is None
    assert watch.active == ()


# The page's model


@pytest.fixture
def model(direct_port):
    made = CollectModel(direct_port, CONFIG, ActionRegistry().key_label)
    made.on_link(True)
    made.cues = []
    made.cue.connect(made.cues.append)
    return made


def engaged(make_tick, state=ControlState.ENGAGED, **fields):
    return make_tick(2000, state=state, actor=Actor.HUMAN, engaged=(True, False), source="gello", **fields)


def test_a_singularity_takes_the_place_of_engaged_and_is_heard(model, make_tick):
    model.on_ticks([engaged(make_tick)])
    model.on_event(limit("singularity", 20.0))
    view = model.view()
    assert view.chip is Chip.SINGULARITY
    assert "bend the elbow" in view.explanation
    assert model.cues == [Cue.BLOCKED]
    model.on_event(limit("singularity", 20.5, kind="safety.cleared"))
    assert model.view().chip is Chip.ENGAGED


def test_without_the_pedal_the_chip_says_what_to_hold(model, make_tick):
    model.on_event(Event("safety.deadman", 20 * S, "control", "The enabling device 'pedal' is not held.", {
        "flag": "deadman", "arm": ""}))  # fmt: skip
    model.on_ticks([make_tick(2000, state=ControlState.HOLD)])
    view = model.view()
    assert view.chip is Chip.DEADMAN
    assert view.explanation == "The enabling device 'pedal' is not held. Hold it, then engage anew."
    assert model.cues[0] is Cue.DEADMAN


def test_the_estop_dominates_every_limit(model, make_tick):
    model.on_event(limit("collision", 20.0))
    model.on_ticks([make_tick(2000, state=ControlState.ESTOP, reason="pressed")])
    assert model.view().chip is Chip.ESTOP


def test_aligning_shows_how_far_each_joint_is_off(model, make_tick):
    tick = engaged(make_tick, ControlState.ALIGNING)
    commanded = tick.measured.copy()
    commanded[:6] = [0.0, 0.5, -0.9, 0.01, np.pi / 180, 0.0]
    model.on_ticks([replace(tick, commanded=commanded)])
    view = model.view()
    assert view.chip is Chip.ALIGNING
    offsets = view.alignment
    assert [each.name for each in offsets] == [f"Joint {n}" for n in range(1, 7)]
    assert offsets[1].offset_rad == pytest.approx(0.5, abs=0.01)
    assert abs(offsets[2].offset_rad) > offsets[2].limit_rad
    model.on_ticks([engaged(make_tick)])
    assert model.view().alignment == ()


def test_a_refused_leader_is_told_and_an_aligned_one_heard(model):
    told = []
    model.told.connect(lambda text, _undo: told.append(text))
    model.on_event(Event("control.align_refused", S, "control", "The leader stands too far.", {}))
    model.on_event(Event("control.aligned", S, "control", "Arm 'left' follows its leader.", {}))
    assert told == ["The leader stands too far."]
    assert model.cues == [Cue.DEADMAN, Cue.ALIGNED]


def test_bars_paint_every_state(qtbot):
    bars = AlignmentBars()
    qtbot.addWidget(bars)
    bars.set_offsets(tuple(JointOffset(f"Joint {i}", x, 0.8, 0.05) for i, x in enumerate((0.0, -0.4, 1.2))))
    bars.resize(300, 80)
    assert not bars.grab().isNull()
    assert "Joint 2 is +69 degrees off" == bars.accessibleName()


def test_a_nudge_is_one_command_and_its_refusal_a_note(model, direct_port):
    model.nudge("nudge.turn_left")
    assert direct_port.calls[-1] == ("control", "nudge", {"arm": "left", "axis": "yaw", "sign": 1})
    direct_port.errors["nudge"] = StationError("A leader drives the arm")
    told = []
    model.told.connect(lambda text, _undo: told.append(text))
    model.nudge("nudge.up")
    assert "A leader drives" in told[0]


def test_every_nudge_is_a_declared_action_with_a_key_of_its_own():
    registry = ActionRegistry()
    keys = [registry.key(action) for action in NUDGES]
    assert len(set(keys)) == len(NUDGES) == 12
    assert all(keys)


def test_buttons_of_headset_and_pedal_are_named_by_what_they_do():
    config = StationConfig(
        inputs={
            "devices": [
                {"name": "quest", "driver": "webxr"},
                {"name": "pedal", "driver": "pedal", "options": {"keys": {"b": "record"}}},
                {"name": "odd", "driver": "kraken"},
            ]
        }
    )
    buttons = device_buttons(config)
    assert buttons["record"] == ("A on quest", "b on pedal")
    assert button_hint(buttons, "record") == "Also A on quest, or b on pedal."
    assert button_hint(buttons, "redo") == ""


def test_precision_goes_with_every_sample(model):
    model.driving.precise = True
    model.driving.toggle_clutch()
    model.driving.sample(1)
    assert model.driving.sample(2).arms["left"].precise


def test_mirroring_is_switched_while_nobody_drives_and_told(model, direct_port, make_tick):
    told = []
    model.told.connect(lambda text, _undo: told.append(text))
    answered = []
    direct_port.call = lambda process, command, done=None, failed=None, **args: (
        answered.append((process, command, args)),
        done(CONFIG.mapping.model_dump() | args),
    )
    model.on_ticks([engaged(make_tick)])
    model.toggle_symmetry()
    assert (answered, told) == ([], ["Let go of the arms first, then switch mirroring."])
    model.on_ticks([make_tick(2001)])
    model.toggle_symmetry()
    assert answered == [("control", "set_mapping", {"symmetry": True})]
    assert model.symmetry
    model.on_ticks([engaged(make_tick)])
    assert model.view().explanation.endswith(", mirrored")
    model.on_mapping(CONFIG.mapping)
    assert not model.symmetry


def test_the_selector_shows_precision_and_mirroring(qtbot):
    arms = ArmSelector(("left", "right"), "Tab", "", "P", "M")
    qtbot.addWidget(arms)
    arms.set_precise(True)
    arms.set_mirrored(True)
    assert arms.mirror.accessibleName() == "Mirroring on"
    assert arms.mirror.styleSheet() == arms.precise.styleSheet()
    single = ArmSelector(("only",), "Tab", "")
    qtbot.addWidget(single)
    assert single.mirror.isHidden()
