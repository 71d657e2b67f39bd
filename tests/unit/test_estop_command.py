"""`teleop estop`: reaches control, and says when there is nothing to stop."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from teleop_app.cli import app
from teleop_app.commands import estop
from teleop_app.core.errors import StationError


class Station:
    """Stands for the client of a station; remembers what control was told."""

    there = True

    def __init__(self, _data: object) -> None:
        self.told: list[tuple[str, dict[str, str]]] = []
        made.append(self)

    def card(self) -> object:
        return object() if self.there else None

    def call(self, process: str, command: str, **args: str) -> dict[str, object]:
        assert process == "control"
        self.told.append((command, args))
        stopped = command == "estop"
        return {"estopped": stopped, "state": "estop" if stopped else "idle", "reason": "", "metrics": {}}


made: list[Station] = []


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> type[Station]:
    made.clear()
    monkeypatch.setattr(estop, "StationClient", Station)
    monkeypatch.setattr(Station, "there", True)
    return Station


def test_it_latches_and_says_how_to_go_on(station):
    done = CliRunner().invoke(app, ["estop", "--reason", "smoke"])
    assert done.exit_code == 0
    assert done.output.startswith("E-stop latched")
    assert "teleop estop --reset" in done.output
    assert made[0].told == [("estop", {"reason": "smoke"})]


def test_it_resets(station):
    done = CliRunner().invoke(app, ["estop", "--reset", "--json"])
    assert json.loads(done.output) == {"estopped": False}
    assert made[0].told == [("reset_estop", {})]


def test_without_a_station_it_says_that_nothing_was_stopped(station, monkeypatch):
    monkeypatch.setattr(station, "there", False)
    done = CliRunner().invoke(app, ["estop"])
    assert isinstance(done.exception, StationError)
    assert "Nothing was stopped: no station runs on" in str(done.exception)
    assert "or use the robot's own e-stop" in str(done.exception)
