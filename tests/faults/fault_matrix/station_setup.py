"""The station of the campaign: the simulated arms, three synthetic cameras of 30 frames a second."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fault_matrix.watched_station import WatchedStation, light_config
from recorders.reader import EpisodeReader
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.paths import DataDir

CAMERAS = ("overhead", "left_wrist", "right_wrist")


def campaign_config() -> StationConfig:
    """Three synthetic cameras, small enough for a machine that is busy with other things."""
    config = light_config()
    config.cameras = [
        CameraSection(name=name, driver="synthetic", width=320, height=240, fps=30) for name in CAMERAS
    ]
    config.recording.preroll_s = 0.0
    return config


def station_store(folder: Path, config: StationConfig | None = None) -> DataDir:
    """A store with the campaign's station file."""
    data = DataDir(folder).create()
    data.station_file.write_text(station_text(config or campaign_config()))
    return data


@contextmanager
def started(data: DataDir, environment: Mapping[str, str] | None = None) -> Iterator[WatchedStation]:
    """A station on `data`, its session open; its processes are gone afterwards."""
    before = dict(os.environ)
    os.environ.update(environment or {})
    station: WatchedStation | None = None
    try:
        station = WatchedStation(data)
        station.open_session()
        yield station
    finally:
        os.environ.clear()
        os.environ.update(before)
        if station is not None:
            station.stop()


def record(station: WatchedStation, seconds: float) -> str:
    """An episode that nobody drives, recorded for so long and still open; its UUID."""
    episode = str(station.call("recorder", "record")["episode"])
    station.watch(seconds)
    return episode


def stop(station: WatchedStation) -> dict[str, str]:
    """Stop and keep; what is acknowledged, as `Watch` takes it."""
    done = station.call("recorder", "stop")
    station.call("recorder", "save")
    path = Path(str(done["path"]))
    return {"uuid": str(done["episode"]), "path": str(path)}


def stream_ends(path: Path) -> dict[str, int]:
    """Time of the last sample by stream [ns]: the cameras and `control`."""
    with EpisodeReader(path) as reader:
        ends = {camera.name: reader.video(camera.name).capture_ns for camera in reader.header.cameras}
        ends["control"] = reader.ticks().capture_ns
    return {name: int(times[-1]) if len(times) else 0 for name, times in ends.items()}


def last_indexes(path: Path) -> list[int]:
    """Grid index of each camera's last frame."""
    with EpisodeReader(path) as reader:
        tracks = [reader.video(camera.name) for camera in reader.header.cameras]
    return [int(track.seq[-1]) for track in tracks if len(track.seq)]
