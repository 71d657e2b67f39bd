"""A policy on a real station: chosen, checked, asked, given the robot; what it does is recorded."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teleop_app.autonomy.policy_library import PolicyLibrary
from teleop_app.autonomy.policy_templates import TemplateCell, template
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.errors import PolicyError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    AuthorityMode,
    ControlTick,
    Event,
    PolicyChunk,
    PolicyState,
    PolicyStatus,
    ProcessStatus,
    TaskStatus,
)
from teleop_app.station.client import StationClient, wait_for
from teleop_app.station.launch import StationProcess

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
CELL = TemplateCell((("left", 6), ("right", 6)), ("overhead",))
PATIENCE_S = 120.0


def small_station() -> StationConfig:
    """A cell that two busy cores can run beside other work."""
    config = StationConfig()
    config.simulation.look = "primitive"
    config.simulation.seed = 7
    config.cameras = [CameraSection(name="overhead", width=160, height=120, fps=10)]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    config.autonomy.first_run_speed = 1.0
    config.autonomy.starve_pause_s = 20.0
    config.autonomy.stale_chunk_ms = 20_000.0
    config.autonomy.help_per_minute = 0.0
    return config


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StationClient]:
    data = DataDir(tmp_path_factory.mktemp("policy")).create()
    data.station_file.write_text(station_text(small_station()))
    data.policies.mkdir()
    # A policy that sees the camera and the arms, and holds still.
    seeing = template("hold", CELL).replace(
        "[observation]",
        '[observation]\nimages = [{ key = "top", camera = "overhead", width = 64, height = 48 }]',
    )
    (data.policies / "seeing.toml").write_text(seeing)
    (data.policies / "gone.toml").write_text(template("openpi", CELL))
    PolicyLibrary(data.policies, CELL).load("seeing")
    with StationProcess(data) as process:
        client = process.wait_ready()
        yield client
        client.close()


def status_until(client: StationClient, accept: Callable[[PolicyStatus], bool], what: str) -> PolicyStatus:
    with closing(client.subscribe(["policy"], ["policy"])) as said:
        _, status = wait_for(said, lambda _, v: isinstance(v, PolicyStatus) and accept(v), PATIENCE_S, what)
    return status


def test_the_policies_of_the_store_are_listed(station: StationClient) -> None:
    listed = {each["name"]: each for each in station.call("policy", "policies", timeout_s=30.0)["policies"]}
    assert {"hold", "scripted", "seeing", "gone"} <= listed.keys()
    assert listed["gone"]["kind"] == "client" and listed["scripted"]["kind"] == "built-in"
    assert not any(each["problem"] for each in listed.values())
    with pytest.raises(PolicyError, match="There is no policy 'ghost'"):
        station.call("policy", "choose", name="ghost", timeout_s=30.0)


def test_a_server_that_is_not_there_is_a_fault_with_a_sentence(station: StationClient) -> None:
    station.call("policy", "choose", name="gone", timeout_s=30.0)
    status = status_until(station, lambda v: v.state is PolicyState.FAULT, "the fault")
    assert status.text
    station.call("policy", "dismiss", timeout_s=30.0)
    status_until(station, lambda v: v.state is PolicyState.NONE, "no policy")


def test_without_a_policy_the_process_costs_next_to_nothing(station: StationClient) -> None:
    with closing(station.subscribe(["status"], ["policy"])) as said:
        _, status = wait_for(said, lambda _, v: isinstance(v, ProcessStatus), PATIENCE_S, "its heartbeat")
    before = cpu_s(status.pid)
    time.sleep(2.0)
    assert cpu_s(status.pid) - before < 0.2


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def test_in_its_shadow_a_policy_proposes_and_moves_nothing(station: StationClient) -> None:
    station.call("policy", "choose", name="seeing", timeout_s=30.0)
    status = status_until(station, lambda v: v.state is PolicyState.READY, "the policy to be ready")
    assert {check.level for check in status.checks} <= {"ok", "warning"}
    assert any(check.what == "image top" and "160x120" in check.offers for check in status.checks)
    station.call("policy", "shadow", on=True, timeout_s=30.0)
    chunks: list[PolicyChunk] = []
    ticks: list[ControlTick] = []
    with closing(station.subscribe(["chunk", "tick"], ["policy", "control"])) as said:

        def enough(_topic: str, value: Any) -> bool:
            if isinstance(value, PolicyChunk):
                chunks.append(value)
            elif isinstance(value, ControlTick):
                ticks.append(value)
            seen = ticks and ticks[-1].policy is not None and ticks[-1].autonomy is not None
            return bool(len(chunks) >= 5 and seen)

        wait_for(said, enough, PATIENCE_S, "chunks and a proposal in a tick")
    numbers = [chunk.chunk for chunk in chunks]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    last = chunks[-1]
    assert last.policy == "seeing" and last.actions.shape[1] == 14 and np.isfinite(last.actions).all()
    assert np.abs(last.actions - ticks[-1].measured).max() < 0.2  # it holds
    assert 0 < last.latency_ns and last.observation_ns < last.made_ns
    assert all(tick.actor is not Actor.POLICY for tick in ticks)
    status = status_until(station, lambda v: v.chunks >= 5, "its figures")
    assert status.refused == 0 and status.latency_p50_ms > 0.0 and status.state is PolicyState.RUNNING
    station.call("policy", "shadow", on=False, timeout_s=30.0)


def test_a_policy_is_given_the_robot_and_solves_the_task(station: StationClient) -> None:
    station.call("policy", "choose", name="scripted", timeout_s=30.0)
    status_until(station, lambda v: v.state is PolicyState.READY, "the policy to be ready")
    solved, drove = False, 0
    topics, peers = ["task", "tick", "event"], ["simulation", "control", "policy"]
    with closing(station.subscribe(topics, peers)) as said:
        station.call("control", "authority", mode=AuthorityMode.SUPERVISED.value, timeout_s=30.0)
        text: list[str] = []

        def done(_topic: str, value: Any) -> bool:
            nonlocal drove, solved
            if isinstance(value, ControlTick):
                drove += value.actor is Actor.POLICY
            elif isinstance(value, Event):
                text.append(f"{value.kind}: {value.text}")
            elif isinstance(value, TaskStatus):
                solved = value.success
            return solved

        try:
            wait_for(said, done, 3 * PATIENCE_S, "the task to be solved")
        except Exception as error:
            pytest.fail(f"{error}; the policy drove {drove} ticks; {text[-12:]}")
    assert drove > 200
    station.call("control", "authority", mode=AuthorityMode.MANUAL.value, timeout_s=30.0)
    status_until(station, lambda v: v.state is PolicyState.READY, "the policy to rest")
