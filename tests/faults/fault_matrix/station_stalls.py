"""Processes that stop for 5 s, a camera or an encoder that fails, a disk below the wanted headroom."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.station_setup import CAMERAS, campaign_config, record, started, station_store, stop
from fault_matrix.store import Watch
from fault_matrix.watched_station import WatchedStation
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file
from recorders.schema import EpisodeFooter, topic_video
from teleop_app.core.errors import StorageError

STOPPED_S = 5.0
INJECTED = Path(__file__).with_name("injected")
PROCESSES = ("cameras", "control", "simulation", "recorder", "operator")
CASES = (*PROCESSES, "camera stops", "encoder dies")
OTHERS_MAY_LOSE = 0.15
"""Of the frames of the streams that are not concerned: a machine that runs tests loses some itself."""


def run(budget: Budget, report: RowReport) -> None:
    flags = budget.folder / "flags"
    flags.mkdir()
    environment = {
        "PYTHONPATH": os.pathsep.join([str(INJECTED), *sys.path[:2]]),
        "TELEOP_FAULT_FLAGS": str(flags),
    }
    data = station_store(budget.folder / "store")
    watch = Watch(data)
    with started(data, environment) as station:
        for number in budget.tries(report):
            case = CASES[number % len(CASES)]
            try:
                problems = _case(case, station, watch, flags)
            except AssertionError as error:
                problems = [str(error)[:300]]
            report.problems += [f"{case}: {problem}" for problem in problems]
            report.add(**{case: 1})
            station.wait_running()
    _, problems = watch.after_fault()
    report.problems += problems
    report.problems += _headroom(budget.folder / "headroom")


def _case(case: str, station: WatchedStation, watch: Watch, flags: Path) -> list[str]:
    episode = record(station, 1.0)
    station.forget()
    if case in PROCESSES:
        _freeze(station, case)
    else:
        flag = flags / case.replace(" ", "-")
        flag.touch()
        station.watch(3.0)
        flag.unlink()
    station.watch(1.5)
    path = Path(stop(station)["path"])
    watch.acknowledged[episode] = digest_file(path).blake3
    with EpisodeReader(path) as reader:
        footer = reader.footer
        events = [event.text for event in reader.events()]
        frames = {name: len(reader.video(name).seq) for name in CAMERAS}
    if footer is None:
        return ["the episode has no footer"]
    return _CHECKS[case](footer, events, frames)


def _freeze(station: WatchedStation, process: str) -> None:
    pid = station.pids()[process]
    os.kill(pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + STOPPED_S
        while time.monotonic() < deadline:
            station.look()
    finally:
        os.kill(pid, signal.SIGCONT)


Check = Callable[[EpisodeFooter, list[str], dict[str, int]], list[str]]


def _lost(footer: EpisodeFooter, camera: str) -> int:
    return footer.lost.get(topic_video(camera), 0)


def _cameras_stopped(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    silent = [name for name in CAMERAS if _lost(footer, name) < 30]
    problems = [f"the gap of {name} is not counted: {footer.lost}" for name in silent]
    if footer.counts.get("/control/tick", 0) < 1000:
        problems.append("the control ticks were affected")
    return problems + _gap_said(events)


def _control_stopped(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    problems = [] if footer.lost.get("/control/tick") else ["the gap of the control process is not counted"]
    return problems + _gap_said(events) + _others_whole(footer, frames, CAMERAS)


def _recorder_stopped(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    """Its queues hold what the others sent, or count what they could not hold."""
    return [
        f"{name}: {count} frames and {_lost(footer, name)} lost of more than 200"
        for name, count in frames.items()
        if count + _lost(footer, name) < 190
    ]


def _simulation_stopped(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    return _others_whole(footer, frames, CAMERAS)


def _nothing_lost(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    return _others_whole(footer, frames, CAMERAS)


def _camera_stopped(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    problems = [] if _lost(footer, CAMERAS[0]) > 30 else [f"the gap is not counted: {footer.lost}"]
    return problems + _gap_said(events) + _others_whole(footer, frames, CAMERAS[1:])


def _encoder_died(footer: EpisodeFooter, events: list[str], frames: dict[str, int]) -> list[str]:
    problems = [] if _lost(footer, CAMERAS[0]) > 0 else [f"the gap is not counted: {footer.lost}"]
    return problems + _others_whole(footer, frames, CAMERAS[1:])


def _gap_said(events: list[str]) -> list[str]:
    return (
        [] if any("Nothing arrives from" in text for text in events) else ["no event says that a gap began"]
    )


def _others_whole(footer: EpisodeFooter, frames: dict[str, int], names: tuple[str, ...]) -> list[str]:
    shares = {name: _lost(footer, name) / max(1, frames[name] + _lost(footer, name)) for name in names}
    return [f"{name} lost {share:.0%} too" for name, share in shares.items() if share > OTHERS_MAY_LOSE]


_CHECKS: dict[str, Check] = {
    "cameras": _cameras_stopped,
    "control": _control_stopped,
    "simulation": _simulation_stopped,
    "recorder": _recorder_stopped,
    "operator": _nothing_lost,
    "camera stops": _camera_stopped,
    "encoder dies": _encoder_died,
}


def _headroom(folder: Path) -> list[str]:
    """A station whose disk has less room than it wants refuses to start a recording."""
    config = campaign_config()
    config.recording.headroom_mb = 1_000_000
    with started(station_store(folder, config)) as station:
        try:
            station.call("recorder", "record")
        except StorageError as error:
            return [] if "are wanted" in error.sentence else [f"refused for another reason: {error.sentence}"]
    return ["a recording started with less room than is wanted"]


ROW = Row(
    "station-stalls",
    "SIGSTOP for 5 s of each process, one camera stops delivering, an encoder dies, too little room",
    "the gap is flagged and counted for its stream, the other streams go on, a start without room is refused",
    count=14,
    sample=0,
    run=run,
)
