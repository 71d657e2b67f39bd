"""Free-running cameras of a whole station: measured, calibrated, and then true by their own barcodes."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.sync_error import calibrated, free_running_config, uncalibrated
from recorders.reader import EpisodeReader

pytestmark = pytest.mark.system
LATENCIES_MS = [20.0, 55.0]


def test_a_calibrated_station_stamps_its_frames_truly(tmp_path: Path):
    config = free_running_config(LATENCIES_MS)
    before, results = uncalibrated(tmp_path / "before", config, seconds=2.0, calibrate_s=2.5)
    for times, result, latency_ms in zip(before, results, LATENCIES_MS, strict=True):
        assert result.latency_ms == pytest.approx(latency_ms, abs=5.0)
        assert np.median(times.stamp_ms) == pytest.approx(latency_ms, abs=5.0)
    config.latencies = [result.section for result in results]
    after, _ = calibrated(tmp_path / "after", config, seconds=2.0)
    for times in after:
        assert np.percentile(np.abs(times.stamp_ms), 95) < 5.0
        assert times.unreadable == 0
    [path] = (tmp_path / "after").rglob("episodes/*.mcap")
    with EpisodeReader(path) as reader:
        assert [each.stream for each in reader.header.latencies] == ["camera_0", "camera_1"]
        assert [each.latency_ns for each in reader.header.cameras] == [
            each.latency_ns for each in reader.header.latencies
        ]
        footer = reader.footer
    assert footer is not None
    named = {name for pair in footer.sync for name in (pair.slower, pair.faster)}
    assert {"camera_0", "camera_1"} <= named
    assert {"/clock/camera_0", "/clock/camera_1"} <= footer.counts.keys()
