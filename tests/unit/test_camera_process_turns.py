"""The cameras process turn by turn on a fake clock: same instants, lost frames, keyframes, faults."""

import itertools
import queue
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import cv2
import numpy as np
import pytest

from devices.cameras.depth import DepthImage
from devices.cameras.source import CameraFormat, Image
from recorders.video import H264Decoder
from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, FakeClock
from teleop_app.core.config import CameraSection, StationConfig
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.core.paths import DataDir
from teleop_app.core.ring import RingReader, camera_ring
from teleop_app.core.types import (
    Array,
    CameraSetup,
    DepthPacket,
    Event,
    FrameNotice,
    ProcessState,
    ProcessStatus,
    VideoPacket,
)
from teleop_app.station import encoder_lane
from teleop_app.station.cameras import NOTHING_NEW, TOO_SLOW, CamerasProcess
from teleop_app.station.process import ProcessContext

NAMES = ("overhead", "wrist")


class Inline(Executor):
    """Runs at once, in the caller's thread."""

    def submit(self, fn: Callable, /, *args: object, **kwargs: object) -> Future:
        done: Future = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class FakeQueue(queue.SimpleQueue):
    """Waits by moving the fake clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        try:
            return super().get(block=False)
        except queue.Empty:
            self._clock.advance(timeout or 0.0)
            raise


class Shades:
    """A source whose frames are one shade of grey, different at each instant; delays on demand."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.instants = 0
        self.delays_s: dict[int, float] = {}
        self.frozen = False
        self.suggested = 0
        self.opened: dict[str, CameraFormat] = {}
        self.closed = 0

    def suggest(self, cameras: int) -> CameraFormat:
        self.suggested = cameras
        return CameraFormat(64, 48, 30, "Measured here.", affordable=False)

    def open(self, formats: dict[str, CameraFormat]) -> None:
        self.opened = formats

    def intrinsics(self, camera: str) -> Array:
        return np.eye(3)

    def mount(self, camera: str) -> tuple[str, Array]:
        return "world", np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])

    def latch(self, due_ns: int) -> bool:
        if self.frozen:
            return False
        self.instants += 1
        self.capture_ns = due_ns - NS_PER_MS
        return True

    def grab(self, camera: str, out: Image) -> int:
        out[:] = 8 * (self.instants % 30)
        self.clock.advance(self.delays_s.get(self.instants, 0.0))
        return self.capture_ns

    def fail(self, camera: str, out: Image) -> int:
        if camera == "overhead":
            raise DeviceError("The camera 'overhead' was unplugged")
        return Shades.grab(self, camera, out)

    def close(self) -> None:
        self.closed += 1


class Depths(Shades):
    """The same with depth: the number of the instant, in tenths of a millimetre."""

    def depth_unit_m(self, camera: str) -> float:
        return 1e-4

    def grab_depth(self, camera: str, out: DepthImage) -> None:
        out[:] = self.instants


class Bench:
    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        cameras: list[CameraSection],
        source: type[Shades] = Shades,
    ) -> None:
        self.folder = folder
        self.clock = FakeClock()
        config = StationConfig(cameras=cameras)
        self.context = ProcessContext(
            "cameras", config, DataDir(folder), Endpoints(folder), folder, self.clock
        )
        self.source = source(self.clock)
        self.process = CamerasProcess(self.context, {"sim": self.source})
        self.sent: list[object] = []
        monkeypatch.setattr(Publisher, "send", lambda _self, _topic, value: self.sent.append(value))
        self.process._results = FakeQueue(self.clock)

    def open(self) -> None:
        self.process.open()
        self.process._executor.shutdown()
        self.process._executor = Inline()
        for camera in self.process._cameras.values():
            camera.lane._executor = self.process._executor
            if camera.depth is not None:
                camera.depth.lane._executor = self.process._executor

    def turns(self, seconds: float) -> None:
        end_ns = self.clock.now_ns() + round(seconds * NS_PER_S)
        while self.clock.now_ns() < end_ns:
            self.process.turn()
        self.process._collect(self.clock.now_ns())

    def of(self, kind: type) -> list:
        return [value for value in self.sent if isinstance(value, kind)]

    def seqs(self, camera: str) -> list[int]:
        return [packet.seq for packet in self.of(VideoPacket) if packet.camera == camera]


MakeBench = Callable[..., Bench]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeBench]:
    made: list[Bench] = []

    def bench(*cameras: CameraSection, source: type[Shades] = Shades) -> Bench:
        wanted = list(cameras) or [CameraSection(name=name, width=64, height=48, fps=30) for name in NAMES]
        made.append(Bench(Path(tempfile.mkdtemp(prefix="cam")), monkeypatch, wanted, source))
        return made[-1]

    yield bench
    for each in made:
        each.process.close()
        each.process.close()
        shutil.rmtree(each.folder)


def test_all_cameras_of_an_instant_share_index_and_capture_time(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.turns(2.0)
    packets: dict[int, list[VideoPacket]] = {}
    for packet in bench.of(VideoPacket):
        packets.setdefault(packet.seq, []).append(packet)
    assert len(packets) >= 58
    assert sorted(packets) == list(range(min(packets), max(packets) + 1))
    for seq, pair in packets.items():
        assert [packet.camera for packet in pair] == list(NAMES)
        assert len({packet.capture_ns for packet in pair}) == 1
        assert abs(pair[0].capture_ns - seq * NS_PER_S / 30) <= 2 * NS_PER_MS


def test_packets_decode_to_what_was_grabbed_and_the_ring_has_the_same(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.turns(0.5)
    decoder = H264Decoder(64, 48)
    mine = [packet for packet in bench.of(VideoPacket) if packet.camera == "wrist"]
    for number, packet in enumerate(mine):
        image = decoder.decode(packet.payload)
        assert float(image.mean()) == pytest.approx(8 * ((number + 1) % 30), abs=4)
    record = RingReader(bench.folder / camera_ring("wrist")).latest()
    notice = [notice for notice in bench.of(FrameNotice) if notice.camera == "wrist"][-1]
    assert record is not None
    assert (
        (record.seq, record.stamp_ns)
        == (notice.seq, notice.capture_ns)
        == (
            mine[-1].seq,
            mine[-1].capture_ns,
        )
    )
    assert len(record.payload) == 64 * 48 * 3
    assert set(record.payload) == {8 * (bench.source.instants % 30)}


def test_lost_frames_are_the_gaps_and_are_counted(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.source.delays_s = {10: 0.120, 20: 0.240, 30: 0.005}  # the first fits into LATE_S
    bench.turns(3.0)
    for name in NAMES:
        seqs = bench.seqs(name)
        gaps = seqs[-1] - seqs[0] + 1 - len(seqs)
        assert gaps == 13
        status = bench.process.status()["cameras"]
        assert {camera["lost"] for camera in status if camera["name"] == name} == {gaps}
        late = [b - a for a, b in itertools.pairwise(seqs)]
        assert min(late) == 1, "an index is never used twice"
    for packet in bench.of(VideoPacket):
        assert abs(packet.capture_ns - packet.seq * NS_PER_S / 30) <= 2 * NS_PER_MS, "late, but of its time"


def test_a_scene_that_stands_still_is_lost_frames_and_a_sentence(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.turns(0.5)
    before = len(bench.of(VideoPacket))
    bench.source.frozen = True
    bench.turns(1.0)
    assert len(bench.of(VideoPacket)) == before
    status = bench.of(ProcessStatus)[-1]
    assert "nothing new" in status.text
    assert status.metrics["lost_overhead"] >= 20
    bench.source.frozen = False
    bench.turns(0.5)
    assert bench.of(ProcessStatus)[-1].text == ""
    seqs = bench.seqs("overhead")
    assert seqs[-1] - seqs[0] + 1 - len(seqs) == bench.process.status()["cameras"][0]["lost"]


def test_it_counts_as_running_when_pictures_come(make: MakeBench) -> None:
    bench = make()
    bench.source.frozen = True
    bench.open()
    bench.turns(0.5)
    assert {status.state for status in bench.of(ProcessStatus)} == {ProcessState.STARTING}
    bench.source.frozen = False
    bench.turns(0.3)
    assert bench.of(ProcessStatus)[-1].state is ProcessState.RUNNING
    bench.source.frozen = True
    bench.turns(1.0)
    assert bench.of(ProcessStatus)[-1].state is ProcessState.RUNNING, "then it says so in a sentence"


def test_the_first_packet_is_a_keyframe_and_a_keyframe_can_be_asked_for(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.turns(0.2)
    for name in NAMES:
        mine = [packet for packet in bench.of(VideoPacket) if packet.camera == name]
        assert mine[0].keyframe
        assert not mine[-1].keyframe
    promised = bench.process.keyframe()["seq"]
    bench.turns(0.1)
    for name in NAMES:
        after = [p for p in bench.of(VideoPacket) if p.camera == name and p.seq >= promised[name]]
        assert after[0].seq == promised[name]
        assert [packet.keyframe for packet in after][:2] == [True, False]


def test_the_source_chooses_what_the_station_file_leaves_open(make: MakeBench) -> None:
    bench = make(
        CameraSection(name="overhead"),
        CameraSection(name="wrist", width=32, height=24),
        CameraSection(name="side", fps=15),
        CameraSection(name="fixed", width=32, height=24, fps=10),
    )
    bench.open()
    bench.turns(1.5)
    assert bench.source.suggested == 4
    setups = {setup.name: setup for setup in bench.of(CameraSetup)}
    found = {name: (setup.width, setup.height, setup.fps) for name, setup in setups.items()}
    assert found == {
        "overhead": (64, 48, 30),
        "wrist": (32, 24, 30),
        "side": (64, 48, 15),
        "fixed": (32, 24, 10),
    }
    assert setups["overhead"].reason.startswith("Measured here. Encoder: ")
    assert "station file" in setups["fixed"].reason
    assert setups["overhead"].encoder.startswith("libx264")
    assert Path(setups["side"].ring).exists()
    assert bench.of(ProcessStatus)[-1].text == "Measured here.", "what it cannot afford is said"
    assert len(bench.seqs("fixed")) == pytest.approx(15, abs=1)
    assert len(bench.seqs("side")) == pytest.approx(22, abs=1)


def test_an_unknown_driver_is_refused_in_a_sentence(make: MakeBench) -> None:
    bench = make(CameraSection(name="overhead", driver="kinect"))
    with pytest.raises(ConfigError, match="unknown camera driver 'kinect'"):
        bench.process.run()
    assert bench.of(ProcessStatus)[-2].state is ProcessState.FAULT
    assert bench.of(ProcessStatus)[-1].state is ProcessState.STOPPED


def test_an_encoder_that_fails_once_is_made_anew(make: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make()
    bench.open()
    bench.turns(0.3)
    encode = encoder_lane.H264Encoder.encode
    broken = {"left": 1}

    def fail_once(self: object, image: Image, force_keyframe: bool = False) -> bytes:
        if broken["left"]:
            broken["left"] -= 1
            raise DeviceError("The H.264 encoder refused a frame", why="a test says so")
        return encode(self, image, force_keyframe)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(encoder_lane.H264Encoder, "encode", fail_once)
    bench.turns(0.3)
    status = bench.of(ProcessStatus)[-1]
    assert status.metrics["lost_overhead"] == 1
    assert status.metrics["lost_wrist"] == 0
    mine = [packet for packet in bench.of(VideoPacket) if packet.camera == "overhead"]
    after_gap = next(b for a, b in itertools.pairwise(mine) if b.seq != a.seq + 1)
    assert after_gap.keyframe


def test_depth_comes_with_the_number_and_time_of_its_colour_frame(make: MakeBench) -> None:
    deep = CameraSection(name="overhead", width=64, height=48, fps=30, depth=True)
    bench = make(deep, CameraSection(name="wrist", width=64, height=48, fps=30), source=Depths)
    bench.open()
    bench.turns(0.5)
    colour = {packet.seq: packet for packet in bench.of(VideoPacket) if packet.camera == "overhead"}
    depth = bench.of(DepthPacket)
    assert len(depth) == len(colour) > 10
    for number, packet in enumerate(depth):
        assert (packet.camera, packet.capture_ns) == ("overhead", colour[packet.seq].capture_ns)
        image = cv2.imdecode(np.frombuffer(packet.payload, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert image.dtype == np.uint16
        assert (image == number + 1).all()
    units = {setup.name: setup.depth_unit_m for setup in bench.of(CameraSetup)}
    assert units == {"overhead": 1e-4, "wrist": 0.0}


def test_depth_of_a_source_without_is_refused_in_a_sentence(make: MakeBench) -> None:
    bench = make(CameraSection(name="overhead", width=64, height=48, fps=30, depth=True))
    with pytest.raises(ConfigError, match="which its driver does not deliver. Set depth = false"):
        bench.process.run()


def test_each_lost_frame_is_announced_with_its_reason(make: MakeBench) -> None:
    deep = CameraSection(name="overhead", width=64, height=48, fps=30, depth=True)
    bench = make(deep, source=Depths)
    bench.open()
    bench.source.delays_s = {20: 0.400}
    bench.turns(2.0)
    bench.source.frozen = True
    bench.turns(0.5)
    bench.source.frozen = False
    bench.turns(0.5)
    told: dict[tuple[object, object], int] = {}
    for event in bench.of(Event):
        assert event.kind == "stream.lost"
        key = (event.fields["topic"], event.fields["reason"])
        told[key] = told.get(key, 0) + int(str(event.fields["count"]))
    video, depth = "/camera/overhead/video", "/camera/overhead/depth"
    assert told[video, TOO_SLOW] == told[depth, TOO_SLOW] > 5
    assert told[video, NOTHING_NEW] == told[depth, NOTHING_NEW] > 10
    lost = bench.process.status()["cameras"][0]["lost"]
    assert lost == told[video, TOO_SLOW] + told[video, NOTHING_NEW]
    assert bench.of(ProcessStatus)[-1].metrics["load"] >= 0.0


def test_a_slow_encoder_costs_whole_instants_and_never_a_queue(
    make: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    bench.open()
    encode = encoder_lane.H264Encoder.encode

    def crawl(self: object, image: Image, force_keyframe: bool = False) -> bytes:
        bench.clock.advance(0.06)
        return encode(self, image, force_keyframe)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(encoder_lane.H264Encoder, "encode", crawl)
    bench.turns(3.0)
    assert bench.process._in_flight == 0
    newest = [packet for packet in bench.of(VideoPacket) if packet.camera == "overhead"][-1]
    assert bench.clock.now_ns() - newest.capture_ns < 0.6 * NS_PER_S, "late frames do not pile up"
    assert {event.fields["reason"] for event in bench.of(Event)} == {TOO_SLOW}
    assert bench.seqs("overhead") == bench.seqs("wrist")


def test_an_encoder_that_hangs_is_a_fault_in_a_sentence(make: MakeBench) -> None:
    bench = make()
    bench.open()
    never: Future = Future()
    for camera in bench.process._cameras.values():
        camera.lane._executor = type("Hung", (Inline,), {"submit": lambda *_: never})()
    with pytest.raises(DeviceError, match="has not answered for 5 s"):
        bench.turns(10.0)


def test_a_camera_that_fails_costs_no_other_and_comes_back_with_a_keyframe(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.turns(0.3)
    grab, bench.source.grab = bench.source.grab, bench.source.fail
    bench.turns(0.3)
    status = bench.of(ProcessStatus)[-1]
    assert status.metrics["lost_overhead"] >= 3 and status.metrics["lost_wrist"] == 0
    assert status.text == "The camera 'overhead' was unplugged."
    reasons = {e.fields["reason"] for e in bench.of(Event) if e.kind == "stream.lost"}
    bench.source.grab = grab
    bench.turns(1.2)
    assert bench.of(ProcessStatus)[-1].text == ""
    reasons |= {e.fields["reason"] for e in bench.of(Event) if e.kind == "stream.lost"}
    assert reasons == {"the camera did not deliver"}
    mine = [packet for packet in bench.of(VideoPacket) if packet.camera == "overhead"]
    assert next(b for a, b in itertools.pairwise(mine) if b.seq != a.seq + 1).keyframe


def test_closing_closes_the_sources(make: MakeBench) -> None:
    bench = make()
    bench.open()
    bench.process.close()
    assert bench.source.closed == 1
    assert bench.of(ProcessStatus)[-1].state is ProcessState.STOPPED
