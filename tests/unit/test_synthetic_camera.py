"""The synthetic camera: moves, tells the time, costs next to nothing, and says what it is."""

import numpy as np
import pytest

from devices.cameras.source import CameraFormat
from devices.cameras.synthetic import SyntheticFrameSource
from devices.sim.barcode import read_barcode
from recorders.video import H264Decoder, H264Encoder
from teleop_app.core.errors import ConfigError, DeviceError

SIZE = CameraFormat(320, 240, 30, "")


@pytest.fixture
def source() -> SyntheticFrameSource:
    source = SyntheticFrameSource()
    source.open({"a": SIZE, "b": SIZE})
    return source


def _frame() -> np.ndarray:
    return np.zeros((240, 320, 3), dtype=np.uint8)


def test_all_cameras_of_an_instant_show_its_time(source: SyntheticFrameSource) -> None:
    for due_ns in (1_000_000_000, 1_033_333_334):
        assert source.latch(due_ns)
        for camera in ("a", "b"):
            frame = _frame()
            assert source.grab(camera, frame) == due_ns
            assert read_barcode(frame) == due_ns // 1000


def test_the_pattern_moves(source: SyntheticFrameSource) -> None:
    frames = []
    for due_ns in (0, 1):
        source.latch(due_ns)
        frames.append(_frame())
        source.grab("a", frames[-1])
    assert (frames[0][40:] != frames[1][40:]).any()


def test_it_never_passes_for_a_camera(source: SyntheticFrameSource) -> None:
    assert "synthetic" in source.suggest(3).reason
    with pytest.raises(DeviceError, match="synthetic camera 'c' is not open"):
        source.intrinsics("c")
    assert source.mount("a")[0] == "world"
    assert source.intrinsics("a")[0, 2] == 160.0
    source.close()
    source.close()


def test_its_barcode_survives_the_video(source: SyntheticFrameSource) -> None:
    encoder, decoder = H264Encoder(320, 240, 30, "superfast", 23), H264Decoder(320, 240)
    for number in range(40):
        due_ns = 5_000_000_000 + number * 33_333_333
        source.latch(due_ns)
        frame = _frame()
        source.grab("a", frame)
        assert read_barcode(decoder.decode(encoder.encode(frame))) == due_ns // 1000
    encoder.close()


def test_a_size_without_room_for_the_barcode_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="64x48 is too small"):
        SyntheticFrameSource().open({"a": CameraFormat(64, 48, 30, "")})
