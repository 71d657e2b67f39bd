"""`teleop calibrate latency`: what it measures, stores and refuses."""

import contextlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from teleop_app.cli import app
from teleop_app.commands import calibrate
from teleop_app.core.config import StationConfig, load_station, station_text
from teleop_app.core.errors import DeviceError
from teleop_app.station.client import StationCard
from teleop_app.station.latency_codes import LatencyResult


class Measured:
    """Stands for `LatencyCalibration`: every stream is 20 ms late, the left wrist sees nothing."""

    def __init__(self, _client: object, progress: object) -> None:
        pass

    def camera(self, name: str, seconds: float, display_period_ms: float) -> LatencyResult:
        if name == "left_wrist":
            raise DeviceError("Only 3 of 90 pictures of left_wrist show a time")
        return LatencyResult(name, 20.0, 0.5, "barcode", 90, 1, "2026-01-01T00:00:00+00:00")

    def arm(self, name: str, camera: str, seconds: float) -> LatencyResult:
        return LatencyResult(
            name, 30.0, 5.0, "motion", 90, 0, "2026-01-01T00:00:00+00:00", f"Against {camera}."
        )


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "rig.toml"
    path.write_text(station_text(StationConfig()))

    class Client:
        def card(self) -> StationCard:
            return StationCard(1, "", "", str(path), ready=True)

    monkeypatch.setattr(calibrate, "running_station", lambda *_: contextlib.nullcontext(Client()))
    monkeypatch.setattr(calibrate, "LatencyCalibration", Measured)
    return path


def test_what_can_be_measured_is_stored_and_the_rest_is_said(file: Path):
    done = CliRunner().invoke(app, ["calibrate", "latency", "--all", "--arm", "left", "--write", "--json"])
    lines = [json.loads(line) for line in done.output.splitlines() if line.startswith("{")]
    assert done.exit_code == DeviceError.exit_code
    assert [each.get("latency_ms") for each in lines] == [20.0, None, 20.0, 30.0]
    assert "Only 3 of 90 pictures" in lines[1]["error"] and lines[3]["note"] == "Against overhead."
    stored = {each.stream: each.latency_ms for each in load_station(file).latencies}
    assert stored == {"overhead": 20.0, "right_wrist": 20.0, "left": 30.0}


def test_nothing_is_stored_unless_asked(file: Path):
    done = CliRunner().invoke(app, ["calibrate", "latency", "--camera", "overhead"])
    assert done.exit_code == 0
    assert "overhead: 20.0 ms, spread 0.5 ms (90 samples, 1 rejected, barcode)" in done.output
    assert not load_station(file).latencies


def test_nothing_to_measure_is_a_sentence(file: Path):
    done = CliRunner().invoke(app, ["calibrate", "latency"])
    assert "Give --camera NAME, --arm NAME or --all" in str(done.exception)
