"""Hours of recording: what was captured is written or counted as lost, and no process grows."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import psutil

from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.station_setup import CAMERAS, campaign_config, started, station_store, stop
from fault_matrix.store import Watch
from fault_matrix.watched_station import WatchedStation
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file
from recorders.schema import topic_video

SHORT_S, LONG_SHARE = 20.0, 0.4
"""Length of the repeated episodes; share of the time that the last, long one takes."""
SEGMENT_S = 60.0
MAX_SLOPE_MB_H = 1.0
SETTLED_SHARE = 0.3
"""Of the time, from the start, in which processes may still grow to their size."""


def run(budget: Budget, report: RowReport) -> None:
    seconds = 60.0 * (budget.minutes or 30.0)
    config = campaign_config()
    config.recording.segment_s = min(SEGMENT_S, seconds / 10)
    config.recording.max_episode_s = 86_400.0
    data = station_store(budget.folder / "store", config)
    watch = Watch(data)
    memory = Memory()
    began = time.monotonic()
    with started(data) as station:
        while time.monotonic() - began < seconds * (1 - LONG_SHARE):
            _episode(station, SHORT_S, watch, memory, report)
            budget.say(f"soak: {report.tries} episodes, {time.monotonic() - began:.0f} of {seconds:.0f} s")
        _episode(station, seconds * LONG_SHARE, watch, memory, report)
    _, problems = watch.after_fault()
    report.problems += problems
    report.figures["slope [MB/h]"] = memory.slopes()
    report.figures["hours"] = round((time.monotonic() - began) / 3600, 2)
    for process, slope in memory.slopes().items():
        if slope > MAX_SLOPE_MB_H:
            report.missed.append(
                f"{process} grows by {slope:g} MB/h; over {seconds / 60:g} minutes that is rough"
            )


class Memory:
    """Resident memory of each process over time."""

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, float]]] = {}

    def look(self, station: WatchedStation) -> None:
        now = time.monotonic()
        for name, pid in {**station.pids(), "station": station.supervisor_pid()}.items():
            used_mb = psutil.Process(pid).memory_info().rss / 1e6
            self._seen.setdefault(name, []).append((now, used_mb))

    def slopes(self) -> dict[str, float]:
        """Growth by process [MB/h] once they have settled."""
        found = {}
        for name, seen in self._seen.items():
            times, used = np.array(seen).T
            settled = times >= times[0] + SETTLED_SHARE * (times[-1] - times[0])
            if settled.sum() >= 3:
                found[name] = round(float(np.polyfit(times[settled] / 3600, used[settled], 1)[0]), 2)
        return found


def _episode(
    station: WatchedStation, seconds: float, watch: Watch, memory: Memory, report: RowReport
) -> None:
    station.call("recorder", "record")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        station.watch(min(5.0, max(0.0, until - time.monotonic())))
        station.forget()
        memory.look(station)
    path = Path(stop(station)["path"])
    watch.acknowledged[path.stem] = digest_file(path).blake3
    report.tries += 1
    with EpisodeReader(path) as reader:
        tracks = {name: reader.video(name) for name in CAMERAS}
        footer = reader.footer
    for name, track in tracks.items():
        lost = footer.lost.get(topic_video(name), 0) if footer is not None else 0
        grid = int(track.seq[-1] - track.seq[0]) + 1
        inner = grid - len(track.seq)
        report.add(frames=len(track.seq), lost=lost)
        if inner > lost:
            report.problems.append(f"{path.stem}: {inner} frames of {name} are missing, {lost} are counted")
        due = round((track.capture_ns[-1] - track.capture_ns[0]) / 1e9 * track.camera.fps) + 1
        if abs(due - grid) > 1:
            report.problems.append(f"{path.stem}: {name} counts {grid} frames in the time of {due}")


ROW = Row(
    "soak",
    "repeated episodes of 3 x 30 frames/s and a long one of several files, for --minutes (30)",
    "written + counted = captured; wanted: memory grows by less than 1 MB/h a process",
    count=1,
    sample=0,
    run=run,
)
