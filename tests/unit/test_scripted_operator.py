"""The scripted operator on the real physics under the real control loop, in lock step."""

from dataclasses import replace

import numpy as np
import pytest

from devices.inputs.plans import PLANS
from devices.inputs.scripted import NAME, OperatorState, ScriptedOperator
from devices.sim.cell import Cell
from devices.sim.tasks import TASKS
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import MappingSection, StationConfig
from teleop_app.core.types import Actor, ArmInput, ControlState, ControlTick, InputSample
from teleop_app.station.lockstep import LockstepCell, attempt

ARMS = ("left", "right")


def _rig(task: str, seed: int, config: StationConfig | None = None) -> tuple[LockstepCell, ScriptedOperator]:
    rig = LockstepCell(Cell("primitive", task, seed), config)
    mapping = rig.config.mapping
    return rig, ScriptedOperator(rig.cell.model, ARMS, rig.clock, mapping, seed)


class Driver:
    """Runs a rig with an operator as `attempt` does, with hands of others in between."""

    def __init__(self, task: str, seed: int) -> None:
        self.rig, self.operator = _rig(task, seed)
        self.tick: ControlTick = self.rig.tick()
        self.samples: list[InputSample] = []
        self.human_seq = 0

    def run(self, seconds: float, *, human_clutch: bool | None = None) -> None:
        for turn in range(round(seconds * 200)):
            samples = []
            if turn % 2 == 0:
                now_ns = self.rig.clock.now_ns()
                samples.append(self.operator.step(now_ns, self.tick, self.rig.task_status()))
                self.samples.append(samples[0])
                if human_clutch is not None:
                    samples.append(self.human(now_ns, human_clutch))
            self.tick = self.rig.tick(*samples)

    def run_until(self, done: object, limit_s: float = 30.0) -> None:
        for _ in range(round(limit_s * 10)):
            if done():  # pyright: ignore[reportCallIssue]
                return
            self.run(0.1)
        pytest.fail(f"not reached in {limit_s} s: {self.operator.state} {self.operator.text}")

    def human(self, now_ns: int, clutch: bool) -> InputSample:
        self.human_seq += 1
        still = ArmInput(clutch=clutch, twist=np.zeros(6))
        return InputSample("keyboard", Actor.HUMAN, self.human_seq, now_ns, {"left": still, "right": still})


def test_there_is_a_plan_for_every_task() -> None:
    assert set(PLANS) == set(TASKS)


@pytest.mark.parametrize(
    ("task", "seed"), [("pick-place", 1), ("hand-over", 2), ("peg-insert", 3), ("belt-pick", 4)]
)
def test_it_solves_the_task_and_lets_go(task: str, seed: int) -> None:
    rig, operator = _rig(task, seed)
    result = attempt(rig, operator)
    assert 3.0 < result.solved_s < 20.0, result
    assert result.state is OperatorState.DONE
    assert rig.loop.state is ControlState.IDLE
    assert rig.tick().engaged == (False, False)


def test_it_gets_used_to_another_scale_and_yaw() -> None:
    mapping = MappingSection(scale=1.7, yaw_deg=35.0)
    rig, operator = _rig("pick-place", 5, StationConfig(mapping=mapping))
    assert attempt(rig, operator).solved_s > 0


def test_the_same_seed_does_the_same_and_another_one_does_not() -> None:
    ends = []
    for seed in (3, 3, 4):
        driver = Driver("pick-place", 0)
        driver.operator = ScriptedOperator(driver.rig.cell.model, ARMS, driver.rig.clock, seed=seed)
        driver.operator.go()
        driver.run(3.0)
        ends.append(driver.tick.measured)
    assert (ends[0] == ends[1]).all()
    assert np.abs(ends[0] - ends[2]).max() > 1e-3


def test_it_does_nothing_until_told_to() -> None:
    driver = Driver("pick-place", 0)
    driver.run(0.5)
    assert driver.operator.state is OperatorState.WAITING
    assert not any(arm.clutch for sample in driver.samples for arm in sample.arms.values())
    assert driver.tick.state is ControlState.IDLE


def test_at_rest_it_says_nothing_and_the_last_word_is_open_hands() -> None:
    driver = Driver("pick-place", 0)
    operator, clock = driver.operator, driver.rig.clock
    assert operator.poll() is None
    operator.go()
    said = []
    for turn in range(400):
        operator.observe(driver.tick)
        operator.observe(driver.rig.task_status())
        sample = operator.poll() if turn % 2 == 0 else None
        driver.tick = driver.rig.tick(*([sample] if sample else []))
        said.append(sample)
    assert driver.tick.source == NAME
    operator.stop()
    last = operator.poll()
    assert last is not None
    assert not any(arm.clutch for arm in last.arms.values())
    clock.advance(0.01)
    assert operator.poll() is None


def test_halt_lets_go_at_once() -> None:
    driver = Driver("pick-place", 0)
    driver.operator.go()
    driver.run(1.5)
    assert driver.tick.source == NAME
    driver.operator.halt()
    driver.run(0.1)
    assert driver.tick.source == ""
    assert not any(arm.clutch for arm in driver.samples[-1].arms.values())


def test_a_person_takes_over_and_it_starts_anew_when_asked_again() -> None:
    driver = Driver("pick-place", 2)
    driver.operator.go()
    driver.run_until(lambda: driver.rig.cell.truth()["target"][2] > 0.06)
    driver.run(0.02, human_clutch=False)
    driver.run(0.5, human_clutch=True)
    assert driver.tick.source == "keyboard"
    assert driver.operator.state is OperatorState.TAKEN_OVER
    assert "person" in driver.operator.text
    driver.run(0.2, human_clutch=False)
    driver.run(0.5)
    assert driver.tick.source == "", "it does not creep back"
    driver.operator.go()
    driver.run_until(lambda: driver.operator.state is OperatorState.DONE)
    assert driver.rig.cell.task_state().success


def test_go_while_a_person_holds_the_arms_is_declined() -> None:
    driver = Driver("pick-place", 2)
    driver.run(0.02, human_clutch=False)
    driver.run(0.2, human_clutch=True)
    driver.operator.go()
    driver.run(0.5, human_clutch=True)
    assert driver.operator.state is OperatorState.TAKEN_OVER
    assert driver.tick.source == "keyboard"


def test_a_thing_that_slips_is_picked_up_again() -> None:
    driver = Driver("pick-place", 6)
    driver.operator.go()
    driver.run_until(lambda: driver.rig.cell.truth()["target"][2] > 0.08)
    cell = driver.rig.cell
    name = next(key for key in cell.truth() if key.startswith("cube_") and cell.truth()[key][2] > 0.08)
    at = int(cell.model.joint(name).qposadr[0])
    side = -1.0 if cell.truth()["target"][0] < 0 else 1.0
    cell.data.qpos[at : at + 7] = [side * 0.14, 0.42, 0.021, 1.0, 0.0, 0.0, 0.0]
    driver.run_until(lambda: driver.operator.state is OperatorState.DONE)
    assert cell.task_state().success


def test_it_clutches_anew_after_a_hold() -> None:
    driver = Driver("pick-place", 1)
    driver.operator.go()
    driver.run(2.0)
    driver.rig.loop.release(driver.rig.clock.now_ns())
    driver.run(0.1)
    assert driver.operator.state is OperatorState.CLUTCHING
    driver.run_until(lambda: driver.operator.state is OperatorState.DONE)
    assert driver.rig.cell.task_state().success


def test_it_gives_up_when_it_is_never_given_the_arms() -> None:
    driver = Driver("pick-place", 1)
    driver.rig.loop.estop("a test pressed it", driver.rig.clock.now_ns())
    driver.operator.go()
    driver.run_until(lambda: driver.operator.state is OperatorState.FAILED)
    assert "was not given the arms" in driver.operator.text
    assert "E-stop" in driver.operator.text


def test_it_gives_up_when_the_task_has_failed() -> None:
    driver = Driver("pick-place", 1)
    driver.operator.go()
    driver.run(1.5)
    status = replace(driver.rig.task_status(), failed=True)
    sample = driver.operator.step(driver.rig.clock.now_ns(), driver.tick, status)
    assert driver.operator.state is OperatorState.FAILED
    assert not any(arm.clutch for arm in sample.arms.values())


def test_without_news_of_control_it_opens_its_hands() -> None:
    driver = Driver("pick-place", 1)
    driver.operator.go()
    driver.run(1.5)
    sample = driver.operator.step(driver.tick.tick_ns + NS_PER_S, driver.tick, driver.rig.task_status())
    assert not any(arm.clutch for arm in sample.arms.values())


def test_a_task_without_a_plan_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver("pick-place", 1)
    monkeypatch.delitem(PLANS, "pick-place")
    driver.operator.go()
    driver.run(0.5)
    assert driver.operator.state is OperatorState.FAILED
    assert "no plan for the task 'pick-place'" in driver.operator.text


def test_its_samples_are_a_script_in_sequence() -> None:
    driver = Driver("pick-place", 1)
    driver.operator.go()
    driver.run(1.0)
    assert {sample.actor for sample in driver.samples} == {Actor.SCRIPT}
    seqs = [sample.seq for sample in driver.samples]
    assert seqs == list(range(1, len(seqs) + 1))
    steps = [
        float(np.linalg.norm(after.arms["left"].pose[:3] - before.arms["left"].pose[:3]))
        for before, after in zip(driver.samples[-60:-1], driver.samples[-59:], strict=True)
    ]
    assert max(steps) < 0.01, "a hand moves, it does not jump"
