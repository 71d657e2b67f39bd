"""The input process: polls, heals, and tells a worker when to work."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devices.protocols import Verification
from teleop_app.core.bus import Endpoints, Publisher, Subscriber
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    Actor,
    ArmInput,
    ClockFit,
    Event,
    InputSample,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
)
from teleop_app.station.operator import InputProcess
from teleop_app.station.process import ProcessContext


class Pedal:
    """An input device that can be unplugged."""

    name = "pedal"
    verification = Verification.EMULATOR

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.there = True
        self.started = self.stopped = self.seq = 0
        self.cues: list[str] = []

    def start(self) -> None:
        if not self.there:
            raise DeviceError("No pedal is connected", next_step="Plug one in")
        self.started += 1

    def poll(self) -> InputSample | None:
        if not self.there:
            raise DeviceError("The pedal was unplugged")
        self.seq += 1
        arms = {"left": ArmInput(clutch=not self.stopped)}
        return InputSample("pedal", Actor.HUMAN, self.seq, self.clock.now_ns(), arms)

    def cue(self, kind: str) -> None:
        self.cues.append(kind)

    def stop(self) -> None:
        self.stopped += 1


class Headset(Pedal):
    """A device with a clock of its own, 1 hour off; its samples arrive 4 ms late, each third one 9 ms."""

    def poll(self) -> InputSample | None:
        sample = super().poll()
        assert sample is not None
        delay_ns = 9_000_000 if self.seq % 3 == 0 else 4_000_000
        return replace(sample, device_ns=sample.capture_ns - delay_ns + 3600 * NS_PER_S)


class Robot(Pedal):
    """A device that works by itself."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.told: list[str] = []
        self.seen: list[object] = []
        self.report = ("waiting", "")

    def observe(self, value: object) -> None:
        self.seen.append(value)

    def go(self) -> None:
        self.told.append("go")

    def halt(self) -> None:
        self.told.append("halt")


class Bench:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Pedal]) -> None:
        self.clock = FakeClock()
        context = ProcessContext(
            "operator", StationConfig(), DataDir(folder), Endpoints(folder), folder, self.clock
        )
        self.device = kind(self.clock)
        self.process = InputProcess(context, self.device, rate_hz=100.0)
        self.sent: list[object] = []
        self.waiting: list[object] = []
        monkeypatch.setattr(Publisher, "send", lambda _self, _topic, value: self.sent.append(value))
        monkeypatch.setattr(Subscriber, "drain", self._drain)
        self.process.open()

    def _drain(self, _subscriber: Subscriber, limit: int = 0) -> Iterator[tuple[str, object]]:
        while self.waiting:
            yield "", self.waiting.pop(0)

    def turns(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.process.turn()

    def hear(self, *values: object) -> None:
        self.waiting += values
        self.turns(0.02)

    def of(self, kind: type) -> list:
        return [value for value in self.sent if isinstance(value, kind)]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="inp"))
    bench = Bench(folder, monkeypatch, getattr(request, "param", Pedal))
    yield bench
    bench.process.close()
    shutil.rmtree(folder)


robot = pytest.mark.parametrize("bench", [Robot], indirect=True)


@pytest.mark.parametrize("bench", [Headset], indirect=True)
def test_samples_of_a_device_with_a_clock_say_when_they_were_true(bench: Bench) -> None:
    bench.turns(3.0)
    samples = bench.of(InputSample)[100:]
    errors_ns = [sample.capture_ns - (sample.device_ns - 3600 * NS_PER_S) - 4_000_000 for sample in samples]
    assert max(map(abs, errors_ns)) < 100_000
    fits = bench.of(ClockFit)
    assert len(fits) == 3 and fits[-1].stream == "pedal"


def _recorder(state: RecorderState, episode: str = "") -> RecorderStatus:
    return RecorderStatus(state=state, capture_ns=0, episode=episode)


def test_it_polls_at_its_rate_and_says_so(bench: Bench) -> None:
    bench.turns(2.0)
    assert bench.device.started == 1
    assert len(bench.of(InputSample)) == pytest.approx(200, abs=1)
    metrics = bench.of(ProcessStatus)[-1].metrics
    assert metrics["rate_hz"] == pytest.approx(100, abs=2)
    assert metrics["age_ms"] < 20


def test_a_device_that_is_not_there_is_said_and_found_later(bench: Bench) -> None:
    bench.device.there = False
    bench.turns(2.5)
    assert not bench.of(InputSample)
    status = bench.of(ProcessStatus)[-1]
    assert status.text == "No pedal is connected. Plug one in."
    assert status.state is ProcessState.RUNNING, "nothing else of the station is hurt"
    bench.device.there = True
    bench.turns(1.5)
    assert bench.of(InputSample)
    assert bench.of(ProcessStatus)[-1].text == ""


def test_an_unplugged_device_heals(bench: Bench) -> None:
    bench.turns(0.5)
    bench.device.there = False
    bench.turns(0.5)
    assert "unplugged" in bench.of(ProcessStatus)[-1].text
    bench.device.there = True
    bench.turns(1.5)
    assert bench.device.started == 2
    assert bench.of(ProcessStatus)[-1].text == ""


def test_the_last_sample_of_an_ending_process_holds_nothing(bench: Bench) -> None:
    bench.turns(0.5)
    assert bench.of(InputSample)[-1].arms["left"].clutch
    bench.process.close()
    assert not bench.of(InputSample)[-1].arms["left"].clutch
    assert bench.of(ProcessStatus)[-1].state is ProcessState.STOPPED


def test_the_hand_feels_what_happens(bench: Bench) -> None:
    bench.turns(0.1)
    bench.hear(Event("control.engaged", 0, "control"), Event("safety.hold", 0, "control"))
    assert bench.device.cues == ["clutch", "stale"]
    bench.hear(Event("autonomy.help", 0, "policy"))
    assert bench.device.cues[2:] == ["help"]


def test_a_person_cannot_be_told_to_work(bench: Bench) -> None:
    with pytest.raises(DeviceError, match="a person moves it"):
        bench.process.go()


@robot
def test_a_worker_leaves_recordings_of_people_alone(bench: Bench) -> None:
    bench.hear(_recorder(RecorderState.RECORDING, "a"), _recorder(RecorderState.REVIEW, "a"))
    assert "go" not in bench.device.told


@robot
def test_go_before_the_recording_works_from_its_start_to_its_end(bench: Bench) -> None:
    bench.hear(_recorder(RecorderState.IDLE))
    bench.process.go()
    bench.turns(0.2)
    assert bench.device.told == []
    assert bench.process.status()["state"] == "armed"
    bench.hear(_recorder(RecorderState.COUNTDOWN))
    assert bench.device.told == []
    bench.hear(_recorder(RecorderState.RECORDING, "a"), _recorder(RecorderState.RECORDING, "a"))
    assert bench.device.told == ["go"]
    bench.hear(_recorder(RecorderState.FINALISING, "a"), _recorder(RecorderState.REVIEW, "a"))
    assert bench.device.told == ["go", "halt"]
    bench.hear(_recorder(RecorderState.RECORDING, "b"))
    assert bench.device.told == ["go", "halt"], "one go is for one recording"


@robot
def test_go_during_a_recording_works_at_once(bench: Bench) -> None:
    bench.hear(_recorder(RecorderState.RECORDING, "a"))
    bench.process.go()
    assert bench.device.told == ["go"]


@robot
def test_go_now_needs_no_recording(bench: Bench) -> None:
    bench.hear(_recorder(RecorderState.IDLE))
    bench.process.go(now=True)
    assert bench.device.told == ["go"]
    bench.hear(_recorder(RecorderState.IDLE))
    assert bench.device.told == ["go"]


@robot
def test_halt_takes_a_go_back(bench: Bench) -> None:
    bench.hear(_recorder(RecorderState.IDLE))
    bench.process.go()
    bench.process.halt()
    bench.hear(_recorder(RecorderState.RECORDING, "a"))
    assert bench.device.told == ["halt"]


@robot
def test_a_worker_sees_the_station_and_its_words_are_the_status(bench: Bench) -> None:
    tick = _recorder(RecorderState.IDLE)
    bench.hear(tick)
    assert tick in bench.device.seen
    bench.device.report = ("failed", "The cube was not in the tray after 4 attempts.")
    bench.turns(0.3)
    assert "not in the tray" in bench.of(ProcessStatus)[-1].text
    assert bench.process.status()["state"] == "failed"
