"""The process of an input device that is waited for, looks at the station, and tells of itself."""

import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices.protocols import Verification
from teleop_app.core.bus import CommandClient, Endpoints, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import StorageError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    ArmInput,
    Event,
    InputSample,
    Resampling,
    StreamBatch,
    StreamSetup,
    TaskStatus,
)
from teleop_app.station.input_values import live_values
from teleop_app.station.operator import InputProcess
from teleop_app.station.process import ProcessContext


class Headset:
    """Gives a sample when it is told to; knows everything that an input may know."""

    name = "headset"
    verification = Verification.SIMULATED
    topics = ("event", "task")
    state = "driving"
    sentence = "Put it on."
    metrics: Mapping[str, float] = {"latency_ms": 2.0}
    streams = (StreamSetup("headset/head", "pose", ("x",), "m", "operator", 90.0, Resampling.LINEAR),)

    def __init__(self) -> None:
        self.clock_epoch = 0
        self.refusals = 0
        self.seen: list[object] = []
        self.cues: list[str] = []
        self.waited = 0
        self._ready = threading.Event()
        self._samples: deque[InputSample] = deque()

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        return {"pairing": lambda: {"pin": "123456"}}

    def give(self, seq: int, device_ns: int) -> None:
        now_ns = time.monotonic_ns()
        arm = ArmInput(clutch=True, pose=np.arange(7.0), gripper=0.5)
        self._samples.append(
            InputSample("headset", Actor.HUMAN, seq, now_ns, {"left": arm}, ("save",), device_ns)
        )
        self._ready.set()

    def start(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageError("The store is full")

    def wait(self, timeout_s: float) -> None:
        self.waited += 1
        self._ready.wait(timeout_s)

    def poll(self) -> InputSample | None:
        if self._samples:
            return self._samples.popleft()
        self._ready.clear()
        return None

    def batches(self, sample: InputSample) -> list[StreamBatch]:
        stamps = np.array([sample.capture_ns], dtype=np.int64)
        return [StreamBatch("headset/head", sample.seq, stamps, np.zeros((1, 1)))]

    def observe(self, value: object) -> None:
        self.seen.append(value)

    def cue(self, kind: str) -> None:
        self.cues.append(kind)

    def stop(self) -> None:
        self._samples.clear()


class Bench:
    def __init__(self, folder: Path, device: Headset) -> None:
        endpoints = Endpoints(folder)
        self.context = ProcessContext(
            "input-headset", StationConfig(), DataDir(folder), endpoints, folder, MonotonicClock()
        )
        self.device = device
        self.process = InputProcess(self.context, device, rate_hz=20.0, driver="webxr")
        self.inputs = Subscriber([endpoints.inputs()], bind=True)
        self.own = Subscriber([endpoints.publish("input-headset")])
        self.station = Publisher(endpoints.publish("recorder"))
        self.commands = CommandClient(endpoints.command("input-headset"), "input-headset")
        self._thread = threading.Thread(target=self.process.run)
        self._thread.start()
        while not self.inputs.wait(0.02):  # until the sockets have found each other
            self.device.give(0, NS_PER_S)
        self._quiet()

    def _quiet(self) -> None:
        while self.inputs.wait(0.1):
            list(self.inputs.drain())

    def close(self) -> None:
        self.context.stop()
        self._thread.join()
        for socket in (self.inputs, self.own, self.station, self.commands):
            socket.close()

    def next(self, heard: Subscriber, kind: type) -> Any:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            heard.wait(0.1)
            while (item := heard.receive()) is not None:
                if isinstance(item[1], kind):
                    return item[1]
        pytest.fail(f"no {kind.__name__} came")


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="inw"))
    device = Headset()
    device.refusals = getattr(request, "param", 0)
    found = Bench(folder, device)
    yield found
    found.close()
    shutil.rmtree(folder)


def test_samples_pass_on_as_they_come_all_of_them_and_in_order(bench: Bench) -> None:
    for seq in range(1, 6):
        bench.device.give(seq, seq * NS_PER_S)
    got = [bench.next(bench.inputs, InputSample).seq for _ in range(5)]
    assert got == [1, 2, 3, 4, 5]


def test_what_else_it_measures_is_introduced_and_published(bench: Bench) -> None:
    assert bench.next(bench.own, StreamSetup).name == "headset/head"
    bench.device.give(1, NS_PER_S)
    sample, batch = bench.next(bench.inputs, InputSample), bench.next(bench.own, StreamBatch)
    assert batch.capture_ns[0] == sample.capture_ns


def test_each_epoch_of_its_clock_is_fitted_anew(bench: Bench) -> None:
    """A second headset whose clock is half a second behind is not taken for one whose frames are late."""
    ages_ms: list[float] = []
    seq = 0
    for epoch, behind_ns in ((1, 0), (2, 500 * NS_PER_MS)):
        bench.device.clock_epoch = epoch
        for _ in range(30):
            seq += 1
            bench.device.give(seq, time.monotonic_ns() - behind_ns)
            sample = bench.next(bench.inputs, InputSample)
            ages_ms.append((time.monotonic_ns() - sample.capture_ns) / NS_PER_MS)
            time.sleep(0.002)
    assert sorted(ages_ms)[len(ages_ms) * 3 // 4] < 100.0


def test_it_sees_the_topics_that_it_asks_for_and_is_told_of_cues(bench: Bench) -> None:
    event = Event("safety.estop", 1, "control", "Stop.")
    task = TaskStatus("pick", 0, 0, "", False, False, 0)
    deadline = time.monotonic() + 10.0
    while not bench.device.cues and time.monotonic() < deadline:
        bench.station.send("task", task)
        bench.station.send("event", event)
        time.sleep(0.02)
    assert bench.device.cues[0] == "estop"
    assert {type(value) for value in bench.device.seen} == {Event, TaskStatus}


def test_its_own_commands_and_its_state_are_answered(bench: Bench) -> None:
    assert bench.commands.call("pairing", timeout_s=5.0) == {"pin": "123456"}
    bench.device.give(1, NS_PER_S)
    bench.next(bench.inputs, InputSample)
    status = bench.commands.call("status", timeout_s=5.0)
    assert (status["device"], status["driver"], status["state"]) == ("headset", "webxr", "driving")
    assert status["text"] == "Put it on." and status["latency_ms"] == 2.0 and status["rate_hz"] >= 0.0
    assert status["values"]["left.gripper"] == 0.5 and status["values"]["left.z"] == 2.0
    assert status["values"]["save"] == 1.0


@pytest.mark.parametrize("bench", [1], indirect=True)
def test_a_store_that_is_full_is_tried_again(bench: Bench) -> None:
    bench.device.give(1, NS_PER_S)
    assert bench.next(bench.inputs, InputSample).seq == 1


def test_live_values_name_what_a_sample_holds() -> None:
    arm = ArmInput(clutch=False, valid=False, joints=np.array([0.1, 0.2]), precise=True)
    other = ArmInput(clutch=True, twist=np.arange(6.0))
    sample = InputSample(
        "x", Actor.HUMAN, 1, 1, {"a": arm, "b": other}, base_twist=np.array([1.0, 2.0, 3.0]), lift_m_s=0.5
    )
    values = live_values(sample)
    assert values["a.joint_2"] == 0.2 and values["a.valid"] == 0.0 and values["a.precise"] == 1.0
    assert values["b.vz"] == 2.0 and values["base.wz"] == 3.0 and values["lift.speed"] == 0.5
    assert live_values(None) == {}
