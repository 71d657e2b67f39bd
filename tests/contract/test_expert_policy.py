"""The simulated tasks' expert as a policy, on the real physics, asked for chunks as a model is."""

from typing import Any

import numpy as np
import pytest

from devices.inputs.expert import ScriptedOptions, ScriptedPolicy
from devices.sim.cell import Cell
from teleop_app.autonomy.registry import make_policy
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyAnswer, PolicyContext, PolicyRequest, Prefix

RATE_HZ, HORIZON, EXECUTE = 20.0, 16, 8
TURN_S = 0.01
JOINTS = [*range(6), *range(7, 13)]


class Rig:
    """A cell that carries chunks out as control does: at the policy's clock, within the joints' speeds.

    Args:
        task: Of the scene.
        scene: Its seed.
        delay_s: From an observation to the answer.
        speed: Policy time in a second.
        options: Of the policy.
    """

    def __init__(
        self, task: str, scene: int, delay_s: float = 0.1, speed: float = 1.0, **options: Any
    ) -> None:
        self.cell = Cell("primitive", task, scene)
        self.clock = FakeClock()
        context = PolicyContext(
            "scripted", ("left", "right"), self.cell.joint_names, RATE_HZ, HORIZON, self.clock
        )
        self.policy = ScriptedPolicy(context, ScriptedOptions(**options))
        self.facts = self.policy.open()
        self.delay_s, self.speed = delay_s, speed
        self.answers: list[PolicyAnswer] = []
        self.largest_step_rad = 0.0
        self._sent = self.cell.home_q.copy()
        self._time_s = 0.0
        self._asked_s = -np.inf
        self._waiting: tuple[float, PolicyAnswer] | None = None
        self._chunk: tuple[float, PolicyAnswer] | None = None

    def observation(self) -> dict[str, Any]:
        position, _, _ = self.cell.read()
        return {"state": position, "truth": self.cell.truth(), "task": self.cell.task_name}

    def turn(self) -> None:
        """One hundredth of a second."""
        if self._waiting is None and self._time_s - self._asked_s >= EXECUTE / RATE_HZ - 1e-9:
            answer = self.policy.infer(PolicyRequest(self.observation()))
            self.answers.append(answer)
            self._waiting, self._asked_s = (self._time_s, answer), self._time_s
        if self._waiting is not None and self._time_s >= self._waiting[0] + self.delay_s - 1e-9:
            self._chunk, self._waiting = self._waiting, None
        if self._chunk is not None:
            self._follow(*self._chunk)
        self.cell.step(5)
        self.clock.advance(TURN_S)
        self._time_s += TURN_S * self.speed

    def _follow(self, start_s: float, answer: PolicyAnswer) -> None:
        place = min((self._time_s - start_s) * RATE_HZ, HORIZON - 1.0)
        before = int(place)
        after = min(before + 1, HORIZON - 1)
        wanted = answer.actions[before] + (place - before) * (answer.actions[after] - answer.actions[before])
        missing = wanted - self._sent
        self.largest_step_rad = max(self.largest_step_rad, float(np.abs(missing[JOINTS]).max()))
        limit = TURN_S * self.cell.velocity_limits
        self._sent = self._sent + np.clip(missing, -limit, limit)
        self.cell.set_targets(self._sent)

    def run(self, limit_s: float = 40.0) -> float:
        """When the task was solved [s], or -1."""
        for turn in range(round(limit_s / TURN_S)):
            self.turn()
            state = self.cell.task_state()
            if state.success:
                return turn * TURN_S
            if state.failed:
                break
        return -1.0

    def run_until(self, done: Any, limit_s: float = 30.0) -> None:
        for _ in range(round(limit_s / TURN_S)):
            if done():
                return
            self.turn()
        pytest.fail("not reached")

    def move_arms(self, target: np.ndarray, seconds: float) -> None:
        """Somebody else moves the arms."""
        start = self._sent.copy()
        for turn in range(round(seconds / TURN_S)):
            self._sent = start + (target - start) * min(1.0, 1.2 * turn * TURN_S / seconds)
            self.cell.set_targets(self._sent)
            self.cell.step(5)
            self.clock.advance(TURN_S)
        self._chunk = self._waiting = None

    def put(self, name: str, pose: list[float]) -> None:
        at = int(self.cell.model.joint(name).qposadr[0])
        self.cell.data.qpos[at : at + 7] = pose


def test_without_errors_it_solves_nine_scenes_in_ten() -> None:
    solved = [Rig("pick-place", seed, error_rate=0.0).run() for seed in range(10)]
    assert sum(after > 0 for after in solved) >= 9, solved
    assert min(after for after in solved if after > 0) > 3.0


@pytest.mark.parametrize("task", ["hand-over", "peg-insert", "belt-pick"])
def test_it_knows_every_task(task: str) -> None:
    assert any(Rig(task, seed, error_rate=0.0).run() > 0 for seed in (11, 12))


def test_with_errors_it_fails_or_stalls_in_most_scenes() -> None:
    solved = [Rig("pick-place", seed, error_rate=1.0, seed=seed).run(25.0) for seed in range(5)]
    assert sum(after > 0 for after in solved) <= 2, solved


@pytest.mark.parametrize(("speed", "delay_s"), [(0.4, 0.05), (1.0, 0.4), (1.0, 0.0)])
def test_it_bears_slow_robots_and_late_answers(speed: float, delay_s: float) -> None:
    rig = Rig("pick-place", 4, delay_s=delay_s, speed=speed, error_rate=0.0)
    assert rig.run(60.0) > 0


def test_its_chunks_go_on_from_each_other() -> None:
    rig = Rig("pick-place", 1, error_rate=0.0)
    assert rig.run() > 0
    within = max(float(np.abs(np.diff(each.actions[:, JOINTS], axis=0)).max()) for each in rig.answers)
    assert within < 0.12
    assert rig.largest_step_rad < 0.25
    for answer in rig.answers:
        assert answer.actions.shape == (HORIZON, 14)
        assert (answer.actions[:, [6, 13]] >= 0).all() and (answer.actions[:, [6, 13]] <= 1).all()


def test_it_goes_on_after_somebody_moved_arms_and_object() -> None:
    rig = Rig("pick-place", 2, error_rate=0.0)
    name = next(each for each in rig.cell.truth() if each.startswith("cube_") and _is_target(rig, each))
    rig.run_until(lambda: rig.cell.truth()["target"][2] > 0.06)
    side = -1.0 if rig.cell.truth()["target"][0] < 0 else 1.0
    rig.put(name, [side * 0.14, 0.42, 0.021, 1.0, 0.0, 0.0, 0.0])
    elsewhere = rig.cell.home_q.copy()
    elsewhere[[0, 7]] += 0.5
    rig.move_arms(elsewhere, 2.0)
    rig.policy.reset()
    assert rig.run() > 0


def test_it_notices_by_itself_that_the_object_was_taken() -> None:
    rig = Rig("pick-place", 6, error_rate=0.0)
    name = next(each for each in rig.cell.truth() if each.startswith("cube_") and _is_target(rig, each))
    rig.run_until(lambda: rig.cell.truth()["target"][2] > 0.08)
    side = -1.0 if rig.cell.truth()["target"][0] < 0 else 1.0
    rig.put(name, [side * 0.14, 0.42, 0.021, 1.0, 0.0, 0.0, 0.0])
    assert rig.run() > 0


def _is_target(rig: Rig, name: str) -> bool:
    return rig.cell.truth()[name] == rig.cell.truth()["target"]


def test_it_feels_unsure_around_its_errors() -> None:
    def felt(**options: Any) -> list[float]:
        rig = Rig("pick-place", 3, error_kinds=["wrong-place"], **options)
        rig.run(12.0)
        return [answer.uncertainty for answer in rig.answers]

    calm, told, silent = (
        felt(error_rate=0.0, tell=1.0),
        felt(error_rate=1.0, tell=1.0),
        felt(error_rate=1.0, tell=0.0),
    )
    assert max(calm) < 0.3 < 0.5 < max(told)
    assert min(told) < 0.3, "only around the error"
    assert max(silent) < 0.3


def test_a_stall_stands_still() -> None:
    rig = Rig("pick-place", 0, error_rate=1.0, error_kinds=["stall"], tell=1.0)
    rig.run(20.0)
    assert rig.cell.task_state().success is False
    late = np.stack([each.actions[0, JOINTS] for each in rig.answers if each.uncertainty > 0.5][-10:])
    assert len(late) == 10
    assert np.ptp(late, axis=0).max() < 0.02


def test_samples_part_the_further_the_less_sure_it_is() -> None:
    rig = Rig("pick-place", 0, error_rate=0.0)
    assert rig.facts.samples and rig.facts.prefix
    answer = rig.policy.infer(PolicyRequest(rig.observation(), samples=5))
    assert answer.samples is not None and answer.samples.shape == (4, HORIZON, 14)
    spread = answer.samples.std(axis=0)[:, JOINTS].mean(axis=1)
    assert spread[0] == 0 and 0 < spread[8] < spread[-1] < 0.05


def test_a_chunk_is_held_to_its_prefix() -> None:
    rig = Rig("pick-place", 0, error_rate=0.0)
    rig.run_until(lambda: len(rig.answers) == 3)
    given = np.tile(rig.cell.home_q, (6, 1))
    weights = np.array([1.0, 1.0, 0.5, *[0.0] * (HORIZON - 3)])
    answer = rig.policy.infer(PolicyRequest(rig.observation(), Prefix(given, 2, weights)))
    np.testing.assert_allclose(answer.actions[:2], given[:2], atol=1e-12)
    assert np.abs(answer.actions[4:6] - given[4:6]).max() > 0.05
    with pytest.raises(PolicyError, match="refuses a prefix of shape"):
        rig.policy.infer(PolicyRequest(rig.observation(), Prefix(given[:, :7], 2, weights)))


def test_the_same_seed_does_the_same() -> None:
    runs = []
    for seed in (1, 1, 2):
        rig = Rig("pick-place", 0, seed=seed)
        rig.run(2.0)
        runs.append(np.stack([each.actions for each in rig.answers]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-4


def test_it_takes_as_long_as_it_is_told_to() -> None:
    rig = Rig("pick-place", 0, latency_ms=250.0)
    before_ns = rig.clock.now_ns()
    answer = rig.policy.infer(PolicyRequest(rig.observation()))
    assert rig.clock.now_ns() - before_ns == answer.server_ns == 250_000_000


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"state": np.zeros(7)}, "cannot see the arms: 'state' must be 14 finite numbers"),
        ({"state": np.full(14, np.inf)}, "cannot see the arms"),
        ({"truth": {}}, "cannot see the objects"),
        ({"truth": None}, "cannot see the objects"),
        ({"truth": {"target": [0.0] * 7, "goal": [np.nan] * 7}}, "The pose of 'goal'"),
        ({"task": "juggle"}, "no plan for the task 'juggle'"),
        ({"task": "hand-over"}, "lacks poses of goal, grasp_left, grasp_right, target"),
    ],
)
def test_what_it_cannot_see_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    rig = Rig("pick-place", 0)
    with pytest.raises(PolicyError, match=sentence):
        rig.policy.infer(PolicyRequest({**rig.observation(), **changes}))


def test_it_knows_only_the_simulated_cell() -> None:
    context = PolicyContext("scripted", ("middle",), (), RATE_HZ, HORIZON, FakeClock())
    with pytest.raises(PolicyError, match="only knows the simulated cell"):
        make_policy("scripted", context, {}).open()


def test_its_version_tells_its_settings_apart() -> None:
    versions = {Rig("pick-place", 0, error_rate=rate).facts.version for rate in (0.0, 0.0, 0.5)}
    assert len(versions) == 2
