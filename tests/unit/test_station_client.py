"""A client hears every process that a station has, also those it did not know when it subscribed."""

from __future__ import annotations

import json
import os
import time

from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.paths import DataDir
from teleop_app.core.types import Event, ProcessState, ProcessStatus, StationStatus
from teleop_app.station.client import StationCard, StationClient


def test_a_subscriber_follows_the_roster_of_the_station(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    data = DataDir(tmp_path)
    data.run_dir().mkdir(parents=True)
    endpoints = Endpoints(data.run_dir())
    station, device = (Publisher(endpoints.publish(name)) for name in ("station", "input-quest"))
    client = StationClient(data)
    feed = client.subscribe(["station", "event"])
    process = ProcessStatus("input-quest", 1, ProcessState.RUNNING, 1)
    status = StationStatus("cell", 1, (process,), 1)
    heard: list[Event] = []
    end = time.monotonic() + 20.0
    while not heard and time.monotonic() < end:
        station.send("station", status)
        device.send("event", Event("input.button", 1, "input-quest"))
        feed.wait(0.02)
        heard += [value for _, value in feed.drain() if isinstance(value, Event)]
    assert heard[0].origin == "input-quest"
    time.sleep(0.05)
    list(feed.drain())
    device.send("event", Event("input.button", 2, "input-quest"))
    feed.wait(5.0)
    assert len([value for _, value in feed.drain() if isinstance(value, Event)]) == 1, "connected once"
    for socket in (feed, station, device):
        socket.close()
    client.close()


def test_the_card_names_the_processes_and_an_old_card_is_still_read(tmp_path):
    card = StationCard(os.getpid(), "cell", "/data", "station.toml", ready=True, processes=("control",))
    card.write(tmp_path)
    assert tuple(StationCard.read(tmp_path).processes) == ("control",)
    text = json.loads((tmp_path / "station.json").read_text())
    del text["processes"]
    (tmp_path / "station.json").write_text(json.dumps(text))
    assert StationCard.read(tmp_path).processes == ()
