"""The RealSense driver on pyrealsense2 itself, with its software_device in place of a camera."""

import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from foxglove_schemas_protobuf import CameraCalibration_pb2

from devices.cameras import realsense
from devices.cameras.realsense import RealSenseCamera, RealSenseOptions
from devices.cameras.source import CameraFormat
from devices.cameras.threaded_source import ThreadedSource
from devices.testing import CameraContract
from recorders.message_bodies import calibration_body
from teleop_app.core.bus import Endpoints, Publisher
from teleop_app.core.calibration import CalibrationStore, CameraCalibration
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import CameraSection, StationConfig
from teleop_app.core.errors import DeviceError
from teleop_app.core.paths import DataDir
from teleop_app.core.types import CameraSetup, DepthPacket, ProcessState, ProcessStatus, VideoPacket
from teleop_app.station.cameras import CamerasProcess
from teleop_app.station.episode_head import _camera_header as camera_header
from teleop_app.station.process import ProcessContext

rs: Any = pytest.importorskip("pyrealsense2")
WIDTH, HEIGHT, FPS = 64, 48, 30
ANY = CameraFormat(0, 0, 0, "")
DEEP = CameraFormat(0, 0, 0, "", depth=True)
UNIT_M = 0.0005


class SoftwareRealSense:
    """A `software_device` with a colour and a depth sensor of one lens."""

    def __init__(self, serial: str = "SW0001") -> None:
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.serial_number, serial)
        self.device.register_info(rs.camera_info.name, "Software camera")
        self.depth, self.colour = (self.device.add_sensor(name) for name in ("Stereo Module", "RGB Camera"))
        self.depth.add_read_only_option(rs.option.depth_units, UNIT_M)
        self.deep = self._profile(self.depth, rs.stream.depth, 0, rs.format.z16, 2)
        self.wide = self._profile(self.colour, rs.stream.color, 1, rs.format.rgb8, 3)
        here = rs.extrinsics()
        here.rotation, here.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
        self.deep.register_extrinsics_to(self.wide, here)
        self.stop = threading.Event()

    def _profile(self, sensor: Any, kind: Any, uid: int, layout: Any, size: int) -> Any:
        lens = rs.intrinsics()
        lens.width, lens.height, lens.fx, lens.fy = WIDTH, HEIGHT, 60.0, 61.0
        lens.ppx, lens.ppy, lens.model, lens.coeffs = 31.5, 23.5, rs.distortion.none, [0] * 5
        stream = rs.video_stream()
        stream.type, stream.index, stream.uid, stream.fmt, stream.bpp = kind, 0, uid, layout, size
        stream.width, stream.height, stream.fps, stream.intrinsics = WIDTH, HEIGHT, FPS, lens
        return sensor.add_video_stream(stream).as_video_stream_profile()

    def put(self, number: int, *, depth: bool = True) -> None:
        if depth:
            self._send(self.depth, self.deep, np.full((HEIGHT, WIDTH), 1000 + number, np.uint16), number)
        self.colour.set_metadata(rs.frame_metadata_value.actual_exposure, 5000)
        self._send(self.colour, self.wide, np.full((HEIGHT, WIDTH, 3), number, np.uint8), number)

    def _send(self, sensor: Any, profile: Any, pixels: np.ndarray, number: int) -> None:
        frame = rs.software_video_frame()
        frame.pixels, frame.bpp, frame.stride = pixels, pixels.nbytes // (WIDTH * HEIGHT), pixels.strides[0]
        frame.timestamp, frame.domain = 1000.0 + number * 1e3 / FPS, rs.timestamp_domain.global_time
        frame.frame_number, frame.profile, frame.depth_units = number, profile, UNIT_M
        sensor.on_video_frame(frame)

    def run(self) -> None:
        number = 1
        while not self.stop.wait(0.01):
            self.put(number % 250)
            number += 1


@pytest.fixture
def software() -> Iterator[SoftwareRealSense]:
    device = SoftwareRealSense()
    yield device
    device.stop.set()


def _camera(*devices: SoftwareRealSense, **options: Any) -> RealSenseCamera:
    return RealSenseCamera("wrist", RealSenseOptions(**options), lambda: [each.device for each in devices])


def test_colour_with_the_depth_of_its_moment(software):
    camera = _camera(software)
    size = camera.open(DEEP)
    assert (size.width, size.height, size.fps) == (WIDTH, HEIGHT, FPS) and camera.serial == "SW0001"
    assert camera.depth_unit_m == pytest.approx(UNIT_M)
    assert camera.intrinsics == pytest.approx(np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]]))
    for number in range(1, 6):
        software.put(number)
        frame = camera.read(2.0)
        assert frame is not None and frame.depth is not None
        assert (frame.image == number).all() and (frame.depth == 1000 + number).all()
        assert frame.device_ns == pytest.approx(1e9 + number * 1e9 / FPS, abs=1e3)
        assert frame.exposure_ns == 5_000_000
    software.put(7, depth=False)
    assert camera.read(0.01) is None
    camera.close()
    camera.close()
    with pytest.raises(DeviceError, match="Camera 'wrist' is not open"):
        camera.read(0.01)


def test_colour_alone(software):
    camera = _camera(software, serial="SW0001")
    camera.open(CameraFormat(WIDTH, HEIGHT, FPS, ""))
    assert camera.read(0.01) is None
    software.put(3, depth=False)
    frame = camera.read(2.0)
    assert frame is not None and frame.depth is None and (frame.image == 3).all()
    camera.close()


def test_what_is_not_there_is_named(software):
    other = SoftwareRealSense("SW0002")
    with pytest.raises(DeviceError, match=r"no RealSense SW9: RealSenses: SW0001\. Plug it in, or correct"):
        _camera(software, serial="SW9").open(ANY)
    with pytest.raises(DeviceError, match="could be any of 2 RealSenses: SW0001, SW0002. Give `serial`"):
        _camera(software, other).open(ANY)
    with pytest.raises(DeviceError, match="is not there: no RealSense: RealSenses: none"):
        _camera().open(ANY)
    with pytest.raises(DeviceError, match="has no 640x480 at 30/s: it has 64x48 at 30/s. Set width"):
        _camera(software).open(CameraFormat(640, 480, 30, ""))
    with pytest.raises(DeviceError, match="Camera 'wrist' refuses exposure_us"):
        _camera(software, exposure_us=5000).open(ANY)


def test_silence_is_a_loss(software, monkeypatch):
    monkeypatch.setattr("devices.cameras.realsense._LOST_S", 0.0)
    camera = _camera(software)
    camera.open(ANY)
    with pytest.raises(DeviceError, match="does not deliver any more"):
        camera.read(0.01)
    camera.close()


def test_depth_arrives_unchanged_through_the_source(software):
    feeder = threading.Thread(target=software.run)
    source = ThreadedSource({"wrist": _camera(software)}, None, MonotonicClock())
    source.open({"wrist": DEEP})
    feeder.start()
    image, depth = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint16)
    taken = 0
    deadline = time.monotonic() + 10.0
    while taken < 20 and time.monotonic() < deadline:
        source.latch(time.monotonic_ns())
        if source.times("wrist") is None:
            time.sleep(0.001)
            continue
        source.grab("wrist", image)
        source.grab_depth("wrist", depth)
        seen = depth > 0  # rs.align leaves holes where rounding falls between two rows
        assert seen.mean() > 0.9 and (depth[seen] == 1000 + int(image[0, 0, 0])).all()
        taken += 1
    software.stop.set()
    feeder.join()
    source.close()
    assert taken == 20


def test_the_station_publishes_depth_without_loss_while_another_camera_is_missing(
    software, tmp_path, monkeypatch
):
    sent: list[object] = []
    monkeypatch.setattr(Publisher, "send", lambda _self, _topic, value: sent.append(value))
    calibrations = CalibrationStore(tmp_path / "calibrations")
    lens = [-0.1, 0.02, 1e-3, -1e-3, 0.0]
    calibrations.save(
        CameraCalibration(
            serial="SW0001", width=WIDTH, height=HEIGHT, matrix=[70.0, 0, 32, 0, 71.0, 24, 0, 0, 1],
            distortion=lens, reprojection_px=0.2, views=12, parent="wrist",
            parent_T_camera=[0, 0, 0.1, 1, 0, 0, 0],
        )
    )  # fmt: skip
    sections = [
        CameraSection(name="wrist", driver="realsense", depth=True),
        CameraSection(name="front", driver="realsense", width=WIDTH, height=HEIGHT, fps=FPS),
    ]
    with tempfile.TemporaryDirectory() as short:
        folder = Path(short)
        context = ProcessContext(
            "cameras", StationConfig(cameras=sections), DataDir(folder), Endpoints(folder), folder
        )
        missing = RealSenseCamera("front", RealSenseOptions(serial="GONE"), list)
        source = ThreadedSource({"wrist": _camera(software), "front": missing}, calibrations, context.clock)
        process = CamerasProcess(context, {"realsense": source})
        runner, feeder = threading.Thread(target=process.run), threading.Thread(target=software.run)
        runner.start()
        feeder.start()
        deadline = time.monotonic() + 30.0
        while sum(isinstance(each, DepthPacket) for each in sent) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        software.stop.set()
        context.stop()
        runner.join()
        feeder.join()
    depths = [each for each in sent if isinstance(each, DepthPacket)]
    frames = {each.seq: each for each in sent if isinstance(each, VideoPacket)}
    assert len(depths) >= 10
    for packet in depths:
        number = round((packet.device_ns - 1e9) * FPS / 1e9)
        image = cv2.imdecode(np.frombuffer(packet.payload, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint16 and image.shape == (HEIGHT, WIDTH)
        assert set(np.unique(image)) <= {0, 1000 + number} and (image > 0).mean() > 0.9
        assert packet.unit_m == pytest.approx(UNIT_M) and packet.camera == "wrist"
        assert frames[packet.seq].device_ns == packet.device_ns
    setup = next(each for each in sent if isinstance(each, CameraSetup) and each.name == "wrist")
    assert setup.serial == "SW0001" and setup.distortion == pytest.approx(lens) and setup.parent == "wrist"
    assert setup.intrinsics[0, 0] == 70.0 and "12 views" in setup.reason
    status = [each for each in sent if isinstance(each, ProcessStatus)]
    assert any("Camera 'front' is not there: no RealSense GONE" in each.text for each in status)
    assert any(each.state is ProcessState.RUNNING and each.metrics["taken_wrist"] > 0 for each in status)


def test_the_distortion_is_in_the_episode():
    setup = CameraSetup(
        "wrist", WIDTH, HEIGHT, FPS, "", "", np.eye(3), "", np.zeros(0), distortion=(-0.1, 0.02, 1e-3, -1e-3)
    )
    published = CameraCalibration_pb2.CameraCalibration.FromString(calibration_body(camera_header(setup)))
    assert published.distortion_model == "plumb_bob"
    assert list(published.D) == pytest.approx([-0.1, 0.02, 1e-3, -1e-3, 0.0])
    wide = replace(setup, distortion=(0.1,) * 8)
    published = CameraCalibration_pb2.CameraCalibration.FromString(calibration_body(camera_header(wide)))
    assert published.distortion_model == "rational_polynomial" and len(published.D) == 8


class TestRealSenseContract(CameraContract):
    driver = realsense.DRIVER
    wanted = CameraFormat(WIDTH, HEIGHT, FPS, "contract", depth=True)

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(realsense, "_LOST_S", 0.4)

    def setup_method(self) -> None:
        self.there: list[SoftwareRealSense] = []
        self.feeders: list[threading.Thread] = []
        self.plug()

    def teardown_method(self) -> None:
        self.unplug()

    def make(self) -> RealSenseCamera:
        return RealSenseCamera("contract", RealSenseOptions(), lambda: [each.device for each in self.there])

    def unplug(self) -> None:
        for each in self.there:
            each.stop.set()
        for feeder in self.feeders:
            feeder.join()
        self.there, self.feeders = [], []

    def plug(self) -> None:
        self.there = [SoftwareRealSense()]
        self.feeders = [threading.Thread(target=self.there[0].run)]
        self.feeders[0].start()
