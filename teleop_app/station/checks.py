"""Is everything fit to record? Checks of the environment (`teleop doctor`) and of a running station."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import av.error
from av.codec import Codec

from teleop_app.core.config import StationConfig, load_station
from teleop_app.core.errors import TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import ProcessState, ProcessStatus, StationStatus

_PACKAGES = (
    "PyQt6",
    "mujoco",
    "mink",
    "numpy",
    "opencv-python-headless",
    "av",
    "pyzmq",
    "SQLAlchemy",
    "mcap",
)
SLOW_FSYNC_MS = 50.0
LATE_P99_MS = 2.5
"""Half a tick at 200 Hz."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, how it is, and what to do if it is not well."""

    name: str
    level: Level
    text: str
    remedy: str = ""


def has_display() -> bool:
    """Whether windows can open: always on Windows and macOS, else when a display server is named."""
    named = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.platform in ("win32", "darwin") or bool(named)


def environment_checks(data: DataDir) -> Iterator[Check]:
    """Checks that need no running station; yielded as they are made."""
    yield Check("Python", Level.OK, f"{platform.python_version()} on {platform.platform()}")
    yield Check("Packages", Level.OK, ", ".join(f"{p} {importlib.metadata.version(p)}" for p in _PACKAGES))
    yield _display()
    yield _library("OpenGL", "GL", "libgl1")
    yield _library("Offscreen rendering", "EGL", "libegl1")
    yield _h264()
    yield _realtime()
    yield _store(data)
    yield _disk_speed(data)
    yield _shared_memory()
    yield _station_file(data.station_file)


def preflight_checks(status: StationStatus, config: StationConfig) -> list[Check]:
    """Checks of a running station, in the order an operator cares."""
    processes = {p.process: p for p in status.processes}
    checks = [_process(p) for p in status.processes]
    if (control := processes.get("control")) is not None and control.state is ProcessState.RUNNING:
        checks.append(_control_rate(control, config))
    if (cameras := processes.get("cameras")) is not None and cameras.state is ProcessState.RUNNING:
        checks += [_camera(cameras, camera.name) for camera in config.cameras]
    free_mb = status.disk_free_bytes / 1e6
    enough = free_mb > 4 * config.recording.headroom_mb
    level = Level.OK if enough else Level.WARNING if free_mb > config.recording.headroom_mb else Level.FAILURE
    remedy = "" if enough else "Free space, or move the data directory"
    checks.append(Check("Disk", level, f"{free_mb / 1000:.1f} GB free", remedy))
    return checks


def worst(checks: list[Check]) -> Level:
    """The worst level among `checks`."""
    levels = {check.level for check in checks}
    return next((level for level in (Level.FAILURE, Level.WARNING) if level in levels), Level.OK)


def _process(status: ProcessStatus) -> Check:
    name = f"{status.process.capitalize()} process"
    if status.state is ProcessState.RUNNING:
        level = Level.WARNING if status.text else Level.OK
        return Check(name, level, status.text or "running")
    if status.state is ProcessState.STARTING:
        return Check(name, Level.WARNING, "starting", "Wait a few seconds")
    return Check(name, Level.FAILURE, status.text or "not running", "Press Restart, or see its log")


def _control_rate(control: ProcessStatus, config: StationConfig) -> Check:
    rate = control.metrics.get("rate_hz", 0.0)
    late = control.metrics.get("late_p99_ms", 0.0)
    text = f"{rate:.0f} Hz of {config.control.rate_hz}, p99 late by {late:.2f} ms"
    if rate < 0.97 * config.control.rate_hz:
        return Check("Control rate", Level.FAILURE, text, "Close other programs, or lower control.rate_hz")
    if late > LATE_P99_MS:
        remedy = "Close other programs, or grant real-time rights (see `teleop doctor`)"
        return Check("Control rate", Level.WARNING, text, remedy)
    return Check("Control rate", Level.OK, text)


def _camera(cameras: ProcessStatus, name: str) -> Check:
    fps = cameras.metrics.get(f"fps_{name}", 0.0)
    lost = cameras.metrics.get(f"lost_{name}", 0.0)
    text = f"{fps:.1f} frames/s, {lost:.0f} lost since start"
    if fps <= 0:
        return Check(
            f"Camera {name}", Level.FAILURE, text, "Check the camera and its cable, then restart cameras"
        )
    return Check(f"Camera {name}", Level.OK, text)


def _display() -> Check:
    if has_display():
        return Check("Display", Level.OK, "present")
    return Check(
        "Display", Level.WARNING, "none: the windows cannot open", "Use `teleop record`, or set DISPLAY"
    )


def _library(name: str, library: str, package: str) -> Check:
    if sys.platform != "linux" or ctypes.util.find_library(library):
        return Check(name, Level.OK, f"lib{library} found")
    return Check(name, Level.FAILURE, f"lib{library} is missing", f"apt-get install {package}")


def _h264() -> Check:
    try:
        Codec("libx264", "w")
    except (av.error.FFmpegError, ValueError) as error:
        return Check(
            "H.264 encoder", Level.FAILURE, f"libx264 is missing ({error})", "Reinstall the package av"
        )
    return Check("H.264 encoder", Level.OK, "libx264")


def _realtime() -> Check:
    if not hasattr(os, "sched_setscheduler"):
        return Check(
            "Real-time scheduling",
            Level.WARNING,
            "not offered by this system; control runs at normal priority",
        )
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, *before)
    except PermissionError:
        remedy = "Add `@realtime - rtprio 60` to /etc/security/limits.d/ for your group and log in anew"
        return Check(
            "Real-time scheduling", Level.WARNING, "not allowed; control runs at normal priority", remedy
        )
    return Check("Real-time scheduling", Level.OK, "SCHED_FIFO allowed")


def _store(data: DataDir) -> Check:
    try:
        data.create()
    except TeleopError as error:
        return Check("Data directory", Level.FAILURE, error.what, error.next_step)
    free_gb = shutil.disk_usage(data.root).free / 1e9
    level = Level.OK if free_gb > 2 else Level.WARNING
    return Check(
        "Data directory", level, f"{data.root}, {free_gb:.1f} GB free", "" if free_gb > 2 else "Free space"
    )


def _disk_speed(data: DataDir) -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=data.root) as file:
            durations_ms = []
            for _ in range(5):
                file.write(bytes(65536))
                file.flush()
                start = time.perf_counter()
                os.fsync(file.fileno())
                durations_ms.append((time.perf_counter() - start) * 1e3)
    except OSError as error:
        return Check("Disk sync", Level.FAILURE, f"fsync fails: {error.strerror}", "Check the disk")
    median_ms = sorted(durations_ms)[2]
    slow = median_ms > SLOW_FSYNC_MS
    remedy = "Use a local SSD for the data directory" if slow else ""
    return Check("Disk sync", Level.WARNING if slow else Level.OK, f"fsync takes {median_ms:.1f} ms", remedy)


def _shared_memory() -> Check:
    memory = Path("/dev/shm")  # noqa: S108 - the documented place of POSIX shared memory
    if not memory.is_dir():
        return Check("Shared memory", Level.OK, "files in the run directory")
    free_mb = shutil.disk_usage(memory).free / 1e6
    level = Level.OK if free_mb > 64 else Level.FAILURE
    remedy = "" if free_mb > 64 else "Enlarge /dev/shm (containers: --shm-size=256m)"
    return Check("Shared memory", level, f"{free_mb:.0f} MB free in /dev/shm", remedy)


def _station_file(path: Path) -> Check:
    if not path.exists():
        return Check("Station file", Level.OK, f"none yet at {path}: the simulated cell is the default")
    try:
        config = load_station(path)
    except TeleopError as error:
        return Check(
            "Station file",
            Level.FAILURE,
            error.what + (f": {error.why}" if error.why else ""),
            error.next_step,
        )
    return Check("Station file", Level.OK, f"{config.station.name!r}, {len(config.cameras)} cameras")
