"""Real cameras in threads of their own: one that hangs, freezes or is unplugged holds up nobody."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from devices.cameras import camera_reader
from devices.cameras.depth import DepthSource
from devices.cameras.free_running import FrameTimes, FreeRunningSource
from devices.cameras.source import CameraFormat, RealCameras
from devices.cameras.threaded_source import ThreadedSource
from devices.protocols import CameraFrame
from teleop_app.core.clock import NS_PER_MS, NS_PER_S, MonotonicClock
from teleop_app.core.errors import ConfigError, DeviceError
from teleop_app.station.frame_stamps import FrameStamps

WANTED = CameraFormat(0, 0, 0, "", depth=False)


class HandFed:
    """A camera that delivers what a test puts into its queue."""

    def __init__(self, width: int = 64, height: int = 48, unit_m: float = 0.0) -> None:
        self.size = (width, height)
        self.frames: queue.Queue[CameraFrame | Exception] = queue.Queue()
        self.opened = threading.Semaphore(0)
        self.closed = 0
        self.present = True
        self.hanging = threading.Event()
        self.hanging.set()
        self.intrinsics = None
        self.depth_unit_m = unit_m

    def open(self, wanted: CameraFormat) -> CameraFormat:
        if not self.present:
            raise DeviceError("Camera 'left' is not there", next_step="Plug it in")
        self.opened.release()
        return CameraFormat(*self.size, 30, "Its only format.")

    def read(self, timeout_s: float) -> CameraFrame | None:
        self.hanging.wait(10.0)
        try:
            item = self.frames.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        self.closed += 1

    def feed(self, shade: int, stamp_ns: int = 0, size: tuple[int, int] = (0, 0)) -> None:
        width, height = size if size[0] else self.size
        image = np.full((height, width, 3), shade, np.uint8)
        depth = np.full((height, width), 1000 + shade, np.uint16) if self.depth_unit_m else None
        self.frames.put(CameraFrame(image, time.monotonic_ns(), stamp_ns, depth=depth))


class Bench:
    def __init__(self, **cameras: HandFed) -> None:
        self.cameras = cameras
        self.source = ThreadedSource(cameras, None, MonotonicClock())

    def open(self, wanted: CameraFormat = WANTED) -> "Bench":
        self.source.open(dict.fromkeys(self.cameras, wanted))
        return self

    def times(self, camera: str) -> FrameTimes | None:
        self.source.latch(time.monotonic_ns())
        return self.source.times(camera)

    def shade(self, camera: str) -> int:
        """Of the next picture, which must come."""

        def come() -> bool:
            with contextlib.suppress(DeviceError):
                return self.times(camera) is not None
            return False

        until(come)
        size = self.source.delivered(camera)
        image = np.zeros((size.height, size.width, 3), np.uint8)
        self.source.grab(camera, image)
        assert (image == image[0, 0, 0]).all()
        return int(image[0, 0, 0])

    def fault(self, camera: str) -> str:
        found: list[str] = []

        def failed() -> bool:
            try:
                self.times(camera)
            except DeviceError as error:
                found.append(error.sentence)
            return bool(found)

        until(failed)
        return found[0]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    monkeypatch.setattr(camera_reader, "_SILENT_NS", 100 * NS_PER_MS)
    monkeypatch.setattr(camera_reader, "_READ_S", 0.02)
    monkeypatch.setattr(camera_reader, "REOPEN_S", 0.02)
    made: list[Bench] = []

    def _make(**cameras: HandFed) -> Bench:
        made.append(Bench(**cameras))
        return made[-1]

    yield _make
    for bench in made:
        for camera in bench.cameras.values():
            camera.hanging.set()
        bench.source.close()


def test_is_every_kind_of_source():
    source = ThreadedSource({}, None, MonotonicClock())
    assert isinstance(source, FreeRunningSource) and isinstance(source, DepthSource)
    assert isinstance(source, RealCameras)


def test_pictures_come_in_order_with_their_times_and_nothing_waits(make):
    bench = make(left=HandFed()).open()
    stamps = FrameStamps("left", bench.source, 0, MonotonicClock())
    image = np.zeros((48, 64, 3), np.uint8)
    bench.source.latch(time.monotonic_ns())
    assert stamps.grab(image) is None
    for shade in (1, 2, 3):
        bench.cameras["left"].feed(shade, stamp_ns=shade * NS_PER_S)
    assert [bench.shade("left") for _ in range(3)] == [1, 2, 3]
    assert bench.source.counts("left")["taken"] == 3
    size = bench.source.delivered("left")
    assert (size.width, size.height, size.fps) == (64, 48, 30)
    assert not bench.source.intrinsics("left").any() and bench.source.mount("left")[0] == ""
    assert bench.source.mount("left")[1].shape == (0,)


def test_of_pictures_nobody_takes_the_newest_stay(make):
    bench = make(left=HandFed()).open()
    for shade in range(1, 11):
        bench.cameras["left"].feed(shade)
    until(lambda: bench.source.counts("left")["taken"] == 10)
    assert [bench.shade("left") for _ in range(camera_reader.WAITING)] == [7, 8, 9, 10]
    assert bench.source.counts("left")["dropped"] == 6


def test_a_camera_that_hangs_holds_up_nobody_and_says_so(make):
    bench = make(left=HandFed(), right=HandFed()).open()
    bench.cameras["left"].hanging.clear()
    assert "Camera 'left' delivers no new picture since" in bench.fault("left")
    bench.cameras["right"].feed(7)
    assert bench.shade("right") == 7


def test_an_unplugged_camera_says_so_and_comes_back(make):
    bench = make(left=HandFed(), right=HandFed()).open()
    left = bench.cameras["left"]
    left.present = False
    left.frames.put(DeviceError("Camera 'left' was unplugged"))
    assert "unplugged" in bench.fault("left") or "is not there" in bench.fault("left")
    bench.cameras["right"].feed(3)
    assert bench.shade("right") == 3
    left.present = True
    until(lambda: bench.source.counts("left")["reopened"] == 1)
    left.feed(9)
    assert bench.shade("left") == 9 and left.closed >= 1


def test_a_camera_that_comes_back_with_another_size_is_refused(make):
    bench = make(left=HandFed()).open()
    bench.cameras["left"].size = (32, 24)
    bench.cameras["left"].frames.put(DeviceError("Camera 'left' was unplugged"))
    until(lambda: "delivers 32x24 instead of 64x48. Set width and height" in bench.fault("left"))


def test_pictures_of_the_wrong_size_are_refused_and_counted(make):
    bench = make(left=HandFed()).open()
    bench.cameras["left"].feed(1, size=(32, 24))
    expected = "Camera 'left' delivers pictures of 32x24 instead of 64x48; they are not recorded."
    assert bench.fault("left") == expected
    assert bench.source.counts("left")["rejected"] == 1
    bench.cameras["left"].feed(2)
    assert bench.shade("left") == 2


def test_the_same_exposure_again_and_again_is_no_new_picture(make):
    bench = make(left=HandFed()).open()
    for _ in range(3):
        bench.cameras["left"].feed(5, stamp_ns=NS_PER_S)
    assert bench.shade("left") == 5
    assert "it gives the same one again and again" in bench.fault("left")
    assert bench.source.counts("left") == {
        "taken": 1, "rejected": 0, "repeated": 2, "dropped": 0, "reopened": 0,
    }  # fmt: skip


def test_pictures_that_stand_still_are_recorded_with_a_remark(make):
    bench = make(left=HandFed()).open()
    camera, now_ns = bench.cameras["left"], time.monotonic_ns()
    for number, shade in enumerate((8, 9, 9, 9)):
        image = np.full((48, 64, 3), shade, np.uint8)
        camera.frames.put(CameraFrame(image, now_ns - (4 - number) * 2 * NS_PER_S))
    until(lambda: bench.source.counts("left")["taken"] == 4)
    assert "Camera 'left' is frozen: its pictures have been the same for 4 s" in bench.source.remark("left")
    camera.feed(10)
    until(lambda: not bench.source.remark("left"))


def test_an_odd_size_loses_a_line_to_fit_h264(make):
    bench = make(left=HandFed(65, 49)).open()
    assert bench.source.delivered("left").text == "64x48"
    bench.cameras["left"].feed(4)
    assert bench.shade("left") == 4


def test_absent_cameras_are_all_named_unless_their_size_is_given(make):
    left, right, there = HandFed(), HandFed(), HandFed()
    left.present = right.present = False
    bench = make(left=left, right=right, there=there)
    with pytest.raises(DeviceError, match="Camera 'left' is not there.*Camera 'left' is not there.*width, h"):
        bench.open()
    bench.open(CameraFormat(64, 48, 30, "Asked for."))
    there.feed(6)
    assert bench.shade("there") == 6 and "is not there" in bench.fault("left")
    left.present = True
    until(lambda: left.opened.acquire(blocking=False))
    left.feed(7)
    assert bench.shade("left") == 7


def test_another_size_than_the_station_file_asks_for_is_an_error(make):
    bench = make(left=HandFed()).open(CameraFormat(128, 96, 30, ""))
    assert "delivers 64x48 instead of 128x96" in bench.fault("left")
    with pytest.raises(ConfigError, match="There is no camera 'nobody'"):
        bench.source.open({"nobody": WANTED})


def test_depth_belongs_to_the_picture_that_was_taken(make):
    bench = make(left=HandFed(unit_m=1e-3)).open(CameraFormat(0, 0, 0, "", depth=True))
    assert bench.source.depth_unit_m("left") == 1e-3 and bench.source.delivered("left").depth
    out = np.zeros((48, 64), np.uint16)
    with pytest.raises(DeviceError, match="gave no depth"):
        bench.source.grab_depth("left", out)
    for shade in (1, 2):
        bench.cameras["left"].feed(shade)
    for shade in (1, 2):
        assert bench.shade("left") == shade
        bench.source.grab_depth("left", out)
        assert (out == 1000 + shade).all()
    bench.cameras["left"].depth_unit_m = 0.0
    bench.cameras["left"].feed(3)
    assert bench.fault("left").endswith("delivers pictures without depth; they are not recorded.")
    with pytest.raises(DeviceError, match="Set depth = false"):
        bench.source.depth_unit_m("left")


def test_impossible_times_are_not_believed(make):
    bench = make(left=HandFed()).open()
    image, now_ns = np.zeros((48, 64, 3), np.uint8), time.monotonic_ns()
    bench.cameras["left"].frames.put(CameraFrame(image, now_ns + NS_PER_S, -5, -1, now_ns + 2 * NS_PER_S))
    until(lambda: bench.times("left") is not None)
    times = bench.times("left")
    assert times is not None and times.capture_ns == times.device_ns == times.exposure_ns == 0
    assert now_ns <= times.receive_ns <= time.monotonic_ns()


def test_a_driver_that_breaks_does_not_end_its_thread(make, caplog):
    bench = make(left=HandFed()).open()
    bench.cameras["left"].frames.put(ZeroDivisionError("a bug"))
    until(lambda: bench.source.counts("left")["reopened"] == 1)
    assert "the driver of camera left failed" in caplog.text
    bench.cameras["left"].feed(1)
    assert bench.shade("left") == 1
