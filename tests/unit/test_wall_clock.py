"""The wall clock may be set by an hour at any moment: no sample's time comes from it."""

import ast
import time
from pathlib import Path

import pytest

from recorders.reader import EpisodeReader
from recorders.synthetic import feed, synthetic_header, synthetic_samples
from recorders.writer import EpisodeWriter
from teleop_app.core.clock import NS_PER_S

ROOT = Path(__file__).parents[2]
MAY_ASK = {
    "teleop_app/core/clock.py": "the one reading that ties an episode to UTC",
    "teleop_app/station/latency_codes.py": "the date of a calibration",
    "devices/cameras/camera_calibrator.py": "the date of a calibration",
    "devices/leaders/calibration.py": "the date of a calibration",
    "devices/vr/server.py": "until when a headset stays paired",
    "devices/vr/webxr.py": "until when a headset stays paired, and its certificate is valid",
    "sessions/upgrade.py": "the date of a migration",
    "sessions/access.py": "the date of a verdict",
    "sessions/repository.py": "the date of a verdict",
    "ui/pages/home.py": "how long ago an episode was recorded",
    "ui/pages/episodes.py": "what is of today",
    "ui/widgets/episode_columns.py": "what is of today",
}
WALL = {
    ("time", "time"),
    ("time", "time_ns"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "CLOCK_REALTIME"),
}


def _asks(source: str) -> bool:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if (node.value.id, node.attr) in WALL:
                return True
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            if any(("time", name.name) in WALL for name in node.names):
                return True
    return False


def test_only_these_files_look_at_the_wall_clock():
    files = [
        file
        for folder in ("teleop_app", "devices", "recorders", "sessions", "ui")
        for file in (ROOT / folder).rglob("*.py")
    ]
    asking = {file.relative_to(ROOT).as_posix() for file in files if _asks(file.read_text("utf-8"))}
    assert not asking - set(MAY_ASK), (
        "samples take their times from CLOCK_MONOTONIC; add others with the reason"
    )


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_clock_that_jumps_in_mid_episode_moves_no_sample(tmp_path, monkeypatch, jump_s):
    header = synthetic_header(("overhead",), width=64, height=48)
    start_ns = header.anchor_monotonic_ns
    samples = list(synthetic_samples(header, 1.0, start_ns))
    writer = EpisodeWriter(tmp_path / "open.mcap", header, destination=tmp_path / f"{header.uuid}.mcap")
    true_ns = time.time_ns
    for number, sample in enumerate(samples):
        if number == len(samples) // 2:
            monkeypatch.setattr(time, "time_ns", lambda: true_ns() + jump_s * NS_PER_S)
            monkeypatch.setattr(time, "time", lambda: true_ns() / NS_PER_S + jump_s)
        feed(writer, sample)
    path = writer.finish("success").path
    with EpisodeReader(path) as reader:
        for stamps in (reader.ticks().capture_ns, reader.video("overhead").capture_ns):
            assert start_ns <= stamps[0] and stamps[-1] <= start_ns + NS_PER_S
            assert 0.9 * NS_PER_S < stamps[-1] - stamps[0]
        assert reader.footer is not None
        assert reader.footer.duration_ns < 1.1 * NS_PER_S and not reader.footer.lost
