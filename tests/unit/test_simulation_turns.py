"""The simulation process turn by turn, on a fake clock: commands, resets, instability, slowness."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.followers.rings import VectorReader, VectorWriter, unpack_state
from devices.sim.arms import ARMS
from devices.sim.cell import Cell
from devices.sim.link import COMMAND_RING, STATE_RING, WORLD_RING
from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Event,
    ForceBatch,
    ProcessStatus,
    StreamBatch,
    StreamSetup,
    TaskStatus,
    WorldState,
)
from teleop_app.station.process import ProcessContext
from teleop_app.station.simulation import SimulationProcess


class Bench:
    """A simulation process whose messages are kept."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.context = ProcessContext(
            "simulation", StationConfig(), DataDir(folder), Endpoints(folder), folder, self.clock
        )
        self.cell = Cell("primitive", "pick-place", 3)
        self.process = SimulationProcess(self.context, self.cell)
        self.sent: list[object] = []
        monkeypatch.setattr(Publisher, "send", lambda _self, _topic, value: self.sent.append(value))
        self.process.open()
        self.commands = VectorWriter(folder, COMMAND_RING, 14)
        self.states = VectorReader(folder, STATE_RING)
        self.worlds = VectorReader(folder, WORLD_RING)

    def turns(self, seconds: float) -> None:
        end_ns = self.clock.now_ns() + round(seconds * NS_PER_S)
        while self.clock.now_ns() < end_ns:
            self.process.turn()

    def of(self, kind: type) -> list:
        return [value for value in self.sent if isinstance(value, kind)]

    def state(self):
        newest = self.states.latest()
        assert newest is not None
        return unpack_state(*newest)

    def events(self, kind: str) -> list[Event]:
        return [event for event in self.of(Event) if event.kind == kind]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="sim"))
    bench = Bench(folder, monkeypatch)
    yield bench
    bench.process.close()
    bench.process.close()
    shutil.rmtree(folder)


def test_every_stream_has_its_rate_and_consecutive_numbers(bench: Bench) -> None:
    bench.turns(1.0)
    worlds, batches = bench.of(WorldState), bench.of(ForceBatch)
    assert len(worlds) == 100
    assert [world.seq for world in worlds] == list(range(1, 101))
    stamps = np.concatenate([batch.capture_ns for batch in batches])
    assert len(stamps) >= 245
    assert set(np.diff(stamps)) == {4 * NS_PER_MS}
    assert [batch.seq for batch in batches] == list(
        np.cumsum([0, *[len(batch.force) for batch in batches]])[:-1]
    )
    assert batches[0].force.shape[1:] == (4, 3)
    assert 10 <= len(bench.of(TaskStatus)) <= 12


def test_host_time_and_physics_time_are_a_straight_line(bench: Bench) -> None:
    bench.turns(0.5)
    worlds = bench.of(WorldState)
    offsets = {world.capture_ns - round(world.sim_time_s * NS_PER_S) for world in worlds}
    assert len(offsets) == 1
    state = bench.state()
    assert state.capture_ns - round(state.device_s * NS_PER_S) in offsets
    assert state.step == round(state.device_s / 0.002)


def test_the_world_ring_and_the_state_ring_tell_the_same_instant(bench: Bench) -> None:
    bench.turns(0.1)
    newest = bench.worlds.latest()
    assert newest is not None
    vector, record = newest
    state = bench.state()
    assert record.stamp_ns == state.capture_ns
    assert vector[0] == state.device_s
    assert vector[1:] == pytest.approx(bench.cell.qpos)


def test_a_command_moves_the_arm(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[0] += 0.2
    bench.commands.write(target, bench.clock.now_ns(), 1)
    bench.turns(1.0)
    assert bench.state().position[0] == pytest.approx(target[0], abs=0.01)


def test_a_command_that_is_not_finite_is_refused_and_counted(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[3] = np.nan
    bench.commands.write(target, bench.clock.now_ns(), 1)
    bench.turns(0.5)
    assert bench.of(ProcessStatus)[-1].metrics["commands_refused"] == 1
    assert np.isfinite(bench.state().position).all()
    assert bench.state().position == pytest.approx(bench.cell.home_q, abs=0.02)


def test_a_command_of_an_earlier_life_is_not_taken(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[0] += 0.5
    bench.commands.write(target, bench.clock.now_ns() - NS_PER_S, 1)
    bench.turns(0.5)
    assert bench.state().position[0] == pytest.approx(bench.cell.home_q[0], abs=0.01)


def test_reset_sets_the_scene_and_leaves_the_arms(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[0] += 0.3
    bench.commands.write(target, bench.clock.now_ns(), 1)
    bench.turns(1.0)
    before = bench.state()
    answer = bench.process.reset("hand-over", 7)
    assert answer["task"] == "hand-over"
    assert answer["seed"] == 7
    assert answer["instruction"] == bench.cell.instruction
    assert len(answer["paraphrases"]) >= 3
    bench.turns(0.2)
    after = bench.state()
    assert after.position[:6] == pytest.approx(before.position[:6], abs=0.01)
    assert after.device_s > before.device_s, "physics time counts on"
    assert after.capture_ns > before.capture_ns
    status = bench.of(TaskStatus)[-1]
    assert (status.task, status.seed, status.scene) == ("hand-over", 7, answer["scene"])
    assert bench.events("scene.reset")[-1].fields["seed"] == 7


@pytest.mark.parametrize("seed", [-1, 1.5, True, "7"])
def test_a_seed_that_is_none_is_refused_in_a_sentence(bench: Bench, seed: object) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        bench.process.reset("pick-place", seed)  # pyright: ignore[reportArgumentType]


def test_an_unknown_task_is_refused_and_the_scene_stays(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="no task 'juggle'"):
        bench.process.reset("juggle", 1)
    assert bench.cell.task_name == "pick-place"
    assert not bench.events("scene.reset")


def test_all_tasks_are_told_with_their_instructions(bench: Bench) -> None:
    tasks = bench.process.tasks()["tasks"]
    assert {"pick-place", "hand-over", "peg-insert", "belt-pick"} <= {task["name"] for task in tasks}
    assert all(task["instruction"] and len(task["paraphrases"]) >= 3 for task in tasks)


def test_unstable_physics_gives_a_new_scene_with_the_arms_where_they_were(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[0] += 0.3
    bench.commands.write(target, bench.clock.now_ns(), 1)
    bench.turns(1.0)
    bench.cell.data.qvel[0] = 1e12
    bench.turns(0.02)
    events = bench.events("scene.reset")
    assert len(events) == 1
    assert "unstable" in events[0].text
    bench.turns(0.3)
    assert bench.state().position[0] == pytest.approx(target[0], abs=0.02)
    status = bench.of(ProcessStatus)[-1]
    assert status.metrics["instabilities"] == 1
    assert "unstable" in status.text


def test_physics_that_is_unstable_again_at_once_starts_from_home(bench: Bench) -> None:
    target = bench.cell.home_q.copy()
    target[0] += 0.3
    bench.commands.write(target, bench.clock.now_ns(), 1)
    bench.turns(1.0)
    for _ in range(2):
        bench.cell.data.qpos[20] = np.nan
        bench.turns(0.02)
    assert len(bench.events("scene.reset")) == 2
    assert bench.state().position == pytest.approx(bench.cell.home_q, abs=0.02)


def test_a_slow_machine_says_so_and_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.turns(0.5)
    assert bench.of(ProcessStatus)[-1].text == ""
    step = bench.cell.step

    def slow_step(n: int = 1) -> None:
        step(n)
        bench.clock.advance(0.004)

    monkeypatch.setattr(bench.cell, "step", slow_step)
    bench.turns(4.0)
    status = bench.of(ProcessStatus)[-1]
    assert 0.4 < status.metrics["realtime_factor"] < 0.6
    assert "% of real time" in status.text
    monkeypatch.setattr(bench.cell, "step", step)
    bench.turns(4.0)
    assert bench.of(ProcessStatus)[-1].text == ""


def test_the_wrists_wrenches_come_at_the_rate_of_the_physics(bench: Bench) -> None:
    bench.turns(1.0)
    setups = {setup.name: setup for setup in bench.of(StreamSetup)}
    assert list(setups) == ["left/wrench", "right/wrench"]
    assert setups["left/wrench"].values == ("fx", "fy", "fz", "tx", "ty", "tz")
    mine = [batch for batch in bench.of(StreamBatch) if batch.stream == "left/wrench"]
    times = np.concatenate([batch.capture_ns for batch in mine])
    assert set(np.diff(times)) == {2 * NS_PER_MS}
    assert len(times) == pytest.approx(500, abs=15)
    assert [batch.seq for batch in mine] == list(range(0, len(times), 10))
    model, data = bench.cell.model, bench.cell.data
    body = model.body(ARMS[0].gripper_body_name).id
    site = data.site(ARMS[0].tcp_site_name)
    weight = np.array([0.0, 0.0, model.body_subtreemass[body] * 9.81])
    at_rest = mine[-1].values[-1]
    axes = site.xmat.reshape(3, 3)
    assert axes @ at_rest[:3] == pytest.approx(weight, abs=0.02)
    arm = data.subtree_com[body] - site.xpos
    assert axes @ at_rest[3:] == pytest.approx(np.cross(arm, weight), abs=0.005)
