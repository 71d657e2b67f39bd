"""A real station in a data directory of its own, watched from outside, for whoever breaks it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from teleop_app.core.config import CameraSection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ControlTick, Event, ProcessState, RecorderStatus, StationStatus
from teleop_app.station.launch import StationProcess

Accept = Callable[[Any], bool]


def light_config() -> StationConfig:
    """A cell that two busy cores can run beside other work."""
    config = StationConfig()
    config.simulation.look = "primitive"
    config.cameras = [
        CameraSection(name=n, width=160, height=120, fps=10) for n in ("overhead", "left_wrist")
    ]
    config.inputs.gamepad = False
    config.control.realtime_priority = 0
    config.recording.headroom_mb = 10
    config.recording.autosave_s = 120.0  # a verdict is given by the tests alone
    return config


class WatchedStation:
    """One station, every message of it, and a hand on its commands and processes.

    Attributes:
        seen: Messages since the last `forget`, by type.
    """

    def __init__(self, data: DataDir) -> None:
        self.data = data
        self.station = StationProcess(data)
        try:
            self.client = self.station.wait_ready()
        except BaseException:
            self.station.stop()
            raise
        self.feed = self.client.subscribe(["event", "station", "recorder", "tick"])
        self.seen: dict[type, list[Any]] = defaultdict(list)

    def look(self, timeout_s: float = 0.05) -> None:
        """Take what has arrived."""
        self.feed.wait(timeout_s)
        for _, value in self.feed.drain():
            self.seen[type(value)].append(value)

    def forget(self) -> None:
        """Drop what was seen until now."""
        self.look(0.0)
        self.seen.clear()

    def until(self, kind: type, accept: Accept, timeout_s: float = 30.0, what: str = "") -> Any:
        """The first message seen since `forget` that is accepted; waits for it."""
        deadline = time.monotonic() + timeout_s
        at = 0
        while True:
            values = self.seen[kind]
            for value in values[at:]:
                if accept(value):
                    return value
            at = len(values)
            if time.monotonic() > deadline:
                said = [event.text for event in self.seen[Event] if event.text]
                last = self.seen[kind][-1:]
                raise AssertionError(f"{what or kind.__name__} not seen in {timeout_s} s; {last}; {said}")
            self.look()

    def event(self, kind: str, timeout_s: float = 30.0, **fields: object) -> Event:
        """The first event of a kind, and with these fields, seen since `forget`."""

        def fits(event: Event) -> bool:
            return event.kind == kind and all(event.fields.get(k) == v for k, v in fields.items())

        return self.until(Event, fits, timeout_s, kind)

    def next_tick(self, accept: Callable[[ControlTick], bool], timeout_s: float = 30.0) -> ControlTick:
        """The first accepted tick that arrives after this call."""
        self.look(0.0)
        self.seen[ControlTick].clear()
        return self.until(ControlTick, accept, timeout_s)

    def seen_ticks(self) -> list[ControlTick]:
        """Ticks since the last `forget` or `next_tick`."""
        return list(self.seen[ControlTick])

    def watch(self, duration_s: float) -> list[ControlTick]:
        """All ticks of the coming seconds; they are added to those seen."""
        self.look(0.0)
        before = len(self.seen[ControlTick])
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self.look()
        return self.seen[ControlTick][before:]

    def call(self, process: str, command: str, /, **args: object) -> dict[str, Any]:
        return self.client.call(process, command, timeout_s=45.0, **args)

    def pids(self) -> dict[str, int]:
        """Process ids of the running children."""
        answer = self.call("station", "status")
        return {p["process"]: p["pid"] for p in answer["processes"] if p["pid"]}

    def supervisor_pid(self) -> int:
        """Process id of the supervisor."""
        card = self.client.card()
        assert card is not None, "the station runs no more"
        return card.pid

    def wait_running(self, timeout_s: float = 60.0) -> None:
        """Until every process runs again."""

        def well(status: StationStatus) -> bool:
            return all(p.state is ProcessState.RUNNING for p in status.processes)

        self.seen[StationStatus].clear()
        self.until(StationStatus, well, timeout_s, "a station without a fault")

    def tidy(self) -> None:
        """Nobody drives, nothing is recorded, no e-stop is latched."""
        self.wait_running()
        self.call("operator", "halt")
        self.call("control", "release")
        self.call("control", "reset_estop")
        if self.call("recorder", "status")["state"] == "recording":
            self.call("recorder", "stop")
        self.forget()

    def open_session(self) -> None:
        self.call("recorder", "open_session", operator="Ann", task="pick-place")

    def _prepare(self, seed: int, attempts: int = 4) -> None:
        """Home and a scene; once more when a busy machine starved the physics on the way home."""
        for left in reversed(range(attempts)):
            try:
                self.call("recorder", "prepare", seed=seed)
                return
            except StationError as error:
                if left == 0 or "did not get home" not in error.sentence:
                    raise
                self.watch(0.5)

    def start_recording(self, seed: int = 1, *, driven: bool = True) -> str:
        """Home, a scene, the scripted operator at work in an episode; its UUID."""
        self._prepare(seed)
        if driven:
            self.call("operator", "go")
        episode = str(self.call("recorder", "record")["episode"])
        if driven:
            self.next_tick(lambda tick: tick.source == "scripted" and all(tick.engaged))
        return episode

    def stop_recording(self) -> dict[str, Any]:
        self.call("operator", "halt")
        return self.call("recorder", "stop")

    def records_normally(self, seed: int = 5) -> str:
        """Records a short driven episode as on any day; its UUID."""
        episode = self.start_recording(seed)
        self.watch(1.0)
        done = self.stop_recording()
        assert done["episode"] == episode and Path(done["path"]).is_file()
        assert min(done["frames"].values()) > 0
        self.call("recorder", "save")
        return episode

    def recorder_reviews(self, episode: str) -> RecorderStatus:
        """The card on which a stopped episode is judged."""
        return self.until(RecorderStatus, lambda s: s.episode == episode and bool(s.verdict_reasons))

    def recorder_says(self, part: str, timeout_s: float = 30.0) -> RecorderStatus:
        return self.until(RecorderStatus, lambda s: part in s.text, timeout_s, f"recorder text {part!r}")

    def stop(self) -> None:
        """End the station, whatever state it is in, and every process of it."""
        self.feed.close()
        self.client.close()
        self.station.stop()
        end_processes_of(self.data)


def processes_of(data: DataDir) -> list[psutil.Process]:
    """Processes of a station on `data` that run, its supervisor included."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        argv = process.info["cmdline"] or []
        if (
            "teleop_app.app" in argv
            and str(data.root) in argv
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            found.append(process)
    return found


def end_processes_of(data: DataDir, patience_s: float = 15.0) -> None:
    _, left = psutil.wait_procs(processes_of(data), patience_s)
    for process in left:
        process.kill()


def speeds(ticks: list[ControlTick]) -> np.ndarray:
    """Largest joint speed of what was sent, from tick to tick [rad/s], grippers left out.

    A tick that comes late takes the step of its due time; the time that counts is the longer of the two.
    """
    sent = np.array([np.delete(tick.sent, [6, 13]) for tick in ticks])
    times = np.array([(tick.tick_ns, tick.due_ns) for tick in ticks]) / 1e9
    seconds = np.diff(times, axis=0).max(axis=1)
    return np.abs(np.diff(sent, axis=0)).max(axis=1) / seconds
