"""Streams and files through FFmpeg itself: RTSP and HTTP servers of ours, real H.264 and JPEG, real files."""

import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from devices.cameras import camera_reader, stream
from devices.cameras.source import CameraFormat
from devices.cameras.stream import StreamCamera, StreamOptions
from devices.cameras.threaded_source import ThreadedSource
from devices.emulators.http_video import HttpVideoServer
from devices.emulators.rtsp import RtspServer
from devices.protocols import CameraFrame
from devices.testing import CameraContract
from recorders.video import H264Encoder
from teleop_app.core.clock import NS_PER_S, MonotonicClock
from teleop_app.core.errors import DeviceError

WIDTH, HEIGHT, FPS, COUNT = 160, 120, 60, 16
ANY = CameraFormat(0, 0, 0, "")


def _picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Red rises with the number; green and blue tell the colour order."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = (20 + 12 * (number % COUNT), 200, 60)
    image[::7, ::5] = (0, 0, 0)  # something to code
    return image


def _number(frame: CameraFrame) -> int:
    red, green, blue = np.median(frame.image.reshape(-1, 3), axis=0)
    assert abs(green - 200) < 12 and abs(blue - 60) < 12, (red, green, blue)
    return round((red - 20) / 12)


@pytest.fixture(scope="module")
def units() -> list[bytes]:
    encoder = H264Encoder(WIDTH, HEIGHT, FPS, "ultrafast", 12, 8)
    found = [encoder.encode(_picture(number)) for number in range(COUNT)]
    encoder.close()
    assert max(map(len, found)) > 1300  # some need fragments
    return found


def _file(
    target: Path | io.BytesIO, container: str, codec: str, count: int = COUNT, width: int = WIDTH
) -> None:
    with av.open(target, "w", format=container) as output:
        video = output.add_stream(codec, rate=FPS)
        video.width, video.height, video.pix_fmt = width, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "4"}
        for number in range(count):
            output.mux(video.encode(av.VideoFrame.from_ndarray(_picture(number, width), format="rgb24")))
        output.mux(video.encode())


def _camera(url: object, **options: object) -> StreamCamera:
    return StreamCamera("front", StreamOptions(url=str(url), **{"timeout_s": 1.0} | options))


def _read(camera: StreamCamera, count: int) -> list[CameraFrame]:
    found: list[CameraFrame] = []
    while len(found) < count:
        frame = camera.read(1.0)
        found += [frame] if frame is not None else []
    camera.close()
    return found


def _check_stream(frames: list[CameraFrame], fps: int = FPS) -> None:
    numbers = [_number(frame) for frame in frames]
    assert all((b - a) % COUNT == 1 for a, b in itertools.pairwise(numbers)), numbers
    steps = np.diff([frame.device_ns for frame in frames])
    assert steps == pytest.approx(np.full(len(steps), NS_PER_S / fps), rel=0.01)
    assert (np.diff([frame.receive_ns for frame in frames]) > 0).all()


@pytest.fixture
def rtsp(units: list[bytes]) -> Iterator[Callable[..., RtspServer]]:
    made: list[RtspServer] = []

    def _make(login: str = "") -> RtspServer:
        made.append(RtspServer(units, FPS, login))
        return made[-1]

    yield _make
    for server in made:
        server.close()


def test_rtsp(rtsp):
    server = rtsp()
    camera = _camera(server.url)
    size = camera.open(ANY)
    assert (size.width, size.height, size.fps) == (WIDTH, HEIGHT, FPS)
    frames = _read(camera, 12)
    _check_stream(frames)
    # The server counts from its first picture: stamp and picture belong together.
    assert all(round((each.device_ns / 1e9 - 1) * FPS) % COUNT == _number(each) for each in frames)
    assert server.requests[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]


def test_rtsp_with_a_password_that_nobody_sees(rtsp):
    server = rtsp("me:secret")
    url = server.url.replace("rtsp://", "rtsp://me:secret@")
    camera = _camera(url)
    assert camera.open(ANY).width == WIDTH
    camera.close()
    with pytest.raises(DeviceError) as refused:
        _camera(url.replace("secret", "wrong")).open(ANY)
    assert "it wants another user or password" in refused.value.sentence
    assert "wrong" not in refused.value.sentence and server.url in refused.value.sentence


def test_rtsp_that_falls_silent_is_lost(rtsp):
    server = rtsp()
    camera = _camera(server.url, timeout_s=0.4)
    camera.open(ANY)
    assert camera.read(1.0) is not None
    server.muted.set()
    # FFmpeg calls it an error, or an end.
    said = r"Camera 'front'( lost rtsp://.*Check `url` in its options|: rtsp://.* has ended the stream)"
    with pytest.raises(DeviceError, match=said):
        while True:
            camera.read(1.0)
    camera.close()
    camera.close()


def test_a_stream_that_hangs_up_is_opened_again(rtsp, monkeypatch):
    monkeypatch.setattr(camera_reader, "REOPEN_S", 0.02)
    server = rtsp()
    source = ThreadedSource({"front": _camera(server.url)}, None, MonotonicClock())
    source.open({"front": ANY})
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    def comes() -> None:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            source.latch(time.monotonic_ns())
            try:
                if source.times("front") is not None:
                    source.grab("front", image)
                    return
            except DeviceError as error:
                assert "front" in error.sentence
            time.sleep(0.005)
        pytest.fail("no picture")

    comes()
    server.hang_up()
    deadline = time.monotonic() + 10.0
    while not source.counts("front")["reopened"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    comes()
    source.close()


def test_http_transport_stream():
    buffer = io.BytesIO()
    _file(buffer, "mpegts", "libx264", 60)
    whole = buffer.getvalue()
    pieces = [whole[at : at + 188 * 20] for at in range(0, len(whole), 188 * 20)]
    server = HttpVideoServer(pieces, 400, "video/mp2t", loop=False)
    try:
        camera = _camera(server.url)
        assert camera.open(ANY).text == f"{WIDTH}x{HEIGHT}"
        frames = [camera.read(1.0) for _ in range(12)]
        _check_stream([frame for frame in frames if frame is not None])
        with pytest.raises(DeviceError, match="has ended the stream|lost http"):
            for _ in range(400):
                camera.read(1.0)
        camera.close()
    finally:
        server.close()


def test_http_jpegs():
    jpegs = [
        cv2.imencode(".jpg", _picture(n)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        for n in range(COUNT)
    ]
    server = HttpVideoServer(jpegs, FPS, "image/jpeg")
    try:
        camera = _camera(server.url)
        size = camera.open(CameraFormat(0, 0, FPS, ""))
        assert size.fps == FPS and "the station file says" in size.reason
        numbers = [_number(frame) for frame in _read(camera, 6)]
        assert numbers == list(range(numbers[0], numbers[0] + 6))
    finally:
        server.close()


def test_a_file_plays_at_its_rate_and_ends(tmp_path):
    path = tmp_path / "clip.mp4"
    _file(path, "mp4", "libx264", 8)
    camera = _camera(path)
    assert camera.open(ANY).fps == FPS
    started = time.monotonic()
    _check_stream([frame for frame in (camera.read(1.0) for _ in range(8)) if frame])
    assert time.monotonic() - started > 6 / FPS
    with pytest.raises(DeviceError, match="video file of camera 'front' has ended. Set loop = true"):
        camera.read(1.0)
    for _ in range(2):
        camera.close()
        with pytest.raises(DeviceError, match="has ended"):
            camera.open(ANY)


def test_a_looped_file_has_rising_stamps(tmp_path):
    path = tmp_path / "clip.mkv"
    _file(path, "matroska", "libx264", 4)
    camera = _camera(path.as_uri(), loop=True)
    camera.open(ANY)
    frames = _read(camera, 10)
    assert [_number(frame) for frame in frames] == [0, 1, 2, 3] * 2 + [0, 1]
    assert (np.diff([frame.device_ns for frame in frames]) > 0).all()


def test_what_cannot_be_opened_is_a_sentence(tmp_path):
    def refusal(url: object, **options: object) -> str:
        with pytest.raises(DeviceError) as refused:
            _camera(url, **options).open(ANY)
        return refused.value.sentence

    assert refusal(tmp_path / "no.mp4").endswith("No such file or directory. Check `url` in its options.")
    (tmp_path / "text.mp4").write_text("this is not a video" * 50)
    assert "what it sends is not a video that FFmpeg knows" in refusal(tmp_path / "text.mp4")
    assert "nothing listens there. Check `url`" in refusal("rtsp://127.0.0.1:9/cam")
    server = HttpVideoServer([b""], 10, "image/jpeg")
    assert "404" in refusal(server.url.replace("/video", "/other"))
    server.close()
    with av.open(tmp_path / "sound.wav", "w") as output:
        sound = output.add_stream("pcm_s16le", rate=8000)
        block = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        block.rate = 8000
        output.mux(sound.encode(block))
    assert refusal(tmp_path / "sound.wav").endswith("sound.wav has no video.")
    _file(tmp_path / "wide.mkv", "matroska", "ffv1", 1, 4112)
    assert "delivers pictures of 4112x120: 16 to 4096 pixels each way" in refusal(tmp_path / "wide.mkv")


def test_a_server_that_accepts_and_says_nothing_is_given_up(units):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(DeviceError, match="it did not answer in time|cannot open"):
            _camera(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam", timeout_s=0.3).open(ANY)
        assert time.monotonic() - started < 10.0
        assert threading.active_count() < 50


class TestNetworkCameraContract(CameraContract):
    driver = stream.DRIVER
    wanted = CameraFormat(WIDTH, HEIGHT, FPS, "contract")
    slack_s = 2.0  # until a silent stream counts as lost

    def setup_method(self) -> None:
        encoder = H264Encoder(WIDTH, HEIGHT, FPS, "ultrafast", 23, 8)
        self.units = [encoder.encode(_picture(number)) for number in range(COUNT)]
        encoder.close()
        self.server = RtspServer(self.units, FPS)
        self.options = {"url": self.server.url, "timeout_s": 1.0}

    def teardown_method(self) -> None:
        self.server.close()

    def unplug(self) -> None:
        self.server.close()

    def plug(self) -> None:
        self.server = RtspServer(self.units, FPS, port=self.server.port)
