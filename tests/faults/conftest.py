"""Stations and stores for the tests that break them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from fault_matrix.store import store_problems
from fault_matrix.watched_station import WatchedStation, light_config, processes_of, speeds
from sessions import Author, EpisodeRow, open_catalog
from teleop_app.cli import main
from teleop_app.core.config import StationConfig, station_text
from teleop_app.core.errors import TeleopError
from teleop_app.core.paths import DataDir


def row_of(data: DataDir, uuid: str) -> EpisodeRow:
    with open_catalog(data.root, Author.process("test")) as catalog:
        row = catalog.episode(uuid)
    assert row is not None, f"{uuid} is not in the catalog"
    return row


def teleop(*arguments: str, data: Path, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """The command line, as a person types it."""
    return subprocess.run(
        [sys.executable, "-m", "teleop_app.cli", "--data-dir", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )


def teleop_here(*arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which saves the seconds of a start."""
    out, err = io.StringIO(), io.StringIO()
    argv, code = ["teleop", "--data-dir", str(data), *arguments], 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", argv)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


class Faults:
    """What the tests of this folder share; given as one fixture because tests are no package."""

    light_config = staticmethod(light_config)
    station_text = staticmethod(lambda: station_text(light_config()))
    processes_of = staticmethod(processes_of)
    store_problems = staticmethod(store_problems)
    row_of = staticmethod(row_of)
    speeds = staticmethod(speeds)
    teleop = staticmethod(teleop)
    teleop_here = staticmethod(teleop_here)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stations: list[WatchedStation] = []

    def store(self, name: str = "store", config: StationConfig | None = None) -> DataDir:
        """A data directory with a light station file."""
        data = DataDir(self._folder / name).create()
        data.station_file.write_text(station_text(config or light_config()))
        return data

    def start(self, data: DataDir) -> WatchedStation:
        """A running station on `data`; it ends with the fixture at the latest."""
        station = WatchedStation(data)
        self._stations.append(station)
        return station

    def end(self) -> None:
        failed: list[str] = []
        for station in self._stations:
            try:
                station.stop()
            except (TeleopError, OSError) as error:
                failed.append(str(error))
        assert not failed


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    """Stations for the tests of one file."""
    made = Faults(tmp_path_factory.mktemp("faults"))
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def shared_station(faults: Faults) -> WatchedStation:
    """One station that the tests of a file share."""
    return faults.start(faults.store())


@pytest.fixture
def station(shared_station: WatchedStation) -> WatchedStation:
    """The shared station at rest, whatever the test before it left behind."""
    shared_station.tidy()
    return shared_station
