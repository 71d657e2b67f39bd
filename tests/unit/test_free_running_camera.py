"""Emulated free-running cameras, from the exposure to the calibrated stamp: checked by their barcode."""

import numpy as np
import pytest

from devices.cameras.source import CameraFormat
from devices.cameras.synthetic import SyntheticFrameSource
from devices.cameras.time_code import TimeCodeReader
from devices.sim.barcode import read_barcode
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import DeviceError
from teleop_app.station.frame_stamps import FrameStamps
from teleop_app.station.latency_codes import latency_of_codes

MS = 1_000_000
LATENCIES_MS = {"front": 20.0, "side": 35.0, "wrist": 55.0}
START_NS = 4000 * 1000 * MS


def _run(seconds: float, applied_ms: dict[str, float]) -> dict[str, list[tuple[int, int, int]]]:
    """Stamp, true time, arrival of each camera's frames, taken on a grid of 30/s."""
    source = SyntheticFrameSource(LATENCIES_MS)
    source.open({name: CameraFormat(160, 120, 30, "") for name in (*LATENCIES_MS, "exact")})
    stamps = {
        name: FrameStamps(name, source, round(applied_ms.get(name, 0.0) * MS), FakeClock())
        for name in LATENCIES_MS
    }
    taken: dict[str, list[tuple[int, int, int]]] = {name: [] for name in LATENCIES_MS}
    image = np.zeros((120, 160, 3), np.uint8)
    for number in range(round(seconds * 30)):
        source.latch(START_NS + number * 33_333_333)
        for name, each in stamps.items():
            times = each.grab(image)
            if times is not None:
                shown = read_barcode(image)
                assert shown is not None
                taken[name].append((times.capture_ns, shown * 1000, times.receive_ns))
    source.close()
    return taken


def _errors_ms(taken: list[tuple[int, int, int]], after: int = 90) -> np.ndarray:
    return np.array([stamp - shown for stamp, shown, _ in taken[after:]]) / MS


def test_uncalibrated_stamps_are_late_by_the_latency_and_calibrated_ones_are_true():
    uncalibrated = _run(20, {})
    measured = {
        name: latency_of_codes(name, [(stamp, shown) for stamp, shown, _ in taken[60:240]], 180)
        for name, taken in uncalibrated.items()
    }
    for name, latency_ms in LATENCIES_MS.items():
        assert measured[name].latency_ms == pytest.approx(latency_ms, abs=2.0)
        assert np.median(_errors_ms(uncalibrated[name])) == pytest.approx(latency_ms, abs=2.0)
    calibrated = _run(20, {name: result.latency_ms for name, result in measured.items()})
    for name, taken in calibrated.items():
        assert np.percentile(np.abs(_errors_ms(taken)), 99) < 1.5, name


def test_frames_come_in_order_after_their_exposure_and_few_are_missed():
    for name, taken in _run(20, {}).items():
        stamps, shown, arrived = (np.array(column) for column in zip(*taken, strict=True))
        assert (np.diff(stamps) > 0).all() and (np.diff(shown) > 0).all()
        assert (arrived - shown >= LATENCIES_MS[name] * MS - 1000).all()
        assert (stamps <= arrived).all()
        assert len(taken) >= 600 - 6
        assert np.median(np.diff(shown)) == pytest.approx(1e9 / 30, rel=2e-4)


def test_the_clock_of_the_camera_is_published():
    source = SyntheticFrameSource({"front": 20.0})
    source.open({"front": CameraFormat(160, 120, 30, "")})
    stamps, image = FrameStamps("front", source, 0, FakeClock()), np.zeros((120, 160, 3), np.uint8)
    fits = []
    for number in range(300):
        source.latch(START_NS + number * 33_333_333)
        stamps.grab(image)
        fits.append(stamps.take_fit(START_NS + number * 33_333_333))
    found = [fit for fit in fits if fit is not None]
    assert 9 <= len(found) <= 11 and found[-1].stream == "front"
    assert found[-1].drift_ppm == pytest.approx(source._emulated["front"].drift * 1e6, abs=60)


def test_a_camera_that_is_not_emulated_shows_the_instant_asked_for():
    source = SyntheticFrameSource({"front": 20.0})
    source.open({name: CameraFormat(160, 120, 30, "") for name in ("front", "exact")})
    source.latch(START_NS)
    image = np.zeros((120, 160, 3), np.uint8)
    times = FrameStamps("exact", source, 5 * MS, FakeClock()).grab(image)
    assert times is not None and times.capture_ns == START_NS
    shown = TimeCodeReader().read(image)
    assert shown is not None and shown.near_ns(START_NS) == START_NS
    assert source.times("front") is None  # nothing has arrived yet
    with pytest.raises(DeviceError, match="no new frame"):
        source.grab("front", image)
