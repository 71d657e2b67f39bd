"""Latency of a camera from the time it sees: QR codes in perspective, blur and noise; honest refusals."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.cameras.time_code import QR_WRAP_US, ShownTime, TimeCodePainter, TimeCodeReader
from devices.sim.barcode import draw_barcode
from teleop_app.core.config import LatencySection
from teleop_app.core.errors import DeviceError
from teleop_app.station.latency_codes import latency_of_codes

MS = 1_000_000
UPTIME_NS = 12 * 24 * 3600 * 1000 * MS


def _seen(time_ns: int, rng: np.random.Generator, *, blur: float = 1.2, noise: float = 8.0) -> np.ndarray:
    """A screen with the code, seen aslant by a camera of 640x480."""
    code = TimeCodePainter().paint(time_ns, side_px=260)
    screen = np.full((400, 600), 210, np.uint8)
    screen[70 : 70 + len(code), 170 : 170 + len(code)] = code
    corners = np.array([[0, 0], [600, 0], [600, 400], [0, 400]], np.float32)
    aslant = np.array([[60, 40], [590, 90], [540, 420], [90, 460]], np.float32) + rng.uniform(-15, 15, (4, 2))
    warp = cv2.getPerspectiveTransform(corners, aslant.astype(np.float32))
    image = cv2.warpPerspective(screen, warp, (640, 480), borderValue=(90,))
    image = cv2.GaussianBlur(image, (0, 0), blur) * 0.7 + 20
    image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
    return np.repeat(image[..., None], 3, axis=2)


def test_a_camera_that_sees_a_screen_aslant_is_measured():
    rng, reader, period_ns = np.random.default_rng(1), TimeCodeReader(), 16_666_667
    readings, looked_at = [], 0
    for number in range(36):
        exposed_ns = UPTIME_NS + number * 35_100_000  # it drifts through the display's period
        drawn_ns = exposed_ns // period_ns * period_ns
        stamp_ns = exposed_ns + 43 * MS + int(rng.exponential(0.5) * MS)
        looked_at += 1
        shown = reader.read(_seen(drawn_ns, rng))
        if shown is not None:
            readings.append((stamp_ns, shown.near_ns(stamp_ns)))
            assert abs(readings[-1][1] - drawn_ns) < 1000
    assert len(readings) >= 33
    result = latency_of_codes("front", readings, looked_at, display_period_ms=period_ns / MS)
    assert result.latency_ms == pytest.approx(43.5, abs=2.0)
    assert result.method == "barcode" and "period of 16.7 ms" in result.note
    assert result.section == LatencySection(
        stream="front",
        latency_ms=round(result.latency_ms, 2),
        spread_ms=round(result.spread_ms, 2),
        method="barcode",
        measured_utc=result.measured_utc,
    )


def test_the_barcode_of_a_synthetic_frame_is_read_and_stays_the_kind():
    reader = TimeCodeReader()
    frame = np.full((240, 320, 3), 90, np.uint8)
    assert reader.read(frame) is None
    draw_barcode(frame, 123_456_789)
    assert reader.read(frame) == ShownTime(123_456_789, 1 << 32)


def test_what_is_no_code_of_ours_is_not_read():
    rng, reader = np.random.default_rng(2), TimeCodeReader()
    encoder = cv2.QRCodeEncoder.create()
    for text in ("https://example.org", "123456789099", "12345", "１２３４５６７８９０１２"):  # noqa: RUF001
        code = encoder.encode(text).repeat(8, axis=0).repeat(8, axis=1)
        image = np.full((480, 640), 255, np.uint8)
        image[100 : 100 + len(code), 100 : 100 + len(code)] = code
        assert reader.read(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)) is None
    assert reader.read(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)) is None
    with pytest.raises(DeviceError, match="not \\(height, width, 3\\)"):
        reader.read(np.zeros((48, 64), np.uint8))


@given(st.integers(0, 10**18), st.integers(-(QR_WRAP_US // 2) + 1, QR_WRAP_US // 2 - 1))
def test_a_wrapped_time_means_the_one_nearest(host_us, difference_us):
    shown = ShownTime((host_us + difference_us) % QR_WRAP_US, QR_WRAP_US)
    assert shown.near_ns(host_us * 1000 + 7) == (host_us + difference_us) * 1000


def _readings(latency_ms: float, jitter_ms: float = 0.5, count: int = 100) -> list[tuple[int, int]]:
    rng = np.random.default_rng(3)
    shown = UPTIME_NS + np.arange(count) * 33 * MS
    late = np.round((latency_ms + rng.exponential(jitter_ms, count)) * MS).astype(np.int64)
    return list(zip((shown + late).tolist(), shown.tolist(), strict=True))


def test_what_is_applied_already_is_added_and_outliers_are_left_out():
    readings = _readings(12.0)
    readings[5] = (readings[5][0], readings[5][1] - 5_000 * MS)
    result = latency_of_codes("front", readings, 104, applied_ms=30.0)
    assert result.latency_ms == pytest.approx(42.35, abs=0.3)
    assert 0.3 < result.spread_ms < 3.0
    assert result.used + result.rejected == 104 and result.rejected >= 5


@pytest.mark.parametrize(
    ("readings", "looked_at", "says"),
    [
        (_readings(20, count=10), 10, "Only 10 of 10 pictures of front show a time"),
        (_readings(20, count=60), 200, "Only 60 of 200 pictures of front"),
        ([(stamp, UPTIME_NS) for stamp, _ in _readings(20)], 100, "stands still"),
        (_readings(20, jitter_ms=40), 100, "varies too much"),
        (_readings(-50), 100, "stamped 50 ms before the time they show"),
        (_readings(60_000), 100, "stamped 60000 ms after the time they show"),
        ([], 0, "Only 0 of 0"),
    ],
)
def test_bad_measurements_are_refused_in_a_sentence(readings, looked_at, says):
    with pytest.raises(DeviceError, match=says) as caught:
        latency_of_codes("front", readings, looked_at)
    assert caught.value.next_step


def test_a_latency_of_nearly_none_is_none():
    assert latency_of_codes("front", _readings(-1.0, 0.2), 100).latency_ms == 0.0
