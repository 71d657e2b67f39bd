"""Kills the recording path in the middle of an episode, recovers the store, and counts what is there."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.path_rig import recording_path
from recorders.reader import EpisodeReader
from recorders.segment_names import episode_paths
from sessions.repository import open_catalog
from sessions.rows import Author
from teleop_app.core.paths import DataDir
from teleop_app.station.store_recovery import recover_store


def work(settings: dict[str, Any]) -> dict[str, Any]:
    """Save `saved` episodes of `seconds`, record as long once more, kill every process, recover the store."""
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as name:
        folder = Path(name)
        with recording_path(folder, Path(settings["pictures"])) as path:
            for _ in range(settings["saved"]):
                path.record(settings["seconds"])
            path.client.call("recorder", "record", timeout_s=20.0)
            began_ns = time.monotonic_ns()
            time.sleep(settings["seconds"])
            killed_ns = time.monotonic_ns()
            path.kill()
        began = time.perf_counter()
        data = DataDir(folder.resolve())
        with open_catalog(folder, Author.process("benchmark")) as catalog:
            said = recover_store(data, catalog).sentences()
        recovery_s = time.perf_counter() - began
        found = [_read(file, killed_ns) for file in episode_paths(data.episodes)]
    recovered = [each for each in found if each["recovered"]]
    return {
        "episodes": len(found),
        "whole": sum(not each["recovered"] for each in found),
        "rows": sum(each["rows"] for each in found),
        "frames": sum(each["frames"] for each in found),
        "killed_rows": sum(each["rows"] for each in recovered),
        "killed_s": (killed_ns - began_ns) / 1e9,
        "tail_ms": min((each["tail_ms"] for each in recovered), default=None),
        "recovery_s": recovery_s,
        "said": list(said),
    }


def _read(path: Path, killed_ns: int) -> dict[str, Any]:
    """Decodes everything; a row is an instant that every camera has."""
    with EpisodeReader(path) as reader:
        tracks = [reader.video(camera.name) for camera in reader.header.cameras]
        start_ns = reader.header.start_ns  # the pre-roll does not count
        common = set.intersection(
            *(set(track.seq[track.capture_ns >= start_ns].tolist()) for track in tracks)
        )
        frames = sum(1 for camera in reader.header.cameras for _ in reader.frames(camera.name))
        last_ns = min(int(track.capture_ns[-1]) for track in tracks)
        return {
            "recovered": reader.footer.recovered,
            "rows": len(common),
            "frames": frames,
            "tail_ms": (killed_ns - last_ns) / 1e6,
        }


if __name__ == "__main__":
    print("\n" + json.dumps(work(json.loads(sys.argv[1]))))
