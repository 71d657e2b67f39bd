"""A station that is told to stop in the middle of a recording closes the episode, keeps it, and ends well."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest

from recorders.reader import EpisodeReader

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.mark.parametrize("how", ["teleop station stop", "SIGTERM", "SIGINT"])
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_stop_during_a_recording_keeps_the_episode(how: str, faults: Any) -> None:
    data = faults.store("stops")
    station = faults.start(data)
    station.open_session()
    episode = station.start_recording(1)
    station.watch(1.0)
    if how == "teleop station stop":
        stopped = faults.teleop("station", "stop", data=data.root)
        assert (stopped.returncode, stopped.stdout) == (0, "The station is stopping.\n"), stopped.stderr
    else:
        os.kill(station.client.card().pid, getattr(signal, how))
    deadline = time.monotonic() + 40.0
    while station.station.alive and time.monotonic() < deadline:
        station.look()
    assert not station.station.alive
    assert station.station.returncode == 0
    assert faults.processes_of(data) == []
    assert list(data.open.glob("*.mcap")) == []
    row = faults.row_of(data, episode)
    assert row.state == "pending" and row.duration_ns > 0.5e9
    with EpisodeReader(data.root / row.path) as reader:
        footer = reader.footer
    assert footer is not None and footer.truncated and not footer.recovered
    assert "The station was stopped during the recording." in footer.lost_reasons
    assert faults.store_problems(data) == []
    station.stop()
