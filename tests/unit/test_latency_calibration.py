"""The calibration against rings and messages: progress, cancelling, refusals, the station file."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.sim.barcode import draw_barcode
from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.core.ring import RingReader, RingWriter, camera_ring
from teleop_app.core.types import Actor, CameraSetup, ControlState, ControlTick
from teleop_app.station import latency_calibration
from teleop_app.station.client import StationCard
from teleop_app.station.latency_calibration import CalibrationProgress, LatencyCalibration, store_latencies
from teleop_app.station.latency_codes import LatencyResult

MS = 1_000_000
WIDTH, HEIGHT = 160, 120


class Messages:
    """A subscriber that hears what was put into it."""

    def __init__(self, take: Callable[[], list[object]]) -> None:
        self._take = take

    def wait(self, _timeout_s: float) -> bool:
        return True

    def drain(self, _limit: int = 0) -> Iterator[tuple[str, object]]:
        for value in self._take():
            yield "", value

    def close(self) -> None:
        pass


class FakeStation:
    """Stands for a `StationClient`: one camera, whose frames come as fast as they are read."""

    def __init__(self, folder: Path, latency_ms: float = 40.0, applied_ms: float = 0.0) -> None:
        self.folder = folder
        self.latency_ns, self.applied_ns = round(latency_ms * MS), round(applied_ms * MS)
        self.file = folder / "station.toml"
        self.file.write_text("# ours\n" + station_text(StationConfig()))
        self.draws: Callable[[np.ndarray, int], None] = lambda image, true_ns: draw_barcode(
            image, true_ns // 1000
        )
        self.lines = HEIGHT
        self.ticks: list[object] = []
        self._writer = RingWriter(folder / camera_ring("front"), WIDTH * HEIGHT * 3, 4)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def card(self) -> StationCard:
        return StationCard(1, "", "", str(self.file), ready=True)

    def open_ring(self, name: str) -> RingReader:
        self._thread.start()
        return RingReader(self.folder / name)

    def subscribe(self, topics: list[str], _processes: list[str]) -> Messages:
        setup = CameraSetup(
            "front", WIDTH, HEIGHT, 30, "", "", np.eye(3), "world", np.zeros(7), latency_ns=self.applied_ns
        )
        return Messages(lambda: [setup] if topics == ["camera"] else self._take_ticks())

    def _take_ticks(self) -> list[object]:
        taken, self.ticks = self.ticks, []
        return taken

    def _run(self) -> None:
        while not self._stop.wait(0.008):
            true_ns = time.monotonic_ns()
            image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
            self.draws(image, true_ns)
            self._writer.write(image[: self.lines].data, true_ns + self.latency_ns - self.applied_ns, 0)

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._writer.close()


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStation]:
    monkeypatch.setattr(latency_calibration, "_SETUP_TIMEOUT_S", 0.05)
    found = FakeStation(tmp_path)
    yield found
    found.close()


def _calibration(station: FakeStation, *arguments: object) -> LatencyCalibration:
    return LatencyCalibration(station, *arguments)  # type: ignore[arg-type]


def test_a_camera_is_measured_and_progress_is_told(station: FakeStation):
    told: list[CalibrationProgress] = []
    station.applied_ns = 10 * MS
    result = _calibration(station, told.append).camera("front", seconds=0.8)
    assert result is not None and result.stream == "front" and result.method == "barcode"
    assert result.latency_ms == pytest.approx(40.0, abs=0.1)
    assert result.used >= 30 and result.rejected == 0
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].read == told[-1].looked_at == result.used
    assert f"read in {result.used} of {result.used} pictures" in told[-1].text


def test_a_cancelled_measurement_gives_nothing(station: FakeStation):
    calls: list[CalibrationProgress] = []
    assert _calibration(station, calls.append, lambda: len(calls) >= 3).camera("front", 30.0) is None
    assert len(calls) == 3


def test_a_camera_that_sees_no_time_is_refused(station: FakeStation):
    station.draws = lambda image, true_ns: None
    with pytest.raises(DeviceError, match="Only 0 of \\d+ pictures of front"):
        _calibration(station).camera("front", 0.2)


def test_an_unknown_camera_is_refused_with_those_that_are_there(station: FakeStation):
    with pytest.raises(StationError, match="no camera 'rear'.*Its cameras: front"):
        _calibration(station).camera("rear")


def test_a_camera_that_changes_its_size_is_refused(station: FakeStation):
    station.lines = 100
    with pytest.raises(DeviceError, match="A frame of front has 48000 bytes, not 57600"):
        _calibration(station).camera("front", 5.0)


def _tick(number: int, at_ns: int, joint: float) -> ControlTick:
    vector = np.zeros(14)
    vector[:6] = joint
    none = np.full((2, 7), np.nan)
    return ControlTick(
        number, at_ns, at_ns, ControlState.IDLE, Actor.NONE, "", (False, False), 0, none, none[:, 0], None,
        vector, vector, at_ns, vector, vector, vector, at_ns, 0,
    )  # fmt: skip


def test_an_arm_is_measured_by_what_a_camera_sees(station: FakeStation):
    """Joints arrive 30 ms late; a bar in the picture stands where the joint truly is."""

    def joint(at_ns: int) -> float:
        t = at_ns / 1e9
        return float(np.sin(2 * np.pi * 0.9 * t) + 0.6 * np.sin(2 * np.pi * 2.3 * t + 1))

    def draw(image: np.ndarray, true_ns: int) -> None:
        columns = np.arange(WIDTH)
        image[:] = np.clip((columns / WIDTH * 4 - 2 - joint(true_ns)) * 60 + 128, 0, 255)[None, :, None]
        for number in range(8):
            at_ns = true_ns - (8 - number) * MS
            station.ticks.append(_tick(0, at_ns + 30 * MS, joint(at_ns)))

    station.latency_ns = 0
    station.draws = draw
    result = _calibration(station).arm("left", "front", seconds=3.0)
    assert result is not None and result.method == "motion"
    assert result.latency_ms == pytest.approx(30.0, abs=8.0)
    assert "Against front, correlation 0.9" in result.note


def test_an_unknown_arm_and_a_silent_control_are_refused(station: FakeStation):
    with pytest.raises(StationError, match="publishes no ticks"):
        _calibration(station).arm("left", "front", seconds=0.1)
    with pytest.raises(ConfigError, match="There is no arm 'tail'.*left, right"):
        _calibration(station)._columns("tail", np.zeros(14))


def _result(stream: str, latency_ms: float) -> LatencyResult:
    return LatencyResult(stream, latency_ms, 0.5, "barcode", 100, 2, "2026-01-01T00:00:00+00:00")


def test_results_are_stored_beside_what_is_there(station: FakeStation):
    store_latencies(station.file, [_result("front", 40.0)])
    store_latencies(station.file, [_result("rear", 20.0), _result("front", 41.0)])
    config = load_station(station.file)
    assert {each.stream: each.latency_ms for each in config.latencies} == {"front": 41.0, "rear": 20.0}
    assert station.file.read_text().startswith("# ours\n")
    assert not list(station.folder.glob("*.new"))


def test_a_file_that_cannot_be_written_is_a_sentence(station: FakeStation):
    (station.folder / "station.toml.new").mkdir()
    with pytest.raises(ConfigError, match="station.toml cannot be written"):
        store_latencies(station.file, [_result("front", 40.0)])
    assert not load_station(station.file).latencies
