"""The recording path on pictures of a bank, with a stand-in for control; or the whole station."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.camera_bank import DRIVER
from benchmarks.hand import waving_hand
from benchmarks.rig import CAMERAS, TASK, bench_config
from benchmarks.tree import PeakMemory
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.errors import StationError, TeleopError
from teleop_app.core.paths import DataDir, shared_memory_dir
from teleop_app.station.client import StationClient
from teleop_app.station.process import take_last_words

COUNTED = ("cameras", "recorder")
"""Processes whose cost is the cost of recording; the others only bring samples."""
_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_PREPARE_TIMEOUT_S = 60.0
_ARMS = tuple(arm.name for arm in StationConfig().arms)
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class PathTake:
    """One recorded episode.

    Attributes:
        path: Its file.
        seconds: From the answer to `record` to the call of `stop`.
        stop_ms: What the caller of `stop` waited.
        durable_ms: By the recorder's own clock.
        loop_cpu_s: Of the counted processes while recording.
        save_cpu_s: Of the recorder from `stop` until a second later.
        control: What the stand-in for control paid; empty for a whole station.
        control_cpu_s: Processor time of control while recording, making the ticks included.
        peak_mb: Largest PSS of the counted processes together.
    """

    path: Path
    seconds: float
    stop_ms: float
    durable_ms: float
    loop_cpu_s: float
    save_cpu_s: float
    control: dict[str, Any]
    control_cpu_s: float
    peak_mb: float


class RecordingPath:
    """The running processes, by name.

    Args:
        client: Reaches them.
        processes: All of them.
        whole: They are a whole station, and all of them count.
    """

    def __init__(
        self, client: StationClient, processes: dict[str, subprocess.Popen[bytes]], *, whole: bool
    ) -> None:
        self.client = client
        self.processes = processes
        self._whole = whole
        self._counted = tuple(processes) if whole else COUNTED

    def record(self, seconds: float) -> PathTake:
        """Record an episode in real time.

        Raises:
            TeleopError: The recorder refuses, or a process died.
        """
        if self._whole:
            self.client.call("recorder", "prepare", seed=0, timeout_s=_PREPARE_TIMEOUT_S)
        with waving_hand(self.client, _ARMS) if self._whole else nullcontext():
            return self._record(seconds)

    def _record(self, seconds: float) -> PathTake:
        with PeakMemory(lambda: [self.processes[name].pid for name in self._counted]) as memory:
            self.client.call("recorder", "record", timeout_s=20.0)
            if not self._whole:
                self.client.call("control", "begin")
            before, control_before, began = self._cpu_s(), self._cpu_of("control"), time.monotonic()
            time.sleep(seconds)
            control_cpu_s = self._cpu_of("control") - control_before
            after, recorder_before, ended = self._cpu_s(), self._cpu_of("recorder"), time.monotonic()
            answer = self.client.call("recorder", "stop", timeout_s=_STOP_TIMEOUT_S)
            stop_ms = (time.monotonic() - ended) * 1e3
            control = {} if self._whole else self.client.call("control", "costs")
            time.sleep(_SETTLE_S)
            save_cpu_s = self._cpu_of("recorder") - recorder_before
        self.client.call("recorder", "save", timeout_s=10.0)
        return PathTake(
            path=Path(answer["path"]),
            seconds=ended - began,
            stop_ms=stop_ms,
            durable_ms=float(answer["stop_to_durable_ms"]),
            loop_cpu_s=after - before,
            save_cpu_s=save_cpu_s,
            control=control,
            control_cpu_s=control_cpu_s,
            peak_mb=memory.peak_mb,
        )

    def _cpu_s(self) -> float:
        return sum(self._cpu_of(name) for name in self._counted)

    def _cpu_of(self, name: str) -> float:
        try:
            spent = psutil.Process(self.processes[name].pid).cpu_times()
        except psutil.NoSuchProcess as error:
            raise StationError(f"The {name} process died during the measurement") from error
        return spent.user + spent.system

    def kill(self) -> None:
        """SIGKILL to every process at once, as a power cut would end them."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()


def path_config() -> StationConfig:
    """The station file of the path: three cameras of a bank, nothing simulated."""
    config = StationConfig()
    config.station.name = "Benchmark"
    config.recording.max_episode_s = 86_400.0
    config.recording.autosave_s = 60.0
    config.inputs.gamepad = False
    for arm in config.arms:
        arm.follower = "benchmark"
    config.cameras = [
        CameraSection(name=name, driver=DRIVER, width=640, height=480, fps=30) for name in CAMERAS
    ]
    return config


def whole_config() -> StationConfig:
    """The station file of the benchmarks, with cameras of a bank."""
    config = bench_config()
    for camera in config.cameras:
        camera.driver = DRIVER
    return config


@contextmanager
def recording_path(
    folder: Path, bank: Path, config: StationConfig | None = None, *, whole: bool = False
) -> Iterator[RecordingPath]:
    """Start the path on `folder` with a session open, and end it.

    Args:
        folder: The store.
        bank: Pictures.
        config: Station file, else the one that fits.
        whole: Also physics, the real control loop, and the operator's process, as a station has them.

    Raises:
        TeleopError: A process does not start.
    """
    data = DataDir(folder.resolve()).create()
    config = config or (whole_config() if whole else path_config())
    data.station_file.write_text(station_text(config), encoding="utf-8")
    common = ["--data-dir", str(data.root)]
    ours = {name: ["benchmarks.path_process", name, "--bank", str(bank)] for name in ("cameras", "control")}
    stations = ("recorder", "simulation", "control", "operator") if whole else ("recorder",)
    words = ours | {name: ["teleop_app.app", name, "--station", str(data.station_file)] for name in stations}
    processes = {
        name: subprocess.Popen(
            [sys.executable, "-m", *argv, *common], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for name, argv in words.items()
    }
    client = StationClient(data)
    path = RecordingPath(client, processes, whole=whole)
    try:
        _wait_ready(path, data)
        client.call("recorder", "open_session", operator="benchmark", task=TASK, timeout_s=30.0)
        yield path
    finally:
        client.close()
        _end(processes)
        for place in (shared_memory_dir(data.run_dir()), data.run_dir()):
            shutil.rmtree(place, ignore_errors=True)


def _wait_ready(path: RecordingPath, data: DataDir) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    waiting = {"recorder": "status", "cameras": "status", "control": "status"}
    while waiting:
        for name, process in path.processes.items():
            if process.poll() is not None:
                said = take_last_words(data.run_dir(), name)
                raise StationError(said or f"The {name} process ended with code {process.returncode}")
        for name, command in list(waiting.items()):
            try:
                answer = path.client.call(name, command, timeout_s=1.0)
            except TeleopError:
                continue
            if name != "cameras" or all(each["rate_hz"] > 0 for each in answer["cameras"]):
                del waiting[name]
        if time.monotonic() > deadline:
            raise StationError(f"The {next(iter(waiting), '')} process does not answer")
        time.sleep(0.1)


def _end(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        process.terminate()
    for process in processes.values():
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
