"""SIGKILL of random processes of a real station while it records: its parts, its supervisor, a client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fault_matrix.row import Budget, Row, RowReport
from fault_matrix.station_setup import CAMERAS, last_indexes, record, station_store, stop, stream_ends
from fault_matrix.store import AUTHOR, Watch, store_problems
from fault_matrix.watched_station import WatchedStation, end_processes_of, processes_of
from recorders.reader import EpisodeReader
from recorders.recovery import digest_file
from sessions import EpisodeRow, open_catalog
from teleop_app.core.paths import DataDir
from teleop_app.core.types import StationStatus

TARGETS = ("recorder", "recorder", "cameras", "control", "simulation", "client", "station")
MAX_LOST_S = 1.0
MAX_MISALIGNED = 2
READY_S = 5.0
CLIENT = """
import sys, time
from pathlib import Path
from teleop_app.core.paths import DataDir
from teleop_app.station.client import StationClient
client = StationClient.attach(DataDir(Path(sys.argv[1])), 20.0)
feed = client.subscribe([""])
print("attached", flush=True)
while True:
    feed.wait(0.05)
    list(feed.drain())
"""


@dataclass(slots=True)
class Kills:
    """The kills of one store; its station is started again when its supervisor was killed.

    Attributes:
        data: The store.
        report: Gets what is found.
        watch: Of what was acknowledged.
        station: Runs.
        ready_s: Seconds until all processes ran again, by the process killed.
        lost_s: Of each stream when the recorder was killed.
        misaligned: Frames between the ends of the cameras.
        gone: Kills by process.
    """

    data: DataDir
    report: RowReport
    watch: Watch
    station: WatchedStation
    ready_s: dict[str, list[float]] = field(default_factory=dict)
    lost_s: list[float] = field(default_factory=list)
    misaligned: list[float] = field(default_factory=list)
    gone: Counter[str] = field(default_factory=Counter)

    def one(self, target: str, seconds: float) -> list[str]:
        """Record, kill, wait until all is well again; what is wrong."""
        self.gone[target] += 1
        episode = record(self.station, seconds)
        self.station.forget()
        killed_ns = self._kill(target)
        began = time.monotonic()
        if target == "station":
            self._start_again()
        elif target != "client":
            self.station.event("process.died", process=target)
            self.station.wait_running(90.0)
        self.ready_s.setdefault(target, []).append(time.monotonic() - began)
        if target in ("recorder", "station"):
            problems = self._recovered(episode, killed_ns)
            self.station.open_session()
        else:
            problems = self._went_on(episode, target)
        return problems + self.watch.lost() + store_problems(self.data, full=False)

    def _kill(self, target: str) -> int:
        if target == "client":
            client = subprocess.Popen(
                [sys.executable, "-c", CLIENT, str(self.data.root)], stdout=subprocess.PIPE
            )
            assert client.stdout is not None
            client.stdout.readline()
            client.kill()
            client.wait()
            client.stdout.close()
            return time.monotonic_ns()
        pid = self.station.supervisor_pid() if target == "station" else self.station.pids()[target]
        os.kill(pid, signal.SIGKILL)
        return time.monotonic_ns()

    def _start_again(self) -> None:
        deadline = time.monotonic() + 20.0
        while processes_of(self.data) and time.monotonic() < deadline:
            time.sleep(0.05)
        end_processes_of(self.data, 0.0)
        self.station.stop()
        self.station = WatchedStation(self.data)

    def _row(self, episode: str) -> EpisodeRow | None:
        with open_catalog(self.data.root, AUTHOR) as catalog:
            return catalog.episode(episode)

    def _recovered(self, episode: str, killed_ns: int) -> list[str]:
        row = self._row(episode)
        if row is None:
            return [f"The open episode {episode} is gone."]
        if not row.recovery_loss:  # a station whose supervisor dies closes the episode itself, cut short
            return [f"Nobody says what {episode} lost."]
        path = self.data.root / row.path
        ends = stream_ends(path)
        self.lost_s += [(killed_ns - end) / 1e9 for end in ends.values()]
        last = last_indexes(path)
        self.misaligned.append(max(last) - min(last) if len(last) == len(CAMERAS) else 999)
        self.watch.acknowledged[episode] = row.blake3
        problems = [
            f"{name} lost {(killed_ns - end) / 1e9:.2f} s"
            for name, end in ends.items()
            if killed_ns - end > MAX_LOST_S * 1e9
        ]
        if self.misaligned[-1] > MAX_MISALIGNED:
            problems.append(f"the cameras end {self.misaligned[-1]} frames apart")
        return problems

    def _went_on(self, episode: str, target: str) -> list[str]:
        done = stop(self.station)
        self.watch.acknowledged[episode] = digest_file(Path(done["path"])).blake3
        with EpisodeReader(Path(done["path"])) as reader:
            footer = reader.footer
        lost = footer.lost if footer is not None else {}
        if done["uuid"] != episode or footer is None:
            return [f"stopped {done['uuid']} instead of {episode}"]
        problems = []
        cameras = {name: lost.get(f"/camera/{name}/video", 0) for name in CAMERAS}
        if target == "cameras" and min(cameras.values()) == 0:
            problems.append(f"the gap of a killed camera process is not counted: {cameras}")
        if target == "control" and not lost.get("/control/tick"):
            problems.append("the gap of a killed control process is not counted")
        if target == "client" and any(cameras.values()):
            self.report.add(**{"frames lost while a client died": sum(cameras.values())})
        return problems


def run(budget: Budget, report: RowReport) -> None:
    data = station_store(budget.folder / "store")
    kills = Kills(data, report, Watch(data), WatchedStation(data))
    try:
        kills.station.open_session()
        for number in budget.tries(report):
            target = budget.random.choice(TARGETS) if number >= len(TARGETS) else TARGETS[number]
            try:
                problems = kills.one(target, budget.random.uniform(0.3, 2.5))
            except AssertionError as error:
                problems = [str(error)[:300]]
            report.problems += [f"kill {number} ({target}): {problem}" for problem in problems]
            _press_restart(kills.station)
    finally:
        kills.station.stop()
        end_processes_of(data)
    _, problems = kills.watch.after_fault()
    report.problems += problems
    report.figures["kills"] = dict(kills.gone)
    report.spread("lost per stream [s]", kills.lost_s)
    report.spread("misaligned [frames]", kills.misaligned)
    for target, seconds in sorted(kills.ready_s.items()):
        if target != "client":
            report.spread(f"ready again after {target} [s]", seconds)
            late = sum(s > READY_S for s in seconds)
            if late:
                report.missed.append(f"{late} of {len(seconds)} times not ready within 5 s after {target}")


def _press_restart(station: WatchedStation) -> None:
    """What a person does with a process that died too often in a minute."""
    station.seen[StationStatus].clear()
    status: StationStatus = station.until(StationStatus, lambda s: True)
    for process in status.processes:
        if "press Restart" in process.text:
            station.call("station", "restart", process=process.process)
    station.wait_running()


ROW = Row(
    "station-kills",
    "SIGKILL of random processes of a station with 3 cameras at random instants of a recording",
    "no acknowledged episode lost, <= 1 s lost a stream, cameras <= 2 frames apart; wanted: ready in 5 s",
    count=1000,
    sample=0,
    run=run,
)
