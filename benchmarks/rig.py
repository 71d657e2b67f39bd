"""A whole station, started for a benchmark, and what its processes take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.hand import waving_hand
from recorders.segment_names import segment_paths
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.errors import StationError
from teleop_app.core.paths import DataDir
from teleop_app.station.client import StationClient
from teleop_app.station.launch import StationProcess

T = TypeVar("T")
CAMERAS = ("overhead", "left_wrist", "right_wrist")
TASK = "pick-place"
MB = 1e6
_PREPARE_TIMEOUT_S = 40.0
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Take:
    """One recorded episode, and what recording it took.

    Attributes:
        path: The episode file.
        seconds: From the answer to `record` to the call of `stop`.
        durable_ms: The recorder's own figure: from stop until the episode was durable.
        stop_ms: What the caller of `stop` waited.
        missed_ticks: Ticks that control left out during the recording.
        ended_s: When `stop` was called, on the monotonic clock.
        cpu_s: Processor time by process during the recording.
        pss_mb: Largest proportional set size by process, looked at every few seconds.
    """

    path: Path
    seconds: float
    durable_ms: float
    stop_ms: float
    missed_ticks: float
    ended_s: float
    cpu_s: dict[str, float]
    pss_mb: dict[str, float]

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.stat().st_size for file in _files_of(self.path))


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process: resident, proportional (shared pages divided among their users), private."""

    rss_mb: float
    pss_mb: float
    uss_mb: float


class BenchStation:
    """A running station. Its processes must be the same ones from the start to the end of a measurement."""

    def __init__(self, client: StationClient, config: StationConfig) -> None:
        self.client = client
        self.arms = tuple(arm.name for arm in config.arms)
        self.processes = self._processes()

    def _processes(self) -> dict[str, psutil.Process]:
        card = self.client.card()
        if card is None:
            raise StationError("The station ended during the measurement")
        status = self.client.call("station", "status")
        if status["faults"]:
            raise StationError(f"The station is not in order: {status['faults'][0]}")
        found = {"station": psutil.Process(card.pid)}
        return found | {item["process"]: psutil.Process(item["pid"]) for item in status["processes"]}

    def check(self) -> None:
        """Make sure that all processes have lived since the start and none has a fault.

        Raises:
            StationError: One died or is in trouble.
        """
        now = self._processes()
        gone = [name for name, process in self.processes.items() if now.get(name) != process]
        if gone:
            raise StationError(f"The {gone[0]} process died during the measurement")

    def control(self) -> dict[str, float]:
        """Figures of the control process."""
        return self.client.call("control", "status")["metrics"]

    def cpu_s(self) -> dict[str, float]:
        """Processor time so far, user and system, by process [s]."""
        times = self._of_each(psutil.Process.cpu_times)
        return {name: spent.user + spent.system for name, spent in times.items()}

    def memory_mb(self) -> dict[str, Memory]:
        """Memory by process."""
        sizes = self._of_each(psutil.Process.memory_full_info)
        return {name: Memory(size.rss / MB, size.pss / MB, size.uss / MB) for name, size in sizes.items()}

    def _of_each(self, ask: Callable[[psutil.Process], T]) -> dict[str, T]:
        found: dict[str, T] = {}
        for name, process in self.processes.items():
            try:
                found[name] = ask(process)
            except psutil.NoSuchProcess as error:
                raise StationError(f"The {name} process died during the measurement") from error
        return found

    def prepare(self) -> None:
        """Arms home, a fresh scene."""
        self.client.call("recorder", "prepare", seed=0, timeout_s=_PREPARE_TIMEOUT_S)

    def record(
        self,
        seconds: float,
        memory_every_s: float = 0.0,
        driven: Callable[[], AbstractContextManager[object]] | None = None,
    ) -> Take:
        """Record an episode of a moving robot.

        Args:
            seconds: Its length.
            memory_every_s: How often memory is looked at; 0 never (looking costs processor time).
            driven: Makes the block in which something drives the robot; None for a waving hand.

        Raises:
            StationError: Something failed on the way.
        """
        self.prepare()
        with driven() if driven is not None else waving_hand(self.client, self.arms):
            return self._record(seconds, memory_every_s)

    def _record(self, seconds: float, memory_every_s: float) -> Take:
        pss_mb: dict[str, float] = {}
        missed = self.control().get("missed", 0.0)
        self.client.call("recorder", "record", timeout_s=10.0)
        before, began = self.cpu_s(), time.monotonic()
        while (left_s := began + seconds - time.monotonic()) > 0:
            time.sleep(min(left_s, memory_every_s or left_s))
            if memory_every_s:
                for name, memory in self.memory_mb().items():
                    pss_mb[name] = max(memory.pss_mb, pss_mb.get(name, 0.0))
        after, ended = self.cpu_s(), time.monotonic()
        answer = self.client.call("recorder", "stop", timeout_s=_STOP_TIMEOUT_S)
        stop_ms = (time.monotonic() - ended) * 1e3
        missed = self.control().get("missed", 0.0) - missed
        self.check()
        self.client.call("recorder", "save", timeout_s=10.0)
        return Take(
            path=Path(answer["path"]),
            seconds=ended - began,
            durable_ms=float(answer["stop_to_durable_ms"]),
            stop_ms=stop_ms,
            missed_ticks=missed,
            ended_s=ended,
            cpu_s={name: after[name] - before[name] for name in after},
            pss_mb=pss_mb,
        )


def remove_episode(path: Path) -> None:
    """Delete all files of an episode."""
    for file in _files_of(path):
        file.unlink()


def _files_of(path: Path) -> list[Path]:
    return [*segment_paths(path.parent, path.stem), path]


def bench_config(cameras: str = "synthetic", *, priority: int = 40) -> StationConfig:
    """The station of the benchmarks.

    Args:
        cameras: `synthetic`: a pattern of 640x480 at 30/s that costs next to nothing to make. `sim`: the
            cell's own cameras at the size and rate that this machine can draw.
        priority: SCHED_FIFO priority of control, 0 for normal scheduling.
    """
    config = StationConfig()
    config.station.name = "Benchmark"
    config.simulation.look = "primitive"
    config.simulation.task = TASK
    config.control.realtime_priority = priority
    config.recording.max_episode_s = 86_400.0
    config.recording.autosave_s = 60.0
    config.inputs.gamepad = False
    size = {"width": 640, "height": 480, "fps": 30} if cameras == "synthetic" else {}
    config.cameras = [CameraSection(name=name, driver=cameras, **size) for name in CAMERAS]
    return config


@contextmanager
def bench_station(folder: Path, config: StationConfig) -> Iterator[BenchStation]:
    """Start a station on `folder`, open a session, and stop it at the end.

    Raises:
        StationError: It does not start.
    """
    data = DataDir(folder.resolve()).create()
    data.station_file.write_text(station_text(config), encoding="utf-8")
    with StationProcess(data, data.station_file) as process:
        client = process.wait_ready()
        try:
            client.call("recorder", "open_session", operator="benchmark", task=TASK, timeout_s=20.0)
            yield BenchStation(client, config)
        finally:
            client.close()
