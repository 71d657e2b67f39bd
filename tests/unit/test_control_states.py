"""States, arbitration and the timer of the control loop."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleop_app.control.arbitration import Arbiter, Source
from teleop_app.control.cycle_timer import CycleTimer
from teleop_app.control.states import TRANSITIONS, ControlStates, Trigger
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import SafetySection
from teleop_app.core.types import Actor, ArmInput, ControlState, InputSample
from teleop_app.safety.input_guard import SourceGuard


@given(st.lists(st.sampled_from(Trigger), max_size=40))
def test_control_states_follow_the_table_alone(triggers):
    states = ControlStates()
    for trigger in triggers:
        before = states.state
        changed = states.fire(trigger, "Because.")
        assert states.state is TRANSITIONS.get((before, trigger), before)
        assert changed == ((before, trigger) in TRANSITIONS)
        if before is ControlState.ESTOP:
            assert states.state in (ControlState.ESTOP, ControlState.IDLE)
        if before is ControlState.FAULT:
            assert states.state is not ControlState.ENGAGED


def test_control_states_every_state_has_a_way_to_estop_and_back():
    for state in ControlState:
        if state is not ControlState.ESTOP:
            assert TRANSITIONS[state, Trigger.ESTOP] is ControlState.ESTOP
    assert [t for (s, t) in TRANSITIONS if s is ControlState.ESTOP] == [Trigger.RESET]


def test_control_states_keep_the_newest_reason():
    states = ControlStates()
    states.fire(Trigger.PAUSE, "First.")
    states.fire(Trigger.PAUSE, "Second.")
    assert (states.state, states.reason) == (ControlState.HOLD, "Second.")
    states.fire(Trigger.RELEASE)
    assert (states.state, states.reason) == (ControlState.IDLE, "")


class Desk:
    """Sources that press and let go."""

    def __init__(self) -> None:
        self.now_ns = 10**9
        self.sources: dict[str, Source] = {}
        self.arbiter = Arbiter()

    def sample(self, name: str, actor: Actor, clutch: bool) -> None:
        if name not in self.sources:
            self.sources[name] = Source(name, actor, SourceGuard(("left",), SafetySection()), {"left": 0})
        self.now_ns += 1_000_000
        arm = {"left": ArmInput(clutch=clutch)}
        self.sources[name].guard.offer(InputSample(name, actor, 0, self.now_ns, arm), self.now_ns)

    def press(self, name: str, actor: Actor = Actor.HUMAN) -> None:
        self.sample(name, actor, False)
        self.sample(name, actor, True)

    def decide(self, held: bool = False):
        decision = self.arbiter.decide(self.sources, driver_is_held=held)
        return decision.driver.name if decision.driver else "", decision


def test_control_arbitration_needs_an_edge():
    desk = Desk()
    desk.sample("script", Actor.SCRIPT, True)
    assert desk.decide()[0] == ""
    desk.press("script", Actor.SCRIPT)
    assert desk.decide()[0] == "script"


def test_control_arbitration_human_preempts_and_the_script_needs_a_new_edge():
    desk = Desk()
    desk.press("script", Actor.SCRIPT)
    desk.decide()
    desk.press("vr")
    name, decision = desk.decide()
    assert name == "vr"
    assert decision.preempted is desk.sources["script"]
    desk.sample("vr", Actor.HUMAN, False)
    desk.sample("script", Actor.SCRIPT, True)
    assert desk.decide()[0] == ""
    desk.press("script", Actor.SCRIPT)
    assert desk.decide()[0] == "script"


def test_control_arbitration_refuses_lower_and_equal_ranks():
    desk = Desk()
    desk.press("vr")
    desk.decide()
    desk.press("pad")
    desk.press("script", Actor.SCRIPT)
    name, decision = desk.decide()
    assert name == "vr"
    assert {source.name for source in decision.refused} == {"pad", "script"}
    desk.sample("vr", Actor.HUMAN, False)
    assert desk.decide()[0] == ""


def test_control_arbitration_an_equal_takes_over_a_held_driver():
    desk = Desk()
    desk.press("vr")
    desk.decide()
    desk.press("pad")
    assert desk.decide(held=True)[0] == "pad"


def test_cycle_timer_keeps_its_grid_without_drift():
    clock = FakeClock(0)
    timer = CycleTimer(clock, 5_000_000)
    for k in range(1, 1000):
        clock.advance(0.001)
        cycle = timer.wait()
        assert (cycle.due_ns, cycle.now_ns, cycle.missed) == (k * 5_000_000, k * 5_000_000, 0)


@given(st.lists(st.integers(0, 60_000_000), min_size=1, max_size=50))
def test_cycle_timer_counts_missed_ticks_and_never_bursts(busy):
    clock = FakeClock(0)
    timer = CycleTimer(clock, 5_000_000)
    last, counted = 0, 0
    for work_ns in busy:
        clock.advance(work_ns / 1e9)
        cycle = timer.wait()
        counted += 1 + cycle.missed
        assert cycle.due_ns == counted * 5_000_000
        assert cycle.now_ns >= cycle.due_ns
        assert cycle.now_ns - cycle.due_ns < 5_000_000
        assert cycle.due_ns > last
        last = cycle.due_ns
