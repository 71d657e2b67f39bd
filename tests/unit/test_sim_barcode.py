"""The barcode: exact through H.264, and never read from what it is not."""

from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.sim.barcode import WRAP_US, barcode_box, draw_barcode, read_barcode

SIZES = [(240, 320), (480, 640), (720, 1280)]


def busy_image(height: int, width: int, shift: int) -> np.ndarray:
    """A moving picture with texture, so that the encoder has something else to spend bits on."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = 120 + 60 * np.sin((columns + 5 * shift) / 9.0) + 50 * np.cos((rows - 3 * shift) / 7.0)
    noise = np.random.default_rng(shift).normal(0, 12, (height, width, 3))
    return np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)


def through_x264(images: list[np.ndarray], crf: int, preset: str) -> list[np.ndarray]:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = images[0].shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"crf": str(crf), "preset": preset, "tune": "zerolatency"}
    packets = [p for image in images for p in encoder.encode(av.VideoFrame.from_ndarray(image, "rgb24"))]
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return [frame.to_ndarray(format="rgb24") for frame in frames]


@pytest.mark.parametrize(("height", "width"), SIZES)
@given(time_us=st.integers(0, 3 * WRAP_US))
def test_every_time_reads_back(height: int, width: int, time_us: int) -> None:
    image = np.full((height, width, 3), 90, np.uint8)
    draw_barcode(image, time_us)
    assert read_barcode(image) == time_us % WRAP_US


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
@pytest.mark.parametrize("crf", [23, 30])
@pytest.mark.parametrize(("height", "width"), SIZES[:2])
def test_survives_h264(height: int, width: int, crf: int, preset: str) -> None:
    rng = np.random.default_rng(crf)
    times = [int(t) for t in rng.integers(0, WRAP_US, 12)]
    times += [0, 1, WRAP_US - 1, *range(1_000_000, 1_000_000 + 9 * 33_333, 33_333)]
    images = []
    for shift, time_us in enumerate(times):
        image = busy_image(height, width, shift)
        draw_barcode(image, time_us)
        images.append(image)
    assert [read_barcode(image) for image in through_x264(images, crf, preset)] == times


def test_grey_images_work_as_well() -> None:
    image = np.zeros((240, 320), np.uint8)
    draw_barcode(image, 123_456_789)
    assert read_barcode(image) == 123_456_789


@pytest.mark.parametrize(("height", "width"), SIZES[:2])
def test_noise_and_plain_images_are_no_barcode(height: int, width: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        assert read_barcode(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) is None
    for shade in (0, 128, 255):
        assert read_barcode(np.full((height, width, 3), shade, np.uint8)) is None
    assert read_barcode(busy_image(height, width, 1)) is None


@given(cell=st.integers(0, 43), time_us=st.integers(0, WRAP_US - 1))
def test_one_wrong_cell_is_found(cell: int, time_us: int) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_barcode(image, time_us)
    left, top, _, _ = barcode_box(240, 320)
    y, x = top + 3 + 6 * (cell // 22), left + 3 + 6 * (cell % 22)
    image[y : y + 6, x : x + 6] = 251 - image[y, x]
    assert read_barcode(image) is None


@given(first=st.integers(0, 31), length=st.integers(1, 8), time_us=st.integers(0, WRAP_US - 1))
def test_a_burst_of_wrong_cells_is_found(first: int, length: int, time_us: int) -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    draw_barcode(image, time_us)
    left, top, _, _ = barcode_box(240, 320)
    for cell in range(4 + first, 4 + first + length):
        y, x = top + 3 + 6 * (cell // 22), left + 3 + 6 * (cell % 22)
        image[y : y + 6, x : x + 6] = 251 - image[y, x]
    assert read_barcode(image) is None


def test_only_the_corner_is_touched() -> None:
    image = np.full((240, 320, 3), 77, np.uint8)
    draw_barcode(image, 5)
    left, top, width, height = barcode_box(240, 320)
    image[top : top + height, left : left + width] = 77
    assert (image == 77).all()
    assert width * height < 0.04 * 240 * 320


def test_refuses_what_it_cannot_draw() -> None:
    with pytest.raises(ValueError, match="too small"):
        draw_barcode(np.zeros((10, 20, 3), np.uint8), 1)
    with pytest.raises(ValueError, match="negative"):
        draw_barcode(np.zeros((240, 320, 3), np.uint8), -1)
    assert read_barcode(np.zeros((10, 20, 3), np.uint8)) is None
