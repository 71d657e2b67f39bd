"""Physics, cameras, control and the scripted operator as real processes, seen from outside."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from devices.sim.barcode import WRAP_US, read_barcode
from recorders.video import H264Decoder
from teleop_app.core.bus import CommandClient, Endpoints, Subscriber
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.config import CameraSection, StationConfig, station_text
from teleop_app.core.errors import BusError, ConfigError
from teleop_app.core.paths import DataDir, make_private, shared_memory_dir
from teleop_app.core.ring import RingReader
from teleop_app.core.types import (
    CameraSetup,
    ControlTick,
    Event,
    FrameNotice,
    ProcessState,
    ProcessStatus,
    TaskStatus,
    VideoPacket,
    WorldState,
)

pytestmark = pytest.mark.system

SIZE = (320, 240)
FPS = 15
PROCESSES = ("simulation", "control", "cameras", "operator")


class Cell:
    """The processes, their messages, and a hand on their commands."""

    def __init__(self, root: Path) -> None:
        cameras = [
            CameraSection(name="overhead", width=SIZE[0], height=SIZE[1], fps=FPS),
            CameraSection(name="left_wrist", width=SIZE[0], height=SIZE[1], fps=FPS),
            CameraSection(name="pattern", driver="synthetic", width=SIZE[0], height=SIZE[1], fps=FPS),
        ]
        config = StationConfig(cameras=cameras)
        config.simulation.look = "primitive"
        config.control.realtime_priority = 0
        self.data = DataDir(root / "data").create()
        self.data.station_file.write_text(station_text(config))
        self.run_dir = make_private(self.data.run_dir())
        self.rings = shared_memory_dir(self.run_dir)
        self.endpoints = Endpoints(self.run_dir)
        self.feed = Subscriber([self.endpoints.publish(name) for name in PROCESSES])
        self.seen: dict[type, list] = defaultdict(list)
        self.processes = {name: self._start(name) for name in PROCESSES}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "teleop_app.app", name, "--data-dir", str(self.data.root)]
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def watch(self, done: Callable[[], object], limit_s: float = 60.0) -> None:
        deadline = time.monotonic() + limit_s
        while not done():
            assert time.monotonic() < deadline, f"not seen in {limit_s} s; logs: {self.logs()}"
            self.feed.wait(0.05)
            for _, value in self.feed.drain():
                self.seen[type(value)].append(value)

    def call(self, process: str, command: str, **args: object) -> dict:
        client = CommandClient(self.endpoints.command(process), process)
        try:
            return client.call(command, timeout_s=20.0, **args)
        finally:
            client.close()

    def status(self, name: str) -> ProcessStatus | None:
        return next((s for s in reversed(self.seen[ProcessStatus]) if s.process == name), None)

    def packets(self, camera: str) -> list[VideoPacket]:
        return [packet for packet in self.seen[VideoPacket] if packet.camera == camera]

    def logs(self) -> str:
        return " | ".join(file.read_text()[-400:] for file in sorted(self.data.logs.glob("*.log")))

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.feed.close()
        shutil.rmtree(self.rings, ignore_errors=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    root = Path(tempfile.mkdtemp(prefix="cell"))
    cell = Cell(root)
    try:
        cell.watch(lambda: cell.seen[WorldState] and cell.seen[ControlTick])
        cell.watch(
            lambda: all(len(cell.packets(name)) > 20 for name in ("overhead", "left_wrist", "pattern"))
        )
        cell.watch(lambda: cell.status("operator"))
        yield cell
    finally:
        cell.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_simulation_process_maps_physics_time_onto_host_time(cell: Cell) -> None:
    worlds = cell.seen[WorldState]
    seqs = [world.seq for world in worlds]
    assert seqs == sorted(set(seqs))
    offsets = np.array([world.capture_ns - round(world.sim_time_s * NS_PER_S) for world in worlds])
    status = cell.status("simulation")
    assert status is not None
    # The line is straight except where the machine was too slow, and then it says by how much.
    assert (np.diff(offsets) >= 0).all()
    assert offsets[-1] - offsets[0] <= status.metrics["lost_s"] * NS_PER_S + 1


def test_simulated_frames_carry_the_physics_time_of_their_stamp(cell: Cell) -> None:
    """True synchronisation: barcode against the physics time of the same host time, through the video."""
    worlds = cell.seen[WorldState]
    host = np.array([world.capture_ns for world in worlds])
    physics_us = np.array([world.sim_time_s * 1e6 for world in worlds])
    for camera in ("overhead", "left_wrist"):
        decoder = H264Decoder(*SIZE)
        checked = 0
        for packet in cell.packets(camera):
            if checked == 0 and not packet.keyframe:
                continue
            shown_us = read_barcode(decoder.decode(packet.payload))
            assert shown_us is not None
            checked += 1
            if host[0] <= packet.capture_ns <= host[-1]:
                nearest = int(np.abs(host - packet.capture_ns).argmin())
                stamped_us = physics_us[nearest] + (packet.capture_ns - host[nearest]) / 1000
                assert shown_us == pytest.approx(stamped_us, abs=1.0)
        assert checked > 10


def test_cameras_of_an_instant_share_its_index_and_capture_time(cell: Cell) -> None:
    by_seq: dict[int, set[int]] = defaultdict(set)
    for name in ("overhead", "left_wrist"):
        for packet in cell.packets(name):
            by_seq[packet.seq].add(packet.capture_ns)
    assert all(len(stamps) == 1 for stamps in by_seq.values())
    for packet in cell.packets("pattern"):
        assert abs(packet.capture_ns - packet.seq * NS_PER_S / FPS) < 2


def test_lost_frames_are_the_gaps_of_the_indices(cell: Cell) -> None:
    for name in ("overhead", "pattern"):
        seqs = [packet.seq for packet in cell.packets(name)]
        assert seqs == sorted(set(seqs))
        gaps = seqs[-1] - seqs[0] + 1 - len(seqs)
        status = cell.call("cameras", "status")["cameras"]
        lost = next(camera["lost"] for camera in status if camera["name"] == name)
        assert gaps <= lost


def test_the_ring_has_the_pixels_that_the_notice_tells_of(cell: Cell) -> None:
    setup = next(setup for setup in cell.seen[CameraSetup] if setup.name == "pattern")
    assert (setup.width, setup.height, setup.fps) == (*SIZE, FPS)
    record = RingReader(Path(setup.ring)).latest()
    assert record is not None
    image = np.frombuffer(record.payload, np.uint8).reshape(setup.height, setup.width, 3)
    assert read_barcode(image) == record.stamp_ns // 1000 % WRAP_US
    assert any(notice.camera == "pattern" for notice in cell.seen[FrameNotice])


def test_a_keyframe_can_be_asked_for(cell: Cell) -> None:
    promised = cell.call("cameras", "keyframe")["seq"]
    cell.watch(lambda: cell.packets("overhead")[-1].seq > promised["overhead"] + 2)
    for name, seq in promised.items():
        after = [packet for packet in cell.packets(name) if packet.seq >= seq]
        assert after[0].keyframe


def test_scenes_are_set_and_refused_over_the_bus(cell: Cell) -> None:
    tasks = {task["name"] for task in cell.call("simulation", "tasks")["tasks"]}
    assert {"pick-place", "hand-over", "peg-insert", "belt-pick"} <= tasks
    answer = cell.call("simulation", "reset", task="pick-place", seed=11)
    cell.watch(lambda: cell.seen[TaskStatus][-1].scene == answer["scene"])
    assert cell.seen[TaskStatus][-1].instruction == answer["instruction"]
    assert cell.seen[Event][-1].kind == "scene.reset"
    with pytest.raises(ConfigError, match="no task 'juggle'"):
        cell.call("simulation", "reset", task="juggle")
    with pytest.raises(BusError, match="refused"):
        cell.call("simulation", "reset", colour="red")


def test_the_scripted_operator_solves_a_task_through_all_processes(cell: Cell) -> None:
    answer = cell.call("simulation", "reset", task="pick-place", seed=12)
    cell.watch(lambda: cell.seen[TaskStatus][-1].scene == answer["scene"])
    cell.call("operator", "go", now=True)
    cell.watch(lambda: cell.seen[ControlTick][-1].source == "scripted")
    cell.watch(lambda: any(event.kind == "task.success" for event in cell.seen[Event]), limit_s=90.0)
    cell.watch(lambda: cell.seen[ControlTick][-1].source == "")
    assert cell.call("operator", "status")["state"] == "done"


def test_a_killed_simulation_is_a_sentence_of_the_cameras_and_comes_back(cell: Cell) -> None:
    """Run last but one: it kills a process."""
    cell.processes["simulation"].send_signal(signal.SIGKILL)
    cell.processes["simulation"].wait()

    def says() -> bool:
        status = cell.status("cameras")
        return status is not None and "nothing new" in status.text

    cell.watch(says)
    frames = len(cell.packets("overhead"))
    cell.processes["simulation"] = cell._start("simulation")
    cell.watch(lambda: not says() and len(cell.packets("overhead")) > frames + 10)


def test_every_process_stops_in_order_when_told_to(cell: Cell) -> None:
    """Run last: it ends them."""
    for process in cell.processes.values():
        process.terminate()
    assert [process.wait(20.0) for process in cell.processes.values()] == [0] * len(PROCESSES)
    cell.watch(
        lambda: all(
            status is not None and status.state is ProcessState.STOPPED
            for status in map(cell.status, ("simulation", "cameras", "operator"))
        ),
        limit_s=5.0,
    )
    assert not any(os.path.exists(f"/proc/{process.pid}/exe") for process in cell.processes.values())
