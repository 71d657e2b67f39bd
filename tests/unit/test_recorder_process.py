"""The recorder process against hand-published messages of the other processes, on real sockets."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorders.durability import SystemCalls
from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, synthetic_image, synthetic_tick
from recorders.synthetic_autonomy import FIRST_TAKEOVER, POLICY, VERSION, rollout_tick, synthetic_chunk
from recorders.video import H264Encoder, is_keyframe
from recorders.writer import EpisodeWriter
from sessions.repository import open_catalog
from sessions.rows import Author
from sessions.states import EpisodeState, Outcome
from teleop_app.core.bus import CommandClient, CommandServer, Endpoints, Publisher, Subscriber
from teleop_app.core.config import CameraSection, RecordingSection, StationConfig
from teleop_app.core.errors import StationError, StorageError, TeleopError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import (
    AutonomyPhase,
    CameraSetup,
    ControlTick,
    Event,
    PolicyState,
    PolicyStatus,
    ProcessState,
    ProcessStatus,
    RecorderState,
    RecorderStatus,
    StationStatus,
    StreamBatch,
    StreamSetup,
    TaskStatus,
    VideoPacket,
    WorldState,
)
from teleop_app.station.process import ProcessContext
from teleop_app.station.recorder import RecorderProcess

CAMERAS = ("overhead", "left_wrist")
FPS = 30


class FakeStation:
    """Control, simulation and cameras as seen from the recorder, stepped by hand in one thread."""

    def __init__(self, data: DataDir, run_dir: Path, **recording: Any) -> None:
        self.config = StationConfig(
            cameras=[CameraSection(name=name) for name in CAMERAS],
            recording=RecordingSection(**{"autosave_s": 60.0, "headroom_mb": 10, **recording}),
        )
        self.endpoints = Endpoints(run_dir)
        self.data = data
        self.context = ProcessContext("recorder", self.config, data, self.endpoints, run_dir)
        self.publishers = {
            name: Publisher(self.endpoints.publish(name))
            for name in ("control", "simulation", "cameras", "policy")
        }
        self.homes = 0
        self.home_ends = "control.homed"
        self.resets: list[dict[str, Any]] = []
        self.keyframes = 0
        self.servers = [
            CommandServer(self.endpoints.command("control"), {"home": self._home}),
            CommandServer(self.endpoints.command("simulation"), {"reset": self._reset, "tasks": self._tasks}),
            CommandServer(self.endpoints.command("cameras"), {"keyframe": self._keyframe}),
        ]
        self.status: RecorderStatus | None = None
        self.events: list[Event] = []
        self.header = synthetic_header(CAMERAS, 64, 48, FPS)
        self.success = False
        self.seed = 0
        self.frame = 0
        self.tick = 0
        self.live = {"control", "cameras"}
        self.phase: AutonomyPhase | None = None
        self.chunk = synthetic_chunk(self.header, 1, time.monotonic_ns())
        self._encoders = {name: H264Encoder(64, 48, FPS, keyframe_frames=10) for name in CAMERAS}
        self._force_keyframe = dict.fromkeys(CAMERAS, False)
        self.recorder = RecorderProcess(self.context)
        self.recorder.open()
        self.feed = Subscriber([self.endpoints.publish("recorder")])
        self.client = CommandClient(self.endpoints.command("recorder"), "recorder")
        self.settle(lambda: len(self.recorder._work.sources.cameras) == 2)

    def _home(self) -> None:
        self.homes += 1
        self._event("control", self.home_ends)

    def _reset(self, task: str | None, seed: int | None) -> dict[str, Any]:
        self.resets.append({"task": task, "seed": seed})
        self.seed, self.success = seed or 0, False
        return {
            "scene": 1,
            "task": task or "",
            "seed": self.seed,
            "instruction": "Stack",
            "paraphrases": ["Pile"],
        }

    def propose(self, number: int) -> None:
        """A chunk of the policy arrives, and control acts by it."""
        now_ns = time.monotonic_ns()
        chunk = replace(synthetic_chunk(self.header, number, now_ns), made_ns=now_ns, observation_ns=now_ns)
        self.publishers["policy"].send("chunk", chunk)
        self.chunk = chunk

    def _tasks(self) -> dict[str, Any]:
        return {"tasks": [{"name": "stack", "instruction": "Stack the cubes", "paraphrases": []}]}

    def _keyframe(self) -> dict[str, Any]:
        self.keyframes += 1
        self._force_keyframe = dict.fromkeys(CAMERAS, True)
        return {"seq": {}}

    def _event(self, origin: str, kind: str, **fields: object) -> None:
        now_ns = time.monotonic_ns()
        text = "The arms did not get home: something is in the way." if kind.endswith("failed") else ""
        self.publishers[origin].send("event", Event(kind, now_ns, origin, text, fields))

    def button(self, name: str) -> None:
        self._event("control", "input.button", button=name, source="keyboard")

    def send(self) -> None:
        """What all processes send at one camera instant: 7 ticks, a world, two frames."""
        now_ns = time.monotonic_ns()
        if "control" in self.live:
            for _ in range(7):
                tick = synthetic_tick(self.header, self.tick, now_ns - 35_000_000 - self.tick * 5_000_000)
                if self.phase is not None:
                    takeover = 0 if self.phase is AutonomyPhase.POLICY else FIRST_TAKEOVER
                    tick = rollout_tick(tick, self.phase, takeover, self.chunk, self.tick * 5_000_000)
                self.publishers["control"].send("tick", _at(tick, time.monotonic_ns()))
                self.tick += 1
        world = WorldState(self.frame, now_ns, self.frame / FPS, np.arange(5.0))
        self.publishers["simulation"].send("world", world)
        task = TaskStatus("stack", self.seed, 1, "Stack", self.success, False, now_ns)
        self.publishers["simulation"].send("task", task)
        if "cameras" in self.live:
            for number, name in enumerate(CAMERAS):
                self._send_frame(number, name, now_ns)
        self.frame += 1

    def pump(self, instants: int = 1) -> None:
        """Camera instants, with a turn of the recorder after each."""
        for _ in range(instants):
            self.send()
            for server in self.servers:
                server.serve()
            self.recorder.turn()
            self._listen()

    def _send_frame(self, number: int, name: str, now_ns: int) -> None:
        image = synthetic_image(number, self.frame, 64, 48)
        payload = self._encoders[name].encode(image, self._force_keyframe[name])
        self._force_keyframe[name] = False
        packet = VideoPacket(name, self.frame, now_ns, now_ns + 1000, is_keyframe(payload), 64, 48, payload)
        self.publishers["cameras"].send("camera", self.setup(name))
        self.publishers["cameras"].send(f"video/{name}", packet)

    def setup(self, name: str) -> CameraSetup:
        return CameraSetup(name, 64, 48, FPS, "libx264", "", np.eye(3).reshape(-1), "world", np.zeros(7))

    def _listen(self) -> None:
        for _, value in self.feed.drain():
            if isinstance(value, RecorderStatus):
                self.status = value
            elif isinstance(value, Event):
                self.events.append(value)

    def settle(self, done: Callable[[], bool], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not done():
            assert time.monotonic() < deadline, "the recorder did not get there"
            self.pump()

    def call(self, command: str, **args: Any) -> dict[str, Any]:
        """Call a command while this thread plays all other processes."""
        answer: list[Any] = []

        def run() -> None:
            try:
                answer.append(self.client.call(command, timeout_s=20.0, **args))
            except TeleopError as error:
                answer.append(error)

        thread = threading.Thread(target=run)
        # handlers that wait for other processes pump the recorder themselves: serve those from a thread
        ending = threading.Event()

        def serve() -> None:
            while not ending.wait(0.002):
                for server in self.servers:
                    server.serve()

        server = threading.Thread(target=serve)
        thread.start()
        server.start()
        while thread.is_alive():
            self.recorder.turn()
        ending.set()
        server.join()
        thread.join()
        self._listen()
        if isinstance(answer[0], TeleopError):
            raise answer[0]
        return answer[0]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def close(self) -> None:
        self.recorder.close()
        self.client.close()
        self.feed.close()
        for item in (*self.servers, *self.publishers.values()):
            item.close()


def _at(tick: ControlTick, now_ns: int) -> ControlTick:
    return replace(tick, tick_ns=now_ns, due_ns=now_ns - 1000, sent_ns=now_ns + 500, measured_ns=now_ns - 500)


@pytest.fixture
def run_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def station(tmp_path: Path, run_dir: Path) -> Iterator[FakeStation]:
    fake = FakeStation(DataDir(tmp_path / "data"), run_dir)
    yield fake
    fake.close()


def opened(station: FakeStation) -> None:
    station.call("open_session", operator="Ada", task="stack")


def test_arms_that_do_not_get_home_are_told_at_once(station: FakeStation) -> None:
    opened(station)
    station.home_ends = "control.home_failed"
    with pytest.raises(StationError, match="something is in the way. Prepare the scene again"):
        station.call("prepare", seed=4)
    assert station.resets == []
    station.home_ends = "control.homed"
    assert station.call("prepare", seed=4)["seed"] == 4


def test_an_episode_from_session_to_saved_row(station: FakeStation) -> None:
    opened(station)
    assert station.call("prepare", seed=4) == {"seed": 4, "instruction": "Stack"}
    assert station.homes == 1
    assert station.resets == [{"task": "stack", "seed": 4}]
    station.pump(2)
    uuid = station.call("record")["episode"]
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 20)
    assert station.keyframes == 1
    station.success = True
    station.pump(3)
    done = station.call("stop")
    assert done["episode"] == uuid
    station.settle(lambda: station.status is not None and station.status.countdown_s > 0)
    assert station.status is not None
    assert station.status.elapsed_s == pytest.approx(done["duration_s"])
    station.call("hold_verdict")
    station.settle(lambda: station.status is not None and station.status.countdown_s < 0)
    assert Path(done["path"]) == station.data.episodes / f"{uuid}.mcap"
    with open_catalog(station.data.root, Author.process("test")) as catalog:
        row = catalog.episode(uuid)
        assert row is not None
        assert (row.state, row.outcome, row.seed) == (EpisodeState.PENDING, Outcome.SUCCESS, 4)
        assert (row.operator, row.task, row.instruction) == ("Ada", "stack", "Stack")
        picture = catalog.thumbnail(uuid)
        assert picture is not None
        assert picture.image[:2] == b"\xff\xd8"
        station.call("save")
        saved = catalog.episode(uuid)
        assert saved is not None
        assert saved.state is EpisodeState.SAVED
    with EpisodeReader(Path(done["path"])) as reader:
        first, second = (reader.video(name) for name in CAMERAS)
        assert first.keyframe[0]
        assert first.seq[0] == second.seq[0]
        assert abs(len(first.seq) - len(second.seq)) <= 1
        assert len(reader.joints("measured").capture_ns) > 100
        assert b"[station]\n" in reader.attachments["station.toml"]
        assert reader.header.paraphrases == ("Pile",)
    assert {"recorder.started", "recorder.stopped", "recorder.saved"} <= set(station.kinds())


def test_buttons_drive_the_flow_and_redo_records_the_same_scene(station: FakeStation) -> None:
    opened(station)
    station.button("record")
    station.settle(lambda: station.status is not None and station.status.state is RecorderState.RECORDING)
    station.pump(5)
    station.button("record")
    station.settle(lambda: station.status is not None and station.status.state is RecorderState.REVIEW)
    first = station.status.episode if station.status else ""
    station.button("redo")
    station.settle(
        lambda: (
            station.status is not None
            and station.status.state is RecorderState.RECORDING
            and station.status.episode != first
        )
    )
    assert station.resets[-1]["seed"] == station.seed
    station.button("discard")
    station.settle(
        lambda: "recorder.stopped" in station.kinds()[-3:] or station.kinds().count("recorder.discarded") == 2
    )
    station.button("undo")
    station.settle(lambda: "recorder.restored" in station.kinds())
    station.settle(lambda: station.status is not None and station.status.state is RecorderState.REVIEW)


def test_requests_that_do_not_fit_are_refused_with_sentences(station: FakeStation) -> None:
    with pytest.raises(StationError, match="no session is open"):
        station.call("record")
    opened(station)
    with pytest.raises(StationError, match="There is nothing to save: nothing is being recorded"):
        station.call("save")
    station.call("record")
    with pytest.raises(StationError, match="an episode is being recorded"):
        station.call("record")
    with pytest.raises(StationError, match="Stop it first"):
        station.call("close_session")


def test_cameras_that_die_leave_a_gap_and_a_kept_episode(station: FakeStation) -> None:
    opened(station)
    station.call("record")
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    station.live.discard("cameras")
    station.settle(lambda: "recorder.gap" in station.kinds())
    done = station.call("stop")
    assert min(done["lost"].values()) > 5
    with EpisodeReader(Path(done["path"])) as reader:
        assert reader.footer is not None
        assert any("Nothing came from camera overhead" in text for text in reader.footer.lost_reasons)
        assert any(event.kind == "recorder.gap" for event in reader.events())


def test_too_little_space_is_said_before_the_start(station: FakeStation) -> None:
    station.config.recording.headroom_mb = 1_000_000
    opened(station)
    free = shutil.disk_usage(station.data.root).free
    if free > 1_000_000 << 20:
        pytest.skip("this disk is too large to be too small")
    with pytest.raises(StorageError, match="MB are wanted"):
        station.call("record")


def test_a_station_that_stops_keeps_the_open_episode(station: FakeStation) -> None:
    opened(station)
    uuid = station.call("record")["episode"]
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    station.recorder.close()
    with open_catalog(station.data.root, Author.process("test")) as catalog:
        row = catalog.episode(uuid)
    assert row is not None
    assert "The station was stopped during the recording." in row.recovery_loss


def test_a_full_disk_closes_the_episode_as_truncated(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(station)
    uuid = station.call("record")["episode"]
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    usage = shutil.disk_usage(station.data.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    station.settle(lambda: station.status is not None and station.status.state is RecorderState.FAULT)
    assert station.status is not None
    assert "16 MB are free" in station.status.text
    assert "kept" in station.status.text
    with EpisodeReader(station.data.episodes / f"{uuid}.mcap") as reader:
        assert reader.footer is not None
        assert reader.footer.truncated
    monkeypatch.undo()
    station.call("record")


def test_a_crash_is_recovered_at_the_next_start(tmp_path: Path, run_dir: Path) -> None:
    station = FakeStation(DataDir(tmp_path / "data"), run_dir)
    opened(station)
    uuid = station.call("record")["episode"]
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 20)
    recording = station.recorder._work.recording
    assert recording is not None
    recording.writer.abandon()  # what SIGKILL leaves: the file as it is on the disk
    station.recorder._work.recording = None
    station.close()
    again = FakeStation(station.data, run_dir)
    try:
        again.settle(lambda: again.status is not None and "was recovered" in again.status.text)
        with open_catalog(again.data.root, Author.process("test")) as catalog:
            row = catalog.episode(uuid)
        assert row is not None
        assert row.recovered
        assert "cut off by a crash" in row.recovery_loss
    finally:
        again.close()


def episode_of(station: FakeStation) -> EpisodeReader:
    """A short episode, recorded now."""
    uuid = station.call("record")["episode"]
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 30)
    station.call("stop")
    return EpisodeReader(station.data.episodes / f"{uuid}.mcap")


def test_an_episode_keeps_the_moments_before_its_key(station: FakeStation) -> None:
    station.config.recording.preroll_s = 0.3
    station.config.recording.keyframe_frames = 300  # keeps more: this station may be slower than 30 Hz
    opened(station)

    def kept() -> bool:
        wanted_ns = time.monotonic_ns() - 300_000_000
        packets = station.recorder._feed.packets()
        old = {item.camera for item in packets if item.keyframe and item.capture_ns <= wanted_ns}
        return old == set(CAMERAS) and station.status is not None and station.status.preroll_s == 0.3

    station.settle(kept)
    with episode_of(station) as reader:
        start_ns = reader.header.start_ns
        first, second = (reader.video(name) for name in CAMERAS)
        assert first.keyframe[0]
        assert first.seq[0] == second.seq[0]
        assert first.capture_ns[0] <= start_ns - 300_000_000
        ticks = reader.joints("sent").capture_ns
        assert first.capture_ns[0] <= ticks[0] < first.capture_ns[1]
        assert reader.footer is not None
        assert not reader.footer.lost
        started = next(event for event in reader.events() if event.kind == "recorder.started")
        assert started.capture_ns == start_ns
        again = first.keyframe & (first.capture_ns >= start_ns)
        assert again.any(), "the cameras were asked for a keyframe at the key"


def test_nothing_of_the_episode_before_or_of_another_scene_gets_into_the_next(station: FakeStation) -> None:
    opened(station)
    station.pump(10)
    with episode_of(station) as reader:
        ended_ns = int(reader.video("overhead").capture_ns[-1])
    station.pump(25)
    with episode_of(station) as reader:
        assert ended_ns < reader.video("overhead").capture_ns[0] < reader.header.start_ns
    station.call("prepare", seed=5)
    ready_ns = time.monotonic_ns()
    with episode_of(station) as reader:
        assert reader.header.start_ns >= ready_ns
        assert reader.video("overhead").capture_ns[0] >= reader.header.start_ns
        assert reader.joints("sent").capture_ns[0] >= reader.header.start_ns


def test_without_preroll_nothing_before_the_key_is_kept(tmp_path: Path, run_dir: Path) -> None:
    station = FakeStation(DataDir(tmp_path / "data"), run_dir, preroll_s=0.0)
    try:
        opened(station)
        station.pump(10)
        assert station.status is not None
        assert station.status.preroll_s == 0.0
        with episode_of(station) as reader:
            assert reader.video("overhead").capture_ns[0] >= reader.header.start_ns
    finally:
        station.close()


def test_an_episode_begins_when_the_button_was_pressed(station: FakeStation) -> None:
    opened(station)
    station.pump(10)
    pressed_ns = time.monotonic_ns()
    station.publishers["control"].send(
        "event", Event("input.button", pressed_ns, "control", fields={"button": "record"})
    )
    station.settle(lambda: "recorder.started" in station.kinds())
    uuid = station.recorder._work.episode
    station.call("stop")
    with EpisodeReader(station.data.episodes / f"{uuid}.mcap") as reader:
        assert reader.header.start_ns == pressed_ns


def test_a_disk_that_stands_still_loses_nothing_and_is_told_at_once(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(station)
    station.call("record")
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    write = SystemCalls.write
    moves = threading.Event()

    def stand_still(self: SystemCalls, descriptor: int, payload: memoryview) -> int:
        assert moves.wait(30.0)
        return write(self, descriptor, payload)

    monkeypatch.setattr(SystemCalls, "write", stand_still)
    try:
        station.settle(lambda: "recorder.stalled" in station.kinds())
        station.settle(lambda: station.status is not None and station.status.backlog > 0)
    finally:
        moves.set()
    station.settle(lambda: station.status is not None and station.status.backlog == 0)
    done = station.call("stop")
    assert not any(done["lost"].values())
    with EpisodeReader(Path(done["path"])) as reader:
        assert any("The disk has taken nothing for" in event.text for event in reader.events())
        assert reader.footer is not None
        assert not reader.footer.lost


def test_a_full_queue_to_the_disk_stops_nothing_but_the_writing(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(station)
    station.call("record")
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    full = {"full": True}
    monkeypatch.setattr(EpisodeWriter, "would_wait", property(lambda _: full["full"]))
    recording = station.recorder._work.recording
    assert recording is not None
    written = recording.writer.frames("overhead")
    began_s = time.monotonic()
    station.settle(lambda: time.monotonic() > began_s + 0.7)
    assert recording.writer.frames("overhead") == written
    full["full"] = False
    done = station.call("stop")
    assert not any(done["lost"].values())
    assert "recorder.gap" not in station.kinds(), "what waits is no silence"


def test_a_stop_that_takes_long_to_write_is_no_silence(
    station: FakeStation, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(station)
    station.call("record")
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    add_packet = EpisodeWriter.add_packet

    def slowly(self: EpisodeWriter, packet: VideoPacket) -> None:
        time.sleep(0.6)
        add_packet(self, packet)

    monkeypatch.setattr(EpisodeWriter, "add_packet", slowly)
    monkeypatch.setattr(EpisodeWriter, "would_wait", True)  # so that it is taken in at the stop only
    station.send()
    done = station.call("stop")
    assert not any(done["lost"].values())
    with EpisodeReader(Path(done["path"])) as reader:
        assert reader.footer is not None
        assert not reader.footer.lost


def test_the_cameras_word_on_a_loss_is_in_the_status_and_in_the_episode(station: FakeStation) -> None:
    opened(station)
    station.call("record")
    station.settle(lambda: station.status is not None and min(station.status.frames.values(), default=0) > 5)
    station.frame += 3
    topic, reason = "/camera/overhead/video", "the machine was too slow for the cameras"
    event = Event(
        "stream.lost", time.monotonic_ns(), "cameras", fields={"topic": topic, "reason": reason, "count": 3}
    )
    station.publishers["cameras"].send("event", event)
    station.settle(
        lambda: station.status is not None and station.status.dropped.get(f"{topic}: {reason}") == 3
    )
    path = Path(station.call("stop")["path"])
    with EpisodeReader(path) as reader:
        assert reader.footer is not None
        assert reader.footer.lost_by_reason[topic][reason] == 3


def test_a_stream_that_introduces_itself_after_the_record_key_is_recorded_whole(station: FakeStation) -> None:
    setup = StreamSetup("left/wrench", "wrench", ("fx",), "N", "left", 100.0)
    simulation = station.publishers["simulation"]
    opened(station)
    station.call("record")
    seq = 0

    def sent(enough: int) -> bool:
        nonlocal seq
        times = np.array([time.monotonic_ns()])
        simulation.send("batch/left/wrench", StreamBatch("left/wrench", seq, times, np.ones((1, 1))))
        seq += 1
        return seq >= enough

    station.settle(lambda: sent(5))
    simulation.send("stream", setup)
    station.settle(lambda: "left/wrench" in station.recorder._work.sources.streams)
    station.settle(lambda: sent(10))
    with EpisodeReader(Path(station.call("stop")["path"])) as reader:
        assert [stream.name for stream in reader.header.streams] == ["left/wrench"]
        assert len(reader.stream("left/wrench").capture_ns) == 10
        assert reader.footer is not None and "/stream/left/wrench" not in reader.footer.lost


def test_a_process_that_the_station_names_is_heard_too(station: FakeStation) -> None:
    headset = Publisher(station.endpoints.publish("headset"))
    known = [ProcessStatus("headset", 1, ProcessState.RUNNING, 0)]
    supervisor = Publisher(station.endpoints.publish("station"))
    setup = StreamSetup("headset", "pose", ("x",), "m", "world", 90.0)
    try:
        opened(station)

        def introduced() -> bool:
            supervisor.send("station", StationStatus("cell", 0, tuple(known), 0))
            headset.send("stream", setup)
            return "headset" in station.recorder._work.sources.streams

        station.settle(introduced)
        station.call("record")
        seq = 0

        def recorded() -> bool:
            nonlocal seq
            now_ns = time.monotonic_ns()
            headset.send("batch/headset", StreamBatch("headset", seq, np.array([now_ns]), np.ones((1, 1))))
            seq += 1
            recording = station.recorder._work.recording
            return recording is not None and recording.writer.ledger.counts["/stream/headset"] > 3

        station.settle(recorded)
        with EpisodeReader(Path(station.call("stop")["path"])) as reader:
            assert [stream.name for stream in reader.header.streams] == ["headset"]
    finally:
        headset.close()
        supervisor.close()


def _frames(station: FakeStation) -> int:
    return min(station.status.frames.values(), default=0) if station.status else 0


def test_a_rollout_is_recorded_and_labelled(station: FakeStation) -> None:
    opened(station)
    station.phase = AutonomyPhase.POLICY
    status = PolicyStatus(PolicyState.RUNNING, 0, label="B", execution="rtc")
    station.publishers["policy"].send("policy", status)
    station.settle(lambda: station.recorder._work.policy is not None)
    station.propose(3)
    station.settle(lambda: station.recorder._feed.chunk_in_force() is not None)  # older than the pre-roll
    uuid = station.call("record")["episode"]
    station.settle(lambda: _frames(station) > 8)
    station.propose(4)
    station.phase = AutonomyPhase.CORRECT
    station._event("control", "autonomy.takeover", takeover=FIRST_TAKEOVER, source="vr", phase="correct")
    station.settle(lambda: _frames(station) > 16)
    station.call("set_takeover", reason="grasp")
    station.call("set_outcome", outcome="failure")
    station.success = True
    station.pump(3)
    path = Path(station.call("stop")["path"])
    with EpisodeReader(path) as reader:
        assert [chunk.chunk for chunk in reader.chunks()] == [3, 4]
        assert set(reader.autonomy().chunk.tolist()) <= {3, 4}
        assert reader.footer is not None and reader.footer.outcome == "failure"  # not the simulation's word
        facts = reader.footer.rollout
    assert facts is not None
    assert (facts.policy, facts.version, facts.label, facts.chunks) == (POLICY, VERSION, "B", 1)
    assert [(t.source, t.reason, t.outcome) for t in facts.takeovers] == [("vr", "grasp", "finished")]
    with open_catalog(station.data.root, Author.process("test")) as catalog:
        row = catalog.rollout(uuid)
        assert row is not None and row.takeovers[0].reason == "grasp"
        station.call("set_takeover", takeover=FIRST_TAKEOVER, outcome="aborted")
        station.call("set_takeover", reason="stuck")
        station.call("set_outcome", outcome="success")
        episode, row = catalog.episode(uuid), catalog.rollout(uuid)
        assert episode is not None and (episode.outcome, episode.state) == (
            Outcome.SUCCESS,
            EpisodeState.PENDING,
        )
        assert row is not None
        assert (row.takeovers[0].reason, row.takeovers[0].outcome) == ("stuck", "aborted")
        station.call("save")
        station.phase = None
        station._event("control", "autonomy.reason", takeover=99, reason="grasp")  # nobody's
        station._event("control", "autonomy.reason", takeover=FIRST_TAKEOVER, reason="lost")

        def explained() -> bool:
            row = catalog.rollout(uuid)
            return row is not None and row.takeovers[0].reason == "lost"

        station.settle(explained)
    with EpisodeReader(path) as reader:
        assert reader.footer is not None and reader.footer.rollout == facts  # the file stays as it is


def test_labels_that_do_not_fit_are_refused(station: FakeStation) -> None:
    with pytest.raises(StationError, match="no episode is open"):
        station.call("set_outcome", outcome="success")
    with pytest.raises(StationError, match="There is no outcome 'perfect'. Choose one of success, failure"):
        station.call("set_outcome", outcome="perfect")
    with pytest.raises(StationError, match="There is no reason 'boredom'"):
        station.call("set_takeover", reason="boredom")
    with pytest.raises(StationError, match="There is no takeover -1"):
        station.call("set_takeover", takeover=-1)
    opened(station)
    station.call("record")
    station.pump(5)
    station.call("stop")
    with pytest.raises(TeleopError, match="has no takeover 4"):
        station.call("set_takeover", takeover=4, reason="stuck")
    station.call("save")
    with pytest.raises(StationError, match="no episode is open or waits for a verdict"):
        station.call("set_outcome", outcome="success")
